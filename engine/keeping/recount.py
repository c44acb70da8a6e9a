"""Scores made once more, from an archive alone: responses, the answer key pinned at arming, `rules/marking.py`.

The grader marks through a mark book, for speed; this goes the plain way. Where both come to the same, so does anybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from engine.keeping.bundle import BadArchive, BundleReader, KeepingFault
from engine.rules import exact_json
from engine.rules.assessing import WHOLE_SITTING, final_mark, verdict
from engine.rules.errors import Corrupt, Refused
from engine.rules.marking import AnswerKey, SittingMark, four_decimals, json_number, mark_sitting, passed
from engine.rules.terms import Rules
from engine.sealing.answer_key import open_answer_key
from engine.sealing.envelope import SealBroken

_KEY_BYTES = 32
_UNMARKED = ("absent", "void")
Row = dict[str, Any]


class Recount:
    """The answer keys of an archive, opened. Raises KeepingFault when a secret opens none, or a key stays closed."""

    def __init__(self, bundle: BundleReader, batch: Row, secrets: Sequence[bytes]) -> None:
        self._rules = msgspec.json.decode(orjson.dumps(batch["rules"]), type=Rules)
        opened = dict(_read_opened(secret) for secret in secrets if len(secret) != _KEY_BYTES)
        grader_keys = [secret for secret in secrets if len(secret) == _KEY_BYTES]
        # By form, the key in force: the one pinned at arming, or the last one that a regrade put in its place.
        self._in_force = {row["form"]: row for row in _keys_in_their_order(bundle)}
        self._keys = {form: _read_key(bundle, row, opened, grader_keys) for form, row in self._in_force.items()}

    def differences(self, sitting: Row, rows: Mapping[str, Sequence[Row]]) -> Iterator[str]:
        """Where the newest result is not what the responses earn; nothing where both agree. `rows`: by table."""
        row = rows["result"][-1]
        what = f"the result of revision {row['revision']}"
        document = exact_json.decode(row["document"].encode())
        in_force = self._in_force.get(sitting["form"], {}).get("answer_key_digest")
        if in_force is None or document.get("answer_key_digest") != in_force:
            yield f"{what} was made by answer key {document.get('answer_key_digest')!r}, its paper's is {in_force!r}"
            return
        expected, marks = self._expected(sitting, self._keys[sitting["form"]], rows)
        for name, value in expected.items():
            if not _is_same(document.get(name), value):
                yield f"recomputed, its {name} is {value!r}; {what} says {document.get(name)!r}"
        shown = exact_json.decode(row["marks"].encode())
        for item in sorted(shown.keys() | marks.keys()):
            if not _is_same(shown.get(item), marks.get(item)):
                yield f"recomputed, item {item} earns {marks.get(item)!r}; its marks say {shown.get(item)!r}"

    def _expected(self, sitting: Row, answer_key: AnswerKey, rows: Mapping[str, Sequence[Row]]) -> tuple[Row, Row]:
        """What document and marks must say."""
        if sitting["state"] in _UNMARKED:
            return {"state": sitting["state"], "score": None, "passed": False, "sections": []}, {}
        given = _marks_given(rows)
        if self._rules.assessors:
            found = verdict([mark for item, _, marks in given if item == WHOLE_SITTING for mark in marks], self._rules)
            score, has_passed = found if found is not None else (None, None)
            return _scores(score, has_passed, []), {}
        finals = {item: final_mark(marks, points, self._rules) for item, points, marks in given}
        assessed = {item: points for item, points in finals.items() if points is not None}
        values = {row["item"]: exact_json.decode(row["value"].encode()) for row in rows["response"]}
        marked = mark_sitting(answer_key, values, assessed)
        reached = None if marked.score is None else passed(marked.score, self._rules.pass_mark)
        return _scores(marked.score, reached, _sections(marked)), _marks(marked)


def _keys_in_their_order(bundle: BundleReader) -> Iterator[Row]:
    """{form, paper_digest, answer_key_digest, envelope}: of two rows of one form the later holds."""
    envelopes = {(row["paper_digest"], row["recipient"]): row["envelope"] for row in bundle.rows("answer_key")}
    for seal in bundle.rows("seal"):
        yield {**seal, "envelope": envelopes.get((seal["paper_digest"], seal["answer_key_recipient"]))}
    yield from bundle.rows("regrade_key")


def _read_key(bundle: BundleReader, row: Row, opened: Mapping[str, Any], grader_keys: Sequence[bytes]) -> AnswerKey:
    """Raises KeepingFault when nothing given opens it, BadArchive when it is not what it should be."""
    digest, paper_digest = row["answer_key_digest"], row["paper_digest"]
    document = opened.get(digest)
    if document is None and row["envelope"] is not None:
        document = _open(bundle.blob(row["envelope"]), paper_digest, grader_keys)
    if document is None:
        raise KeepingFault(f"no key given opens the answer key {digest[:16]}… of paper {paper_digest[:16]}…")
    if exact_json.digest(document) != digest:
        raise BadArchive(f"the answer key {digest[:16]}… is not the one that was in force")
    try:
        return AnswerKey.load(document)
    except Corrupt as fault:
        raise BadArchive(f"the answer key {digest[:16]}…: {fault.detail}") from None


def _marks_given(rows: Mapping[str, Sequence[Row]]) -> list[tuple[str, Decimal, list[Decimal]]]:
    """(item, its points, marks) of each task: one mark per assessor, the newest, in the order of their first."""
    given: dict[str, dict[str, Decimal]] = {task["task_id"]: {} for task in rows["assessment_task"]}
    for mark in rows["assessment_mark"]:
        given[mark["task_id"]][mark["assessor"]] = Decimal(str(mark["mark"]))
    tasks = rows["assessment_task"]
    return [(task["item"], Decimal(str(task["points"])), list(given[task["task_id"]].values())) for task in tasks]


def _scores(score: Decimal | None, has_passed: bool | None, sections: list[Row]) -> Row:
    shown = None if score is None else json_number(score)
    state = "pending_assessor" if score is None else "graded"
    return {"state": state, "score": shown, "passed": has_passed, "sections": sections}


def _sections(marked: SittingMark) -> list[Row]:
    return [
        {
            "id": section.id,
            "score": None if section.waits else json_number(section.score),
            "points": json_number(section.points),
        }
        for section in marked.sections
    ]


def _marks(marked: SittingMark) -> Row:
    return {
        item: {
            "mark": None if mark.waits else json_number(four_decimals(mark.points)),
            "points": json_number(four_decimals(mark.full)),
        }
        for item, mark in marked.items.items()
    }


def _is_same(found: Any, expected: Any) -> bool:
    """As JSON has it: 50 and 50.0 are one number, 1 and true are not."""
    return exact_json.canonical(found) == exact_json.canonical(expected)


def _read_opened(secret: bytes) -> tuple[str, Any]:
    try:
        document = exact_json.decode(secret)
    except Refused:
        raise KeepingFault(
            f"a key has {_KEY_BYTES} bytes (grader.key) or is an answer key as JSON; this is neither"
        ) from None
    return exact_json.digest(document), document


def _open(envelope: bytes, paper_digest: str, grader_keys: Sequence[bytes]) -> Any:
    for grader_key in grader_keys:
        try:
            return open_answer_key(envelope, paper_digest, grader_key)
        except SealBroken:
            continue
    return None
