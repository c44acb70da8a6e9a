"""A wire with delay and loss in front of an engine: a process of its own, since a kernel may have no `netem`.

    python -m loadtest.sizing.slow_wire --to HOST:PORT --host ADDRESS --delay-ms D --loss P --seed S

What is simulated: every byte is `delay` later each way; a packet that is lost comes one retransmission timeout later,
twice that if it is lost again, and everything behind it waits, as TCP makes it. What is not: a congestion window that
shrinks, acknowledgements that are lost, packets that overtake. Its port is the first line on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys

import uvloop

from loadtest.torture.proxy import Proxy

PACKET_BYTES = 1460
TIMEOUT_S = 0.3  # the least that Windows waits before it sends again; Linux waits 0.2 s
DOUBLINGS_MAX = 5


class SlowWire(Proxy):
    """`loss`: the share of packets that are lost, each way."""

    loss = 0.0

    def _under_way_s(self, piece: bytes) -> float:
        lost_s = 0.0
        for _ in range(math.ceil(len(piece) / PACKET_BYTES)):
            lost_s = max(lost_s, self._lost_s())
        return super()._under_way_s(piece) + lost_s

    def _lost_s(self) -> float:
        """Until one packet has arrived."""
        waited_s = 0.0
        for doubling in range(DOUBLINGS_MAX):
            if self._dice.random() >= self.loss:
                break
            waited_s += (TIMEOUT_S + 2 * self.delay_s) * 2**doubling
        return waited_s


async def main(args: argparse.Namespace) -> None:
    host, _, port = args.to.rpartition(":")
    wire = SlowWire((host, int(port)), args.seed, args.host)
    wire.delay_s, wire.loss = args.delay_ms / 1000, args.loss
    async with wire:
        print(wire.port, flush=True)
        await asyncio.Event().wait()


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.sizing.slow_wire", description="Delay and loss.")
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--host", default="127.0.0.1", help="where it listens")
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(uvloop.run(main(_read_arguments())))
