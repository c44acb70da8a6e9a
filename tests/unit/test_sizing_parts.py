"""Smaller parts of a load test: the slow wire, ledgers without bound, series, and what a generator leaves or not."""

from __future__ import annotations

import io
import itertools
import json
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.client import MachineClient
from loadtest.ledger import Ledger
from loadtest.sizing import account, conductor, ledger_file, measure, tiers
from loadtest.sizing import crew as crew_module
from loadtest.sizing.crew import MASTER, Crew, CrewFault
from loadtest.sizing.evidence import Instants, Progress
from loadtest.sizing.ground import Asked, ground
from loadtest.sizing.plan import Person
from loadtest.sizing.seconds import series
from loadtest.sizing.slow_wire import DOUBLINGS_MAX, PACKET_BYTES, TIMEOUT_S, SlowWire


def a_wire(delay_s: float, loss: float) -> SlowWire:
    wire = SlowWire(("127.0.0.1", 9), seed=1)
    wire.delay_s, wire.loss = delay_s, loss
    return wire


def test_a_wire_without_loss_is_only_slow() -> None:
    assert a_wire(0.03, 0)._under_way_s(b"x" * 99_000) == pytest.approx(0.03)


def test_a_lost_packet_is_a_retransmission_late_and_holds_up_what_it_came_with() -> None:
    """Of a thousand packets sent alone, the share that is lost; of many together nearly always one."""
    wire = a_wire(0.02, 0.05)

    late = sum(wire._under_way_s(b"x") > 0.02 + TIMEOUT_S for _ in range(1000))

    assert 20 < late < 100
    assert wire._under_way_s(b"x" * PACKET_BYTES * 200) >= 0.02 + TIMEOUT_S + 2 * 0.02


def test_a_wire_that_loses_everything_gives_up_doubling() -> None:
    """Else a simulated wire would be worse than one that is cut."""
    assert a_wire(0, 1)._under_way_s(b"x") == pytest.approx(TIMEOUT_S * (2**DOUBLINGS_MAX - 1))


# --- the account -------------------------------------------------------------------------------------------------


def test_responses_on_disk_are_read_as_they_were_pulled() -> None:
    held = account.OnDisk(io.BytesIO())
    held.add("s1", {"A1": {"seq": 1, "value": "甲"}})
    held.add("s2", {})
    held.add("s3", {"B": {"seq": 2, "value": ["x"] * 50}})

    assert held["s1"] == {"A1": {"seq": 1, "value": "甲"}}
    assert held.get("s2", None) == {}
    assert held["s3"]["B"]["seq"] == 2
    assert held.get("nobody", {}) == {}
    assert list(held) == ["s1", "s2", "s3"] and len(held) == 3


def test_whom_no_generator_played_has_failed_unless_they_were_to_stay_away(tmp_path: Path) -> None:
    """Nobody of the roster is left out of the account."""
    ledger_file.write(tmp_path / "swarm-0.ledger", [Ledger("c1", "s1", entered=True, unsent=3)])
    planned = {name: Person(number, name, name, arrives_ms) for number, (name, arrives_ms) in enumerate(
        [("c1", 5), ("c2", 0), ("c3", 5)]
    )}  # fmt: skip

    found = {ledger.candidate_id: ledger for ledger in account.all_ledgers([tmp_path / "swarm-0.ledger"], planned)}

    assert set(found) == {"c1", "c2", "c3"}
    assert found["c1"].entered and found["c1"].unsent == 3 and not found["c1"].failures
    assert found["c2"].stays_away and not found["c2"].failures
    assert found["c3"].failures and not found["c3"].stays_away


# --- generators --------------------------------------------------------------------------------------------------


def test_locusts_own_pages_are_refused_where_somebody_else_shows_his(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before an engine is started; where they can be had, their addresses are told, one for each process."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(crew_module, "UI_PORT", port)
        with pytest.raises(CrewFault, match=f"--ui: 127.0.0.1:{port} cannot be had"):
            crew_module.ui_addresses(1)

    assert crew_module.ui_addresses(1) == [f"http://127.0.0.1:{port}"]


@pytest.mark.parametrize("bind", ["192.0.2.1", "127.0.0.1:port", "127.0.0.1:99999", "127.0.0.1:0", ":6000", "::1"])
def test_an_address_at_which_no_master_can_listen_is_refused_by_name(bind: str) -> None:
    """Before an exam is pushed: 192.0.2.1 is nobody's, and of port 99999 Locust said nothing and waited."""
    with pytest.raises(CrewFault, match=re.escape(f"--bind {bind}: expected HOST[:PORT]")):
        crew_module.check_bind(bind)


def test_a_master_may_listen_where_nobody_does() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        other.listen()
        with pytest.raises(CrewFault, match="at which nobody listens"):
            crew_module.check_bind(f"127.0.0.1:{port}")

    crew_module.check_bind(f"127.0.0.1:{port}")


def a_crew(folder: Path, script: str, heard: Callable[[str, Any], None] = lambda name, said: None) -> Crew:
    """One process that runs `script` instead of a generator."""
    crew = Crew([], folder / "plan.json", folder, {"swarm": 1}, heard)
    crew._commands = {"swarm-0": [sys.executable, "-c", script]}
    return crew


def test_a_swarm_on_other_machines_has_one_master_here_and_leaves_as_many_files(tmp_path: Path) -> None:
    """The open loop stays here; what the master gathers is read as if it had been played here."""
    crew = Crew([], tmp_path / "plan.json", tmp_path, {"swarm": 2, "openloop": 1}, print, bind="10.0.0.1")
    for name in ("swarm-0", "swarm-1", "openloop-0"):
        (tmp_path / f"{name}.json").write_bytes(measure.encode(measure.Report(process=name)))
        (tmp_path / f"{name}.ledger").touch()

    commands = {name: " ".join(command) for name, command in crew._commands.items()}

    assert set(commands) == {MASTER, "openloop-0"}
    assert "--master --workers 2 --bind 10.0.0.1" in commands[MASTER]
    assert [report.process for report in crew.reports()[0]] == ["swarm-0", "swarm-1", "openloop-0"]
    assert [file.stem for file in crew.ledgers()] == ["swarm-0", "swarm-1", "openloop-0"]


def test_what_goes_over_other_machines_lines_is_counted_by_nobody() -> None:
    """This machine's interface sees a tenth of it, which would look like a line hardly used."""
    tier = tiers.read(tiers.FILE, "50")
    asked = Asked(url="http://127.0.0.1:9", keys={})
    with ground(tier, asked) as near, ground(tier, msgspec.structs.replace(asked, machines=2, bind="h")) as far:
        assert near.counters is not None
        assert near.line.why.startswith("bandwidth was measured") and near.line.why_zh.startswith("带宽只测量")
        assert far.counters is None and "other machines" in far.why_no_traffic.en


def wait(crew: Crew) -> None:
    until_s = time.monotonic() + 20
    while not crew.are_done() and time.monotonic() < until_s:
        time.sleep(0.02)


def test_what_a_generator_says_is_heard_and_anything_else_is_not(tmp_path: Path) -> None:
    """A library's own words on stdout are no news."""
    lines = ["hello", json.dumps({"now_ms": 5000, "entered": 3}), "[1]", json.dumps({"entered": 4})]
    heard: list[tuple[str, Any]] = []
    script = f"for line in {lines!r}: print(line, flush=True)"

    with a_crew(tmp_path, script, lambda name, said: heard.append((name, said))) as crew:
        assert not crew.have_spoken()
        wait(crew)
        time.sleep(0.2)

        assert crew.have_spoken()
    assert heard == [("swarm-0", {"now_ms": 5000, "entered": 3})]


def test_a_generator_that_ends_before_the_exam_is_a_fault_with_its_last_words(tmp_path: Path) -> None:
    with a_crew(tmp_path, "raise SystemExit('no such plan')") as crew:
        wait(crew)

        with pytest.raises(CrewFault, match="swarm-0 ended with 1: no such plan"):
            crew.check_alive()
        assert crew.reports()[1]


def test_no_generator_outlives_its_crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that does not listen."""
    monkeypatch.setattr(crew_module, "STOP_S", 0.2)
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('{\"now_ms\": 1}', flush=True); time.sleep(99)"
    )
    with a_crew(tmp_path, deaf) as crew:
        while not crew.have_spoken():
            time.sleep(0.02)
        process = crew._processes["swarm-0"]

    assert process.returncode == -9


def test_series_of_generators_add_up_and_saves_are_what_was_sent_in_a_second() -> None:
    said = [
        Progress("a", 1000, {"entered": 1, "writing": 1, "saves": 5}),
        Progress("b", 1100, {"entered": 2, "writing": 2, "saves": 7}),
        Progress("a", 2000, {"entered": 3, "writing": 2, "saves": 9}),
    ]

    found = series([], [], said, {})

    assert found["entered"] == {1: 3, 2: 5}
    assert found["saves"] == {1: 12, 2: 4}


# --- what the conductor sees -------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_whoever_does_not_answer_the_scheduling_system_while_it_closes_has_an_error() -> None:
    """Nobody listens there; the run's verdict has to know of it, not only its list of faults."""
    times = itertools.chain([0.0, 0.0], itertools.repeat(1000 * conductor.GRADED_WITHIN_S))
    seen = conductor.Seen(instants=Instants(closes_ms=0))

    async with MachineClient("http://127.0.0.1:9", "KEY", 0.1) as schedule:
        await conductor._see_it_close(schedule, "b", seen, lambda: next(times))

    assert seen.errors == {"batch/grading/unreachable": 1}
    assert any(fault.startswith("while it closed: ") for fault in seen.faults)
