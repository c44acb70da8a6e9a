"""A crowd that sits an armed batch at true human rates, so that there is life to look at.

`python -m loadtest.crowd --url U --batch B --code C --roster FILE --candidates 40 --minutes 30 --seed 1 --skip 10`
Restarts of the engine are survived; a person who logs in as one of the crowd simply takes the sitting over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from typing import Any

import uvloop

from loadtest.answers import guess
from loadtest.behaviour import Away, Script, sit_exam
from loadtest.candidate import Candidate, Library, TakenOver
from loadtest.tally import Tally, percentile
from loadtest.wire import Problem, Unreachable, Wire

PACE_S = (15.0, 45.0)  # between two changes of one person
SUBMITTING_SHARE = 0.3
SUBMITS = (0.4, 0.95)  # when, in parts of the time the crowd stays
AWAY_SHARE = 0.1
AWAY_FROM = (0.1, 0.7)  # in parts of that time
AWAY_FOR_S = (10.0, 90.0)
SAYS_EVERY_S = 60.0
GIVES_UP_CODES = frozenset({"login.too_late", "login.refused", "login.elsewhere"})


def main(arguments: list[str] | None = None) -> int:
    """Run until `--minutes` are over, everybody is done, or a signal asks to stop: always 0 then."""
    args = _read_arguments(arguments)
    try:
        with open(args.roster, encoding="utf-8") as held:
            roster = json.load(held)[args.skip : args.skip + args.candidates]
    except (OSError, ValueError) as fault:
        print(f"crowd: --roster {args.roster}: {fault}", file=sys.stderr)
        return 2
    uvloop.run(_run(args, roster))
    return 0


def _read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.crowd", description="Simulated candidates for a demo.")
    parser.add_argument("--url", required=True, help="the engine")
    parser.add_argument("--batch", required=True, help="the batch's id, for messages")
    parser.add_argument("--code", required=True, help="the batch's admission code")
    parser.add_argument("--roster", required=True, help="the batch's roster as a JSON file")
    parser.add_argument("--candidates", type=int, default=40, help="how many of them come (default 40)")
    parser.add_argument("--skip", type=int, default=0, help="leave the first rows to people (default 0)")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long they stay (default 30)")
    parser.add_argument("--arrive-s", type=float, default=60.0, help="they come in over so many seconds (default 60)")
    parser.add_argument("--seed", type=int, default=None, help="the same seed behaves the same")
    return parser.parse_args(arguments)


async def _run(args: argparse.Namespace, roster: list[dict[str, Any]]) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for asked in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(asked, stopped.set)
    tally = Tally()
    crowd = asyncio.create_task(_sit_all(args, roster, tally))
    watch = asyncio.create_task(_say_now_and_then(args.batch, len(roster), tally))
    ended = asyncio.create_task(stopped.wait())
    await asyncio.wait({crowd, ended}, timeout=args.minutes * 60, return_when=asyncio.FIRST_COMPLETED)
    for task in (crowd, watch, ended):
        task.cancel()
    await asyncio.gather(crowd, watch, ended, return_exceptions=True)


async def _sit_all(args: argparse.Namespace, roster: list[dict[str, Any]], tally: Tally) -> None:
    dice = random.Random(args.seed)
    library = Library()
    async with Wire(args.url, tally, dice) as wire:
        people = []
        for row in roster:
            own_dice = random.Random(dice.getrandbits(64))
            person = Candidate(
                wire,
                args.code,
                row["id_number"],
                library=library,
                dice=own_dice,
                takes_back=False,
                has_channel=True,
            )
            people.append(_come(person, _script(own_dice, args.minutes * 60, args.arrive_s)))
        await asyncio.gather(*people)


def _script(dice: random.Random, stays_s: float, arrive_s: float) -> Script:
    away = Away(stays_s * dice.uniform(*AWAY_FROM), dice.uniform(*AWAY_FOR_S), other_machine=False)
    return Script(
        arrives_s=dice.uniform(0, arrive_s),
        submits_s=stays_s * dice.uniform(*SUBMITS) if dice.random() < SUBMITTING_SHARE else None,
        away=away if dice.random() < AWAY_SHARE else None,
        pace_s=dice.uniform(*PACE_S),
        spread_s=2.0,
        answer=guess,
    )


async def _come(person: Candidate, script: Script) -> None:
    """One person's exam; an engine that is away for longer than a client's patience is tried again."""
    pause_s = script.arrives_s
    while True:
        await asyncio.sleep(pause_s)
        try:
            await sit_exam(person, script)
            return
        except TakenOver:
            return
        except Problem as problem:
            if problem.code in GIVES_UP_CODES:
                return
            print(f"crowd: {problem}", file=sys.stderr, flush=True)
        except Unreachable:
            pass
        pause_s = person.dice.uniform(5, 15)


async def _say_now_and_then(batch_id: str, candidates: int, tally: Tally) -> None:
    while True:
        await asyncio.sleep(SAYS_EVERY_S)
        median_ms = percentile(tally.ack_ms, 0.5)
        print(
            f"crowd of {batch_id}: {tally.writing} of {candidates} writing, {tally.saves} answers,"
            f" {tally.acknowledged} acknowledged, median {median_ms or 0} ms ({time.strftime('%H:%M:%S')})",
            file=sys.stderr,
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
