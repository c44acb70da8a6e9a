"""Score reviews over HTTP: filed in the window, rechecked by the grader, read and printed, answered by a person."""

from __future__ import annotations

import html
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, pointers, refused

CHECKS = ["signature", "registration", "responses", "receipt", "missed_marks", "score", "tally", "events"]
ASKED = {"grounds": ["tally", "missed_marks"], "text": "<b>总分</b>与自己估算的不一致 & 请核查"}


class Played:
    """A batch that is over; the first handed in and kept the receipt, the second never came."""

    def __init__(self, outsider: Outsider, **rules: Any) -> None:
        self.outsider = outsider
        rules = {"grace_s": 0, **rules}
        self.exam = outsider.exam(out.single("A1"), out.fill("D1"), rows=4, duration_s=2, rules=rules)
        sitting = self.exam.enter()
        accepted(sitting.save(("A1", 1, "c"), ("A1", 2, "b"), ("D1", 3, ["九"])))
        self.receipt = accepted(sitting.submit(3))
        self.sitting_id = sitting.sitting_id
        self.others = [self.exam.arrive(index).sitting_id for index in (1, 2, 3)]

    def call(self, method: str, path: str, **options: Any) -> Any:
        return self.outsider.call(method, path, scope="results", **options)

    def file(self, body: Any = ASKED, sitting_id: str | None = None) -> Any:
        return self.call("POST", f"/v1/sittings/{sitting_id or self.sitting_id}/review", json=body)

    def show(self, sitting_id: str | None = None, **query: Any) -> Any:
        return self.call("GET", f"/v1/sittings/{sitting_id or self.sitting_id}/review", params=query)

    def answer(self, body: Any, **query: Any) -> Any:
        return self.call("POST", f"/v1/sittings/{self.sitting_id}/review/answer", json=body, params=query)

    def checked(self, sitting_id: str | None = None) -> Any:
        def found() -> Any:
            shown = accepted(self.show(sitting_id))
            return shown if shown["state"] != "filed" else None

        return out.poll(found, 15, "a recheck")


@pytest.fixture(scope="module")
def played(outsider: Outsider) -> Played:
    found = Played(outsider)
    outsider.all_results(found.exam.batch_id, 4)
    return found


def test_a_review_is_filed_rechecked_printed_and_answered(played: Played, outsider: Outsider) -> None:
    """From the request to the answer; sent again each step is the same."""
    refused(played.show(), 404, "not_found")
    filed = accepted(played.file({**ASKED, "receipt": played.receipt}), 201)
    again = accepted(played.file({**ASKED, "receipt": played.receipt}))
    other = refused(played.file({"grounds": ["violations"]}), 409, "score_review.filed")
    checked = played.checked()

    assert (filed["revision"], other["revision"], again["requested_ms"]) == (1, 1, filed["requested_ms"])
    assert filed["due_ms"] > filed["requested_ms"] and filed["is_overdue"] is False
    assert [finding["check"] for finding in checked["findings"]] == CHECKS
    assert [finding for finding in checked["findings"] if not finding["ok"]] == []
    assert checked["ok"] is True
    assert checked["result"]["score"] == 50

    page = played.show(format="html")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert "<b>" not in page.text and html.escape(ASKED["text"]) in page.text
    assert played.exam.roster[0]["name"] in page.text and played.exam.roster[0]["admission_ticket"] in page.text
    assert "<script" not in page.text and "http" not in page.text.replace("http-equiv", "")

    given = {"answered_by": "李四", "text": "经核查,成绩无误"}
    answered = accepted(played.answer(given))
    assert (answered["state"], answered["answer"]["text"]) == ("answered", given["text"])
    assert accepted(played.answer(given)) == answered
    refused(played.answer({**given, "text": "另一答复"}), 409, "score_review.answered")
    assert "经核查" in played.show(format="html").text
    log = outsider.call("GET", f"/v1/batches/{played.exam.batch_id}/log", scope="schedule")
    kinds = [event["kind"] for event in accepted(log)["events"] if event["kind"].startswith("score_review")]
    assert kinds[:3] == ["score_review_filed", "score_review_checked", "score_review_answered"]


def test_somebody_elses_receipt_is_a_difference(played: Played) -> None:
    """Signed, but not of this sitting."""
    sitting_id = played.others[0]

    accepted(played.file({"grounds": ["registration"], "receipt": played.receipt}, sitting_id), 201)

    found = {finding["check"]: finding["ok"] for finding in played.checked(sitting_id)["findings"]}
    assert found == {**dict.fromkeys(CHECKS, True), "receipt": False}


def test_a_batchs_reviews_are_listed_with_their_deadlines(played: Played) -> None:
    """In the order of their filing, by page and by state."""
    for sitting_id in played.others[1:]:
        accepted(played.file({"grounds": ["violations"]}, sitting_id), 201)
        played.checked(sitting_id)
    path = f"/v1/batches/{played.exam.batch_id}/reviews"

    whole = accepted(played.call("GET", path))
    first = accepted(played.call("GET", path, params={"limit": 1}))
    rest = accepted(played.call("GET", path, params={"after": first["next"]}))
    waiting = accepted(played.call("GET", path, params={"state": "checked"}))

    assert first["reviews"] + rest["reviews"] == whole["reviews"]
    assert {"due_ms", "is_overdue", "candidate_id"} <= whole["reviews"][0].keys()
    assert {review["state"] for review in waiting["reviews"]} == {"checked"}
    assert whole["next"] is None
    refused(played.call("GET", path, params={"state": "lost", "after": "x"}), 422, "request.invalid")
    refused(played.call("GET", f"/v1/batches/{out.unique('B')}/reviews"), 404, "not_found")


def test_what_is_not_published_cannot_be_reviewed(outsider: Outsider) -> None:
    """Neither a running sitting nor a result that waits for its release."""
    running = outsider.exam()
    sitting_id = running.arrive().sitting_id
    played = Played(outsider, release="approved")
    out.poll(lambda: outsider.show_batch(played.exam.batch_id)["state"] == "graded", 15, "graded")

    for each in (sitting_id, played.sitting_id):
        refused(played.file(sitting_id=each), 409, "score_review.not_published")


def test_a_regraded_score_can_be_reviewed_again(outsider: Outsider) -> None:
    """The new revision names a regrade's key, and the recheck knows it; the earlier review stays."""
    played = Played(outsider)
    outsider.all_results(played.exam.batch_id, 4)
    out.sleep_until(played.exam.closes_ms)
    accepted(played.file(), 201)
    played.checked()
    path = f"/v1/batches/{played.exam.batch_id}/regrades"
    body = {"reason": "复核发现答案有误", "proposed_by": "王五", "changes": [{"item": "D1", "answer": [["九"]]}]}
    regrade_id = accepted(played.call("POST", path, json=body), 201)["regrade_id"]
    at = f"{path}/{regrade_id}"
    out.poll(lambda: accepted(played.call("GET", at))["state"] == "ready", 15, "a dry run")
    accepted(played.call("POST", f"{at}/apply", json={"approved_by": ["甲", "乙"]}))
    out.poll(lambda: accepted(played.call("GET", at))["state"] == "applied", 15, "an applied regrade")

    accepted(played.file(), 201)
    second = played.checked()

    assert (second["revision"], second["result"]["score"], second["ok"]) == (2, 100, True)
    assert regrade_id in next(each["detail"] for each in second["findings"] if each["check"] == "registration")
    assert accepted(played.show(revision=1))["result"]["score"] == 50
    accepted(played.answer({"answered_by": "李四", "text": "见重评"}, revision=1))
    states = [accepted(played.show(revision=revision))["state"] for revision in (1, 2)]
    assert states == ["answered", "checked"], "the earlier one is not left open because there is a later one"
    refused(played.answer({"answered_by": "李四", "text": "x"}, revision=3), 404, "not_found")


@pytest.mark.parametrize("body", [{}, {"grounds": []}, {"grounds": ["luck"]}, {"grounds": ["tally"], "x": 1}])
def test_a_request_without_grounds_is_refused(played: Played, body: Any) -> None:
    """All faults are listed."""
    assert pointers(refused(played.file(body), 422, "request.invalid"))


def test_reviews_are_for_scorers_keys_only(played: Played, outsider: Outsider) -> None:
    """Candidates have none; neither has the scheduling system."""
    path = f"/v1/sittings/{played.sitting_id}/review"
    refused(outsider.call("POST", path, scope="schedule", json=ASKED), 403, "auth.scope")
    refused(outsider.call("GET", path), 401, "auth.missing")
    refused(played.file(sitting_id=out.unique("S")), 404, "not_found")
    refused(played.answer({"answered_by": ""}), 422, "request.invalid")
    refused(played.show(format="pdf"), 422, "request.invalid")
