"""Nobody sits two papers at one time, nor is on two unclosed batches with one code: told where a roster comes in.

Told also where both come in at the same moment, for two that are armed already nothing looks at again.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from engine.supervision import embedded
from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, now_ms, person, refused, unique_code
from tests.contract.test_roster import broken, rostered
from tests.servers import Engine

AT_ONCE = 6  # pairs of pushes: one of them alone may be told apart by chance


@pytest.fixture(scope="module")
def paper_id(outsider: Outsider) -> str:
    return outsider.paper()


def test_person_in_an_overlapping_batch_is_a_fault_naming_it(outsider: Outsider, paper_id: str) -> None:
    """SMALL_PRINT: same person in two batches whose `[starts, ends + grace)` overlap: a fault naming the other."""
    starts_ms = now_ms() + 200_000_000
    same = person()
    first = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms, duration_s=60, rules={"grace_s": 5}))
    accepted(outsider.put_roster(first, [same]))
    inside = outsider.batch_document(paper_id, starts_ms=starts_ms + 64_999)
    second = outsider.batch(inside)
    row = person(id_number=same["id_number"])
    problem = refused(outsider.put_roster(second, [person(), row]), 422, "roster.invalid")
    assert [fault["pointer"] for fault in problem["errors"]] == ["/1/id_number"]
    assert first in problem["errors"][0]["message"]
    assert rostered(outsider, second) == 0
    accepted(outsider.put_batch({**inside, "starts_ms": starts_ms + 65_000}, second))  # the edge: the later holds
    assert accepted(outsider.put_roster(second, [row]))["accepted"] == 1


def test_person_under_one_code_in_two_unclosed_batches_is_a_fault(outsider: Outsider, paper_id: str) -> None:
    """API.md: batches may share a code, but a person on two unclosed batches with one code is a roster fault."""
    code, same = unique_code(), person()
    first = outsider.batch(outsider.batch_document(paper_id, admission_code=code, starts_ms=now_ms() + 10**8))
    second = outsider.batch(outsider.batch_document(paper_id, admission_code=code, starts_ms=now_ms() + 2 * 10**8))
    accepted(outsider.put_roster(first, [same]))
    problem = refused(outsider.put_roster(second, [person(id_number=same["id_number"])]), 422, "roster.invalid")
    assert [fault["pointer"] for fault in problem["errors"]] == ["/0/id_number"]
    assert first in problem["errors"][0]["message"]
    assert accepted(outsider.put_roster(second, [person()]))["accepted"] == 1


def test_a_batch_is_not_closed_for_who_has_extra_time(outsider: Outsider, paper_id: str) -> None:
    """Logging in with the one code he would still come into the first; everybody else may be in the second."""
    rules = {"grace_s": 0, "latest_entry_s": 1}
    first = outsider.batch_document(paper_id, starts_ms=now_ms() - 500, duration_s=1, rules=rules)
    slow, quick = person(extra_time_s=600), person()
    accepted(outsider.put_roster(outsider.batch(first), [slow, quick]))
    second = outsider.batch_document(paper_id, admission_code=first["admission_code"], starts_ms=now_ms() + 10**9)
    batch_id = outsider.batch(second)
    out.sleep_until(first["starts_ms"] + 1000)

    assert broken(outsider, batch_id, [{**slow, "extra_time_s": 0}, quick]) == ["/0/id_number"]


def test_overlaps_are_listed_with_the_other_faults(outsider: Outsider, paper_id: str) -> None:
    """API.md: 422 lists **every** fault found: an overlap does not wait until all rows are right."""
    starts_ms = now_ms() + 300_000_000
    same = person()
    first = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
    accepted(outsider.put_roster(first, [same]))
    second = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
    rows = [person(id_number=same["id_number"]), person(seat="x")]
    assert broken(outsider, second, rows) == ["/0/id_number", "/1/seat"]


def test_overlap_in_lines_is_named_by_its_line(outsider: Outsider, paper_id: str) -> None:
    """SMALL_PRINT: NDJSON `row` = line, blank ones counted, for every kind of fault."""
    starts_ms = now_ms() + 500_000_000
    same = person()
    accepted(outsider.put_roster(outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms)), [same]))
    second = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
    lines = [json.dumps(person()), "", "", json.dumps(person(id_number=same["id_number"]))]
    problem = refused(outsider.put_roster_lines(second, lines), 422, "roster.invalid")
    assert [(fault["row"], fault["field"]) for fault in problem["errors"]] == [(4, "id_number")]


def test_overlaps_see_15_digits_as_18(outsider: Outsider, paper_id: str) -> None:
    """SMALL_PRINT: a 15-digit number equals its 18-digit form."""
    starts_ms = now_ms() + 600_000_000
    long = out.resident()
    first = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
    accepted(outsider.put_roster(first, [person(id_number=long[:6] + long[8:17])]))
    second = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
    assert broken(outsider, second, [person(id_number=long)]) == ["/0/id_number"]


@pytest.mark.parametrize("is_armed", [False, True])
def test_one_person_pushed_into_two_batches_at_one_moment_is_in_one(
    outsider: Outsider, paper_id: str, is_armed: bool
) -> None:
    """Whichever came first stands, the other push is refused naming it; two armed batches would both have been run."""
    clients = [Outsider(outsider.url, outsider.keys) for _ in range(2)]
    starts_ms = now_ms() + 700_000_000
    with ThreadPoolExecutor(2) as threads:
        for _ in range(AT_ONCE):
            batches = [outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms)) for _ in range(2)]
            rosters = [[person()], [person()]]
            for batch_id, rows in zip(batches, rosters, strict=True):
                accepted(outsider.put_roster(batch_id, rows))
                if is_armed:
                    accepted(outsider.arm(batch_id))
            both = person()
            pushed = [[*rows, both] for rows in rosters]
            answers = list(threads.map(Outsider.put_roster, clients, batches, pushed))

            assert sorted(answer.status_code for answer in answers) == [200, 422]
            [late] = [number for number, answer in enumerate(answers) if answer.status_code == 422]
            [fault] = refused(answers[late], 422, "roster.invalid")["errors"]
            assert (fault["pointer"], batches[1 - late] in fault["message"]) == ("/1/id_number", True)
            assert [rostered(outsider, batch_id) for batch_id in batches] == [2 - (late == 0), 2 - (late == 1)]


@pytest.mark.anyio
async def test_who_came_into_another_batch_while_this_one_was_sealed_is_seen(
    outsider: Outsider, paper_id: str, engine_up: Engine
) -> None:
    """Arming looks once more behind the sealing, when pushes wait for it: what began before its first look is done."""
    starts_ms = now_ms() + 800_000_000
    both, other = person(), person()
    document = outsider.batch_document(paper_id, starts_ms=starts_ms + 10_000_000)
    moved, beside = outsider.batch(document), outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
    accepted(outsider.put_roster(moved, [both]))
    accepted(outsider.put_roster(beside, [other]))
    accepted(outsider.put_batch({**document, "starts_ms": starts_ms}, moved))
    connection = await asyncpg.connect(
        embedded.postgres_dsn(embedded.postgres_socket_folder(engine_up.data / "sockets"))
    )
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('rosters', 0))")
            await connection.execute("UPDATE sitting SET id_number = $1 WHERE batch_id = $2", both["id_number"], beside)
            arming = asyncio.create_task(asyncio.to_thread(outsider.arm, moved))
            while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.01)
                assert not arming.done(), arming.result().text
    finally:
        await connection.close()
    problem = refused(await arming, 409, "batch.not_ready")

    assert [fault["code"] for fault in problem["not_ready"]] == ["roster.overlap"]
    assert beside in problem["not_ready"][0]["message"]
    assert outsider.show_batch(moved)["state"] == "draft"
