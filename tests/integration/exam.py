"""A small armed batch laid out in Redis and PostgreSQL, for tests of one moving part at a time."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import redis.asyncio

from engine.recording.leases import Leases
from engine.recording.mending import Mender
from engine.recording.position import Position
from engine.recording.recorder import Recorder
from engine.rules.forms import armed_id
from engine.rules.question_set import QuestionSet, read_question_set
from engine.rules.terms import Batch, Rules
from engine.sealing import answer_key, paper
from engine.sealing.provider import FileProvider, paper_key_purpose
from engine.sealing.signature import Signer
from engine.stores.clock import now_ms
from engine.stores.memory import Memory, Script, fields_of
from engine.stores.postgres import Postgres
from engine.stores.prepare import PreparedBatch, Sitting, prepare_batch, prepare_sittings
from engine.stores.roles import role_name

PARTITIONS = 4
LOGIN_KEY = b"l" * 32
GRADER_KEY = b"g" * 32
WRAP_KEY = b"w" * 32
RECEIPT_KEY = b"r" * 32

DOCUMENT: dict[str, Any] = {
    "title": "Paper",
    "sections": [
        {
            "id": "A",
            "title": "Section",
            "items": [
                {
                    "id": f"A{number}",
                    "type": "single",
                    "stem": "Which?",
                    "options": [{"id": "a", "text": "this"}, {"id": "b", "text": "that"}],
                    "answer": "a",
                    "points": 1,
                }
                for number in range(1, 5)
            ],
        }
    ],
}


def question_set() -> QuestionSet:
    return read_question_set(DOCUMENT)


def batch(
    batch_id: str = "B",
    starts_in_ms: int = -1000,
    duration_s: int = 600,
    papers: tuple[str, ...] | None = None,
    **rules: Any,
) -> Batch:
    """By default it started a second ago, and who has come may still come."""
    chosen = {"earliest_submit_s": 0, "latest_entry_s": 300, "grace_s": 5, "pass_mark": Decimal(60), **rules}
    return Batch(
        batch_id=batch_id,
        title="Batch",
        occupation="Occupation",
        level=3,
        subject="theory",
        kind="formal",
        paper_id=None if papers else "P",
        papers=papers,
        admission_code="CODE",
        starts_ms=now_ms() + starts_in_ms,
        duration_s=duration_s,
        rules=Rules(**chosen),
    )


def as_role(dsn: str, process: str) -> str:
    """The same database for a process (engine, recorder, grader) instead of the owner."""
    return dsn.replace("//liankao@", f"//{role_name(process)}@", 1)


class Exam:
    """The stores, one batch, and the steps of its candidates as the scripts see them."""

    def __init__(self, redis_url: str, postgres_dsn: str, exam_batch: Batch | None = None) -> None:
        self.memory = Memory(redis_url, PARTITIONS)
        self.redis = redis.asyncio.Redis.from_url(redis_url)  # a way of its own, to do what the engine never does
        self.owner_database = Postgres(postgres_dsn, 4)  # to prepare, and to look
        # Moving parts connect with the roles they have in production: a right that is missing fails here.
        self.database = Postgres(as_role(postgres_dsn, "recorder"), 4)
        self.engine_database = Postgres(as_role(postgres_dsn, "engine"), 4)
        self.grader_database = Postgres(as_role(postgres_dsn, "grader"), 4)
        self.batch = exam_batch or batch()
        self.leases = Leases(self.database, "recorder-1", PARTITIONS)
        self.recorder = Recorder(self.memory, self.database, "recorder-1")
        self.mender = Mender(self.memory, self.database, LOGIN_KEY, "recorder-1")

    @classmethod
    def beside(cls, exam: Exam, batch_id: str) -> Exam:
        """Another batch over the same stores."""
        other = cls.__new__(cls)
        other.__dict__.update(exam.__dict__)
        other.batch = batch(batch_id)
        return other

    async def hold(self) -> dict[int, Position]:
        """Take the leases and mend what is broken, as the recorder's process does."""
        sound = await self.mender.look(await self.leases.take())
        if await self.mender.mend():
            sound = await self.mender.look(await self.leases.take())
        self.recorder.hold(*sound)
        return sound.held

    async def arm(self, *sitting_ids: str, extra_time_s: int = 0) -> None:
        """Write batch, seals and sittings to PostgreSQL and lay them ready in Redis; forms go round as sittings do."""
        questions = question_set()
        envelope = answer_key.seal_answer_key(questions.answer_key, questions.digest, answer_key.public_key(GRADER_KEY))
        index = msgspec.json.encode(questions.index)
        papers = [self._sealed(form, questions) for form in range(len(self.batch.paper_ids))]
        async with self.owner_database.transaction() as connection:
            await connection.execute(
                "INSERT INTO paper VALUES ('P', $1, 4, 4, NULL, $2, $3, 'k', 0) ON CONFLICT DO NOTHING",
                questions.digest,
                index,
                questions.answer_key_digest,
            )
            await connection.execute(
                "INSERT INTO answer_key VALUES ($1, 'k', $2) ON CONFLICT DO NOTHING", questions.digest, envelope
            )
            await connection.execute(
                "INSERT INTO batch (batch_id, title, occupation, level, subject, kind, paper_id, admission_code,"
                " starts_ms, duration_s, rules, pushed_ms, armed_ms, laid_ready, witnesses, papers)"
                " VALUES ($1, 't', 'o', 3, 'theory', 'formal', $6, $2, $3, $4, $5, 0, 1, true, '{a,b}', $7)",
                self.batch.batch_id,
                self.batch.admission_code,
                self.batch.starts_ms,
                self.batch.duration_s,
                msgspec.json.encode(self.batch.rules).decode(),
                self.batch.paper_id,
                self.batch.papers,
            )
            for prepared, sealed in papers:
                await connection.execute(
                    "INSERT INTO seal VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    self.batch.batch_id,
                    prepared.sealed_digest,
                    sealed,
                    prepared.paper_key_wrapped,
                    questions.digest,
                    index,
                    questions.answer_key_digest,
                    "k",
                    prepared.form,
                )
            for seat, sitting_id in enumerate(sitting_ids):
                await connection.execute(
                    "INSERT INTO sitting (sitting_id, batch_id, partition, candidate_id, name, id_number,"
                    " admission_ticket, site, room, seat, extra_time_s, form)"
                    " VALUES ($1, $2, $3, $1, 'n', $1, $1, 's', 'r', $4, $5, $6)",
                    sitting_id,
                    self.batch.batch_id,
                    self.memory.partition_of(sitting_id).number,
                    f"{seat:02d}",
                    extra_time_s,
                    seat % len(papers),
                )
        for prepared, sealed in papers:
            await prepare_batch(self.memory, prepared, sealed)
        sittings = [
            self.sitting(sitting_id, extra_time_s, at % len(papers)) for at, sitting_id in enumerate(sitting_ids)
        ]
        await prepare_sittings(self.memory, self.batch, sittings, LOGIN_KEY)

    def _sealed(self, form: int, questions: QuestionSet) -> tuple[PreparedBatch, bytes]:
        """The same questions under a key of the form's own."""
        paper_key = bytes([ord("k") + form]) * 32
        sealed = paper.seal_paper(self.batch.batch_id, questions.public, paper_key, Signer(RECEIPT_KEY))
        purpose = paper_key_purpose(armed_id(self.batch.batch_id, form))
        prepared = PreparedBatch(
            batch=self.batch,
            form=form,
            sealed_digest=paper.sealed_digest(sealed),
            sealed_bytes=len(sealed),
            paper_key_wrapped=FileProvider(WRAP_KEY).wrap(purpose, paper_key),
            item_index=msgspec.json.encode(questions.index),
        )
        return prepared, sealed

    def sitting(self, sitting_id: str, extra_time_s: int = 0, form: int = 0) -> Sitting:
        return Sitting(
            sitting_id=sitting_id,
            batch_id=self.batch.batch_id,
            candidate_id=sitting_id,
            name="n",
            admission_ticket=sitting_id,
            site="s",
            room="r",
            seat="01",
            extra_time_s=extra_time_s,
            id_number=sitting_id,
            form=form,
        )

    async def enter(self, *sitting_ids: str) -> None:
        """Log in, confirm, pledge; the token's epoch is 1."""
        for sitting_id in sitting_ids:
            assert (await self.login(sitting_id))[0] == 0
            assert (await self.step(sitting_id, "checked_in", "confirmed"))[0] == 0
            assert (await self.step(sitting_id, "confirmed", "pledged"))[0] == 0

    async def login(self, sitting_id: str, takeover: str = "free", silent_ms: int = 60_000) -> list[Any]:
        from engine.delivery import login

        return await self._run(login._LOGIN, sitting_id, [sitting_id, takeover, silent_ms], due=True)

    async def step(self, sitting_id: str, before: str = "", after: str = "", epoch: str = "1") -> list[Any]:
        from engine.delivery import sitting

        return await self._run(sitting._SITTING, sitting_id, [sitting_id, epoch, before, after])

    async def save(self, sitting_id: str, *changes: tuple[str, int, str], epoch: str = "1") -> list[Any]:
        """[partition outcome, generation, position, committed, outcome of the call]."""
        from engine.delivery import autosave

        arguments: list[str | int] = [sitting_id, epoch, len(changes)]
        for item, seq, value in changes:
            arguments += [item, seq, value]
        return await self._run(autosave._AUTOSAVE, sitting_id, arguments, has_news=False)

    async def submit(self, sitting_id: str, seq: int = 0, epoch: str = "1", earliest_ms: int = 0) -> list[Any]:
        from engine.delivery import submit

        return await self._run(submit._SUBMIT, sitting_id, [sitting_id, epoch, seq, earliest_ms], due=True)

    async def stored(self, sitting_id: str) -> dict[str, bytes]:
        """The sitting's hash as it lies in Redis."""
        return fields_of([part for pair in (await self._hash(sitting_id)).items() for part in pair], 0)

    async def set_field(self, redis_key: str, field: str, value: str) -> None:
        await self.memory.write_hashes({redis_key: {field: value}})

    async def query(self, statement: str, *arguments: Any) -> list[Any]:
        async with self.owner_database.connection() as connection:
            return [tuple(row) for row in await connection.fetch(statement, *arguments)]

    async def close(self) -> None:
        await self.redis.aclose()
        await self.memory.close()
        for database in (self.owner_database, self.database, self.engine_database, self.grader_database):
            await database.close()

    async def _hash(self, sitting_id: str) -> dict[bytes, bytes]:
        return await self.memory.read_hash(self.memory.partition_of(sitting_id).sitting(sitting_id))

    async def _run(
        self, script: Script, sitting_id: str, arguments: list[Any], due: bool = False, has_news: bool = True
    ) -> list[Any]:
        keys = self.memory.partition_of(sitting_id)
        names = [keys.marker, keys.log, *([keys.due] if due else [])]
        names += [keys.news] if has_news else []
        names.append(keys.sitting(sitting_id))
        return await self.memory.run(script, names, arguments)


async def until_waiting(exam: Exam, sessions: int = 1) -> None:
    """Until so many sessions of this database wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    for _ in range(1200):
        if (await exam.query(waiting)) >= [(sessions,)]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not {sessions} sessions wait for a lock")
