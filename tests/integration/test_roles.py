"""Each process's role in PostgreSQL can do its work and nothing else: tried statement by statement."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from engine.readiness import Readiness
from engine.sealing.signature import Signer
from engine.stores import migrations, postgres, public_keys, roles
from tests.integration.exam import Exam, as_role

PROCESSES = ("engine", "recorder", "grader", "courier")
EVERYBODY = [
    "CREATE TABLE mine (a int)",
    "DROP TABLE response",
    "TRUNCATE response_history",
    "ALTER TABLE result ADD more text",
    "DELETE FROM response_history",
    "UPDATE response_history SET value = 'x'",
    "DELETE FROM sitting_event",
    "DELETE FROM response",
    "DELETE FROM result",
    "UPDATE result SET document = 'x'",
    "UPDATE seal SET paper_key_wrapped = 'x'",
    "DELETE FROM seal",
    "UPDATE answer_key SET envelope = 'x'",
    "DELETE FROM answer_key",
    "INSERT INTO api_key VALUES ('k', 'ops', '', 'x', 0)",
    "UPDATE api_key SET revoked_ms = NULL",
    "SELECT key_id, label FROM api_key",
    "DELETE FROM public_key",
    "UPDATE room_event SET proctor = 'x'",
    "DELETE FROM room_event",
    "TRUNCATE room_event",
    "UPDATE photo SET jpeg = 'x'",
    "DELETE FROM photo",
    "UPDATE photo_act SET act = 'accepted'",
    "DELETE FROM photo_act",
    "DELETE FROM device_check",
    "UPDATE flag_explanation SET explanation = 'x'",
    "DELETE FROM flag_explanation",
    "UPDATE item_statistics SET document = '{}'",
    "DELETE FROM item_statistics",
    "UPDATE assessment_mark SET mark = 1",
    "DELETE FROM assessment_mark",
    "DELETE FROM assessment_task",
    "UPDATE assessment_task SET points = 1",
    "UPDATE assessment_task SET sitting_id = 'two'",
    "DELETE FROM disarming",
    "INSERT INTO disarming VALUES ('B', 1, '{}', '{}')",
    "UPDATE disarming SET sealed_digests = '{}'",
    "DELETE FROM withdrawn_sitting",
    "UPDATE withdrawn_sitting SET candidate_id = 'x'",
    "DELETE FROM score_review",
    "UPDATE score_review SET due_ms = 0",
    "UPDATE score_review SET grounds = '{}'",
    "DELETE FROM regrade",
    "UPDATE regrade SET changes = '[]'",
    "UPDATE regrade SET reason = 'x'",
    "UPDATE regrade_change SET envelope = 'x'",
    "DELETE FROM regrade_change",
    "UPDATE regrade_sitting SET new_score = 100",
    "UPDATE regrade_key SET envelope = 'x'",
    "DELETE FROM regrade_key",
    "DELETE FROM webhook_queue",
    "DELETE FROM webhook_delivery",
    "DELETE FROM webhook_secret",
    "UPDATE webhook_secret SET wrapped = 'x'",
    "INSERT INTO schema_migrations VALUES ('9999')",
    "SET ROLE liankao",
    "CREATE ROLE another",
    "SELECT pg_read_file('PG_VERSION')",
    "COPY batch TO PROGRAM 'cat'",
]
FORBIDDEN = {
    "engine": [
        "SELECT envelope FROM answer_key",
        "SELECT 1 FROM answer_key",
        "COPY answer_key TO STDOUT",
        "INSERT INTO answer_key VALUES ('p', 'k', 'x') ON CONFLICT (paper_digest, recipient) DO NOTHING",
        "INSERT INTO result (sitting_id, revision, batch_id, state, document, marks, graded_ms)"
        " VALUES ('one', 1, 'B', 'graded', '{}', '{}', 0)",
        "UPDATE result SET state = 'void'",
        "UPDATE score_review SET findings = '[]'",
        "UPDATE score_review SET checked_ms = 0",
        "SELECT envelope FROM regrade_change",
        "SELECT 1 FROM regrade_change",
        "SELECT 1 FROM regrade_key",
        "INSERT INTO regrade_key VALUES ('R', 1, 'B', 0, 'p', 'd', 'k', 'x')",
        "INSERT INTO regrade_sitting VALUES ('R', 'one', 1, 0, 0, false, false, 'same', '')",
        "DELETE FROM regrade_sitting",
        "UPDATE regrade SET summary = '{}'",
        "UPDATE regrade SET applied_ms = 0",
        "INSERT INTO response VALUES ('one', 'A1', 1, 'null', 0)",
        "UPDATE response SET value = 'null'",
        "INSERT INTO response_history VALUES ('one', 'A1', 1, 'null', 0, 1, 1)",
        "UPDATE sitting SET state = 'submitted'",
        "UPDATE sitting SET is_graded = true",
        "UPDATE sitting SET epoch = 9",
        "INSERT INTO assessment_task VALUES ('t', 'B', 'one', 'A1', 1, 1)",
        "DELETE FROM assessment_due",
        "DELETE FROM statistics_request",
        "INSERT INTO item_statistics (batch_id, stand, is_withheld, counted_ms, document)"
        " VALUES ('B', '', false, 0, '{}')",
        "UPDATE seal SET form = 1",
        "UPDATE recording SET position = 9",
        "INSERT INTO recorder VALUES ('me', now())",
        "SELECT * FROM sitting_event",
        "DELETE FROM paper",
        "DELETE FROM batch",
        "SELECT make_month('response_history', 0)",
        "SELECT undo_arming('B', 1, '{}', '{}', '{}', '{}')",
        "SELECT wrapped FROM webhook_secret",
        "UPDATE webhook_delivery SET message_id = 'x'",
        "INSERT INTO webhook_queue VALUES ('w', 'B', 0, 0)",
        "INSERT INTO webhook_delivery VALUES ('m', 'w', 'B', 'one', 1, 1, 'waiting', 0)",
        "INSERT INTO public_key VALUES ('mine', 'answer_key', 'X25519', 'x', 0)",
        "INSERT INTO public_key VALUES ('mine', 'result', 'Ed25519', 'x', 0)",
    ],
    "recorder": [
        "SELECT content FROM paper",
        "SELECT 1 FROM paper",
        "SELECT 1 FROM answer_key",
        "INSERT INTO answer_key VALUES ('p', 'k', 'x')",
        "SELECT 1 FROM result",
        "SELECT 1 FROM score_review",
        "SELECT 1 FROM regrade",
        "SELECT 1 FROM regrade_change",
        "SELECT 1 FROM regrade_sitting",
        "SELECT 1 FROM regrade_key",
        "INSERT INTO result (sitting_id, revision, batch_id, state, document, marks, graded_ms)"
        " VALUES ('one', 1, 'B', 'graded', '{}', '{}', 0)",
        "UPDATE sitting SET is_graded = true",
        "UPDATE sitting SET name = 'x'",
        "UPDATE sitting SET extra_time_s = 9",
        "DELETE FROM sitting",
        "INSERT INTO sitting SELECT * FROM sitting",
        "SELECT 1 FROM device_check",
        "SELECT 1 FROM site",
        "SELECT 1 FROM room",
        "UPDATE sitting SET assigned = 'seat'",
        "SELECT 1 FROM room_event",
        "INSERT INTO room_event (batch_id, sitting_id, event_id, kind, at_ms, recorded_ms)"
        " VALUES ('B', 'one', 'e', 'window_left', 0, 0)",
        "UPDATE batch SET released_ms = 0",
        "UPDATE batch SET armed_ms = NULL",
        "SELECT answer_key_digest FROM seal",
        "UPDATE seal SET form = 1",
        "INSERT INTO seal SELECT * FROM seal",
        "SELECT scope FROM api_key",
        "SELECT value FROM response_history",
        "SELECT 1 FROM public_key",
        "SELECT 1 FROM item_statistics",
        "SELECT 1 FROM assessment_task",
        "SELECT 1 FROM assessment_mark",
        "INSERT INTO assessment_due (batch_id, sitting_id) VALUES ('B', 'one')",
        "SELECT 1 FROM photo",
        "INSERT INTO photo VALUES ('one', 1, 'B', 'd', 'x', 0)",
        "SELECT 1 FROM photo_act",
        "SELECT undo_arming('B', 1, '{}', '{}', '{}', '{}')",
        "SELECT 1 FROM webhook",
        "SELECT make_month('sitting', 0)",
        "SELECT make_month('response_history', 1)",
    ],
    "courier": [
        "SELECT 1 FROM paper",
        "SELECT 1 FROM answer_key",
        "SELECT 1 FROM seal",
        "SELECT 1 FROM batch",
        "SELECT sitting_id FROM sitting",
        "SELECT name FROM sitting",
        "SELECT id_number FROM sitting",
        "SELECT 1 FROM response",
        "SELECT 1 FROM response_history",
        "SELECT 1 FROM sitting_event",
        "SELECT 1 FROM room_event",
        "SELECT 1 FROM batch_event",
        "SELECT 1 FROM photo",
        "SELECT 1 FROM device_check",
        "SELECT 1 FROM public_key",
        "SELECT scope FROM api_key",
        "SELECT marks FROM result",
        "UPDATE result SET publication = 1",
        "INSERT INTO result (sitting_id, revision, batch_id, state, document, marks, graded_ms)"
        " VALUES ('one', 1, 'B', 'graded', '{}', '{}', 0)",
        "UPDATE feed SET last_publication = 1",
        "UPDATE webhook SET url = 'x'",
        "DELETE FROM webhook",
        "INSERT INTO webhook VALUES ('w', 'u', NULL, 0, 0)",
        "INSERT INTO webhook_secret VALUES ('w', 'x', 'x', 0)",
        "SELECT make_month('response_history', 0)",
    ],
    "grader": [
        "SELECT content FROM paper",
        "SELECT 1 FROM webhook",
        "SELECT 1 FROM webhook_delivery",
        "SELECT 1 FROM paper",
        "SELECT sealed FROM seal",
        "SELECT paper_key_wrapped FROM seal",
        "INSERT INTO answer_key VALUES ('p', 'k', 'x')",
        "SELECT name FROM sitting",
        "SELECT id_number FROM sitting",
        "UPDATE sitting SET state = 'void'",
        "UPDATE sitting SET admission_ticket = 'x'",
        "UPDATE sitting SET form = 1",
        "INSERT INTO response VALUES ('one', 'A1', 1, 'null', 0)",
        "UPDATE response SET value = 'null'",
        "INSERT INTO response_history VALUES ('one', 'A1', 1, 'null', 0, 1, 1)",
        "INSERT INTO sitting_event VALUES ('one', 'login', 0, 1, 1, 1)",
        "SELECT epoch FROM sitting_event",
        "INSERT INTO score_review (sitting_id, revision, batch_id, requested_by, requested_ms, due_ms, grounds, words,"
        " receipt, key_id) VALUES ('one', 1, 'B', 'x', 0, 0, '{}', '', '', 'k')",
        "UPDATE score_review SET answer = 'x'",
        "INSERT INTO statistics_request (batch_id) VALUES ('B')",
        "SELECT 1 FROM item_statistics",
        "SELECT 1 FROM flag_explanation",
        "SELECT 1 FROM device_check",
        "SELECT reason FROM room_event",
        "SELECT 1 FROM site",
        "SELECT 1 FROM room",
        "SELECT assigned FROM sitting",
        "SELECT 1 FROM photo",
        "SELECT 1 FROM photo_act",
        "UPDATE result SET publication = 1",
        "INSERT INTO assessment_mark (task_id, assessor, mark, marked_ms, key_id) VALUES ('t', 'x', 1, 0, 'k')",
        "INSERT INTO assessment_due (batch_id, sitting_id) VALUES ('B', 'one')",
        "INSERT INTO regrade_change VALUES ('R', 'k', 'x')",
        "INSERT INTO regrade (regrade_id, batch_id, reason, proposed_by, proposed_ms, key_id, fingerprint, changes)"
        " VALUES ('R', 'B', 'r', 'p', 0, 'k', 'x', '[]')",
        "UPDATE batch SET released_ms = 0",
        "UPDATE batch SET rules = '{}'",
        "SELECT admission_code FROM batch",
        "SELECT scope FROM api_key",
        "UPDATE recording SET position = 9",
        "SELECT make_month('response_history', 0)",
        "SELECT undo_arming('B', 1, '{}', '{}', '{}', '{}')",
        "SELECT 1 FROM withdrawn_sitting",
        "INSERT INTO public_key VALUES ('mine', 'receipt', 'Ed25519', 'x', 0)",
    ],
}
REFUSED = (asyncpg.InsufficientPrivilegeError, asyncpg.RaiseError)


@pytest.fixture
async def connected(exam: Exam, postgres_dsn: str) -> AsyncIterator[dict[str, Any]]:
    """A connection per role, in a database with an armed batch."""
    found = {process: await postgres.connect(as_role(postgres_dsn, process)) for process in PROCESSES}
    yield found
    for connection in found.values():
        await connection.close()


@pytest.mark.parametrize("process", PROCESSES)
async def test_a_role_can_do_nothing_that_is_not_its_work(process: str, connected: dict[str, Any]) -> None:
    """Whoever takes the process over can do no more than it could."""
    allowed = []
    for statement in [*EVERYBODY, *FORBIDDEN[process]]:
        try:
            await connected[process].execute(statement)
        except REFUSED:
            continue
        except asyncpg.PostgresError as fault:
            allowed.append(f"{statement}: {type(fault).__name__}")
        else:
            allowed.append(statement)

    assert allowed == []


async def test_the_owner_may_do_all_of_it_so_the_statements_mean_something(exam: Exam, postgres_dsn: str) -> None:
    """A statement with a mistake in it would be refused to everybody, and prove nothing."""
    owner = await postgres.connect(postgres_dsn)
    refused = []
    try:
        for statement in {*EVERYBODY, *(each for some in FORBIDDEN.values() for each in some)}:
            if statement.startswith("COPY"):
                continue  # the driver has another way for these
            turn = owner.transaction()
            await turn.start()
            try:
                await owner.execute(statement)
            except asyncpg.IntegrityConstraintViolationError:
                pass  # so far came who was allowed to
            except asyncpg.PostgresError as fault:
                refused.append((statement, str(fault)))
            await turn.rollback()
    finally:
        await owner.close()

    assert {statement for statement, _ in refused} == {
        "SELECT undo_arming('B', 1, '{}', '{}', '{}', '{}')",  # the batch of these tests has started
        "SELECT make_month('sitting', 0)",
        "SELECT make_month('response_history', 1)",
    }


async def test_a_process_adds_only_public_keys_of_its_own_kind(connected: dict[str, Any]) -> None:
    """Else a worker could have the answers of the next paper sealed to itself; its own it adds and renews."""
    for _ in range(2):
        await public_keys.register(connected["engine"], "receipt", "Ed25519", b"r" * 32)
        await public_keys.register(connected["grader"], "answer_key", "X25519", b"a" * 32)
    recipient = await public_keys.answer_key_recipient(connected["engine"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await public_keys.register(connected["engine"], "answer_key", "X25519", b"e" * 32)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):  # a key that is there, made the newest again
        await public_keys.register(connected["engine"], "answer_key", "X25519", b"a" * 32)
    changed = await connected["engine"].execute(
        "UPDATE public_key SET purpose = 'receipt' WHERE purpose = 'answer_key'"
    )

    assert recipient == b"a" * 32
    assert changed == "UPDATE 0"


async def test_a_process_with_an_owners_rights_is_told_so(exam: Exam) -> None:
    """Amber and not red: it works, but what it may do is nobody's promise any more."""
    wide, narrow = (
        Readiness(database, exam.memory, Signer(b"s" * 32), {})
        for database in (exam.owner_database, exam.engine_database)
    )
    async with exam.owner_database.connection() as connection:
        told = {process: await roles.excess_of(connection, process) for process in PROCESSES}

    looks = [await wide.look(), await narrow.look()]

    assert not any("role" in look.not_ready for look in looks)
    assert "SELECT on answer_key" in wide.warnings["role"] and "liankao_engine" in wide.warnings["role"]
    assert "role" not in narrow.warnings
    assert all(f"liankao_{process}" in words for process, words in told.items())


async def test_databases_of_one_server_share_the_roles(exam: Exam, postgres_dsn_empty: str) -> None:
    """They are there already when the next database is migrated."""
    applied = await migrations.migrate(postgres_dsn_empty)
    connection = await postgres.connect(as_role(postgres_dsn_empty, "engine"))
    try:
        assert await connection.fetchval("SELECT count(*) FROM batch") == 0
        assert "0004_roles.sql" in applied
    finally:
        await connection.close()


async def test_an_upgrade_keeps_answer_keys_and_leaves_no_readable_paper(
    postgres_dsn_empty: str, tmp_path: Path
) -> None:
    """An armed batch is graded as before; other papers are pushed again, and no file of the table has them."""
    for name in ("0001_exam.sql", "0002_months.sql", "0003_feed.sql"):
        shutil.copy(migrations.FOLDER / name, tmp_path)
    await migrations.migrate(postgres_dsn_empty, tmp_path)
    connection = await postgres.connect(postgres_dsn_empty)
    try:
        for paper_id, digest, envelope in (("P1", "d1", b"e1"), ("P2", "d2", b"e2"), ("P3", "d1", b"e3")):
            await connection.execute(
                "INSERT INTO paper VALUES ($1, $2, 'title', 1, 1, 'a readable question', '{}', 'k', $3, 'grader', 0)",
                paper_id,
                digest,
                envelope,
            )
        await connection.execute(
            "INSERT INTO batch VALUES ('B', 't', 'o', 3, 's', 'formal', 'P1', 'C', 0, 1, '{}', 0, 1, true, '{a,b}')"
        )
        await connection.execute("INSERT INTO seal VALUES ('B', 's', 'sealed', 'wrapped', 'd1', '{}', 'k', 'e1')")

        await migrations.migrate(postgres_dsn_empty)

        graded = await connection.fetch(
            "SELECT batch_id, envelope FROM seal JOIN answer_key"
            " ON answer_key.paper_digest = seal.paper_digest AND recipient = answer_key_recipient"
        )
        known = await connection.fetch("SELECT paper_digest, recipient, envelope FROM answer_key ORDER BY 1")
        contents = await connection.fetch("SELECT content, content_key_wrapped FROM paper")
        await connection.execute("CHECKPOINT")
        place = await connection.fetchval(
            "SELECT current_setting('data_directory') || '/' || pg_relation_filepath('paper')"
        )
    finally:
        await connection.close()
    assert [tuple(row) for row in graded] == [("B", b"e1")]
    assert [tuple(row) for row in known] == [("d1", "grader", b"e1"), ("d2", "grader", b"e2")]
    assert [tuple(row) for row in contents] == [(None, None)] * 3
    written = await asyncio.to_thread(Path(place).read_bytes)
    assert b"P1" in written and b"readable" not in written
