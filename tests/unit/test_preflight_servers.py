"""Preflight's judgement of clocks, room, servers and backlogs: each green, and each on the other side of its edge."""

from __future__ import annotations

from typing import Any

import pytest

from engine.preflight.backlogs import GRADER_LATE_S, judge_grader, judge_pushes, judge_recorder
from engine.preflight.capacity import (
    DISK_BYTES_BESIDE,
    DISK_BYTES_PER_SITTING,
    FILES_BESIDE,
    MEMORY_BYTES_BESIDE,
    MEMORY_BYTES_PER_SITTING,
    Disk,
    connections_needed,
    judge_connections,
    judge_disk,
    judge_files,
    judge_memory,
    judge_unseen_disk,
)
from engine.preflight.clocks import Reading, judge_clocks, narrowest
from engine.preflight.finding import Colour, Finding
from engine.preflight.servers import (
    Partition,
    judge_durability,
    judge_months,
    judge_partitions,
    judge_postgresql,
    judge_role,
    judge_schema,
)
from engine.rules.limits import RECORDER_LATE_S

GREEN, AMBER, RED = Colour.GREEN, Colour.AMBER, Colour.RED
SOUND = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on"}


def only(findings: list[Finding]) -> Finding:
    [finding] = findings
    return finding


# --- clocks -----------------------------------------------------------------------------------------------------


def reading(part: str, ahead_ms: int, took_ms: int = 2) -> Reading:
    """Of a clock that is so far ahead, asked in the middle of so long a time."""
    return Reading(part=part, before_ms=1_000, told_ms=1_000 + took_ms // 2 + ahead_ms, after_ms=1_000 + took_ms)


@pytest.mark.parametrize(
    ("ahead_ms", "took_ms", "colour"),
    [
        (0, 2, GREEN),
        (48, 2, GREEN),  # 46 to 50 ms
        (49, 2, AMBER),  # 47 to 51 ms: it may be too much
        (52, 2, AMBER),  # 50 to 54 ms: it may not be
        (53, 2, RED),  # 51 ms at least
        (-52, 2, AMBER),
        (-53, 2, RED),
        (0, 120, AMBER),  # asking took too long to tell
        (200, 120, RED),  # and even so it is too far
    ],
)
def test_a_clock_is_judged_by_what_is_certain(ahead_ms: int, took_ms: int, colour: Colour) -> None:
    """50 ms, bound by the round trip: what asking took is neither for nor against a part."""
    assert only(judge_clocks([reading("Redis", ahead_ms, took_ms)])).colour is colour


def test_two_parts_are_compared_with_each_other_and_not_only_with_this_machine() -> None:
    """Each within 50 ms of here, and 80 ms apart."""
    finding = only(judge_clocks([reading("Redis", -40), reading("PostgreSQL", 40)]))

    assert finding.colour is RED
    assert "PostgreSQL is at least 76 ms ahead of Redis" in finding.en


def test_of_several_readings_the_quickest_counts() -> None:
    slow, quick = reading("Redis", 0, 100), reading("Redis", 0, 2)

    assert narrowest([slow, quick]) is quick


def test_without_a_part_there_is_nothing_to_compare() -> None:
    assert judge_clocks([]) == []


# --- room -------------------------------------------------------------------------------------------------------


def disk(free: int, of: int = 10**12) -> Disk:
    return Disk(what="data", path="/data", bytes_all=of, bytes_free=free)


def test_a_disk_is_judged_by_what_the_exam_needs() -> None:
    needed = DISK_BYTES_BESIDE + 5_000 * DISK_BYTES_PER_SITTING

    assert judge_disk(disk(needed - 1), 5_000).colour is RED
    assert judge_disk(disk(needed), 5_000).colour is AMBER  # enough for the exam, and less than a tenth
    assert judge_disk(disk(10**11 - 1), 0).colour is AMBER
    assert judge_disk(disk(10**11), 0).colour is GREEN
    assert judge_disk(disk(0, 0), 0).colour is RED


def test_a_disk_that_cannot_be_seen_is_told() -> None:
    finding = judge_unseen_disk("PostgreSQL", "another machine")

    assert (finding.colour, finding.subject) == (AMBER, "PostgreSQL")


def test_memory_is_judged_by_what_the_exam_needs() -> None:
    """Full means that every save is refused."""
    needed = MEMORY_BYTES_BESIDE + 5_000 * MEMORY_BYTES_PER_SITTING

    assert judge_memory("Redis", 10**6, 10**6 + needed, 5_000).colour is GREEN
    assert judge_memory("Redis", 10**6, 10**6 + needed - 1, 5_000).colour is RED


@pytest.mark.parametrize(
    ("files_max", "colour"),
    [(2_500 + FILES_BESIDE - 1, RED), (2_500 + FILES_BESIDE, AMBER), (5_000 + FILES_BESIDE, GREEN)],
)
def test_open_files_are_judged_by_the_channels_of_one_worker(files_max: int, colour: Colour) -> None:
    """Twice as many should fit: those of a neighbour that is being replaced come over."""
    assert judge_files("http://a", files_max, channels=5_000, workers=2).colour is colour


def test_all_pools_must_fit_into_postgresql() -> None:
    """Two machines of two workers, each with a recorder that has four more."""
    needed = connections_needed([(2, 4), (2, 4)])

    assert needed == 2 * (5 * 4 + 4)
    assert judge_connections(100, needed, 52).colour is GREEN
    assert judge_connections(100, needed, 53).colour is RED


# --- servers ----------------------------------------------------------------------------------------------------


def test_redis_that_does_not_sync_every_write_is_red() -> None:
    fault = "Redis has appendfsync=everysec, expected always"
    finding = only(judge_durability([fault], ["Redis"], []))

    assert finding.colour is RED
    assert fault in finding.en and fault in finding.zh
    assert only(judge_durability([], ["Redis"], [])).colour is GREEN
    assert only(judge_durability([], ["Redis"], ["Redis"])).colour is AMBER  # it does not tell


@pytest.mark.parametrize(
    ("changed", "colour"),
    [
        ({}, GREEN),
        ({"fsync": "off"}, RED),
        ({"full_page_writes": "off"}, RED),
        ({"synchronous_commit": "off"}, RED),
        ({"synchronous_commit": "remote_apply"}, GREEN),  # waits for more than asked
        ({"autovacuum": "off"}, RED),
    ],
)
def test_postgresql_is_judged_by_its_settings(changed: dict[str, str], colour: Colour) -> None:
    finding = only(judge_postgresql({**SOUND, **changed}, 180_000, [], is_replica=False))

    assert finding.colour is colour
    assert all(f"{name}={setting}" in finding.en for name, setting in changed.items())


def test_postgresql_that_is_old_or_a_replica_is_red_and_one_that_waits_for_a_restart_amber() -> None:
    assert only(judge_postgresql(SOUND, 149_999, [], is_replica=False)).colour is RED
    assert only(judge_postgresql(SOUND, 150_000, [], is_replica=False)).colour is GREEN
    assert only(judge_postgresql(SOUND, 180_000, [], is_replica=True)).colour is RED
    assert only(judge_postgresql(SOUND, 180_000, ["max_connections"], is_replica=False)).colour is AMBER


def test_a_process_that_cannot_connect_is_red_and_one_with_too_many_rights_amber() -> None:
    assert judge_role("grader", "OSError: gone", "").colour is RED
    assert judge_role("grader", "", "its database role has rights it does not need").colour is AMBER
    assert judge_role("grader", "", "").colour is GREEN


def test_the_database_must_be_at_this_release() -> None:
    """A checkout that is behind its database is the node that missed an upgrade."""
    assert only(judge_schema(["0021_x.sql"], [], "0021_x.sql")).colour is RED
    assert only(judge_schema([], ["0022"], "0021_x.sql")).colour is RED
    assert only(judge_schema([], [], "0021_x.sql")).colour is GREEN


def test_a_month_that_tomorrow_needs_is_red_and_a_later_one_amber() -> None:
    assert only(judge_months(["sitting_event_2026_12"], [], [])).colour is RED
    assert only(judge_months([], ["sitting_event_2027_01"], [])).colour is AMBER
    assert only(judge_months([], [], ["sitting_event_2026_11"])).colour is AMBER
    assert only(judge_months([], [], [])).colour is GREEN


def partition(**changed: Any) -> Partition:
    return Partition(**{"number": 3, "generation": 7, "recorded_generation": 7, "is_held": True, **changed})


@pytest.mark.parametrize(
    ("changed", "colour", "says"),
    [
        ({}, GREEN, "newest generation 7"),
        ({"generation": None}, RED, "p03 not built"),
        ({"is_held": False}, RED, "p03 without a lease"),
        ({"recorded_generation": 8}, RED, "p03 of another generation"),
        ({"recorded_generation": None}, GREEN, ""),
        ({"answers": False}, RED, "p03 silent"),
        ({"is_doubtful": True}, AMBER, "p03 doubtful"),
        ({"is_restoring": True}, AMBER, "p03 being restored"),
    ],
)
def test_a_partition_is_judged_by_marker_lease_and_generation(
    changed: dict[str, Any], colour: Colour, says: str
) -> None:
    finding = only(judge_partitions([partition(number=0), partition(**changed)]))

    assert finding.colour is colour
    assert says in finding.en


# --- backlogs ---------------------------------------------------------------------------------------------------


def test_what_waits_too_long_to_be_recorded_is_red() -> None:
    assert only(judge_recorder(0, 0, [], [])).colour is GREEN
    assert only(judge_recorder(40, RECORDER_LATE_S, [], [])).colour is GREEN
    assert only(judge_recorder(40, RECORDER_LATE_S + 1, [], [])).colour is RED


def test_a_batch_that_is_not_laid_or_not_withdrawn_is_red() -> None:
    assert "B1" in only(judge_recorder(0, 0, ["B1"], [])).en
    assert only(judge_recorder(0, 0, ["B1"], [])).colour is RED
    assert only(judge_recorder(0, 0, [], ["B2"])).colour is RED


def test_what_waits_too_long_to_be_graded_is_red() -> None:
    assert only(judge_grader(0, 0, [], is_registered=True)).colour is GREEN
    assert only(judge_grader(3, GRADER_LATE_S, ["B"], is_registered=True)).colour is GREEN
    assert only(judge_grader(3, GRADER_LATE_S + 1, ["B"], is_registered=True)).colour is RED
    assert only(judge_grader(0, 0, [], is_registered=False)).colour is RED


def test_pushes_that_do_not_arrive_are_never_more_than_amber() -> None:
    """No candidate notices."""
    assert only(judge_pushes(["webhook 'W' waits since 400 s"], 0)).colour is AMBER
    assert only(judge_pushes([], 1)).colour is AMBER
    assert only(judge_pushes([], 0)).colour is GREEN
