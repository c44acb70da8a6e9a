"""What is erased of a batch, in which order, and in steps that may be ended anywhere and begun again.

A step is one transaction over a few sittings, or over so many rows of one table; the figures of what went move in it.
Repeated, it finds nothing and changes nothing. The order leaves nothing that refers to what is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.rules.limits import ERASED_ROWS_AT_ONCE, ERASED_SITTINGS_AT_ONCE
from engine.rules.retention import Kind
from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)
# (table, statement): of a few sittings, the answers first.
_ANSWERS = (
    ("assessment_mark", _queries.erase_assessment_mark),
    ("assessment_task", _queries.erase_assessment_task),
    ("response_history", _queries.erase_response_history),
    ("response", _queries.erase_response),
)
_OF_SITTINGS = (
    ("score_review", _queries.erase_score_review),
    ("regrade_sitting", _queries.erase_regrade_sitting),
    *_ANSWERS,
    ("result", _queries.erase_result),
    ("photo_act", _queries.erase_photo_act),
    ("photo", _queries.erase_photo),
    ("sitting_event", _queries.erase_sitting_event),
    ("withdrawn_sitting", _queries.erase_withdrawn_sitting),
    ("sitting", _queries.erase_sitting),
)
# Of the batch, so many rows at a time.
_OF_BATCH = (
    ("webhook_delivery", _queries.erase_webhook_delivery),
    ("webhook_queue", _queries.erase_webhook_queue),
    ("assessment_due", _queries.erase_assessment_due),
    ("statistics_request", _queries.erase_statistics_request),
    ("regrade_key", _queries.erase_regrade_key),
    ("regrade_change", _queries.erase_regrade_change),
    ("regrade", _queries.erase_regrade),
    ("flag_explanation", _queries.erase_flag_explanation),
    ("item_statistics", _queries.erase_item_statistics),
    ("device_check", _queries.erase_device_check),
    ("room_event", _queries.erase_room_event),
    ("disarming", _queries.erase_disarming),
    ("batch_event", _queries.erase_batch_event),
    ("archive", _queries.erase_archive),
)
ANSWER_TABLES = tuple(table for table, _ in _ANSWERS)


class Eraser:
    """Erases one batch over one connection of the owner's."""

    def __init__(self, connection: Connection, batch_id: str) -> None:
        self._connection = connection
        self._batch_id = batch_id

    async def erase(self, kind: Kind, sitting_ids: Sequence[str]) -> None:
        """All of that kind but for the batch itself."""
        tables = _ANSWERS if kind is Kind.ANSWERS else _OF_SITTINGS
        for at in range(0, len(sitting_ids), ERASED_SITTINGS_AT_ONCE):
            async with self._connection.transaction():
                some = list(sitting_ids[at : at + ERASED_SITTINGS_AT_ONCE])
                await self._note({table: await self._run(statement, some) for table, statement in tables})
        if kind is Kind.RECORDS:
            for table, statement in _OF_BATCH:
                while await self._erase_some(table, statement) == ERASED_ROWS_AT_ONCE:
                    pass

    async def erase_batch(self) -> dict[str, int]:
        """In the caller's transaction: seals and the batch itself, then what no other batch uses. How many rows."""
        used = await self._connection.fetchrow(_queries.papers_of, self._batch_id)
        rows = {"seal": await self._run(_queries.erase_seal, self._batch_id)}
        rows["package"] = await self._run(_queries.erase_package, self._batch_id)
        await self._connection.execute(_queries.forget_erasing, self._batch_id)
        rows["batch"] = await self._run(_queries.erase_batch, self._batch_id)
        rows["paper"] = await self._run(_queries.erase_paper, used["paper_ids"])
        rows["answer_key"] = await self._run(_queries.erase_answer_key, used["paper_digests"])
        return rows

    async def count(self, kind: Kind, archived: Mapping[str, int]) -> dict[str, int]:
        """How many rows would go, knowing those that `archived` tables hold; nothing is changed."""
        if kind is Kind.ANSWERS:
            return {table: archived[table] for table in ANSWER_TABLES}
        beside = await self._connection.fetchrow(_queries.count_beside, self._batch_id)
        return {**archived, **dict(beside)}

    async def _erase_some(self, table: str, statement: str) -> int:
        async with self._connection.transaction():
            went = await self._run(statement, self._batch_id, ERASED_ROWS_AT_ONCE)
            await self._note({table: went})
        return went

    async def _note(self, went: dict[str, int]) -> None:
        await self._connection.execute(_queries.erased_so_far, self._batch_id, list(went), list(went.values()))

    async def _run(self, statement: str, *arguments: Any) -> int:
        """How many rows went: PostgreSQL answers `DELETE 12`."""
        return int((await self._connection.execute(statement, *arguments)).rpartition(" ")[2])
