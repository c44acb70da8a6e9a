"""Every error a caller can meet, by what the caller should do next.

ExamError
├── Refused    do not send the same again: the message says what was expected
├── TryLater   send the same again after `retry_after_s`: safe, whether or not it has been done already
└── Corrupt    call a person: stored things contradict each other

On the wire each is an RFC 9457 problem with a stable `code`; CODES is the whole list.
"""

from __future__ import annotations

from typing import Any

CODES: dict[str, tuple[int, str]] = {
    # code: (HTTP status, title)
    "assessment.invalid": (422, "A mark is not valid; nothing of the call was taken"),
    "auth.missing": (401, "No valid API key or candidate token"),
    "auth.scope": (403, "The API key has another scope"),
    "autosave.closed": (409, "The sitting is closed"),
    "autosave.invalid": (422, "A change is not valid; nothing of the call was saved"),
    "autosave.not_open": (409, "The sitting has not started"),
    "batch.armed": (409, "The batch is armed and can no longer change"),
    "batch.begun": (409, "The batch starts now, or has started: it can no longer be disarmed"),
    "batch.erased": (410, "What the call needs of the batch has been erased"),
    "batch.invalid": (422, "The batch is not valid"),
    "batch.not_armed": (409, "The batch has not been armed"),
    "batch.not_ready": (409, "The batch cannot be armed or released yet"),
    "channel.origin": (403, "The page is of another origin"),
    "channel.upgrade": (426, "The channel is a WebSocket"),
    "confirm.refused": (409, "Personal data were not confirmed"),
    "corrupt": (500, "Stored data contradict each other"),
    "device.closed": (409, "The device check is over"),
    "device.invalid": (422, "What was measured is not valid; nothing was stored"),
    "device.not_a_check": (409, "The sitting is not one of a device check"),
    "events.not_open": (409, "The exam has not started: nothing is recorded yet"),
    "internal": (500, "The engine failed on this request"),
    "login.elsewhere": (409, "The sitting is in use on another machine"),
    "login.refused": (401, "Admission code and ID number do not match a sitting"),
    "login.too_early": (403, "Check-in has not opened"),
    "login.too_late": (403, "The latest entry time has passed"),
    "method.not_allowed": (405, "The path exists, but not with this method"),
    "not_acceptable": (406, "Results are not served in this format"),
    "not_found": (404, "There is no such thing"),
    "paper.in_use": (409, "The paper is in an armed batch and can no longer change"),
    "paper.invalid": (422, "The paper is not valid"),
    "paper_key.too_early": (425, "The paper key is released at the start"),
    "photo.changed": (409, "Another photo has been taken since"),
    "photo.closed": (409, "No photo is taken any more"),
    "photo.due": (409, "The photo comes before the paper"),
    "photo.file_format": (415, "A photo is a JPEG"),
    "photo.invalid": (422, "The photo is not valid; it was not stored"),
    "photo.not_required": (409, "The batch asks for no photo"),
    "photo.too_many": (409, "No further photo of this sitting is kept"),
    "pledge.refused": (409, "The pledge was not accepted"),
    "rate.limited": (429, "Too many attempts"),
    "regrade.invalid": (422, "The changes are not valid; nothing was proposed"),
    "regrade.not_closed": (409, "The batch is not over, or not graded yet"),
    "regrade.not_ready": (409, "There is no dry run to decide on"),
    "regrade.open": (409, "Another regrade of the batch is open"),
    "regrade.settled": (409, "The regrade has been decided already"),
    "regrade.stale": (409, "Results have changed since the dry run"),
    "request.invalid": (422, "The request is not valid"),
    "request.malformed": (400, "The request cannot be read"),
    "request.too_large": (413, "The request is too large"),
    "roster.file_format": (415, "The roster's format is not known"),
    "roster.invalid": (422, "The roster is not valid; nothing of it was taken"),
    "score_review.answered": (409, "The review has been answered already"),
    "score_review.closed": (409, "No review of this score may be filed at this time"),
    "score_review.filed": (409, "Another review of this score has been filed"),
    "score_review.not_checked": (409, "The recheck is not done yet"),
    "score_review.not_published": (409, "There is no published result to review"),
    "site.invalid": (422, "The site is not valid; nothing of it was taken"),
    "sitting.order": (409, "The step is out of order"),
    "sitting.superseded": (409, "A later login took this sitting over"),
    "submit.behind": (409, "Changes sent before the hand-in have not arrived"),
    "submit.closed": (409, "The sitting is closed"),
    "submit.too_early": (409, "Handing in is not allowed yet"),
    "takeover.closed": (409, "The sitting is closed: there is nothing to take over"),
    "try_later": (503, "Not possible at this moment"),
    "webhook.invalid": (422, "The webhook is not valid; nothing was changed"),
    "webhook.too_many": (409, "There are as many webhooks as there may be"),
}


class ExamError(Exception):
    """One failed request: stable `code`, a `detail` naming offender and expectation, and data for programs."""

    def __init__(self, code: str, detail: str, /, **members: Any) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.status, self.title = CODES[code]
        self.detail = detail
        self.members = members

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 object, `members` spliced in beside the standard ones."""
        head = {"type": f"urn:liankao:error:{self.code}", "title": self.title, "status": self.status}
        return {**head, "detail": self.detail, "code": self.code, **self.members}


class Refused(ExamError):
    """The request as it stands will never succeed in the present state."""


class Invalid(Refused):
    """A body with faults, all of them listed: `errors` is [{pointer, message, value, ...}]."""

    def __init__(self, code: str, faults: list[dict[str, Any]], /, **members: Any) -> None:
        first = faults[0]
        where = first.get("pointer") or "the document"
        if "row" in first:
            where = f"row {first['row']}" + (f", column {first['column']}" if first.get("column") else "")
        total = members.get("errors_total", len(faults))
        more = f" (and {total - 1} more)" if total > 1 else ""
        super().__init__(code, f"{where}: {first['message']}{more}", errors=faults, **members)
        self.faults = faults


class TryLater(ExamError):
    """Not now, but the same request is safe to send again after `retry_after_s`."""

    def __init__(self, detail: str, /, retry_after_s: int = 1, code: str = "try_later", **members: Any) -> None:
        super().__init__(code, detail, **members)
        self.retry_after_s = retry_after_s


class Corrupt(ExamError):
    """Stored data contradict each other; no automatic repair is safe."""

    def __init__(self, detail: str, /, **members: Any) -> None:
        super().__init__("corrupt", detail, **members)


# What nothing but a mistake, the engine's or somebody's in the database, raises: it would be raised again every time.
MISTAKES = (Refused, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
