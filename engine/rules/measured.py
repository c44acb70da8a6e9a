"""Reads what a page measured on its machine; every member is bounded, every fault listed."""

from __future__ import annotations

import re
from typing import Any

from engine.rules.device import BROWSERS, CAMERA_FAULTS, OTHER_BROWSER, SYSTEMS, Measured
from engine.rules.errors import Invalid
from engine.rules.limits import CLOCK_APART_MS_MAX, MEASURED_MAX, USER_AGENT_CHARACTERS_MAX
from engine.rules.shape import Faults, Members

NO_FAULT = ""
BROWSER_NAMES = (*BROWSERS, OTHER_BROWSER)
SYSTEM_VERSION_PATTERN = re.compile(r"[A-Za-z0-9. _-]{0,32}", re.ASCII)
# name: (smallest, largest); what no machine can have is a fault of the page's, not a finding.
WHOLE_NUMBERS: dict[str, tuple[int, int]] = {
    "browser_version": (0, 100_000),
    "screen_width_px": (0, 100_000),
    "screen_height_px": (0, 100_000),
    "layout_width_px": (0, 100_000),
    "layout_height_px": (0, 100_000),
    "zoom_percent": (10, 1_000),
    "hash_mib_per_s": (0, 1_000_000),
    "camera_width_px": (0, 100_000),
    "camera_height_px": (0, 100_000),
    "took_ms": (0, 3_600_000),
}
# The same, and null where nothing answered.
PERHAPS_NUMBERS: dict[str, tuple[int, int]] = {
    "memory_mib": (0, 2**30),
    "cores": (1, 65_536),
    "clock_ms": (-CLOCK_APART_MS_MAX, CLOCK_APART_MS_MAX),
    "quota_mib": (0, MEASURED_MAX),
    "round_trip_ms": (0, 3_600_000),
    "down_kbit_s": (0, MEASURED_MAX),
    "up_kbit_s": (0, MEASURED_MAX),
}
FLAGS = ("is_handheld", "storage_works", "service_worker_works", "crypto_works", "channel_opens")


def read_measured(document: Any) -> Measured:
    """Takes what `exact_json.decode` gave. Raises Invalid `device.invalid`, each fault at its pointer."""
    faults = Faults()
    members = Members(document, "", faults)
    found: dict[str, Any] = {
        "browser": members.take_choice("browser", BROWSER_NAMES),
        "system": members.take_choice("system", SYSTEMS),
        "system_version": members.take_pattern(
            "system_version", SYSTEM_VERSION_PATTERN, "at most 32 characters of A-Z a-z 0-9 . _ - and spaces"
        ),
        "user_agent": members.take_text("user_agent", USER_AGENT_CHARACTERS_MAX, characters_min=0),
        "camera_fault": members.take_choice("camera_fault", (NO_FAULT, *CAMERA_FAULTS)),
    }
    for name, (smallest, largest) in WHOLE_NUMBERS.items():
        found[name] = members.take_integer(name, smallest, largest)
    for name, (smallest, largest) in PERHAPS_NUMBERS.items():
        is_told = members.members.get(name, 0) is not None  # an absent one is a fault of its own
        found[name] = members.take_integer(name, smallest, largest) if is_told else members.take(name)
    for name in FLAGS:
        found[name] = members.take_boolean(name)
    members.finish()
    if faults:
        raise Invalid("device.invalid", faults.listed, errors_total=faults.total)
    return Measured(**found)
