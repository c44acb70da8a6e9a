"""One process of a fleet (fleet.py): does what its standard input says, and answers on its standard output."""

from __future__ import annotations

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
from loadtest.openloop.sitting import Sitting, choice_of


async def main() -> None:
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


if __name__ == "__main__":
    _open_many_files()
    uvloop.run(main())
