"""One generator process. With `--plan`: a share of a load test's plan (part.py). Else one of a fleet (fleet.py), which
does what its standard input says, and answers on its standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from pathlib import Path

import msgspec
import uvloop

from loadtest.openloop import account
from loadtest.openloop.driver import Driver
from loadtest.openloop.lines import LineFault
from loadtest.openloop.orders import Answer, Order, Ready, Setup, to_line
from loadtest.openloop.part import Part
from loadtest.openloop.precedence import take_short_turns
from loadtest.openloop.sitting import Sitting, choice_of
from loadtest.sizing import plan as plans
from loadtest.sizing.plan import Plan


async def play(plan: Plan, index: int, of: int, folder: Path) -> None:
    part = Part(plan, index, of)
    await part.play()
    part.write(folder)


async def serve() -> None:
    setup = msgspec.json.decode(await _next_line(), type=Setup)
    sittings = [Sitting(one.candidate_id, one.sitting_id, one.token, setup.next_seq) for one in setup.entered]
    choices = [choice_of(item, value.encode()) for item, value in setup.values]
    driver = Driver(setup.url, sittings, choices, setup.manner)
    try:
        await driver.open()
    except LineFault as fault:
        _say(Ready(fault=str(fault)))
        return
    _say(Ready(lines=len(sittings)))
    while line := await _next_line():
        order = msgspec.json.decode(line, type=Order)
        answer = Answer(keys_ms=[(key_ns - driver.starts_ns) / 1e6 for key_ns in driver.keys_ns])
        if order.ledger:
            account.write(sittings, Path(order.ledger))
        if order.phases:
            answer.measured = [one.report() for one in await driver.run(order.phases, order.begins_ns)]
        _say(answer)
    await driver.close()


async def _next_line() -> bytes:
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)


def _say(told: Ready | Answer) -> None:
    sys.stdout.buffer.write(to_line(told) + b"\n")
    sys.stdout.buffer.flush()


def _open_many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.openloop", description="One generator process.")
    parser.add_argument("--plan", type=Path, help="the plan that all generators read; without it: one of a fleet")
    parser.add_argument("--index", type=int, default=0, help="which share of the plan, from 0")
    parser.add_argument("--of", type=int, default=1, help="how many shares there are")
    parser.add_argument("--out", type=Path, default=Path(), help="where report and ledgers go")
    args = parser.parse_args()
    _open_many_files()
    take_short_turns()
    if args.plan is None:
        uvloop.run(serve())
        return 0
    try:
        plan = plans.read(args.plan)
    except (OSError, msgspec.DecodeError) as fault:
        print(f"openloop: --plan {args.plan}: {fault}", file=sys.stderr)
        return 2
    uvloop.run(play(plan, args.index, args.of, args.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
