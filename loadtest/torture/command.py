"""`./run torture`: what was asked for, and how its outcome is told."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import sys

from loadtest.interrupting import interruptible
from loadtest.torture import prove
from loadtest.torture.campaign import Options, run
from loadtest.torture.faults import plan
from loadtest.torture.instruments import CANNOT, instruments
from loadtest.torture.sabotage import SABOTAGES


def main(args: argparse.Namespace) -> int:
    """0 when nothing is wrong, 1 when something is, 2 when there was no engine to try, 130 when interrupted."""
    seed = secrets.randbits(32) if args.seed is None else args.seed
    try:
        with interruptible():
            return _prove(args, seed) if args.prove else _campaign(args, seed)
    except CANNOT as fault:
        print(f"torture: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("torture: interrupted, nothing was judged", file=sys.stderr)
        return 130


def _campaign(args: argparse.Namespace, seed: int) -> int:
    dice = random.Random(seed)
    more = instruments(args.power_losses, args.full_volumes, args.cuts, dice, args.clock_steps)
    planned = plan(args.kills, args.stops, dice, more.faults)
    _say(f"seed {seed}: {len(planned)} faults, {args.candidates} candidates at a time")
    outcome = run(
        Options(args.candidates, seed, planned, grounds=more.grounds, wire=more.wire, keep=args.keep, says=_say)
    )
    print(json.dumps(outcome.as_json(), ensure_ascii=False) if args.json else outcome.as_table())
    return outcome.exit_code


def _prove(args: argparse.Namespace, seed: int) -> int:
    shown = prove.prove(SABOTAGES, args.candidates, seed, _say, args.keep)
    print(json.dumps(prove.as_json(shown), ensure_ascii=False) if args.json else prove.as_table(shown))
    return int(not all(one.is_caught for one in shown))


def _say(text: str) -> None:
    """Progress, also beside `--json`: a campaign may take an hour."""
    print(f"torture: {text}", file=sys.stderr, flush=True)
