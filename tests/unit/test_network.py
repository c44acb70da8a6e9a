"""The line to an exam room: as fast each way as it was asked to be (loadtest/network.py)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from loadtest.network import NoNetwork, line
from tests.servers import ROOT

# Runs in a process of its own: a thread that has changed its namespace is nobody's to come back to.
_BOTH_WAYS = """
import json, subprocess
from loadtest.network import NoNetwork, line
def told(enter, device):
    shown = subprocess.run([*enter, "tc", "qdisc", "show", "dev", device], capture_output=True, text=True)
    return shown.stdout
try:
    with line(8_000, 2_000) as wire:
        shaped = told(wire.at_far_end, "far"), told([], "near")
        wire.shape(0)
        free = told(wire.at_far_end, "far"), told([], "near")
    print(json.dumps({"shaped": shaped, "free": free}))
except NoNetwork as refused:
    print(json.dumps({"refused": str(refused)}))
"""


def test_each_direction_has_its_own_rate_or_none() -> None:
    """What candidates send is shaped at their end, what they get at the engine's."""
    done = subprocess.run([sys.executable, "-c", _BOTH_WAYS], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    if "refused" in told:
        pytest.skip(told["refused"])

    up, down = told["shaped"]
    assert "tbf" in up and "rate 8Mbit" in up
    assert "tbf" in down and "rate 2Mbit" in down
    assert not any("tbf" in shown for shown in told["free"])


@pytest.mark.parametrize(("user", "needs"), [(1000, "root"), (0, "ip, tc, nsenter, unshare (iproute2, util-linux)")])
def test_what_a_line_needs_is_what_is_missing(user: int, needs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user's PATH has no /usr/sbin: for want of root nobody is to look for a tool that is there."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("os.geteuid", lambda: user)

    with pytest.raises(NoNetwork) as refused, line(8_000):
        pass

    assert str(refused.value) == f"a shaped line needs {needs}"
