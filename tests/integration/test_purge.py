"""What may be erased, when, and that nothing of it stays but a signed record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.delivery import login
from engine.delivery.resources import Delivery
from engine.keeping import erasing
from engine.keeping import purge as purge_module
from engine.keeping.archive import TABLES
from engine.keeping.bundle import KeepingFault
from engine.keeping.purge import purge, shown
from engine.rules.retention import day_of, kept_until_ms
from engine.scheduling import batches, key_changes
from engine.scoring import results
from engine.sealing import secrets, signature
from engine.sealing.provider import FileProvider
from engine.sealing.signature import Signer
from engine.settings import Settings
from engine.stores.clock import now_ms
from engine.stores.postgres import connect
from tests.integration.exam import LOGIN_KEY, RECEIPT_KEY, WRAP_KEY, Exam
from tests.integration.purging import (
    ANSWERS,
    DAY_MS,
    YEAR_MS,
    Killed,
    age,
    archived,
    count,
    graded,
    in_redis,
    killed,
    left,
    purged,
    until_done,
)
from tests.integration.test_archive import ARCHIVER, KEYS
from tests.integration.test_regrader import propose

pytestmark = pytest.mark.anyio


@pytest.fixture
async def over(exam: Exam) -> Exam:
    """An exam that was graded."""
    return await graded(exam)


async def test_a_batch_whose_time_has_come_goes_whole_and_leaves_a_signed_record(over: Exam, tmp_path: Path) -> None:
    """In every table there is; its paper and answer key as well, for nobody else uses them."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    before = await left(over)
    assert len(await in_redis(over)) == 6  # two sittings and their ways in, the batch and its paper

    done = await purged(over, file)

    assert before["sitting"] == 2 and before["response"] and before["result"]
    assert await left(over) == {}
    assert await in_redis(over) == []
    assert await count(over, "paper") == 0
    assert await count(over, "answer_key") == 0
    [(purged_ms, kept)] = await over.query("SELECT purged_ms, record FROM purge")
    record: dict[str, Any] = orjson.loads(kept)
    assert record == done.record and signature.is_valid(record, KEYS)
    assert record["rows"]["sitting"] == 2 and record["rows"]["response"] == before["response"]
    # `receipt` is worked out, no table.
    assert {table.name for table in TABLES} - {"receipt"} <= record["rows"].keys()
    assert purged_ms == record["purged_ms"] <= now_ms()
    assert orjson.loads(shown(done)[-1]) == record and "2 rows of sitting" in shown(done)


async def test_a_dry_run_says_the_same_and_erases_nothing(over: Exam, tmp_path: Path) -> None:
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    before = await left(over)

    tried = await purged(over, file, is_dry_run=True)

    assert await left(over) == before
    assert await over.query("SELECT 1 FROM purge") == []
    assert "the records would go" in shown(tried)
    went = (await purged(over, file)).rows
    assert {table: went.get(table, 0) for table in tried.rows} == tried.rows


@pytest.mark.parametrize("years", [0, 2])
async def test_nothing_goes_before_its_day(over: Exam, tmp_path: Path, years: int) -> None:
    """The refusal names the days of both kinds."""
    await age(over, years * YEAR_MS + DAY_MS)
    file = await archived(over, tmp_path / "a.zip")
    before, lay = await left(over), await in_redis(over)
    [(ends_ms,)] = await over.query("SELECT starts_ms + duration_s * 1000::bigint FROM batch")
    answers, records = (day_of(kept_until_ms(ends_ms, kept_years)) for kept_years in (3, 5))
    days = f"until before {answers}, its records until before {records}"

    with pytest.raises(KeepingFault, match=days):
        await purged(over, file)

    assert (await left(over), await in_redis(over)) == (before, lay)


async def test_whose_number_stood_in_it_by_mistake_can_sit_a_later_batch(over: Exam, tmp_path: Path) -> None:
    """Also where a way in that nobody names any more was left: it must not lead to what is gone."""
    await age(over, 6 * YEAR_MS)
    later = Exam.beside(over, "later")
    await later.arm("three")
    entry = (await over.stored("three"))["login"].decode()
    await over.set_field(entry, "one", "B")

    await purged(over, await archived(over, tmp_path / "a.zip"))

    assert await over.memory.read_hash(entry) == {b"three": b"later"}
    delivery = Delivery(over.memory, b"t" * 32, LOGIN_KEY, FileProvider(WRAP_KEY), Signer(RECEIPT_KEY))
    assert (await login._enter(delivery, "CODE", "three"))["sitting_id"] == "three"


# --- ended on the way ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("years", [4, 6])
async def test_whatever_ends_it_the_same_call_goes_on(
    over: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    """Killed at the first statement, at the second, at the third …: in the end all is gone, and the record counts it
    once; no other archive will do meanwhile, and a dry run tells how far it is."""
    monkeypatch.setattr(erasing, "ERASED_SITTINGS_AT_ONCE", 1)
    await age(over, years * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    expected = (await purged(over, file, is_dry_run=True)).rows
    tries = await until_done(over, file, monkeypatch)

    assert tries > (6 if years == 4 else 15)
    [(kept,)] = await over.query("SELECT record FROM purge")
    assert orjson.loads(kept)["rows"] == {table: expected.get(table, 0) for table in orjson.loads(kept)["rows"]}
    assert set(await left(over)) & ANSWERS == set()
    if years == 6:
        assert (await left(over), await in_redis(over)) == ({}, [])


async def test_another_archive_than_the_one_begun_with_erases_nothing_more(
    over: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is gone already lies in that one alone."""
    await age(over, 6 * YEAR_MS)
    other = await archived(over, tmp_path / "a.zip")
    await over.query("UPDATE sitting SET room = 'elsewhere' RETURNING 1")
    file = await archived(over, tmp_path / "b.zip")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(erasing.Eraser, "_run", killed)
        await purged(over, file)

    with pytest.raises(KeepingFault, match="something is gone that the archive"):
        await purged(over, other)

    await purged(over, file)
    assert await left(over) == {}


async def test_a_comparison_that_was_ended_leaves_the_batch_as_it_was(
    over: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before anything goes: its answers are shown, it may be archived and regraded, and purged later."""
    await age(over, 6 * YEAR_MS)
    old = await archived(over, tmp_path / "a.zip")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(purge_module, "write_tables", killed)
        await purged(over, old)

    async with over.engine_database.transaction() as connection:
        assert await results._find_sitting(connection, "one")
        await key_changes._check_over(connection, "B")
        await batches.refuse_erased(connection, "B")
    await over.query("UPDATE sitting SET room = 'elsewhere' RETURNING 1")
    with pytest.raises(KeepingFault, match="archive it again"):
        await purged(over, old)
    await purged(over, await archived(over, tmp_path / "b.zip"))
    assert await left(over) == {}


async def test_what_is_done_while_it_is_compared_keeps_everything(
    over: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A regrade that is proposed after the comparison looked, and before anything goes."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    secrets.create(tmp_path)
    write = purge_module.write_tables

    async def compared(*arguments: Any, with_answers: bool) -> None:
        await write(*arguments, with_answers=with_answers)
        await propose(over, Settings(secrets_dir=str(tmp_path)), {"item": "A3", "answer": "b"})

    with monkeypatch.context() as patched, pytest.raises(KeepingFault, match="something was done to batch 'B'"):
        patched.setattr(purge_module, "write_tables", compared)
        await purged(over, file)

    assert (await left(over))["sitting"] == 2 and await count(over, "erasing") == 0
    with pytest.raises(KeepingFault, match="regrade 'R1' of batch 'B' is open"):
        await purged(over, file)


async def test_two_who_purge_at_once_take_turns(over: Exam, tmp_path: Path) -> None:
    """The second is told so; nothing is counted twice."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    connection = await connect(over.owner_database._dsn)
    await connection.execute("SELECT pg_advisory_lock(hashtextextended('purge B', 0))")

    with pytest.raises(KeepingFault, match="by somebody else"):
        await purged(over, file)

    await connection.close()
    await purged(over, file)


async def test_another_redis_is_noticed_before_anything_goes(over: Exam, tmp_path: Path) -> None:
    """A wrong setting would leave names where they are, and say that they are gone."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    before = await left(over)
    await over.set_field(over.memory.partitions[1].marker, "built", "7")

    with pytest.raises(KeepingFault, match="is not the one that this database was built with"):
        await purged(over, file)

    assert await left(over) == before


async def test_what_was_not_archived_as_it_is_stays(over: Exam, tmp_path: Path) -> None:
    """Something came after the archive was made: archive it again, then it goes."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    await over.query("UPDATE sitting SET room = 'elsewhere' RETURNING 1")

    with pytest.raises(KeepingFault, match="archive it again"):
        await purged(over, file)

    assert (await left(over))["sitting"] == 2
    await purged(over, await archived(over, tmp_path / "b.zip"))
    assert await left(over) == {}


async def test_an_archive_that_is_not_valid_erases_nothing(over: Exam, tmp_path: Path) -> None:
    """Half of it is missing; or none of the keys that we trust signed it."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    half = tmp_path / "half.zip"
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    with pytest.raises(KeepingFault, match="is no archive"):
        await purged(over, half)
    with pytest.raises(KeepingFault, match="no published key signed"):
        dsn, batch_id = over.owner_database._dsn, over.batch.batch_id
        await purge(dsn, over.memory, batch_id, ARCHIVER, file, KEYS[1:], is_dry_run=False)

    assert (await left(over))["sitting"] == 2


async def test_a_paper_that_another_batch_uses_stays(over: Exam, tmp_path: Path) -> None:
    """It goes with the last of them."""
    await age(over, 6 * YEAR_MS)
    file = await archived(over, tmp_path / "a.zip")
    await over.query(
        "INSERT INTO batch (batch_id, title, occupation, level, subject, kind, paper_id, admission_code, starts_ms,"
        " duration_s, rules, pushed_ms) SELECT 'other', title, occupation, level, subject, kind, paper_id,"
        " admission_code, starts_ms, duration_s, rules, pushed_ms FROM batch RETURNING 1"
    )

    done = await purged(over, file)

    assert (done.rows["paper"], done.rows["answer_key"], done.rows["batch"]) == (0, 0, 1)
    assert await count(over, "paper") == 1
    assert await count(over, "answer_key") == 1
