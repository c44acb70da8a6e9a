"""What assessors have to mark: a task per waiting response, or per sitting; made by the grader with the pending result.

A task's id is drawn by lot, so that neither it nor the order of tasks tells whose response it is. Its marks are rows
that are only added: an assessor's newest holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from engine.rules.assessing import assessors_needed
from engine.rules.terms import Rules
from engine.scoring.markbook import Marked
from engine.sealing.secrets import random_bytes
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries

_queries = Queries(__file__)
_TASK_ID_BYTES = 16


class Task(Struct, frozen=True):
    """A task about to be opened; `item` is WHOLE_SITTING where assessors score sittings, not items."""

    batch_id: str
    sitting_id: str
    item: str
    points: Decimal
    missing: int  # how many assessors have yet to mark it


class MarkedTask(Struct, frozen=True):
    """A task with its marks: one per assessor, the newest, in the order in which they first marked it."""

    task_id: str
    sitting_id: str
    item: str
    points: Decimal
    marks: tuple[Decimal, ...]


def tasks_of(sitting: Record, marked: Marked | None, rules: Rules) -> list[Task]:
    """The tasks of one sitting just marked by its answer key."""
    waiting = marked.waiting if marked is not None else ()
    return [
        Task(sitting["batch_id"], sitting["sitting_id"], item, points, assessors_needed([], points, rules))
        for item, points in waiting
    ]


async def open_tasks(connection: Connection, tasks: Sequence[Task]) -> None:
    """In the transaction that makes the pending results."""
    if not tasks:
        return
    task_ids = [random_bytes(_TASK_ID_BYTES).hex() for _ in tasks]
    columns = [[getattr(task, name) for task in tasks] for name in Task.__struct_fields__]
    await connection.execute(_queries.insert_tasks, task_ids, *columns)


async def marked_tasks(connection: Connection, sitting_ids: Sequence[str]) -> dict[str, list[MarkedTask]]:
    """sitting_id -> its tasks with their marks; held until the transaction ends, so that no mark is added meanwhile."""
    rows = await connection.fetch(_queries.lock_tasks, list(sitting_ids))
    marks: dict[str, dict[str, Decimal]] = {row["task_id"]: {} for row in rows}
    for mark in await connection.fetch(_queries.marks_of, list(marks)):
        marks[mark["task_id"]][mark["assessor"]] = mark["mark"]
    found: dict[str, list[MarkedTask]] = {sitting_id: [] for sitting_id in sitting_ids}
    for row in rows:
        given = tuple(marks[row["task_id"]].values())
        task = MarkedTask(row["task_id"], row["sitting_id"], row["item"], row["points"], given)
        found[row["sitting_id"]].append(task)
    return found
