"""`./run bench` from the outside: what it prints, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

from tests import servers

FINISHED_S = 120


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engine", "bench", *arguments],
        cwd=servers.ROOT,
        env=servers.environ(),
        capture_output=True,
        text=True,
        timeout=FINISHED_S,
    )


def test_rows_are_the_only_thing_on_stdout() -> None:
    """A program reads them; each has a name, a positive value and its unit."""
    done = _bench("--json", "--only=token_check,sealing", "--seconds", "0.05")
    rows = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert [set(row) for row in rows] == [{"name", "value", "unit", "goal", "holds"}] * len(rows)
    assert {"token_check_us", "sealing_mb_per_s"} <= {row["name"] for row in rows}
    assert all(row["value"] > 0 and row["unit"] for row in rows)


def test_a_name_that_no_measure_has_is_refused_with_the_known_ones() -> None:
    """Before anything is started."""
    done = _bench("--only=speed")

    assert done.returncode == 2
    assert done.stdout == ""
    assert "nothing is called speed; known: token_check, sealing" in done.stderr
