"""The knee's search, what makes a step hold, what gives first, and the bill of machines."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import msgspec
import pytest

from loadtest.capacity import costs, machine
from loadtest.capacity.costs import KEPT, NEEDED, Cost, Costs, CostsFault
from loadtest.capacity.judging import (
    OTHERS_SHARE_MAX,
    Backlog,
    Bounds,
    Outcome,
    Share,
    faults_of,
    growth_per_s,
    outcome_of,
    unseen,
    what_gives_first,
    why_spoilt,
)
from loadtest.capacity.machine import Usage
from loadtest.capacity.plan import EXTRAPOLATED, MEASURED, Wanted, bill
from loadtest.capacity.report import bill_in_words
from loadtest.capacity.search import Search

# --- looking ----------------------------------------------------------------------------------------------------


def searched(knee: float, *, first: float = 1000.0, spoilt: int = -1) -> tuple[Search, list[float]]:
    """With an engine that holds up to `knee`; the step number `spoilt` is spoilt by a neighbour."""
    search, tried = Search(first=first, highest=100_000.0), []
    while (rate := search.next_rate()) is not None:
        tried.append(rate)
        search.note(rate, held=rate <= knee and len(tried) != spoilt)
    return search, tried


@pytest.mark.parametrize("knee", [130, 999, 1000, 4321, 12_345, 99_000])
def test_the_search_ends_close_below_the_knee(knee: float) -> None:
    """Within five per cent, whether it begins above or below, in a bounded number of steps."""
    search, tried = searched(knee)

    assert search.held <= knee < search.failed <= search.held * 1.05 * 1.001
    assert len(tried) <= 24


def test_one_spoilt_step_does_not_move_the_knee() -> None:
    """A rate has to fail twice in a row."""
    for spoilt in range(1, 6):
        search, tried = searched(12_345, spoilt=spoilt)

        assert search.held == pytest.approx(12_345, rel=0.06)
        assert tried[spoilt - 1] == tried[spoilt]


def test_a_search_that_never_fails_ends_at_the_highest_rate() -> None:
    """And says so by having nothing failed."""
    search, _ = searched(1e9)

    assert (search.held, search.failed) == (100_000.0, 0.0)


def test_an_engine_that_holds_nothing_is_not_tried_for_ever() -> None:
    """Below an eighth of the first rate it is another matter."""
    search, tried = searched(0)

    assert search.held == 0 and 2 <= len(tried) <= 12


# --- judging ----------------------------------------------------------------------------------------------------

QUIET = [Backlog(second / 2, 100.0, 0.1) for second in range(20)]
GROWING = [Backlog(second / 2, 1000.0 * second, 0.5) for second in range(20)]


def faults(p99_ms: float = 50, errors: int = 0, backlog: list[Backlog] | None = None) -> list[str]:
    return faults_of(
        saves_per_s=5000, p99_ms=p99_ms, errors=errors, fault="refused: 409", backlog=backlog or QUIET, bounds=Bounds()
    )


def test_a_step_holds_only_without_any_reason_against_it() -> None:
    """Each reason is named with its figure and its bound."""
    assert faults() == faults(p99_ms=100) == []
    assert faults(p99_ms=101) == ["p99 101 ms from due to acknowledged, expected at most 100"]
    assert faults(errors=3) == ["3 errors, expected none: refused: 409"]
    assert "backlog grew by 2000 changes/s to 19000" in faults(backlog=GROWING)[0]
    assert "6.0 s behind" in faults(backlog=[Backlog(0, 10, 6.0)])[0]
    assert len(faults(p99_ms=200, errors=1, backlog=GROWING)) == 3


def test_a_recorder_that_falls_silent_has_not_kept_up() -> None:
    """Under a load at which nobody can be told how far it is, nobody may say that it holds."""
    assert unseen(looks=10, seen=6, has_drained=True) == []
    assert unseen(looks=10, seen=4, has_drained=True) == ["the recorder told of itself 4 times of 10"]
    assert unseen(looks=10, seen=10, has_drained=False) == ["the recorder had not everything long after the step"]


def test_a_backlog_that_only_breathes_is_no_fault() -> None:
    """The recorder works in rounds; what is there is less than a second's worth."""
    breathing = [Backlog(second / 2, 200.0 * (second % 7), 0.3) for second in range(20)]

    assert faults(backlog=breathing) == []
    assert growth_per_s(breathing[:2]) == 0
    assert growth_per_s(GROWING) == pytest.approx(2000)


def test_a_void_step_is_neither_held_nor_failed() -> None:
    """Whatever else was found in it."""
    assert outcome_of([], "") == Outcome.HELD
    assert outcome_of(["p99"], "") == Outcome.FAILED
    assert outcome_of([], "late") == outcome_of(["p99"], "late") == Outcome.VOID


def test_a_step_that_failed_beside_other_programs_has_shown_nothing() -> None:
    """But one that held has held, and a generator's own reason comes first."""
    assert why_spoilt(["p99"], "", OTHERS_SHARE_MAX) == ""
    assert why_spoilt(["p99"], "", 0.75) == "other programs took 75% of all cores, expected at most 20%"
    assert why_spoilt([], "", 0.75) == ""
    assert why_spoilt(["p99"], "late", 0.75) == "late"


def share(name: str, used: float, bound: float = 0.9) -> Share:
    return Share(name, used, bound, f"{used:.0%}")


def test_the_fullest_resource_gives_first() -> None:
    """With others that are full as well; a generator at its bound is named like anything else."""
    engine, redis, machine_ = share("engine core", 0.97), share("Redis", 0.3), share("machine", 0.95)

    assert what_gives_first([redis, engine, machine_], ["p99"], "") == "engine core (97%), with it machine (95%)"
    assert what_gives_first([engine, share("generator", 0.8, 0.7)], [], "").startswith("generator (80%)")
    assert "the step is void (late)" in what_gives_first([engine], [], "late")


def test_nothing_full_means_that_somebody_waited() -> None:
    """A disk that cannot sync faster uses no core."""
    assert what_gives_first([share("engine core", 0.4)], ["p99"], "").startswith("waiting (disk, scheduling)")


def test_a_growing_backlog_names_the_slower_side_of_recording() -> None:
    """Even while an engine core is fuller."""
    shares = [share("engine core", 0.95), share("recorder", 0.5), share("PostgreSQL", 0.9)]

    assert what_gives_first(shares, faults(backlog=GROWING), "").startswith("recording: PostgreSQL (90%)")


def test_nothing_is_claimed_of_processes_that_are_not_seen() -> None:
    """Of an engine elsewhere only the API is known."""
    assert "--ready-file" in what_gives_first([], ["p99"], "")


def test_shares_are_of_the_busiest_process_of_each_kind() -> None:
    """Two workers at half a core each are no full core; what others use is told apart."""
    before = Usage(0.0, {"worker-0": 1.0, "worker-1": 1.0, "postgres/7": 0.0, "postgres/8": 0.0}, 0.0, 0, 0, {})
    after = Usage(10.0, {"worker-0": 6.0, "worker-1": 4.0, "postgres/7": 1.0, "postgres/8": 2.0}, 14.0, 0, 0, {})
    found = {one.name: one for one in machine.shares(before, after, 0.2, 0.3)}

    assert found["engine core"].used == pytest.approx(0.5)
    assert found["PostgreSQL"].used == pytest.approx(0.2)
    assert found["generator"].used == 0.2
    assert machine.by_role(before, after) == pytest.approx({"engine": 8.0, "PostgreSQL": 3.0})
    assert "1.1 engine and servers, 0.3 generator, 0.0 other programs" in found["machine"].told


# --- the bill ---------------------------------------------------------------------------------------------------


def priced(**values: float) -> Costs:
    """Costs that are easy to reckon with."""
    easy = {
        "engine_us_per_save": 50.0, "redis_us_per_save": 10.0, "recorder_us_per_save": 5.0,
        "postgres_us_per_save": 20.0, "generator_us_per_save": 25.0, "knee_per_engine_core": 10_000.0,
        "engine_us_per_entry": 1000.0, "engine_kib_per_channel": 4.0, "redis_kib_per_sitting": 4.0,
        "postgres_bytes_per_change": 300.0, "sealed_paper_bytes": 60_000.0, "wire_down_bytes_per_save": 250.0,
        "wire_up_bytes_per_save": 250.0, "page_cold_bytes": 70_000.0, "key_wire_bytes": 250.0,
        "keys_per_s_per_worker": 25_000.0,
    }  # fmt: skip
    values = {**easy, **values}
    return Costs(
        machine="m", measured_on="d", costs={name: Cost(values[name], unit, "how") for name, unit in NEEDED.items()}
    )


def test_a_bill_follows_from_its_costs() -> None:
    """A million at a tenth of a save each: 100,000 saves/s, at half of what each part was seen to carry."""
    made = bill(Wanted(candidates=1_000_000, sites=200), priced())

    assert made.value("saves_per_s") == 100_000
    assert made.value("engine_cores_for_saves") == 10  # 100,000 x 50 us / 0.5
    assert made.value("machines_like_the_measured") == 20  # 100,000 / (10,000 x 0.5)
    assert made.value("engine_cores_for_start") == 40  # 1,000,000 keys in a second, 25,000 each
    assert made.value("engine_cores") == 40
    assert made.value("engine_machines") == 6  # five of eight cores, and one that may fail
    assert made.value("redis_cores") == 2  # 100,000 x 10 us / 0.5
    assert made.value("redis_primaries") == 2
    assert made.value("postgres_cores") == 4
    assert made.value("site_link_down_start") == 20  # 5,000 keys of 250 B in a second, at half
    assert made.value("site_link") == 34.67  # page and paper within a quarter of an hour, three times that at the peak
    assert made.value("postgres_disk") == pytest.approx(40.5)
    assert made.value("generator_cores") == 5


def test_what_lies_beyond_the_measurement_is_called_so() -> None:
    """Every line says which it is, and how it was reckoned."""
    small = bill(Wanted(candidates=40_000, sites=20), priced())
    large = bill(Wanted(candidates=1_000_000, sites=200), priced())
    kinds = lambda made: {line.name: line.kind for line in made.lines}  # noqa: E731

    assert kinds(small)["engine_cores_for_saves"] == kinds(small)["redis_cores"] == MEASURED
    assert kinds(large)["engine_cores_for_saves"] == kinds(large)["postgres_cores"] == EXTRAPOLATED
    assert all(line.formula for line in large.lines)
    assert "10 times what was measured" in large.notes[-1] and small.notes == []


def test_memory_may_ask_for_more_redis_than_cores_do() -> None:
    """And more primaries than partitions cannot be used."""
    made = bill(Wanted(candidates=1_000_000, sites=200, redis_gib=0.5), priced())

    assert made.value("redis_primaries") == 26  # 3.8 GiB, twice for a fork, into 0.3 GiB each
    assert any("LIANKAO_PARTITIONS" in note for note in made.notes)


def test_a_little_of_a_resource_is_not_shown_as_nothing() -> None:
    """Two digits that count, marked like any other figure."""
    made = bill(Wanted(candidates=200, sites=4), priced())
    said = bill_in_words(made, priced())

    assert made.value("engine_cores_for_saves") == 0.002  # 20 x 50 us / 0.5
    assert [line.name for line in made.lines if not line.value > 0] == []
    assert re.search(r"engine_cores_for_saves +0\.002 cores \[measured, 50% full\]", said)
    assert re.search(r"engine_cores +1 cores \[measured, below 1% full\]", said)
    assert re.search(r"postgres_cores +1 cores \[measured, below 1% full\]", said)


def test_large_figures_are_written_out() -> None:
    """1e+06 is no number of machines."""
    made = bill(Wanted(candidates=12_000_000, sites=4), priced())

    assert " 1,200,000 saves/s" in bill_in_words(made, priced())


def test_more_of_everything_never_makes_a_smaller_bill() -> None:
    """No figure falls when candidates rise."""
    bills = [bill(Wanted(candidates=count, sites=100), priced()) for count in (1000, 20_000, 300_000, 2_000_000)]
    for smaller, larger in itertools.pairwise(bills):
        assert [
            line.name for line, more in zip(smaller.lines, larger.lines, strict=True) if more.value < line.value
        ] == []


def test_the_kept_costs_are_complete_and_say_how_they_were_measured() -> None:
    """So that a bill can be made before anything was measured."""
    kept = costs.read(KEPT)

    assert set(kept.costs) == set(NEEDED)
    assert all(len(cost.how) > 20 for cost in kept.costs.values())


def test_a_measured_file_replaces_kept_costs_one_by_one(tmp_path: Path) -> None:
    """What it does not hold says that it was not measured here."""
    file = tmp_path / "costs.json"
    own = Costs(machine="here", measured_on="today", costs={"redis_us_per_save": Cost(7.0, "us", "here")})
    costs.write(own, file)
    found = costs.read(file)

    assert found.costs["redis_us_per_save"] == Cost(7.0, "us", "here")
    assert found.costs["page_cold_bytes"].how.startswith("kept, not measured here: ")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "costs.json"),
        (b'{"machine":"m","measured_on":"d","costs":{"redis_us_per_save":{"value":"x"}}}', "Expected `float`"),
        (msgspec.json.encode(priced(redis_us_per_save=0.0)), "redis_us_per_save is 0.0 us, expected more than 0"),
        (
            b'{"machine":"m","measured_on":"d","costs":{"redis_us_per_save":{"value":1,"unit":"ms","how":""}}}',
            "redis_us_per_save is 1.0 ms, expected more than 0 us",
        ),
    ],
)
def test_costs_that_cannot_be_used_are_named(tmp_path: Path, content: bytes, told: str) -> None:
    """The file, the cost, and what was expected."""
    file = tmp_path / "costs.json"
    file.write_bytes(content)
    with pytest.raises(CostsFault, match=told.replace("(", r"\(")):
        costs.read(file)
