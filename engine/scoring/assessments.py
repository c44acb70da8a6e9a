"""Assessors' work over the API: anonymous tasks are pulled, marks pushed; all of a call or nothing.

A task shows what was answered and what it is worth, never by whom. Every assessor sees the tasks in an order of their
own, so that several who pull at one moment seldom mark the same response. Marks are only ever added; an assessor may
correct one until the sitting's last mark has made it `graded`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import orjson
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules.assessing import (
    WHOLE_SITTING,
    GivenMark,
    assessors_needed,
    fault_of_mark,
    kept_mark,
    read_assessment,
    read_name,
)
from engine.rules.errors import Refused
from engine.rules.limits import (
    ASSESSMENT_BODY_BYTES_MAX,
    ASSESSMENTS_PAGE_DEFAULT,
    ASSESSMENTS_PAGE_MAX,
    ID_PATTERN,
)
from engine.rules.marking import json_number
from engine.rules.people import compared_name
from engine.rules.shape import Faults, Members
from engine.rules.terms import Rules
from engine.scoring.results import Scoring
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.wire import check, is_dry_run, json_response, path_id, query_whole, read_json

_queries = Queries(__file__)


class _OpenTask(Struct):
    """One task of a sitting that is marked in this call, or beside one that is; held until the call is committed."""

    task_id: str
    sitting_id: str
    points: Decimal
    missing: int
    is_final: bool
    marks: dict[str, tuple[Decimal, str | None]]  # by assessor, in the order in which they first marked it

    def missing_by_marks(self, rules: Rules) -> int:
        given = [mark for mark, _ in self.marks.values()]
        return max(0, assessors_needed(given, self.points, rules) - len(given))

    def counts(self, rules: Rules) -> bool:
        """False, asked before new marks: a regrade wants no mark of it any more, though it lacks some."""
        return self.missing > 0 or self.missing_by_marks(rules) == 0


async def show_tasks(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/assessments?assessor=&item=&after=&limit=`: what this assessor can mark."""
    await require(request, "results")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    assessor = read_name(Members(dict(request.query_params), "", faults), "assessor")
    limit = query_whole(request, "limit", ASSESSMENTS_PAGE_DEFAULT, 1, ASSESSMENTS_PAGE_MAX, faults)
    after, item = (_known_text(request, name, faults) for name in ("after", "item"))
    check(faults)
    async with scoring.database.connection() as connection:
        await _rules_of(connection, batch_id)
        rows = await connection.fetch(_queries.page_of_tasks, batch_id, assessor, after, limit + 1, item or None)
        shown = rows[:limit]
        whole = [row["sitting_id"] for row in shown if row["item"] == WHOLE_SITTING]
        responses = {row["sitting_id"]: row for row in await connection.fetch(_queries.responses_of, whole)}
    next_cursor = rows[limit - 1]["place"] if len(rows) > limit else None
    tasks = [_shown_task(row, responses.get(row["sitting_id"])) for row in shown]
    return json_response({"tasks": tasks, "next": next_cursor})


async def take_marks(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/assessments`: one assessor's marks; the same again changes nothing."""
    key_id = await require(request, "results", "dry_run")
    scoring: Scoring = request.app.state.scoring
    batch_id = path_id(request, "batch_id")
    faults = Faults()
    dry = is_dry_run(request, faults)
    assessor, given = read_assessment(await read_json(request, ASSESSMENT_BODY_BYTES_MAX), faults)
    async with scoring.database.transaction(is_dry_run=dry) as connection:
        rules = await _rules_of(connection, batch_id)
        tasks = await _lock_tasks(connection, batch_id, [mark.task_id for mark in given])
        new = [mark for mark in given if _is_new(mark, assessor, tasks.get(mark.task_id), faults)]
        check(faults, "assessment.invalid")
        counts = Counter("corrected" if assessor in tasks[mark.task_id].marks else "added" for mark in new)
        if new:
            await _store(connection, batch_id, rules, tasks, assessor, new, key_id)
            after = {name: counts[name] for name in ("added", "corrected")}
            await batch_log.record(connection, batch_id, "assessed", people=[assessor], key_id=key_id, after=after)
    told = {"accepted": len(given), "added": counts["added"], "corrected": counts["corrected"]}
    return json_response({**told, "unchanged": len(given) - len(new)})


# --- reading ---------------------------------------------------------------------------------------------------
def _known_text(request: Request, name: str, faults: Faults) -> str:
    text = request.query_params.get(name, "")
    if text and not ID_PATTERN.fullmatch(text):
        faults.add(f"/{name}", "expected 1 to 64 of A-Za-z0-9._-", text)
        return ""
    return text


def _is_new(mark: GivenMark, assessor: str, task: _OpenTask | None, faults: Faults) -> bool:
    """Whether a mark says anything that is not on record; what forbids it is added to `faults`."""
    if task is None:
        if mark.task_id:
            faults.add(f"{mark.pointer}/task_id", "is no task of this batch", mark.task_id, code="unknown_task")
        return False
    if fault := fault_of_mark(mark.mark, task.points):
        faults.add(f"{mark.pointer}/mark", fault, mark.mark, code="mark_range")
        return False
    if task.marks.get(assessor) == (mark.mark, mark.comment):
        return False
    if task.is_final:
        faults.add(mark.pointer, "all marks of this sitting are in and its result is made", mark.task_id, code="final")
    elif twin := _spelt_otherwise(assessor, task):
        message = f"has a mark by {twin!r}: the same person in another spelling"
        faults.add(f"{mark.pointer}/task_id", message, mark.task_id, code="same_person")
    elif assessor not in task.marks and task.missing == 0:
        message = "has the marks it needs, by other assessors"
        faults.add(f"{mark.pointer}/task_id", message, mark.task_id, code="taken")
    return True


def _spelt_otherwise(assessor: str, task: _OpenTask) -> str | None:
    """The other name under which this person has marked the task; nobody is their own second assessor."""
    if assessor in task.marks:
        return None
    return next((name for name in task.marks if compared_name(name) == compared_name(assessor)), None)


async def _rules_of(connection: Connection, batch_id: str) -> Rules:
    text = await connection.fetchval(_queries.find_rules, batch_id)
    if text is None:
        raise Refused("not_found", f"there is no batch {batch_id[:80]!r}")
    return msgspec.json.decode(text, type=Rules)


async def _lock_tasks(connection: Connection, batch_id: str, task_ids: Sequence[str]) -> dict[str, _OpenTask]:
    """The named tasks, and the others of their sittings: of two who mark the last two at once, one sees the other."""
    tasks = {
        row["task_id"]: _OpenTask(row["task_id"], row["sitting_id"], row["points"], row["missing"], False, {})
        for row in await connection.fetch(_queries.lock_tasks, batch_id, list(task_ids))
    }
    # Asked only now that nobody can finish these sittings any more.
    sitting_ids = list({task.sitting_id for task in tasks.values()})
    final = {row["sitting_id"] for row in await connection.fetch(_queries.final_sittings, sitting_ids)}
    for task in tasks.values():
        task.is_final = task.sitting_id in final
    for row in await connection.fetch(_queries.marks_of, list(tasks)):
        tasks[row["task_id"]].marks[row["assessor"]] = (row["mark"], row["comment"])
    return tasks


# --- writing ---------------------------------------------------------------------------------------------------
async def _store(
    connection: Connection,
    batch_id: str,
    rules: Rules,
    tasks: Mapping[str, _OpenTask],
    assessor: str,
    new: Sequence[GivenMark],
    key_id: str,
) -> None:
    task_ids = [mark.task_id for mark in new]
    marks = [kept_mark(mark.mark, tasks[mark.task_id].points) for mark in new]
    comments = [mark.comment for mark in new]
    await connection.execute(_queries.insert_marks, task_ids, assessor, marks, comments, now_ms(), key_id)
    counting = {task.task_id for task in tasks.values() if task.counts(rules)}
    for mark in new:
        tasks[mark.task_id].marks[assessor] = (mark.mark, mark.comment)
    missing = {name: task.missing_by_marks(rules) if name in counting else 0 for name, task in tasks.items()}
    await connection.execute(_queries.set_missing, task_ids, [missing[task_id] for task_id in task_ids])
    touched = {tasks[task_id].sitting_id for task_id in task_ids}
    unfinished = {task.sitting_id for task in tasks.values() if missing[task.task_id]}
    await connection.execute(_queries.insert_due, batch_id, sorted(touched - unfinished))


# --- answering -------------------------------------------------------------------------------------------------
def _shown_task(row: Record, whole: Record | None) -> dict[str, Any]:
    shown = {"task_id": row["task_id"], "item": row["item"] or None, "points": json_number(row["points"])}
    if row["paper_id"] is not None:
        shown["paper_id"] = row["paper_id"]
    if row["item"] != WHOLE_SITTING:
        return {**shown, "value": _fragment(row["value"])}
    found = zip(whole["items"], whole["texts"], strict=True) if whole is not None else ()
    return {**shown, "responses": {item: _fragment(text) for item, text in found}}


def _fragment(text: str | None) -> orjson.Fragment:
    return orjson.Fragment(text if text is not None else "null")
