"""The candidates of a campaign, in a process of their own: `python -m loadtest.torture.crowd --url U --ledger FILE`.

Batches come as JSON lines on stdin, `{"batch": …, "roster": […], "paper": …}`; at its end everybody finishes and the
process ends. What a person does is in `person`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from pathlib import Path

import orjson
import uvloop

from loadtest.candidate import Library
from loadtest.torture.ledger import Ledger
from loadtest.torture.person import Exam, attend
from loadtest.torture.witness import Witness

LINE_BYTES_MAX = 64 * 2**20  # a roster and a paper in one line


def main(arguments: list[str] | None = None) -> int:
    """Run until stdin ends and the last candidate is through."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.torture.crowd", description="Candidates with a ledger.")
    parser.add_argument("--url", required=True, help="the engine")
    parser.add_argument("--ledger", required=True, type=Path, help="the file this process appends to")
    parser.add_argument("--seed", required=True, type=int, help="the same seed behaves the same")
    args = parser.parse_args(arguments)
    uvloop.run(_run(args.url, args.ledger, args.seed))
    return 0


async def _run(url: str, ledger_file: Path, seed: int) -> None:
    dice = random.Random(seed)
    ledger = Ledger(ledger_file)
    library = Library()
    async with Witness(url, ledger, ledger_file.stem) as witness, asyncio.TaskGroup() as people:
        lines = await _stdin()
        while line := await lines.readline():
            told = orjson.loads(line)
            exam = Exam(told["batch"], told["paper"])
            for row in told["roster"]:
                own_dice = random.Random(dice.getrandbits(64))
                people.create_task(attend(witness, library, exam, row, own_dice))
    ledger.close()


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


if __name__ == "__main__":
    sys.exit(main())
