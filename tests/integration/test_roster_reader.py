"""The process that reads rosters: what one of them holds harms neither the next nor the worker."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.rules import exact_json
from engine.rules.errors import Refused, TryLater
from engine.rules.limits import ROSTER_CHUNK_ROWS
from engine.rules.seating_call import ChosenSite, SeatingCall
from engine.rules.shape import Faults
from engine.scheduling import roster_process
from engine.scheduling.roster_jobs import Chunk, FaultyRoster, Outcome, ReadRoster, TakenRoster
from engine.scheduling.roster_reader import RosterReader
from engine.vault import Vault
from tests.contract.workbooks import HEADINGS, as_csv, by_hand, candidate, candidates, inline, resident
from tests.servers import wait_until

JOB = ReadRoster("", datetime.date(2026, 3, 1))


@pytest.fixture
def reader() -> Iterator[RosterReader]:
    found = RosterReader()
    yield found
    found.close()


def vault(body: bytes) -> Vault:
    found = Vault(2**28)
    found.keep(body)
    return found


def plain(count: int) -> Vault:
    return vault(as_csv([HEADINGS, *candidates(count)]).encode())


async def taken(reader: RosterReader, body: Vault, job: ReadRoster = JOB) -> TakenRoster:
    found = await reader.read(job, body)
    assert isinstance(found, TakenRoster), found
    return found


def bounded(reader: RosterReader, limit: str, value: str) -> None:
    """The process, once it starts, has another bound."""
    boot = reader.workshop._boot
    reader.workshop._boot = boot.replace(
        "roster_process.main", f"roster_process.{limit} = {value}; roster_process.main"
    )


def oom_score_added_to(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


async def test_a_roster_comes_back_in_pieces_that_are_cheap_to_take(reader: RosterReader) -> None:
    """In the order sent, each candidate once."""
    count = 2 * ROSTER_CHUNK_ROWS + 1
    found = await taken(reader, plain(count))
    chunks = [msgspec.msgpack.decode(piece, type=Chunk) for piece in found.chunks]

    assert [len(chunk.name) for chunk in chunks] == [ROSTER_CHUNK_ROWS, ROSTER_CHUNK_ROWS, 1]
    assert [ticket for chunk in chunks for ticket in chunk.admission_ticket] == [row[2] for row in candidates(count)]


async def test_reasons_from_the_database_may_be_as_many_as_the_candidates(reader: RosterReader) -> None:
    """They are not held to the size of a message."""
    reasons = {resident(number): f"this person sits batch {number} at an overlapping time" for number in range(3_000)}
    found = await reader.read_again(JOB, plain(3_000), reasons)

    assert isinstance(found, FaultyRoster)
    assert b'"errors_total":3000' in found.members


async def test_rosters_are_read_beside_one_another(reader: RosterReader) -> None:
    """A small one is not lost among large ones."""
    found = await asyncio.gather(*(taken(reader, plain(count)) for count in (2_000, 1, 2_000, 2)))

    assert [each.count for each in found] == [2_000, 1, 2_000, 2]


async def test_a_reader_that_was_killed_is_replaced(reader: RosterReader) -> None:
    """Whoever killed it."""
    await taken(reader, plain(1))
    process = reader.workshop._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    stat = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", 30, "it is dead")

    assert (await taken(reader, plain(2))).count == 2


def test_what_is_rehearsed_is_a_roster_as_they_come() -> None:
    """One with a fault would be read on other ways."""
    outcome = msgspec.msgpack.decode(roster_process.rehearse(), type=Outcome)

    assert isinstance(outcome, TakenRoster)
    assert outcome.count > 8


async def test_where_memory_is_short_the_kernel_takes_the_reader_first(reader: RosterReader) -> None:
    """Whoever runs it: of a process that shows its memory to root alone an ordinary user could not say so any more."""
    await taken(reader, plain(1))
    process = reader.workshop._process
    assert process is not None

    assert oom_score_added_to(process.pid) == 1000
    assert os.stat(f"/proc/{process.pid}/mem").st_uid == 0


async def test_a_roster_that_takes_too_much_memory_is_refused_alone(reader: RosterReader) -> None:
    """The next one is read."""
    bounded(reader, "ROSTER_READ_MEMORY_BYTES_MAX", "250 * 2**20")
    rows = "".join(f'<row r="{number}"><c t="str"><v>x</v></c></row>' for number in range(2, 1_000_000))

    with pytest.raises((Refused, TryLater)) as refused:
        await reader.read(JOB, vault(by_hand(inline([HEADINGS]) + rows)))

    assert refused.value.code in ("request.too_large", "try_later")
    assert (await taken(reader, plain(2))).count == 2


async def test_a_roster_that_takes_too_long_is_refused_alone(reader: RosterReader) -> None:
    """Whatever library was at work when time was up; it is not called broken."""
    bounded(reader, "ROSTER_READ_TIMEOUT_S", "1")

    with pytest.raises(Refused) as refused:
        await reader.read(JOB, vault(by_hand(inline([HEADINGS]) + "<x/>" * 30_000_000)))

    assert (refused.value.code, refused.value.detail) == (
        "request.too_large",
        "the roster takes more time than may be used for one",
    )


async def test_merged_cells_larger_than_any_sheet_cost_nothing(reader: RosterReader) -> None:
    """They hold for the rows there are, not for the rows there could be."""
    rows = [row[:3] for row in candidates(50)]
    merges = '<mergeCells><mergeCell ref="D2:XFD1048576"/></mergeCells>'
    first = inline([HEADINGS]) + inline([candidate(99)[:4]], 2) + inline(rows, 3)

    assert (await taken(reader, vault(by_hand(first, after=merges)))).count == 51


async def test_the_process_ends_when_nobody_is_at_the_other_end(reader: RosterReader) -> None:
    """A worker that is killed says no goodbye."""
    await taken(reader, plain(1))
    process, line = reader.workshop._process, reader.workshop._line
    assert process is not None and line is not None

    line.close()

    assert process.wait(30) == 0


async def test_a_seating_call_is_read_where_rosters_are(reader: RosterReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 MiB of lists would hold the worker's candidates for seconds; what it asks for and every fault come back."""

    def reads_here(_: bytes) -> None:
        raise AssertionError("the worker has read it itself")

    monkeypatch.setattr(exact_json, "decode", reads_here)
    organisations = {f"C{number}": f"单位{number % 7}" for number in range(5_000)}
    sent = {"seed": 7, "sites": [{"site_id": "S1", "rooms": ["101"]}], "organisations": organisations, "spares_kept": 2}
    faults = Faults()
    call = await reader.read_seating("B1", vault(json.dumps(sent).encode()), faults)
    empty = await reader.read_seating("B1", vault(b" \n"), faults)

    assert (call.seed, call.sites, call.spares_kept) == (7, (ChosenSite("S1", ("101",)),), 2)
    assert (call.organisations, empty, faults.total) == (organisations, SeatingCall(seed="B1"), 0)
    await reader.read_seating("B1", vault(b'{"seed": [], "rooms": 1.5, "sites": {}}'), faults)
    assert [fault["pointer"] for fault in faults.listed] == ["/seed", "/sites", "/rooms"]
    assert faults.total == 3


async def test_a_seating_call_that_unfolds_beyond_all_need_is_refused(reader: RosterReader) -> None:
    """As a roster is; the next one is read."""
    bounded(reader, "ROSTER_READ_MEMORY_BYTES_MAX", str(400 * 2**20))
    with pytest.raises(Refused) as caught:
        await reader.read_seating("B1", vault(b'{"seed":[' + b"[]," * (5 * 2**20) + b"[]]}"), Faults())
    assert (caught.value.code, "seating call" in caught.value.detail) == ("request.too_large", True)

    assert await reader.read_seating("B1", vault(b"{}"), Faults()) == SeatingCall(seed="B1")
