"""What a machine's check is worth, on both sides of every edge; and what may be told of one at all."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from engine.rules.acceptance import MANAGEMENT_SEAT, Machine, Role, accept, in_order, show_machine
from engine.rules.device import CHECKS, REASONS, Measured, Share, Verdict, judge, share_of, tier_of, worst
from engine.rules.errors import Invalid
from engine.rules.measured import read_measured

SHARE = Share(up_kbit_s=333, down_kbit_s=166)
SOUND = Measured(
    browser="chrome",
    browser_version=131,
    system="windows",
    system_version="10",
    user_agent="Mozilla/5.0",
    is_handheld=False,
    screen_width_px=1366,
    screen_height_px=768,
    layout_width_px=1366,
    layout_height_px=633,
    zoom_percent=100,
    memory_mib=2_048,
    cores=2,
    hash_mib_per_s=60,
    camera_width_px=640,
    camera_height_px=480,
    camera_fault="",
    clock_ms=-10_000,
    storage_works=True,
    quota_mib=256,
    service_worker_works=True,
    crypto_works=True,
    channel_opens=True,
    round_trip_ms=300,
    down_kbit_s=166,
    up_kbit_s=333,
    took_ms=21_000,
)


def found(name: str, share: Share | None = SHARE, **changes: Any) -> tuple[Verdict, str]:
    """The verdict and the reason of one check on a machine that is sound but for `changes`."""
    finding = next(each for each in judge(structs.replace(SOUND, **changes), share) if each.name == name)
    return finding.verdict, finding.reason


def test_machine_of_exactly_the_documents_floor_passes_everything() -> None:
    findings = judge(SOUND, SHARE)

    assert [finding.name for finding in findings] == list(CHECKS)
    assert {finding.verdict for finding in findings} == {Verdict.OK}
    assert {finding.reason for finding in findings} == {""}


@pytest.mark.parametrize(
    ("name", "changes", "verdict", "reason"),
    [
        ("browser", {"browser": "edge", "browser_version": 120}, "ok", ""),
        ("browser", {"browser": "firefox", "browser_version": 121}, "ok", ""),
        ("browser", {"browser_version": 119}, "weak", "dated"),
        ("browser", {"browser_version": 109}, "weak", "dated"),
        ("browser", {"browser_version": 108}, "fail", "old"),
        ("browser", {"browser": "firefox", "browser_version": 114}, "fail", "old"),
        ("browser", {"browser": "chromium"}, "weak", "kin"),
        ("browser", {"browser": "other", "browser_version": 999}, "fail", "other"),
        ("system", {"is_handheld": True}, "fail", "handheld"),
        ("system", {"system_version": "6.1"}, "fail", "old"),
        ("system", {"system_version": "11"}, "ok", ""),
        ("system", {"system_version": ""}, "ok", ""),
        ("system", {"system": "macos", "system_version": "10.15.7"}, "ok", ""),
        ("system", {"system": "macos", "system_version": "10.14"}, "fail", "old"),
        ("system", {"system": "linux", "system_version": ""}, "weak", "other"),
        ("screen", {"screen_width_px": 1365}, "fail", "small"),
        ("screen", {"screen_height_px": 767}, "fail", "small"),
        ("zoom", {"zoom_percent": 110}, "weak", "zoomed"),
        ("zoom", {"layout_width_px": 1023}, "weak", "narrow"),
        ("zoom", {"layout_width_px": 1024}, "ok", ""),
        ("memory", {"memory_mib": 2_047}, "weak", "tight"),
        ("memory", {"memory_mib": 1_023}, "fail", "small"),
        ("memory", {"memory_mib": None}, "unknown", "untold"),
        ("processor", {"hash_mib_per_s": 59}, "weak", "tight"),
        ("processor", {"cores": 1}, "weak", "tight"),
        ("processor", {"cores": None}, "ok", ""),
        ("processor", {"hash_mib_per_s": 24}, "fail", "slow"),
        ("camera", {"camera_width_px": 639}, "fail", "small"),
        ("camera", {"camera_fault": "none", "camera_width_px": 0, "camera_height_px": 0}, "fail", "none"),
        ("camera", {"camera_fault": "refused"}, "fail", "refused"),
        ("clock", {"clock_ms": 10_001}, "weak", "off"),
        ("clock", {"clock_ms": -600_001}, "fail", "far_off"),
        ("clock", {"clock_ms": None}, "unknown", "untold"),
        ("storage", {"storage_works": False}, "fail", "broken"),
        ("storage", {"quota_mib": 255}, "weak", "tight"),
        ("storage", {"quota_mib": None}, "ok", ""),
        ("storage", {"service_worker_works": False}, "weak", "no_worker"),
        ("crypto", {"crypto_works": False}, "fail", "broken"),
        ("channel", {"channel_opens": False}, "weak", "blocked"),
        ("round_trip", {"round_trip_ms": 301}, "weak", "slow"),
        ("round_trip", {"round_trip_ms": 2_001}, "fail", "very_slow"),
        ("round_trip", {"round_trip_ms": None}, "fail", "untold"),
        ("down", {"down_kbit_s": 165}, "weak", "low"),
        ("down", {"down_kbit_s": 82}, "fail", "very_low"),
        ("up", {"up_kbit_s": 332}, "weak", "low"),
        ("up", {"up_kbit_s": 166}, "fail", "very_low"),
        ("up", {"up_kbit_s": None}, "fail", "untold"),
    ],
)
def test_verdict_changes_at_its_edge(name: str, changes: dict[str, Any], verdict: str, reason: str) -> None:
    assert found(name, **changes) == (verdict, reason)


def test_every_reason_that_is_given_is_a_known_one() -> None:
    """A table of words has a sentence for each."""
    bad = structs.replace(
        SOUND, is_handheld=True, screen_width_px=1, zoom_percent=90, memory_mib=1, hash_mib_per_s=1, quota_mib=1,
        camera_fault="late", clock_ms=None, crypto_works=False, channel_opens=False, round_trip_ms=None,
        down_kbit_s=None, up_kbit_s=1, browser="other",
    )  # fmt: skip
    given = {finding.name: finding.reason for finding in judge(bad, SHARE)}

    assert list(REASONS) == list(CHECKS)
    assert all(reason in REASONS[name] for name, reason in given.items()), given
    assert found("up", None) == ("unknown", "no_tier")


@pytest.mark.parametrize(
    ("candidates", "up_mbit_s", "share"),
    [
        (1, 10, Share(333, 166)),  # a site has at least a room of thirty
        (200, 10, Share(50, 25)),
        (201, 28, Share(139, 99)),
        (2_000, 28, Share(14, 10)),
        (2_001, 50, Share(24, 24)),
        (5_000, 50, Share(10, 10)),
        (9_000, 50, Share(10, 10)),
    ],
)
def test_machine_is_held_to_its_share_of_the_sites_tier(candidates: int, up_mbit_s: int, share: Share) -> None:
    assert tier_of(candidates).up_mbit_s == up_mbit_s
    assert share_of(candidates) == share


def test_the_whole_is_as_good_as_its_worst_and_what_is_unknown_counts_for_nothing() -> None:
    assert worst([Verdict.OK, Verdict.UNKNOWN]) == "ok"
    assert worst([Verdict.WEAK, Verdict.OK, Verdict.UNKNOWN]) == "weak"
    assert worst([Verdict.WEAK, Verdict.FAIL]) == "fail"


# --- what a page tells -----------------------------------------------------------------------------------------


def test_what_a_page_measured_is_read_as_it_was_sent() -> None:
    assert read_measured(structs.asdict(SOUND)) == SOUND
    assert read_measured({**structs.asdict(SOUND), "memory_mib": None}).memory_mib is None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"verdict": "ok"}, "/verdict"),
        ({"browser": "netscape"}, "/browser"),
        ({"browser_version": "131"}, "/browser_version"),
        ({"screen_width_px": -1}, "/screen_width_px"),
        ({"screen_width_px": None}, "/screen_width_px"),
        ({"memory_mib": 2.5}, "/memory_mib"),
        ({"user_agent": "x" * 513}, "/user_agent"),
        ({"user_agent": "a\0b"}, "/user_agent"),
        ({"system_version": "十"}, "/system_version"),
        ({"crypto_works": 1}, "/crypto_works"),
        ({"up_kbit_s": 2**41}, "/up_kbit_s"),
        ({"camera_fault": "shy"}, "/camera_fault"),
    ],
)
def test_what_no_machine_can_have_is_refused_at_its_pointer(change: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_measured({**structs.asdict(SOUND), **change})

    assert refused.value.code == "device.invalid"
    assert [fault["pointer"] for fault in refused.value.faults] == [pointer]


def test_every_member_that_is_missing_is_named() -> None:
    with pytest.raises(Invalid) as refused:
        read_measured({})

    assert {fault["pointer"] for fault in refused.value.faults} == {f"/{name}" for name in structs.asdict(SOUND)}


# --- a room ----------------------------------------------------------------------------------------------------


def machine(seat: str, **changes: Any) -> Machine:
    findings = tuple(judge(structs.replace(SOUND, **changes), SHARE))
    return Machine(seat=seat, checked_ms=1, checks=1, findings=findings)


def room(machines: int = 30, spares: int = 2, management: int = 1) -> list[Machine]:
    seats = [f"{n:02d}" for n in range(1, machines + 1)] + [f"备用{n}" for n in range(1, spares + 1)]
    return [machine(seat) for seat in [*seats, *[MANAGEMENT_SEAT] * management]]


def test_room_with_all_its_machines_sound_is_accepted() -> None:
    accepted = accept(room())

    assert accepted["verdict"] == "ok"
    assert [(count["role"], count["required"], count["passed"]) for count in accepted["counts"]] == [
        ("machine", 30, 30), ("spare", 2, 2), ("management", 1, 1),
    ]  # fmt: skip
    assert [item["name"] for item in accepted["items"]] == list(CHECKS)


@pytest.mark.parametrize(
    "lacking", [room(machines=29), room(spares=1), [*room(management=0), Machine(seat=MANAGEMENT_SEAT)]]
)
def test_room_that_lacks_a_checked_machine_is_not_accepted(lacking: list[Machine]) -> None:
    assert accept(lacking)["verdict"] == "fail"


def test_machine_that_failed_does_not_count_and_one_more_makes_up_for_it() -> None:
    bad = machine("31", memory_mib=512)

    assert accept([*room(), bad])["verdict"] == "weak"
    assert accept([*room(machines=29), bad])["verdict"] == "fail"


def test_worst_and_median_are_machines_of_the_room() -> None:
    """By verdict first, then by value; of clocks and round trips the large value is the worse one."""
    trips = [machine(f"{n:02d}", round_trip_ms=trip) for n, trip in enumerate([40, 900, 20, 30], start=1)]
    items = {item["name"]: item for item in accept(trips)["items"]}

    assert items["round_trip"]["worst"] == {"seat": "02", "verdict": "weak", "measured": "900 ms"}
    assert items["round_trip"]["median"] == "40 ms"
    assert items["round_trip"]["counts"] == {"ok": 3, "unknown": 0, "weak": 1, "fail": 0}
    assert items["round_trip"]["verdict"] == "weak"


def test_what_no_browser_tells_stays_unknown_on_the_form() -> None:
    silent = [machine("01", memory_mib=None), machine("02", memory_mib=None)]
    memory = next(item for item in accept(silent)["items"] if item["name"] == "memory")

    assert (memory["verdict"], memory["median"]) == ("unknown", "")


def test_machines_stand_in_the_order_of_their_seats() -> None:
    seats = [MANAGEMENT_SEAT, "备用2", "100", "02", "备用1", "01"]
    ordered = in_order([Machine(seat=seat) for seat in seats])

    assert [each.seat for each in ordered] == ["01", "02", "100", "备用1", "备用2", MANAGEMENT_SEAT]
    assert [each.role for each in ordered][3:] == [Role.SPARE, Role.SPARE, Role.MANAGEMENT]


def test_machine_that_nobody_checked_has_no_verdict() -> None:
    assert show_machine(Machine(seat="01"))["verdict"] is None
    shown = show_machine(machine("01", memory_mib=512, zoom_percent=90))
    assert (shown["verdict"], shown["failing"]) == ("fail", ["memory", "zoom"])
