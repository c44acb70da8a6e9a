"""What Locust does on its own beside our candidates, and must not do at their expense."""

from __future__ import annotations

import subprocess
import sys

from tests.servers import ROOT

# In a process of its own: Locust puts gevent in the place of what Python has.
_OPTIONS = """
import locust.argument_parser, locust.runners
from unittest import mock
import loadtest.swarm.locustfile
made = mock.Mock(side_effect=locust.argument_parser.get_empty_argument_parser)
with mock.patch.object(locust.argument_parser, "get_empty_argument_parser", made):
    known = [locust.runners.argument_parser.default_args_dict() for _ in range(60)]
print(made.call_count, all(each == known[0] and "expect_workers" in each for each in known))
"""


def test_a_worker_that_is_told_of_more_users_makes_no_parser_for_every_option() -> None:
    """Sixty of them, as Locust asks for with each message, held all candidates of a worker up for 130 ms."""
    done = subprocess.run([sys.executable, "-c", _OPTIONS], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.stdout == "1 True\n", done.stderr
