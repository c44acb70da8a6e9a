"""The grader: closed, recorded sittings -> signed results. The only process that opens an answer key.

A score is a pure function of the committed responses and the key pinned at arming. Results and their publication are
one transaction, and the primary key of `result` makes a second grading impossible, whoever dies when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from msgspec import Struct

from engine import metrics
from engine.rules import exact_json
from engine.rules.errors import Corrupt
from engine.rules.limits import GRADE_SITTINGS_MAX
from engine.rules.marking import AnswerKey, SittingMark, four_decimals, json_number, mark_sitting, passed
from engine.scoring.publication import publish
from engine.sealing.answer_key import open_answer_key
from engine.sealing.paper import SealBroken
from engine.sealing.signature import Signer
from engine.stores.clock import monotonic_s, now_ms
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.sql import Queries

_queries = Queries(__file__)
_GRADED_STATES = {"absent": "absent", "void": "void"}
_KEYS_KEPT = 64
_PARKED_S = 60.0


class GradedBatch(Struct, frozen=True):
    """What grading needs to know of a batch."""

    answer_key: AnswerKey
    pass_mark: Decimal
    is_public: bool
    paper_digest: str
    answer_key_digest: str


class Grader:
    """Holds the private keys of grading and the answer keys opened so far."""

    def __init__(self, database: Postgres, grader_key: bytes, signer: Signer) -> None:
        self._database = database
        self._grader_key = grader_key
        self._signer = signer
        self._answer_keys: dict[str, AnswerKey] = {}
        self._parked_until_s: dict[str, float] = {}

    async def grade(self) -> int:
        """One chunk; how many sittings got their result.

        Raises TryLater, and Corrupt for a batch that cannot be graded: it is left alone for a while, others go on.
        """
        async with self._database.transaction() as connection:
            sittings = await connection.fetch(_queries.take_closed, GRADE_SITTINGS_MAX, self._parked_now())
            if not sittings:
                return 0
            batches = await self._batches(connection, sorted({row["batch_id"] for row in sittings}))
            responses = await _responses(connection, [row["sitting_id"] for row in sittings])
            graded_ms = now_ms()
            rows = []
            for sitting in sittings:
                batch = batches[sitting["batch_id"]]
                rows.append(self._result(sitting, batch, responses[sitting["sitting_id"]], graded_ms))
            await connection.execute(_queries.insert_results, *map(list, zip(*rows, strict=True)), graded_ms)
            sitting_ids = [row["sitting_id"] for row in sittings]
            await connection.execute(_queries.mark_graded, sitting_ids)
            await publish(connection, [row["sitting_id"] for row in sittings if batches[row["batch_id"]].is_public])
        for _, _, state, _, _ in rows:
            metrics.grader_sittings.labels(state).inc()
        return len(rows)

    async def _batches(self, connection: Connection, batch_ids: Sequence[str]) -> dict[str, GradedBatch]:
        rows = await connection.fetch(_queries.batches_with_seals, list(batch_ids))
        found = {row["batch_id"]: self._graded_batch(row) for row in rows}
        for batch_id in batch_ids:
            if batch_id not in found:
                raise self._parked(batch_id, "it has closed sittings but no seal")
        return found

    def _parked(self, batch_id: str, why: str) -> Corrupt:
        self._parked_until_s[batch_id] = monotonic_s() + _PARKED_S
        return Corrupt(f"batch {batch_id!r} cannot be graded: {why}")

    def _parked_now(self) -> list[str]:
        return [batch_id for batch_id, until_s in self._parked_until_s.items() if until_s > monotonic_s()]

    def _graded_batch(self, row: Record) -> GradedBatch:
        digest = row["answer_key_digest"]
        if digest not in self._answer_keys:
            try:
                opened = open_answer_key(row["answer_key_envelope"], row["paper_digest"], self._grader_key)
            except SealBroken as fault:
                raise self._parked(row["batch_id"], str(fault)) from None
            if exact_json.digest(opened) != digest:
                raise self._parked(row["batch_id"], "the answer key is not the one pinned at arming")
            if len(self._answer_keys) >= _KEYS_KEPT:
                self._answer_keys.clear()
            self._answer_keys[digest] = AnswerKey.load(opened)
        return GradedBatch(
            answer_key=self._answer_keys[digest],
            pass_mark=Decimal(row["pass_mark"]),
            is_public=row["release"] == "graded" or row["released_ms"] is not None,
            paper_digest=row["paper_digest"],
            answer_key_digest=digest,
        )

    def _result(
        self, sitting: Record, batch: GradedBatch, responses: Mapping[str, Any], graded_ms: int
    ) -> tuple[str, str, str, str, str]:
        """(sitting_id, batch_id, state, signed document, marks) of one sitting."""
        state = _GRADED_STATES.get(sitting["state"], "graded")
        mark = mark_sitting(batch.answer_key, responses) if state == "graded" else None
        if mark is not None and mark.score is None:
            state = "pending_assessor"
        document = self._signer.signed(
            {
                "sitting_id": sitting["sitting_id"],
                "candidate_id": sitting["candidate_id"],
                "admission_ticket": sitting["admission_ticket"],
                "state": state,
                **_scores(mark, batch.pass_mark),
                "graded_ms": graded_ms,
                "revision": 1,
                "paper_digest": batch.paper_digest,
                "answer_key_digest": batch.answer_key_digest,
            }
        )
        marks = orjson.dumps(_marks(mark)).decode()
        return sitting["sitting_id"], sitting["batch_id"], state, orjson.dumps(document).decode(), marks


async def _responses(connection: Connection, sitting_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in await connection.fetch(_queries.responses_of, list(sitting_ids)):
        found[row["sitting_id"]][row["item"]] = exact_json.decode(row["value"].encode())
    return found


def _scores(mark: SittingMark | None, pass_mark: Decimal) -> dict[str, Any]:
    """What a result says of the score: nothing for who was absent, null while an assessor is awaited."""
    if mark is None:
        return {"score": None, "passed": False, "sections": []}
    sections = [
        {
            "id": section.id,
            "score": None if section.waits else json_number(section.score),
            "points": json_number(section.points),
        }
        for section in mark.sections
    ]
    if mark.score is None:
        return {"score": None, "passed": None, "sections": sections}
    return {"score": json_number(mark.score), "passed": passed(mark.score, pass_mark), "sections": sections}


def _marks(mark: SittingMark | None) -> dict[str, Any]:
    """{item: {mark, points}}; mark is null where an assessor is awaited."""
    items = mark.items if mark is not None else {}
    return {
        item: {
            "mark": None if item_mark.waits else json_number(four_decimals(item_mark.points)),
            "points": json_number(four_decimals(item_mark.full)),
        }
        for item, item_mark in items.items()
    }
