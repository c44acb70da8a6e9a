"""Outcomes of load tests that nobody ran, for tests of what shows them: made up, but shaped like real ones."""

from __future__ import annotations

import math
import random
from typing import Any

from loadtest.sizing.outcome import Criterion, Latency, Line, Outcome, PhaseOutcome, Text, Traffic, Word

STARTS_MS = 1_763_773_200_000  # 2025-11-22 09:00 in China
NASTY = '</title><script>alert("x")</script><img src=x onerror=alert(1)>&'
# Name, seconds from the start, saves a second of one candidate.
PHASES = (
    ("check_in", -120, 0, 0.0),
    ("start", 0, 30, 0.1),
    ("steady", 30, 240, 0.2),
    ("stress", 240, 330, 0.4),
    ("reconnect", 330, 390, 0.2),
    ("late", 390, 540, 0.2),
    ("deadline", 540, 620, 0.3),
    ("grading", 620, 640, 0.0),
    ("pull", 640, 660, 0.0),
)
ROLES = {"engine": 0.42, "Redis": 0.11, "PostgreSQL": 0.16, "recorder": 0.08, "grader": 0.01}
CANDIDATES = 1000


def latency(median_ms: float, count: int = 20_000, errors: int = 0, **members: Any) -> Latency:
    """As of a queue: a long tail, its percentiles and its curve in step."""
    shares = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999]
    points = [(share, round(median_ms * (1 + 0.9 * abs(math.log2(1 - share)) ** 1.3), 2)) for share in shares]
    at = dict(points)
    highest = at[0.9999] * 1.4
    return Latency(
        count=count,
        errors=errors,
        p50_ms=at[0.5],
        p99_ms=at[0.99],
        p99_9_ms=at[0.999],
        max_ms=highest,
        points=[*points, (1.0, highest)],
        **members,
    )


def criterion(name: str, found: float | None, limit: float, **members: Any) -> Criterion:
    """Judged as its figures say; `holds=None` in `members` leaves it open."""
    is_at_most = members.get("is_at_most", True)
    holds = found is not None and (found <= limit if is_at_most else found >= limit)
    label = Text(zh=f"指标 {name}", en=f"criterion {name}")
    return Criterion(
        **{"name": name, "label": label, "found": found, "limit": limit, "unit": "ms", "holds": holds, **members}
    )


def phase(name: str, from_s: int, until_s: int, saves_per_s: float = 0.2, **members: Any) -> PhaseOutcome:
    operations = {"login": latency(18, 1000)} if name == "check_in" else {}
    if saves_per_s:
        operations = {"save": latency(4), "save_intended": latency(6), "lateness": latency(0.3)}
    told: dict[str, Any] = {
        "name": name,
        "from_ms": STARTS_MS + from_s * 1000,
        "until_ms": STARTS_MS + until_s * 1000,
        "operations": operations,
        "criteria": [
            criterion("p99", 40.0, 1000),
            criterion("errors", 0, 0, unit=""),
            criterion("acknowledged", 1.0, 1.0, unit="share", is_at_most=False),
        ],
        "traffic": Traffic(
            up_bytes=8_123_456,
            down_bytes=6_123_456,
            up_share=0.021,
            down_share=0.023,
            up_bytes_each=8_123.5,
            down_bytes_each=6_123.5,
        ),
        "cpu": dict(ROLES),
        "memory_mib": {role: 40.0 + 30 * at for at, role in enumerate(ROLES)},
        "generators": {"swarm-0": 0.55, "openloop-0": 0.31},
        "recorder_lag_max_s": 0.42,
    }
    return PhaseOutcome(**{**told, **members})


def outcome(**members: Any) -> Outcome:
    """A run of ten minutes that passed; `members` replace what it holds."""
    told: dict[str, Any] = {
        "verdict": Word.PASS,
        "reasons": [],
        "tier": "200-2000",
        "candidates": CANDIDATES,
        "minutes": 10.0,
        "seed": 7,
        "command": "./run loadtest --tier 200-2000 --minutes 10 --seed 7",
        "began_ms": STARTS_MS - 150_000,
        "starts_ms": STARTS_MS,
        "ends_ms": STARTS_MS + 600_000,
        "took_s": 861.5,
        "line": Line(enforced=True, up_kbit_per_s=28_000, down_kbit_per_s=20_000, delay_ms=20.0),
        "machine": {"cpu": "test data, 4 cores", "memory": "16 GiB", "kernel": "6.1"},
        "versions": {"liankao": "0.1.0", "python": "3.12.3", "postgresql": "18.6", "valkey": "9.1.2"},
        "configuration": {"LIANKAO_PARTITIONS": "16", "LIANKAO_GRACE_S": "10"},
        "configuration_digest": "5f" * 32,
        "model": {"saves_per_s": 0.2, "absent_share": 0.03, "drop_share": 0.05},
        "phases": [phase(*told) for told in PHASES],
        "account": {
            "candidates": 1000,
            "submitted": 512,
            "collected": 458,
            "absent": 30,
            "graded": 970,
            "lost": 0,
            "wrong_scores": 0,
        },
        "series": series(),
    }
    return Outcome(**{**told, **members})


def series(roles: dict[str, float] = ROLES) -> dict[str, dict[int, float]]:
    """Second by second, from the first login to the last result, with noise and one spike."""
    dice = random.Random(11)
    begins = STARTS_MS // 1000
    found: dict[str, dict[int, float]] = {}

    def put(name: str, second: int, value: float) -> None:
        found.setdefault(name, {})[begins + second] = round(value, 3)

    for _, from_s, until_s, rate in PHASES:
        for second in range(from_s, until_s):
            saves = float(round(rate * CANDIDATES * dice.uniform(0.8, 1.2)))
            put("saves", second, saves)
            put("acknowledged", second, saves)
            put("up_bytes", second, saves * 260 + 4000)
            put("down_bytes", second, saves * 120 + 8000)
            put("entered", second, min(970, 970 * (second + 120) / 110))
            put("writing", second, 970 if 0 <= second < 600 else 0)
            put("channels", second, 0 if second == 330 else min(970, 970 * (second + 120) / 110))
            put("recorder_lag_s", second, dice.uniform(0.1, 0.4))
            if saves:
                put("save_max_ms", second, 900.0 if second == 331 else dice.expovariate(0.05) + 8)
                put("save_intended_max_ms", second, 1900.0 if second == 331 else dice.expovariate(0.04) + 9)
            for role, share in roles.items():
                put(f"cpu/{role}", second, share * (rate + 0.1) * 3 * dice.uniform(0.8, 1.2))
                put(f"memory_mib/{role}", second, 60 + 80 * share + second / 60)
            put("generators/swarm-0", second, dice.uniform(0.3, 0.6))
            put("generators/openloop-0", second, dice.uniform(0.2, 0.3))
    return found


def failed(**members: Any) -> Outcome:
    """Two criteria fail, one is near, one was not judged; an answer is lost; whoever wrote texts meant harm."""
    sick = phase(
        "stress", 240, 330, 0.4,
        operations={"save": latency(90, 39_000, 12), "save_intended": latency(420, 39_000, 12)},
        error_kinds={"save/503": 12, f"save/{NASTY}": 1},
        criteria=[
            criterion("p99", 1400.0, 1000),
            criterion("errors", 12, 0, unit=""),
            criterion("p50", 900.0, 1000),
            criterion("cpu", None, 0.8, unit="share", holds=None, why=NASTY),
        ],
    )  # fmt: skip
    phases = [sick if told[0] == "stress" else phase(*told) for told in PHASES]
    account = {"candidates": 1000, "submitted": 512, "collected": 458, "absent": 30, "graded": 970, "lost": 1}
    told: dict[str, Any] = {
        "verdict": Word.FAIL,
        "reasons": [
            Text(zh="两倍峰值：p99 1,400 ms，限值 1,000 ms", en="stress: p99 1,400 ms, limit 1,000 ms"),
            Text(zh=f"丢失 1 个答案 {NASTY}", en=f"1 answer lost {NASTY}"),
        ],
        "line": Line(enforced=False, up_kbit_per_s=28_000, down_kbit_per_s=20_000, why=f"not root {NASTY}"),
        "phases": phases,
        "account": account,
        "faults": [f"lost: {NASTY}: i1 seq 4"],
        "notes": [Text(zh=NASTY, en=NASTY)],
        "machine": {NASTY: NASTY},
        "configuration": {NASTY: NASTY},
        "command": f"./run loadtest {NASTY}",
        "tier": NASTY,
    }
    return outcome(**{**told, **members})
