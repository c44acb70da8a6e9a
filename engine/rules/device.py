"""What a machine's check is worth: the page measures, the verdicts are given here and nowhere else.

So the page, the room's list and the acceptance form say the same of a machine, and no page can judge itself
differently. `fail`: below the documents' floor, or the exam cannot run; `weak`: it runs, and somebody should look;
`unknown`: the browser does not tell, a person has to look. Floors are data, from the documents on exam rooms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

MACHINES_MIN = 30  # per room, as the documents ask for
SPARES_MIN = 2
MANAGEMENT_MIN = 1


class Verdict(StrEnum):
    """From good to bad; `unknown` makes nothing worse."""

    OK = "ok"
    UNKNOWN = "unknown"
    WEAK = "weak"
    FAIL = "fail"


_RANK = list(Verdict)


class Tier(Struct, frozen=True):
    """What a site's line must carry for so many candidates at once, in Mbit/s."""

    candidates_max: int
    up_mbit_s: int
    down_mbit_s: int


# The documents write "MB" for what carriers sell as Mbit/s. Beyond the last row they name nothing: a machine's share of
# it is asked for there, too.
TIERS = (Tier(200, 10, 5), Tier(2_000, 28, 20), Tier(5_000, 50, 50))


class Share(Struct, frozen=True):
    """One machine's part of its site's line, while all of them use it at once."""

    up_kbit_s: int
    down_kbit_s: int


class Browser(Struct, frozen=True):
    """`works`: below it the page cannot open a paper; `current`: below it updates have been missed for years."""

    label: str
    works: int
    current: int


BROWSERS = {
    "chrome": Browser("Chrome", 109, 120),
    "edge": Browser("Edge", 109, 120),
    "firefox": Browser("Firefox", 115, 121),
    "chromium": Browser("Chromium", 109, 120),  # the same engine under another name: 360, QQ, the system's own
}
OTHER_BROWSER = "other"
SYSTEMS = ("windows", "macos", "linux", "chromeos", "other")
WINDOWS_MIN = 10
MACOS_MIN = (10, 15)

SCREEN_WIDTH_PX_MIN = 1366
SCREEN_HEIGHT_PX_MIN = 768
LAYOUT_WIDTH_PX_MIN = 1024  # what is left of the screen after the system's scaling: below it the page gets narrow
MEMORY_MIB_MIN = 2_048
MEMORY_MIB_TIGHT = 1_024  # browsers round down to 1, 2, 4 …: 2 GB less what the graphics take may tell 1
CORES_MIN = 2
HASH_MIB_PER_S_MIN = 25  # SHA-256 on a Core 2 at 1.8 GHz runs at about 100; a quarter of it is a machine in trouble
HASH_MIB_PER_S_FLUENT = 60
CAMERA_WIDTH_PX_MIN = 640
CAMERA_HEIGHT_PX_MIN = 480
CAMERA_FAULTS = ("none", "refused", "busy", "missing_api", "late")
CLOCK_MS_FLUENT = 10_000  # the exam runs on the server's time; beyond this the taskbar confuses candidates
CLOCK_MS_MAX = 600_000  # beyond it certificates may count as expired
QUOTA_MIB_FLUENT = 256  # a sealed paper has up to 64 MiB, and three are kept
ROUND_TRIP_MS_FLUENT = 300
ROUND_TRIP_MS_MAX = 2_000  # from 2.5 s on the page tells of trouble on the line
RATE_TOLERATED = 0.5  # of a machine's share: half may be the room's other machines measuring at the same moment


class Measured(Struct, frozen=True, kw_only=True):
    """What the page found on one machine; None where the browser or the line gave no answer."""

    browser: str
    browser_version: int
    system: str
    system_version: str
    user_agent: str
    is_handheld: bool
    screen_width_px: int
    screen_height_px: int
    layout_width_px: int
    layout_height_px: int
    zoom_percent: int
    memory_mib: int | None
    cores: int | None
    hash_mib_per_s: int
    camera_width_px: int
    camera_height_px: int
    camera_fault: str
    clock_ms: int | None  # this machine's clock less the server's
    storage_works: bool
    quota_mib: int | None
    service_worker_works: bool
    crypto_works: bool
    channel_opens: bool
    round_trip_ms: int | None
    down_kbit_s: int | None
    up_kbit_s: int | None
    took_ms: int


class Finding(Struct, frozen=True, kw_only=True):
    """One line of a check. `reason` names what is to be done; `required` and `measured` are the same in every
    language, empty where the verdict says it all; `value` is what machines are compared by."""

    name: str
    verdict: Verdict
    reason: str = ""
    required: str = ""
    measured: str = ""
    value: float | None = None


CHECKS = (
    "browser", "system", "screen", "zoom", "memory", "processor", "camera", "clock", "storage", "crypto", "channel",
    "round_trip", "down", "up",
)  # fmt: skip
# What may be said to do about a check, by its name; a table of words has a sentence for each.
REASONS: dict[str, tuple[str, ...]] = {
    "browser": ("other", "old", "dated", "kin"),
    "system": ("handheld", "old", "other"),
    "screen": ("small",),
    "zoom": ("zoomed", "narrow"),
    "memory": ("untold", "tight", "small"),
    "processor": ("slow", "tight"),
    "camera": ("none", "refused", "busy", "missing_api", "late", "small"),
    "clock": ("off", "far_off", "untold"),
    "storage": ("broken", "tight", "no_worker"),
    "crypto": ("broken",),
    "channel": ("blocked",),
    "round_trip": ("slow", "very_slow", "untold"),
    "down": ("low", "very_low", "untold", "no_tier"),
    "up": ("low", "very_low", "untold", "no_tier"),
}
# Of these a small value is the good one.
SMALL_IS_GOOD = frozenset({"clock", "round_trip"})


def tier_of(candidates: int) -> Tier:
    """The row of the documents' table for so many candidates at one site."""
    return next((tier for tier in TIERS if candidates <= tier.candidates_max), TIERS[-1])


def share_of(candidates: int) -> Share:
    """A machine's share of its site's line; a site has at least one room."""
    tier = tier_of(candidates)
    sharing = min(max(candidates, MACHINES_MIN), TIERS[-1].candidates_max)
    return Share(tier.up_mbit_s * 1_000 // sharing, tier.down_mbit_s * 1_000 // sharing)


def judge(measured: Measured, share: Share | None) -> list[Finding]:
    """All findings, in the order of CHECKS; without a `share` the rates are only told."""
    return [
        _browser(measured),
        _system(measured),
        _screen(measured),
        _zoom(measured),
        _memory(measured),
        _processor(measured),
        _camera(measured),
        _clock(measured),
        _storage(measured),
        _working("crypto", measured.crypto_works, Verdict.FAIL, "broken"),
        _working("channel", measured.channel_opens, Verdict.WEAK, "blocked"),
        _round_trip(measured),
        _rate("down", measured.down_kbit_s, share.down_kbit_s if share else None),
        _rate("up", measured.up_kbit_s, share.up_kbit_s if share else None),
    ]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on the whole; what nobody could measure stands against nothing."""
    found = max(verdicts, key=_RANK.index, default=Verdict.OK)
    return Verdict.OK if found == Verdict.UNKNOWN else found


def failing(findings: Sequence[Finding]) -> list[str]:
    """The names of what is not as it should be, worst first."""
    amiss = [each for each in findings if each.verdict in (Verdict.WEAK, Verdict.FAIL)]
    return [each.name for each in sorted(amiss, key=lambda each: -_RANK.index(each.verdict))]


# --- the single checks -----------------------------------------------------------------------------------------


def _browser(measured: Measured) -> Finding:
    required = " / ".join(f"{BROWSERS[name].label} {BROWSERS[name].works}+" for name in ("chrome", "edge", "firefox"))
    known = BROWSERS.get(measured.browser)
    shown = f"{known.label if known else '?'} {measured.browser_version}"
    if known is None:
        verdict, reason = Verdict.FAIL, "other"
    elif measured.browser_version < known.works:
        verdict, reason = Verdict.FAIL, "old"
    elif measured.browser_version < known.current:
        verdict, reason = Verdict.WEAK, "dated"
    elif measured.browser == "chromium":
        verdict, reason = Verdict.WEAK, "kin"
    else:
        verdict, reason = Verdict.OK, ""
    return Finding(name="browser", verdict=verdict, reason=reason, required=required, measured=shown)


def _system(measured: Measured) -> Finding:
    label = {"windows": "Windows", "macos": "macOS", "linux": "Linux", "chromeos": "ChromeOS"}.get(measured.system, "?")
    numbers = tuple(int(part) for part in measured.system_version.split(".") if part.isascii() and part.isdigit())
    if measured.is_handheld:
        verdict, reason = Verdict.FAIL, "handheld"
    elif measured.system == "windows":
        is_old = bool(numbers) and numbers[0] < WINDOWS_MIN
        verdict, reason = (Verdict.FAIL, "old") if is_old else (Verdict.OK, "")
    elif measured.system == "macos":
        is_old = bool(numbers) and numbers[:2] < MACOS_MIN
        verdict, reason = (Verdict.FAIL, "old") if is_old else (Verdict.OK, "")
    else:
        verdict, reason = Verdict.WEAK, "other"
    shown = f"{label} {measured.system_version}".strip()
    required = f"Windows {WINDOWS_MIN}+ / macOS {MACOS_MIN[0]}.{MACOS_MIN[1]}+"
    return Finding(name="system", verdict=verdict, reason=reason, required=required, measured=shown)


def _screen(measured: Measured) -> Finding:
    width, height = measured.screen_width_px, measured.screen_height_px
    is_large = width >= SCREEN_WIDTH_PX_MIN and height >= SCREEN_HEIGHT_PX_MIN
    return Finding(
        name="screen",
        verdict=Verdict.OK if is_large else Verdict.FAIL,
        reason="" if is_large else "small",
        required=f"≥ {SCREEN_WIDTH_PX_MIN}×{SCREEN_HEIGHT_PX_MIN}",
        measured=f"{width}×{height}",
        value=width * height,
    )


def _zoom(measured: Measured) -> Finding:
    reason = "zoomed" if measured.zoom_percent != 100 else ""
    if not reason and measured.layout_width_px < LAYOUT_WIDTH_PX_MIN:
        reason = "narrow"
    return Finding(
        name="zoom",
        verdict=Verdict.WEAK if reason else Verdict.OK,
        reason=reason,
        required=f"100%, ≥ {LAYOUT_WIDTH_PX_MIN} px",
        measured=f"{measured.zoom_percent}%, {measured.layout_width_px}×{measured.layout_height_px}",
        value=measured.layout_width_px,
    )


def _memory(measured: Measured) -> Finding:
    found = measured.memory_mib
    if found is None:
        verdict, reason = Verdict.UNKNOWN, "untold"
    elif found >= MEMORY_MIB_MIN:
        verdict, reason = Verdict.OK, ""
    elif found >= MEMORY_MIB_TIGHT:
        verdict, reason = Verdict.WEAK, "tight"
    else:
        verdict, reason = Verdict.FAIL, "small"
    shown = "" if found is None else f"{found / 1024:g} GB"
    required = f"≥ {MEMORY_MIB_MIN / 1024:g} GB"
    return Finding(name="memory", verdict=verdict, reason=reason, required=required, measured=shown, value=found)


def _processor(measured: Measured) -> Finding:
    rate = measured.hash_mib_per_s
    cores = measured.cores
    if rate < HASH_MIB_PER_S_MIN:
        verdict, reason = Verdict.FAIL, "slow"
    elif rate < HASH_MIB_PER_S_FLUENT or (cores is not None and cores < CORES_MIN):
        verdict, reason = Verdict.WEAK, "tight"
    else:
        verdict, reason = Verdict.OK, ""
    return Finding(
        name="processor",
        verdict=verdict,
        reason=reason,
        required=f"≥ {CORES_MIN} CPU, ≥ {HASH_MIB_PER_S_FLUENT} MiB/s",
        measured=f"{'' if cores is None else f'{cores} CPU, '}{rate} MiB/s",
        value=rate,
    )


def _camera(measured: Measured) -> Finding:
    width, height = measured.camera_width_px, measured.camera_height_px
    is_large = width >= CAMERA_WIDTH_PX_MIN and height >= CAMERA_HEIGHT_PX_MIN
    reason = measured.camera_fault or ("" if is_large else "small")
    return Finding(
        name="camera",
        verdict=Verdict.FAIL if reason else Verdict.OK,
        reason=reason,
        required=f"≥ {CAMERA_WIDTH_PX_MIN}×{CAMERA_HEIGHT_PX_MIN}",
        measured="" if measured.camera_fault else f"{width}×{height}",
        value=0 if measured.camera_fault else width * height,
    )


def _clock(measured: Measured) -> Finding:
    required = f"≤ {CLOCK_MS_FLUENT // 1000} s"
    if measured.clock_ms is None:
        return Finding(name="clock", verdict=Verdict.UNKNOWN, reason="untold", required=required)
    apart = abs(measured.clock_ms)
    if apart > CLOCK_MS_MAX:
        verdict, reason = Verdict.FAIL, "far_off"
    elif apart > CLOCK_MS_FLUENT:
        verdict, reason = Verdict.WEAK, "off"
    else:
        verdict, reason = Verdict.OK, ""
    shown = f"{round(measured.clock_ms / 1000, 1) or 0:+.1f} s"
    return Finding(name="clock", verdict=verdict, reason=reason, required=required, measured=shown, value=apart)


def _storage(measured: Measured) -> Finding:
    quota = measured.quota_mib
    if not measured.storage_works:
        verdict, reason = Verdict.FAIL, "broken"
    elif quota is not None and quota < QUOTA_MIB_FLUENT:
        verdict, reason = Verdict.WEAK, "tight"
    elif not measured.service_worker_works:
        verdict, reason = Verdict.WEAK, "no_worker"
    else:
        verdict, reason = Verdict.OK, ""
    shown = "" if quota is None or not measured.storage_works else f"{quota} MiB"
    required = f"≥ {QUOTA_MIB_FLUENT} MiB"
    value = 0 if not measured.storage_works else quota
    return Finding(name="storage", verdict=verdict, reason=reason, required=required, measured=shown, value=value)


def _working(name: str, works: bool, otherwise: Verdict, reason: str) -> Finding:
    return Finding(name=name, verdict=Verdict.OK if works else otherwise, reason="" if works else reason)


def _round_trip(measured: Measured) -> Finding:
    found = measured.round_trip_ms
    required = f"≤ {ROUND_TRIP_MS_FLUENT} ms"
    if found is None:
        return Finding(name="round_trip", verdict=Verdict.FAIL, reason="untold", required=required)
    if found > ROUND_TRIP_MS_MAX:
        verdict, reason = Verdict.FAIL, "very_slow"
    elif found > ROUND_TRIP_MS_FLUENT:
        verdict, reason = Verdict.WEAK, "slow"
    else:
        verdict, reason = Verdict.OK, ""
    shown = f"{found} ms"
    return Finding(name="round_trip", verdict=verdict, reason=reason, required=required, measured=shown, value=found)


def _rate(name: str, kbit_s: int | None, needed: int | None) -> Finding:
    shown = "" if kbit_s is None else show_rate(kbit_s)
    required = "" if needed is None else f"≥ {show_rate(needed)}"
    if needed is None:
        verdict, reason = Verdict.UNKNOWN, "no_tier"
    elif kbit_s is None:
        verdict, reason = Verdict.FAIL, "untold"
    elif kbit_s < needed * RATE_TOLERATED:
        verdict, reason = Verdict.FAIL, "very_low"
    elif kbit_s < needed:
        verdict, reason = Verdict.WEAK, "low"
    else:
        verdict, reason = Verdict.OK, ""
    return Finding(name=name, verdict=verdict, reason=reason, required=required, measured=shown, value=kbit_s)


def show_rate(kbit_s: int) -> str:
    """In the unit that carriers sell."""
    return f"{kbit_s / 1000:.1f} Mbit/s" if kbit_s >= 1_000 else f"{kbit_s} kbit/s"
