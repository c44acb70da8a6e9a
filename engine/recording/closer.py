"""The closer writes down what time has decided: ended sittings are collected, those who never came are absent.

Nothing depends on its being on time: after end + grace the scripts refuse everything, written down or not. It looks by
its own clock, and the script decides by Redis's: nobody's exam is finalised because one clock alone is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine import log, metrics
from engine.rules.limits import COLLECT_SITTINGS_MAX
from engine.rules.outcome import Outcome
from engine.stores.clock import now_ms
from engine.stores.memory import Memory, beside

_COLLECT = beside(__file__, "collect")


async def collect_due(memory: Memory, partitions: Iterable[int]) -> int:
    """One round over `partitions`; how many sittings were written down. Raises TryLater; repeating is safe."""
    held = [memory.partitions[number] for number in partitions]
    if not held:
        return 0
    found = await memory.due([keys.due for keys in held], now_ms(), COLLECT_SITTINGS_MAX)
    calls = [
        (
            [keys.marker, keys.log, keys.due, keys.news, *(keys.sitting(sitting_id) for sitting_id in sitting_ids)],
            sitting_ids,
        )
        for keys, sitting_ids in zip(held, found, strict=True)
        if sitting_ids
    ]
    written = 0
    # One round trip for all of them: what each partition holds stays bounded, so nobody's save waits long.
    for reply in await memory.run_many(_COLLECT, calls) if calls else []:
        if reply[0] == Outcome.OK:
            metrics.closer_sittings.labels("collected").inc(reply[1])
            metrics.closer_sittings.labels("absent").inc(reply[2])
            written += reply[1] + reply[2]
            if reply[3]:
                log.logger().error("closer.corrupt", sittings=reply[3], detail="what is stored of them cannot be read")
        elif reply[0] == Outcome.CORRUPT:
            log.logger().error("closer.corrupt", detail="a partition's log takes no entries")
    return written
