"""The words of what simulated candidates do to an engine; `loadtest/` is imported only when one is asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.argument_types import count, minutes, natural


def rehearse_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("--candidates", type=count, default=200, metavar="N", help="default 200")
    made.add_argument("--minutes", type=minutes, default=2.0, metavar="M", help="length of the exam; default 2")
    made.add_argument("--seed", type=int, metavar="S", help="same seed, same behaviour; default: another each time")
    made.add_argument("--http", action="store_true", help="candidates save over HTTP instead of the channel")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    made.add_argument("--url", metavar="URL", help="a running engine; without one, embedded servers are started")
    made.add_argument("--schedule-key", metavar="KEY", help="with --url: an API key of scope schedule")
    made.add_argument("--results-key", metavar="KEY", help="with --url: an API key of scope results")
    made.add_argument("--ready-file", metavar="FILE", help="instead of --url: an engine that `up` brought up")


def torture_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("--kills", type=natural, default=5, metavar="N", help="SIGKILLs per process class; default 5")
    made.add_argument("--stops", type=natural, default=1, metavar="N", help="SIGSTOPs of 5 s per class; default 1")
    made.add_argument("--power-losses", type=natural, default=0, metavar="N", help="of the whole box; needs FUSE")
    made.add_argument("--full-volumes", type=natural, default=0, metavar="N", help="per server; needs root")
    made.add_argument("--cuts", type=natural, default=0, metavar="N", help="on the candidates' wire: cut, slow, silent")
    made.add_argument("--clock-steps", type=natural, default=0, metavar="N", help="of PostgreSQL; needs libfaketime")
    made.add_argument("--candidates", type=count, default=36, metavar="N", help="at a time; default 36")
    made.add_argument("--seed", type=int, metavar="S", help="same seed, same faults; default: another each time")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout; progress stays on stderr")
    made.add_argument("--keep", type=Path, metavar="DIR", help="ledgers and logs go there when something was found")
    made.add_argument("--prove", action="store_true", help="break the engine on purpose: the checker must see it")


def rehearse(args: argparse.Namespace) -> int:
    from loadtest import rehearse

    return rehearse.main(args)


def torture(args: argparse.Namespace) -> int:
    from loadtest.torture import command

    return command.main(args)


# name: its arguments, what runs it, what it is for
COMMANDS = {
    "rehearse": (rehearse_arguments, rehearse, "a full exam with simulated candidates, every answer checked"),
    "torture": (
        torture_arguments,
        torture,
        "exams while everything is killed and stopped; no acknowledged answer is lost",
    ),
}
