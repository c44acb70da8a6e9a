"""The words of what simulated candidates do to an engine; `loadtest/` is imported only when one is asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.argument_types import (
    at_least_zero,
    certificates,
    count,
    counts,
    minutes,
    natural,
    new_file,
    rate,
    seconds,
    share,
    url,
)


def rehearse_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("--candidates", type=count, default=200, metavar="N", help="default 200")
    made.add_argument("--minutes", type=minutes, default=2.0, metavar="M", help="length of the exam; default 2")
    made.add_argument("--seed", type=int, metavar="S", help="same seed, same behaviour; default: another each time")
    made.add_argument("--http", action="store_true", help="candidates save over HTTP instead of the channel")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    made.add_argument(
        "--url", type=url, metavar="URL", help="a running engine; without one, embedded servers are started"
    )
    made.add_argument("--schedule-key", metavar="KEY", help="with --url: an API key of scope schedule")
    made.add_argument("--results-key", metavar="KEY", help="with --url: an API key of scope results")
    made.add_argument("--ready-file", metavar="FILE", help="instead of --url: an engine that `up` brought up")


def loadtest_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "act", nargs="*", metavar="compare A B | judge A", help="what changed between two outcomes, or one judged anew"
    )
    made.add_argument("--tier", metavar="NAME", help="50, 200, 2000, 5000, or another of the file of tiers")
    made.add_argument("--tiers", type=Path, metavar="FILE", help="instead of loadtest/tiers.toml")
    made.add_argument(
        "--minutes", type=minutes, metavar="M", help="everything, from check-in to results, 0.4 to 90; 90: a whole exam"
    )
    made.add_argument("--shaped", action="store_true", help="enforce the tier's bandwidth on a line of its own; root")
    made.add_argument("--delay-ms", type=at_least_zero, default=0.0, metavar="D", help="each way")
    made.add_argument("--loss", type=share, default=0.0, metavar="P", help="share of packets, 0 to 0.5")
    made.add_argument("--http", action="store_true", help="candidates save over HTTP instead of the channel")
    made.add_argument("--seed", type=int, metavar="S", help="same seed, same behaviour; default: another each time")
    made.add_argument("--workers", type=count, default=1, metavar="K", help="of an engine of its own")
    made.add_argument("--generators", type=count, metavar="N", help="Locust processes; default by tier")
    made.add_argument("--machines", type=count, metavar="N", help="so many others play Locust's candidates; with --url")
    made.add_argument("--bind", metavar="HOST[:PORT]", help="with --machines: where they find this one")
    made.add_argument(
        "--lead-s", type=natural, metavar="S", help="with --machines: to bring them the plan; default 120"
    )
    made.add_argument("--report", type=new_file, metavar="FILE", help="the HTML page; its JSON lies beside it")
    made.add_argument("--keep", type=Path, metavar="DIR", help="reports, ledgers and logs of the generators go there")
    made.add_argument("--ui", action="store_true", help="Locust's own pages as well, from 127.0.0.1:8089 on")
    made.add_argument("--json", action="store_true", help="the outcome as JSON on stdout, nothing else")
    made.add_argument(
        "--url", type=url, metavar="URL", help="a running engine; without one, embedded servers are started"
    )
    made.add_argument("--schedule-key", metavar="KEY", help="with --url: an API key of scope schedule")
    made.add_argument("--results-key", metavar="KEY", help="with --url: an API key of scope results")
    made.add_argument("--ready-file", metavar="FILE", help="instead of --url: an engine that `up` brought up")
    made.add_argument(
        "--ca-file", type=certificates, metavar="FILE", default=None, help="what TLS of --url is checked against"
    )


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


def capacity_arguments(made: argparse.ArgumentParser) -> None:
    made.set_defaults(act="measure")
    made.add_argument("--workers", type=counts, default=[1], metavar="K[,K]", help="of engines of our own; default 1")
    made.add_argument("--sittings", type=count, default=3000, metavar="N", help="candidates who save; default 3000")
    made.add_argument("--http", action="store_true", help="save over HTTP instead of the channel")
    made.add_argument("--even", action="store_true", help="saves at even distances instead of by chance (Poisson)")
    made.add_argument("--generators", type=count, default=1, metavar="G", help="processes that send; default 1")
    made.add_argument("--start-at", type=rate, default=1000.0, metavar="R", help="the first rate; default 1000 saves/s")
    made.add_argument("--up-to", type=rate, default=100_000.0, metavar="R", help="no rate above this is tried")
    made.add_argument("--seconds", type=seconds, default=10.0, metavar="S", help="each rate is judged over; default 10")
    made.add_argument("--p99-ms", type=rate, default=100.0, metavar="MS", help="from due to acknowledged; default 100")
    made.add_argument("--seed", type=int, metavar="S", help="same seed, same saves; default: another each time")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout; progress stays on stderr")
    made.add_argument("--write-costs", type=new_file, metavar="FILE", help="what one unit cost, for `capacity plan`")
    made.add_argument(
        "--url", type=url, metavar="URL", help="a running engine; without one, embedded servers are started"
    )
    made.add_argument("--schedule-key", metavar="KEY", help="with --url: an API key of scope schedule")
    made.add_argument("--results-key", metavar="KEY", help="with --url: to compare what was acknowledged")
    made.add_argument(
        "--ca-file",
        type=certificates,
        metavar="FILE",
        help="with an https --url: what its certificate is checked against",
    )
    made.add_argument("--ready-file", type=Path, metavar="FILE", help="instead of --url: an engine on this machine")
    _plan_arguments(made.add_subparsers(metavar="plan"))


def _plan_arguments(acts: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    what = "a bill of machines from what single units cost"
    plan = acts.add_parser("plan", help=what, description=what)
    plan.set_defaults(act="plan")
    plan.add_argument("--candidates", type=count, required=True, metavar="N", help="who sit at one time")
    plan.add_argument("--sites", type=count, required=True, metavar="S", help="with a link each")
    plan.add_argument("--minutes", type=minutes, default=90.0, metavar="M", help="length of the exam; default 90")
    plan.add_argument(
        "--costs", type=Path, metavar="FILE", help="as `capacity --write-costs` wrote it; default: kept ones"
    )
    plan.add_argument(
        "--saves-each", type=rate, default=135.0, metavar="N", help="of one candidate in all; default 135"
    )
    plan.add_argument("--saves-per-s", type=rate, default=0.1, metavar="R", help="of one at the peak; default 0.1")
    plan.add_argument("--entry-minutes", type=minutes, default=15.0, metavar="M", help="all log in within; default 15")
    plan.add_argument("--redis-gib", type=rate, default=8.0, metavar="G", help="memory of one primary; default 8")
    plan.add_argument("--machine-cores", type=count, default=8, metavar="C", help="of one engine machine; default 8")
    plan.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")


def rehearse(args: argparse.Namespace) -> int:
    from loadtest import rehearse

    return rehearse.main(args)


def loadtest(args: argparse.Namespace) -> int:
    from loadtest.sizing import command

    return command.main(args)


def torture(args: argparse.Namespace) -> int:
    from loadtest.torture import command

    return command.main(args)


def capacity(args: argparse.Namespace) -> int:
    from loadtest.capacity import command

    return command.main(args)


# name: its arguments, what runs it, what it is for
COMMANDS = {
    "rehearse": (rehearse_arguments, rehearse, "a full exam with simulated candidates, every answer checked"),
    "loadtest": (loadtest_arguments, loadtest, "a tier's load on an engine, judged phase by phase, with a verdict"),
    "torture": (
        torture_arguments,
        torture,
        "exams while everything is killed and stopped; no acknowledged answer is lost",
    ),
    "capacity": (capacity_arguments, capacity, "how many candidates this installation carries, and what gives first"),
}
