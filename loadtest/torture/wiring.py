"""The candidates' wire in a campaign: a proxy between them and the engine, and what may happen on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from loadtest.torture.field import Field
from loadtest.torture.proxy import Proxy, Way

HALF_OPEN_S = 4.0  # longer than a client's patience
SLOW_S = 3.0
REFUSED_S = 2.0
DELAY_S, JITTER_S = 0.4, 0.4
MID_ANSWER_BYTES = 100  # of the next bytes that go back: in the middle of somebody's acknowledgement


class CandidatesWire:
    """All candidates of a campaign connect through it; the campaign's own calls do not."""

    def __init__(self) -> None:
        self.proxy: Proxy | None = None

    @contextlib.asynccontextmanager
    async def laid(self, url: str) -> AsyncIterator[str]:
        """The engine's URL as the candidates see it."""
        host, _, port = url.removeprefix("http://").rpartition(":")
        async with Proxy((host, int(port))) as self.proxy:
            yield f"http://127.0.0.1:{self.proxy.port}"
        self.proxy = None


async def _cut(proxy: Proxy) -> None:
    proxy.cut()


async def _cut_in_mid_answer(proxy: Proxy) -> None:
    proxy.cut_after(MID_ANSWER_BYTES)


async def _lose_answers(proxy: Proxy) -> None:
    """What was sent arrives and is done; nobody hears of it."""
    proxy.swallow(Way.BACK)
    await asyncio.sleep(HALF_OPEN_S)
    proxy.heal()
    proxy.cut()  # at last somebody notices


async def _go_silent(proxy: Proxy) -> None:
    proxy.swallow()
    await asyncio.sleep(HALF_OPEN_S)
    proxy.heal()
    proxy.cut()


async def _slow_down(proxy: Proxy) -> None:
    proxy.delay_s, proxy.jitter_s = DELAY_S, JITTER_S
    await asyncio.sleep(SLOW_S)
    proxy.heal()


async def _refuse(proxy: Proxy) -> None:
    await proxy.refuse()
    await asyncio.sleep(REFUSED_S)
    await proxy.listen()


CONDITIONS: dict[str, Callable[[Proxy], Awaitable[None]]] = {
    "wire cut": _cut,
    "wire cut in mid-answer": _cut_in_mid_answer,
    "answers lost on the wire": _lose_answers,
    "wire silent": _go_silent,
    "wire slow": _slow_down,
    "wire refusing": _refuse,
}


@dataclass(frozen=True)
class WireFault:
    """One condition of the candidates' wire, for its time."""

    wire: CandidatesWire
    name: str
    kind = "cuts"
    targets = ("wire",)

    async def strike(self, field: Field) -> None:
        assert self.wire.proxy is not None, "the wire was not laid for these candidates"
        await CONDITIONS[self.name](self.wire.proxy)
