"""The recheck behind a score review, in the grader's process: it reads what is on record and writes what it found.

What is compared with what, and what counts as a difference, stands in `rules/recheck.py`. The one thing only this
process can do is open the answer key that the result names.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec
import orjson

from engine import batch_log, log
from engine.rules import exact_json
from engine.rules.assessing import WHOLE_SITTING
from engine.rules.errors import MISTAKES, Corrupt
from engine.rules.marking import AnswerKey
from engine.rules.recheck import Evidence, erased, recheck, unreadable
from engine.rules.terms import Rules
from engine.scoring.assessing import assessed_points, tasks_that_count
from engine.scoring.assessment_tasks import MarkedTask, marked_tasks
from engine.scoring.opening import open_pinned
from engine.sealing.signature import is_valid, shown_key
from engine.stores import public_keys
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.sql import Queries

_queries = Queries(__file__)
_AT_ARMING = "arming"


class Rechecker:
    """Holds the private key that opens answer keys."""

    def __init__(self, database: Postgres, grader_key: bytes) -> None:
        self._database = database
        self._grader_key = grader_key

    async def turn(self) -> bool:
        """Check the review that waits longest; False when none does. Raises TryLater."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_queries.take_review)
            if row is None:
                return False
            try:
                found = erased() if row["is_erased"] else recheck(await self._evidence(connection, row))
            except MISTAKES as fault:  # whatever it is: the other reviews go on; its words might quote an answer
                log.logger().warning(
                    "score_review.not_checked", sitting_id=row["sitting_id"], fault=type(fault).__name__
                )
                found = unreadable(type(fault).__name__)
            findings = [msgspec.structs.asdict(finding) for finding in found]
            is_sound = all(finding["ok"] for finding in findings)
            sitting_id, revision = row["sitting_id"], row["revision"]
            await connection.execute(
                _queries.keep_findings, sitting_id, revision, orjson.dumps(findings).decode(), now_ms()
            )
            after = {"sitting_id": sitting_id, "revision": revision, "ok": is_sound}
            await batch_log.record(connection, row["batch_id"], "score_review_checked", after=after)
        log.logger().info("score_review.checked", sitting_id=sitting_id, revision=revision, ok=is_sound)
        return True

    async def _evidence(self, connection: Connection, row: Record) -> Evidence:
        sitting_id = row["sitting_id"]
        keys = await connection.fetch(_queries.keys_of, row["batch_id"], row["form"])
        published = [shown_key(public) for public in await public_keys.signing_keys(connection)]
        responses = await connection.fetch(_queries.responses_of, sitting_id)
        history = await connection.fetch(_queries.history_of, sitting_id)
        events = await connection.fetch(_queries.events_of, sitting_id)
        room_events = await connection.fetch(_queries.room_events_of, sitting_id)
        tasks = (await marked_tasks(connection, [sitting_id]))[sitting_id]
        rules = msgspec.json.decode(row["rules"], type=Rules)
        document: dict[str, Any] = exact_json.decode(row["document"].encode())
        answer_key = self._answer_key(keys, document["answer_key_digest"])
        receipt = exact_json.decode(row["receipt"].encode()) if row["receipt"] else None
        return Evidence(
            document=document,
            is_signed=is_valid(document, published),
            state=row["sitting_state"],
            closed_ms=row["closed_ms"],
            extra_time_s=row["extra_time_s"],
            registered={
                "sitting_id": sitting_id,
                "candidate_id": row["candidate_id"],
                "admission_ticket": row["admission_ticket"],
                "paper_digest": keys[0]["paper_digest"] if keys else "",
            },
            answer_keys={key["answer_key_digest"]: key["regrade_id"] or _AT_ARMING for key in reversed(keys)},
            answer_key=answer_key,
            marks=exact_json.decode(row["marks"].encode()),
            responses={each["item"]: (each["seq"], each["value"]) for each in responses},
            history=[(each["item"], each["seq"], each["value"], each["saved_ms"]) for each in history],
            events=[(each["kind"], each["at_ms"]) for each in events],
            room_events=[(each["kind"], each["away_ms"]) for each in room_events],
            assessed=_assessed(tasks, answer_key, rules, document["state"]),
            panel=next((task.marks for task in tasks if task.item == WHOLE_SITTING), ()),
            rules=rules,
            receipt=receipt,
            is_receipt_signed=receipt is not None and is_valid(receipt, published),
        )

    def _answer_key(self, keys: list[Record], digest: str) -> AnswerKey | None:
        """The one that the result names, if this grader can open it."""
        for key in keys:
            if key["answer_key_digest"] == digest:
                try:
                    return AnswerKey.load(open_pinned(key["envelope"], key["paper_digest"], digest, self._grader_key))
                except Corrupt as fault:
                    log.logger().warning("score_review.key_not_opened", detail=str(fault))
        return None


def _assessed(
    tasks: list[MarkedTask], answer_key: AnswerKey | None, rules: Rules, state: str
) -> dict[str, Fraction] | None:
    """item -> the points that assessors gave; nothing where the result still waits for them."""
    if rules.assessors or answer_key is None or state == "pending_assessor":
        return None
    return assessed_points(tasks_that_count(tasks, answer_key), rules)
