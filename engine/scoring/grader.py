"""The grader: closed, recorded sittings -> signed results. The only process that opens an answer key.

A score is a pure function of the committed responses and the key pinned at arming. Results and their publication are
one transaction, and the primary key of `result` makes a second grading impossible, whoever dies when. Several chunks
may be under way at once, in one process or in many: each locks its sittings and passes over those of others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from engine import metrics
from engine.rules.assessing import WHOLE_SITTING, WHOLE_SITTING_POINTS
from engine.rules.errors import Corrupt
from engine.rules.limits import GRADE_SITTINGS_MAX
from engine.rules.marking import AnswerKey, json_number, passed
from engine.rules.terms import Rules
from engine.scoring.assessment_tasks import Task, open_tasks, tasks_of
from engine.scoring.markbook import MarkBook, MarkBooks, Marked
from engine.scoring.opening import open_pinned
from engine.scoring.publication import take_publications
from engine.sealing.signature import Signer
from engine.stores.clock import monotonic_s, now_ms
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.sql import Queries

_queries = Queries(__file__)
_UNMARKED = ("absent", "void")
_PARKED_S = 60.0


class GradedBatch(Struct, frozen=True):
    """What grading needs to know of a batch, for one of its papers."""

    marks: MarkBook
    rules: Rules
    is_public: bool
    paper_digest: str
    answer_key_digest: str

    def marked(self, state: str, responses: Mapping[str, str]) -> Marked | None:
        """The marks of one closed sitting; None for one that has none, being absent or void."""
        if state in _UNMARKED:
            return None
        if self.rules.assessors:
            whole = (WHOLE_SITTING, Decimal(WHOLE_SITTING_POINTS))
            return Marked(score=None, sections=[], marks="{}", waiting=(whole,))
        return self.marks.mark(responses)


class Grader:
    """Holds the private keys of grading and a mark book for each answer key opened so far."""

    def __init__(self, database: Postgres, grader_key: bytes, signer: Signer) -> None:
        self._database = database
        self._grader_key = grader_key
        self._signer = signer
        self._mark_books = MarkBooks()
        self._parked_until_s: dict[str, float] = {}

    async def grade(self) -> int:
        """One chunk; how many sittings got their result.

        Raises TryLater, and Corrupt for a batch that cannot be graded: it is left alone for a while, others go on.
        """
        async with self._database.transaction() as connection:
            sittings = await connection.fetch(_queries.take_closed, GRADE_SITTINGS_MAX, self.parked_now())
            if not sittings:
                return 0
            await give_up_when_idle(connection)
            batches = await self.batches(connection, sittings)
            responses = await read_responses(connection, [row["sitting_id"] for row in sittings])
            graded_ms = now_ms()
            results = []
            tasks: list[Task] = []
            for sitting in sittings:
                batch = batches[sitting["batch_id"], sitting["form"]]
                try:
                    marked = batch.marked(sitting["state"], responses.get(sitting["sitting_id"], {}))
                    results.append(self._result(sitting, batch, marked, graded_ms))
                    tasks += tasks_of(sitting, marked, batch.rules)
                except Exception as fault:  # marking is total; what is not must not stop the other batches
                    raise self.parked(sitting["batch_id"], f"sitting {sitting['sitting_id']!r}: {fault}") from fault
            await open_tasks(connection, tasks)
            # From here on others wait for their numbers until this chunk is committed.
            are_public = [batches[sitting["batch_id"], sitting["form"]].is_public for sitting in sittings]
            numbers = await take_publications(connection, sum(are_public))
            publications = [next(numbers) if is_public else None for is_public in are_public]
            columns = map(list, zip(*results, strict=True))
            await connection.execute(_queries.insert_results, *columns, publications, graded_ms)
        for _, _, state, _, _ in results:
            metrics.grader_sittings.labels(state).inc()
        return len(results)

    async def batches(self, connection: Connection, sittings: Sequence[Record]) -> dict[tuple[str, int], GradedBatch]:
        """By batch and form, those of `sittings`; a paper that none of them has stays closed."""
        wanted = sorted({(row["batch_id"], row["form"]) for row in sittings})
        rows = await connection.fetch(_queries.batches_with_seals, [batch_id for batch_id, _ in wanted])
        seals = {(row["batch_id"], row["form"]): row for row in rows}
        for batch_id, form in wanted:
            if (batch_id, form) not in seals:
                raise self.parked(batch_id, f"it has closed sittings with form {form} but no seal for it")
        return {each: self._graded_batch(seals[each]) for each in wanted}

    def parked(self, batch_id: str, why: str) -> Corrupt:
        self._parked_until_s[batch_id] = monotonic_s() + _PARKED_S
        return Corrupt(f"batch {batch_id!r} cannot be graded: {why}")

    def parked_now(self) -> list[str]:
        return [batch_id for batch_id, until_s in self._parked_until_s.items() if until_s > monotonic_s()]

    def _mark_book(self, row: Record) -> MarkBook:
        digest = row["answer_key_digest"]
        if book := self._mark_books.find(digest):
            return book
        envelope = row["answer_key_envelope"]
        try:
            opened = open_pinned(envelope, row["paper_digest"], digest, self._grader_key)
        except Corrupt as fault:
            raise self.parked(row["batch_id"], fault.detail) from None
        try:
            book = MarkBook(AnswerKey.load(opened), len(envelope))
        except Exception as fault:  # whatever it is: the other batches are graded
            raise self.parked(row["batch_id"], f"the answer key cannot be read ({fault})") from fault
        return self._mark_books.keep(digest, book)

    def _graded_batch(self, row: Record) -> GradedBatch:
        rules = msgspec.json.decode(row["rules"], type=Rules)
        return GradedBatch(
            marks=self._mark_book(row),
            rules=rules,
            is_public=rules.release == "graded" or row["released_ms"] is not None,
            paper_digest=row["paper_digest"],
            answer_key_digest=row["answer_key_digest"],
        )

    def _result(
        self, sitting: Record, batch: GradedBatch, marked: Marked | None, graded_ms: int
    ) -> tuple[str, str, str, str, str]:
        """(sitting_id, batch_id, state, signed document, marks) of one sitting."""
        state = sitting["state"] if marked is None else "pending_assessor" if marked.waiting else "graded"
        document = self.signed_document(sitting, batch, state, _scores(marked, batch.rules.pass_mark), graded_ms, 1)
        marks = marked.marks if marked is not None else "{}"
        return sitting["sitting_id"], sitting["batch_id"], state, document, marks

    def signed_document(
        self, sitting: Record, batch: GradedBatch, state: str, scores: dict[str, Any], graded_ms: int, revision: int
    ) -> str:
        """A revision of a result, as it is stored and served; `scores` are `score`, `passed` and `sections`."""
        document = {
            "sitting_id": sitting["sitting_id"],
            "candidate_id": sitting["candidate_id"],
            "admission_ticket": sitting["admission_ticket"],
            "state": state,
            **scores,
            "graded_ms": graded_ms,
            "revision": revision,
            "paper_digest": batch.paper_digest,
            "answer_key_digest": batch.answer_key_digest,
        }
        return orjson.dumps(self._signer.signed(document)).decode()


async def give_up_when_idle(connection: Connection) -> None:
    """What this transaction holds is free again within seconds of its grader's death."""
    await connection.execute(_queries.give_up_when_idle)


async def read_responses(connection: Connection, sitting_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """sitting_id -> item -> canonical JSON value, as recorded."""
    rows = await connection.fetch(_queries.responses_of, list(sitting_ids))
    return {row["sitting_id"]: dict(zip(row["items"], row["texts"], strict=True)) for row in rows}


def _scores(marked: Marked | None, pass_mark: Decimal) -> dict[str, Any]:
    """What a result says of the score: nothing for who was absent, null while an assessor is awaited."""
    if marked is None:
        return {"score": None, "passed": False, "sections": []}
    if marked.score is None:
        return {"score": None, "passed": None, "sections": marked.sections}
    return {
        "score": json_number(marked.score),
        "passed": passed(marked.score, pass_mark),
        "sections": marked.sections,
    }
