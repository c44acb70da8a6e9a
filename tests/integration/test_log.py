"""Logs when there is no room for them."""

from __future__ import annotations

import subprocess
import sys

from tests.servers import ROOT

TALKATIVE = """
from engine import log
log.configure("worker", "info")
for number in range(2000):
    log.logger().warning("full", number=number, filler="x" * 100)
print("went on")
"""


def test_a_process_goes_on_when_its_log_cannot_be_written() -> None:
    """A full volume of logs must not be what stops the saves."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", TALKATIVE], cwd=ROOT, stdout=subprocess.PIPE, stderr=full)

    assert done.stdout == b"went on\n"
    # 120: what is still to be said at the end cannot be said either, and Python mentions that.
    assert done.returncode in (0, 120)
