"""Engines broken on purpose, to show that the checker sees it: each is a copy of the tree with a few texts replaced.

Nothing in the engine knows of this: no switch, no hook. A text that is not found exactly once means that the engine has
changed: `CannotSabotage`, and somebody writes the sabotage anew. `caught_as` names the kinds of which one must show.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.own_engine import ROOT
from loadtest.torture.faults import Fault, Kill, Planned, Stop, While
from loadtest.torture.field import Ground
from loadtest.torture.powerloss import ForgetfulGround, PowerLoss

LOST = ("lost", "lost_for_a_while", "unrecorded", "false_committed")
# Redis dies while nobody records: what it held and PostgreSQL does not is there on its disk or nowhere.
REDIS_ALONE = (Planned(2, While("recorder", Kill("redis"))),) * 2
RECORDER_DIES = (Planned(1.5, Kill("recorder")),) * 3
CLOSER_STOPPED = (Planned(9, Stop("recorder", stopped_s=12.0)), Planned(14, Stop("recorder", stopped_s=12.0)))
UNDISTURBED = (Planned(8, Kill("worker")),)


class CannotSabotage(Exception):
    """A text of a sabotage is not in the engine exactly once; the message names both."""


@dataclass(frozen=True)
class Replaced:
    """`find` stands exactly once in the file `path`."""

    path: str
    find: str
    put: str


@dataclass(frozen=True)
class Sabotage:
    """What is broken, what is done to the engine then, and what the checker has to say about it."""

    name: str
    replaced: tuple[Replaced, ...]
    caught_as: tuple[str, ...]
    planned: Sequence[Planned] = UNDISTURBED
    power_losses: int = 0  # beside the planned faults, each while nobody records

    def ground(self) -> tuple[list[Planned], list[Ground]]:
        """The faults planned and what must lie under the engine for them."""
        if not self.power_losses:
            return list(self.planned), []
        disk = ForgetfulGround()
        losses: list[Fault] = [While("recorder", PowerLoss(disk, None)) for _ in range(self.power_losses)]
        return [*self.planned, *(Planned(3, loss) for loss in losses)], [disk]


SABOTAGES = (
    Sabotage(
        "an acknowledgement before the call returns",
        (
            Replaced(
                "engine/delivery/lane.py",
                "self._memory.call(self._script, keys, arguments, lambda reply: self._answered(chunk, reply))\n",
                """if hasattr(self, "stand"):
            _acknowledge(chunk, [*self.stand, *[0] * len(chunk)])
            for waiting in chunk:
                waiting.done = lambda answer: None

        def answered(reply):
            if not isinstance(reply, Exception) and reply[0] == 0:
                self.stand = reply[:4]
            self._answered(chunk, reply)

        self._memory.call(self._script, keys, arguments, answered)
""",
            ),
        ),
        LOST,
        (Planned(1, Kill("redis")), Planned(2, Kill("redis"))),
    ),
    Sabotage(
        "a Redis without its file",
        (
            Replaced("engine/supervision/embedded.py", '"appendonly": "yes"', '"appendonly": "no"'),
            Replaced("engine/stores/memory.py", '"appendonly": "yes"', '"appendonly": "no"'),
        ),
        LOST,
        REDIS_ALONE,
    ),
    Sabotage(
        "a Redis that syncs its file every second, under a power loss",
        (
            Replaced("engine/supervision/embedded.py", '"appendfsync": "always"', '"appendfsync": "everysec"'),
            Replaced("engine/stores/memory.py", '"appendfsync": "always"', '"appendfsync": "everysec"'),
        ),
        LOST,
        (),
        power_losses=2,
    ),
    Sabotage(
        "a position committed before its rows",
        (
            Replaced(
                "engine/recording/recorder.py",
                'raise TryLater("another recorder holds a partition now; nothing of this round was written")\n',
                """raise TryLater("another recorder")
        import asyncio

        await connection.execute("COMMIT")
        await asyncio.sleep(0.5)
        await connection.execute("BEGIN")
""",
            ),
        ),
        LOST,
        RECORDER_DIES,
    ),
    Sabotage(
        "changes told as committed a second too early",
        (
            Replaced(
                "engine/recording/recorder.py",
                "            entries = await self._record(portions) if portions else 0\n",
                """            early = []
            for number, portion in portions.items():
                keys = self._memory.partitions[number]
                early.append(([keys.marker, keys.log + ":none"], list(portion.reached)))
            if early:
                await self._memory.run_many(_COMMITTED, early)
                await asyncio.sleep(1)
            entries = await self._record(portions) if portions else 0
""",
            ),
        ),
        ("false_committed",),
    ),
    Sabotage(
        "rows of the history dropped",
        (
            Replaced(
                "engine/recording/recorder.py",
                'copy_records_to_table("response_history", records=history)',
                'copy_records_to_table("response_history", records=history[1:])',
            ),
        ),
        ("unrecorded",),
    ),
    Sabotage(
        "a script without the epoch check",
        (Replaced("engine/stores/partition.lua", "if stored_epoch ~= epoch then", "if false then"),),
        ("epoch_violated",),
    ),
    Sabotage(
        "a script without the deadline check",
        (Replaced("engine/stores/partition.lua", "if now >= tonumber(closes_ms) then", "if false then"),),
        ("accepted_late",),
        CLOSER_STOPPED,
    ),
    Sabotage(
        "a script that lets a sitting go on after its hand-in",
        (
            Replaced("engine/stores/partition.lua", "if state == 'submitted' or state", "if state"),
            Replaced(
                "engine/delivery/autosave.lua",
                "if state ~= 'pledged' then",
                "if state ~= 'pledged' and state ~= 'submitted' then",
            ),
        ),
        ("accepted_late",),
    ),
    Sabotage(
        "a finaliser without compare-and-set",
        (
            Replaced("engine/delivery/submit.lua", "    redis.call('ZREM', due_key, sitting_id)\n", ""),
            Replaced(
                "engine/recording/collect.lua",
                "if not state or state == 'submitted' or state == 'collected'",
                "if not state or state == 'collected'",
            ),
        ),
        ("finalised_twice",),
    ),
    Sabotage(
        "a receipt that leaves out a response",
        (
            Replaced(
                "engine/delivery/submit.py",
                "for item, seq, value in responses)",
                "for item, seq, value in responses[1:])",
            ),
        ),
        ("bad_receipts",),
    ),
    Sabotage(
        "a courier that takes a refusal for a delivery",
        (Replaced("engine/courier/courier.py", "        if answer.is_delivered:\n", "        if True:\n"),),
        ("undelivered",),
        (Planned(8, Kill("courier")),),
    ),
    Sabotage(
        "a tolerance that ends before its edge",
        (
            Replaced(
                "engine/rules/marking.py",
                "abs(number - item_key.answer) <= item_key.tolerance",
                "abs(number - item_key.answer) < item_key.tolerance",
            ),
        ),
        ("wrong_scores",),
    ),
)


def broken_tree(sabotage: Sabotage, into: Path) -> Path:
    """A copy of the engine with the sabotage in it, to be started as it is. Raises CannotSabotage."""
    for part in ("engine", "schema"):
        shutil.copytree(ROOT / part, into / part, ignore=shutil.ignore_patterns("__pycache__"))
    for replaced in sabotage.replaced:
        path = into / replaced.path
        text = path.read_text("utf-8")
        if text.count(replaced.find) != 1:
            raise CannotSabotage(
                f"{sabotage.name}: {replaced.path} has {text.count(replaced.find)} times, not once: {replaced.find!r}"
            )
        path.write_text(text.replace(replaced.find, replaced.put), "utf-8")
    return into
