"""The grader's second turn: sittings whose marks are all in become `graded`, as a new revision of their result.

The worker that takes the last mark leaves a note in `assessment_due`; what counts is decided here, from the marks as
they stand under the tasks' locks and by the pinned answer key. A note that came too early is thrown away: the mark that
is missing writes another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
from msgspec import Struct

from engine import metrics
from engine.rules import exact_json
from engine.rules.assessing import WHOLE_SITTING, final_mark, verdict
from engine.rules.errors import TryLater
from engine.rules.limits import GRADE_SITTINGS_MAX
from engine.rules.marking import AnswerKey, SittingMark, TextKey, four_decimals, json_number, mark_sitting, passed
from engine.rules.terms import Rules
from engine.scoring.assessment_tasks import MarkedTask, marked_tasks
from engine.scoring.grader import GradedBatch, Grader, give_up_when_idle, read_responses
from engine.scoring.publication import take_publications
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Postgres, Record, UniqueViolation
from engine.stores.sql import Queries

_queries = Queries(__file__)
_STATE = "graded"


class Assessed(Struct, frozen=True):
    """What a fully marked sitting's result says: `scores` for the document, `marks` as `{item: {mark, points}}`."""

    scores: dict[str, Any]
    marks: str


async def grade_assessed(database: Postgres, grader: Grader) -> int:
    """One chunk of sittings whose marks are in; how many notes were dealt with. Raises as `Grader.grade`."""
    try:
        async with database.transaction() as connection:
            due = await connection.fetch(_queries.take_due, GRADE_SITTINGS_MAX, grader.parked_now())
            if not due:
                return 0
            await give_up_when_idle(connection)
            sittings = await connection.fetch(_queries.lock_pending, sorted({row["sitting_id"] for row in due}))
            revisions = await _graded(connection, grader, sittings)
            await _insert(connection, revisions)
    except UniqueViolation as fault:  # while it waited for the sittings a regrade made revisions of them: they stand
        raise TryLater("a result changed while its marks were counted; nothing of them was written") from fault
    for _ in revisions:
        metrics.grader_sittings.labels(_STATE).inc()
    return len(due)


async def _graded(
    connection: Connection, grader: Grader, sittings: Sequence[Record]
) -> list[tuple[Record, GradedBatch, str, str, int]]:
    """(sitting, batch, signed document, marks, graded_ms) of those that no assessor is missing for."""
    sitting_ids = [row["sitting_id"] for row in sittings]
    batches = await grader.batches(connection, sittings)
    tasks = await marked_tasks(connection, sitting_ids)
    responses = await read_responses(connection, sitting_ids)
    graded_ms = now_ms()
    revisions = []
    for sitting in sittings:
        sitting_id, batch = sitting["sitting_id"], batches[sitting["batch_id"], sitting["form"]]
        try:
            assessed = assess(batch, tasks[sitting_id], responses.get(sitting_id, {}))
        except Exception as fault:
            raise grader.parked(sitting["batch_id"], f"sitting {sitting_id!r}, assessed: {fault}") from fault
        if assessed is not None:
            revision = sitting["revision"] + 1
            document = grader.signed_document(sitting, batch, _STATE, assessed.scores, graded_ms, revision)
            revisions.append((sitting, batch, document, assessed.marks, graded_ms))
    return revisions


async def _insert(connection: Connection, revisions: Sequence[tuple[Record, GradedBatch, str, str, int]]) -> None:
    if not revisions:
        return
    # From here on others wait for their numbers until this chunk is committed.
    are_public = [batch.is_public for _, batch, _, _, _ in revisions]
    numbers = await take_publications(connection, sum(are_public))
    await connection.execute(
        _queries.insert_revisions,
        [sitting["sitting_id"] for sitting, *_ in revisions],
        [sitting["batch_id"] for sitting, *_ in revisions],
        [sitting["revision"] + 1 for sitting, *_ in revisions],
        [document for _, _, document, _, _ in revisions],
        [marks for _, _, _, marks, _ in revisions],
        [next(numbers) if is_public else None for is_public in are_public],
        [graded_ms for *_, graded_ms in revisions],
    )


def assess(batch: GradedBatch, tasks: Sequence[MarkedTask], responses: Mapping[str, str]) -> Assessed | None:
    """The outcome of one sitting by its assessors' marks; None while one is missing. `responses`: item -> JSON text."""
    if batch.rules.assessors:
        marks = next((task.marks for task in tasks if task.item == WHOLE_SITTING), ())
        found = verdict(marks, batch.rules)
        return None if found is None else Assessed(_scores(*found, sections=[]), "{}")
    finals = assessed_points(tasks_that_count(tasks, batch.marks.answer_key), batch.rules)
    if finals is None:
        return None
    values = {item: exact_json.decode(text.encode()) for item, text in responses.items()}
    marked = mark_sitting(batch.marks.answer_key, values, finals)
    if marked.score is None:
        return None
    return Assessed(_of_items(marked, marked.score, batch.rules.pass_mark), _shown_marks(marked))


def items_that_wait(answer_key: AnswerKey) -> set[str]:
    """Items that assessors mark; not those that a regrade has voided or accepted for all."""
    items = (item for section in answer_key.sections for item in section.items)
    return {item.id for item in items if isinstance(item, TextKey) and item.ruling == "marked"}


def tasks_that_count(tasks: Sequence[MarkedTask], answer_key: AnswerKey) -> list[MarkedTask]:
    """Those of items that assessors mark."""
    waiting = items_that_wait(answer_key)
    return [task for task in tasks if task.item in waiting]


def assessed_points(tasks: Sequence[MarkedTask], rules: Rules) -> dict[str, Fraction] | None:
    """item -> the points that its assessors' marks come to; None while a mark is missing."""
    finals: dict[str, Fraction] = {}
    for task in tasks:
        final = final_mark(task.marks, task.points, rules)
        if final is None:
            return None
        finals[task.item] = final
    return finals


def _of_items(marked: SittingMark, score: Decimal, pass_mark: Decimal) -> dict[str, Any]:
    sections = [
        {"id": section.id, "score": json_number(section.score), "points": json_number(section.points)}
        for section in marked.sections
    ]
    return _scores(score, passed(score, pass_mark), sections)


def _scores(score: Decimal, has_passed: bool, sections: list[dict[str, Any]]) -> dict[str, Any]:
    return {"score": json_number(score), "passed": has_passed, "sections": sections}


def _shown_marks(marked: SittingMark) -> str:
    shown = {
        item: {"mark": json_number(four_decimals(mark.points)), "points": json_number(four_decimals(mark.full))}
        for item, mark in marked.items.items()
    }
    return orjson.dumps(shown).decode()
