"""A load test second by second: the series of an outcome (outcome.SERIES). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from loadtest import usage
from loadtest.sizing.evidence import Progress
from loadtest.sizing.measure import Report, Second
from loadtest.sizing.watching import Sample

Series = dict[str, dict[int, float]]


def series(
    reports: Iterable[Report],
    samples: Sequence[Sample],
    said: Iterable[Progress],
    seconds: Mapping[str, Mapping[int, Second]],
) -> Series:
    """All that there are."""
    found = {**_of_operations(seconds), **_of_samples(samples), **_of_generators(said)}
    for report in reports:
        found[f"generators/{report.process}"] = {second: float(share) for second, share in sorted(report.cpu.items())}
    return {name: values for name, values in found.items() if values}


def _of_operations(seconds: Mapping[str, Mapping[int, Second]]) -> Series:
    errors: dict[int, float] = {}
    for each in seconds.values():
        for second, one in each.items():
            errors[second] = errors.get(second, 0.0) + one.errors
    saves = seconds.get("save", {})
    intended = seconds.get("save_intended", {})
    return {
        "acknowledged": {second: float(one.count) for second, one in sorted(saves.items())},
        "errors": dict(sorted(errors.items())),
        "save_max_ms": {second: one.max_us / 1000 for second, one in sorted(saves.items()) if one.count},
        "save_intended_max_ms": {second: one.max_us / 1000 for second, one in sorted(intended.items()) if one.count},
    }


def _of_samples(samples: Sequence[Sample]) -> Series:
    found: Series = {"up_bytes": {}, "down_bytes": {}, "recorder_lag_s": {}, "channels": {}}
    for before, now in pairwise(samples):
        second, took_s = now.at_ms // 1000, (now.at_ms - before.at_ms) / 1000
        if took_s <= 0:
            continue
        for name in ("up_bytes", "down_bytes"):
            earlier, later = getattr(before, name), getattr(now, name)
            if earlier is not None and later is not None:
                found[name][second] = round((later - earlier) / took_s)
        if before.cpu_s and now.cpu_s:
            for role, spent_s in usage.spent(before.cpu_s, now.cpu_s).items():
                found.setdefault(f"cpu/{role}", {})[second] = round(spent_s / took_s, 3)
    for now in samples:
        second = now.at_ms // 1000
        for role, mib in now.memory_mib.items():
            found.setdefault(f"memory_mib/{role}", {})[second] = round(mib, 1)
        if now.recorder_lag_s is not None:
            found["recorder_lag_s"][second] = round(now.recorder_lag_s, 3)
        if now.channels is not None:
            found["channels"][second] = now.channels
    return found


def _of_generators(said: Iterable[Progress]) -> Series:
    """The sum over all processes, each with what it said last; of saves, whose count grows, the difference."""
    found: Series = {"entered": {}, "writing": {}, "saves": {}}
    latest: dict[str, Mapping[str, float]] = {}
    for one in sorted(said, key=lambda each: each.at_ms):
        second, before = one.at_ms // 1000, latest.get(one.process, {})
        latest[one.process] = one.said
        for name in ("entered", "writing"):
            found[name][second] = sum(float(each.get(name, 0)) for each in latest.values())
        sent = float(one.said.get("saves", 0)) - float(before.get("saves", 0))
        found["saves"][second] = found["saves"].get(second, 0.0) + sent
    return found
