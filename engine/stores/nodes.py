"""Which line serves which key: one server, or the nodes of a Redis Cluster, each with lines of its own.

Lines are kept apart by purpose, so that a large answer never stands before a save, and by node, so that a slow or dead
node stalls only what lies on it. The map of a cluster is learnt beside the traffic: nothing waits for it, because a
node that is asked for another's slot names the right one.
"""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from engine.rules.limits import BULK_TIMEOUT_S, CALL_TIMEOUT_S, CONNECT_TIMEOUT_S
from engine.stores.address import Address
from engine.stores.line import Line
from engine.stores.pipe import Command, ErrorReply, NotAnswered, Part, Pipe

SLOTS = 16_384
_RESENDS_MAX = 5  # a slot that moves is one or two hops away; more is a quarrel between nodes
_REFRESH_PAUSE_S = 0.2  # between two looks at the map, however many calls ask for one
_MAP_WAIT_S = 0.5  # for the slower nodes to tell their map too: the one of the highest epoch counts


class Purpose(StrEnum):
    """What a line is for; commands of different purposes never wait for one another."""

    SAVES = "saves"
    CALLS = "calls"
    LOGS = "logs"
    BULK = "bulk"


_PATIENT = {Purpose.LOGS, Purpose.BULK}  # their answers may be large: silence counts, not the time since asking
_TIMEOUT_S = {Purpose.BULK: BULK_TIMEOUT_S}


class Call(Command):
    """A command that finds its node, and its way again when the slot has moved or the script is not known there."""

    __slots__ = ("key", "node", "nodes", "purpose", "resends", "script_text")

    def __init__(
        self,
        nodes: Nodes,
        purpose: Purpose,
        redis_key: str,
        parts: Sequence[Part],
        done: Callable[[Any], None],
        run_id_at: int = 0,
        script_text: str = "",
    ) -> None:
        super().__init__(parts, done, run_id_at)
        self.nodes = nodes
        self.purpose = purpose
        self.key = redis_key
        self.script_text = script_text
        self.node: Node | None = None
        self.resends = 0

    def answered(self, answer: Any) -> None:
        if not isinstance(answer, Exception) or not self.nodes.is_sent_again(self, answer):
            self.done(answer)


class Node:
    """One server and our lines to it, each made when first needed."""

    def __init__(self, address: Address, greeted: Callable[[Address, Pipe], None]) -> None:
        self.address = address
        self._greeted = greeted
        self._lines: dict[Purpose, Line] = {}

    def line(self, purpose: Purpose) -> Line:
        found = self._lines.get(purpose)
        if found is None:
            found = self._lines[purpose] = Line(
                self.address,
                timeout_s=_TIMEOUT_S.get(purpose, CALL_TIMEOUT_S),
                is_patient=purpose in _PATIENT,
                greeted=lambda pipe: self._greeted(self.address, pipe),
            )
        return found

    def close(self) -> None:
        for line in self._lines.values():
            line.close()


class Nodes:
    """All servers that a URL leads to; several URLs, separated by commas, are the first nodes to ask of one cluster."""

    def __init__(self, urls: str) -> None:
        self._seeds = [Address.parse(url.strip()) for url in re.split(r",\s*(?=[a-z]+://)", urls)]
        self._nodes: dict[str, Node] = {}
        self._home = self._node(self._seeds[0])  # asked for what the map does not tell
        self._slots: list[Node | None] | None = None
        self._learning: asyncio.Task[None] | None = None
        self.is_cluster = False

    def submit(self, call: Call) -> None:
        call.node = self.node_of(call.key)
        call.node.line(call.purpose).submit(call)

    def node_of(self, redis_key: str) -> Node:
        return self._home if self._slots is None else self._slots[slot_of(redis_key)] or self._home

    async def primaries(self) -> tuple[list[Node], int]:
        """Every node that slots lie on, and how many slots lie on none. Raises NotAnswered or ErrorReply."""
        if self._slots is None:
            await self._home.line(Purpose.CALLS).ask("PING")
        if not self.is_cluster:
            return [self._home], 0
        await asyncio.shield(self.refresh())
        slots = self._slots or [None] * SLOTS
        return list(dict.fromkeys(node for node in slots if node is not None)), slots.count(None)

    def refresh(self) -> asyncio.Task[None]:
        """Learn the cluster's map anew, beside the traffic."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.get_running_loop().create_task(self._learn())
        return self._learning

    def close(self) -> None:
        if self._learning is not None:
            self._learning.cancel()
        for node in self._nodes.values():
            node.close()

    # --- answers that are errors ---

    def is_sent_again(self, call: Call, fault: Exception) -> bool:
        """Do what an error asks for. False: nothing more can be done, its caller hears of it.

        Only what surely did not happen is sent again.
        """
        node = call.node
        assert node is not None
        if isinstance(fault, NotAnswered):
            self._avoid(node)
            return False
        if not isinstance(fault, ErrorReply) or call.resends >= _RESENDS_MAX:
            return False
        call.resends += 1
        line = node.line(call.purpose)
        if fault.word == "NOSCRIPT" and call.script_text:
            assert isinstance(call.parts, list)
            call.parts[:2] = ["EVAL", call.script_text]
        elif fault.word == "MOVED":
            call.node = self._moved(str(fault), node)
            line = call.node.line(call.purpose)
        elif fault.word == "ASK":
            call.node = self._named(str(fault), node)
            line = call.node.line(call.purpose)
            line.submit(Command(("ASKING",), _ignore))
        else:
            if fault.word == "READONLY":  # whoever took over is behind the same name, or in the map
                line.cut("the server became a replica")
                self._avoid(node)
            return False
        line.submit(call)
        return True

    def _named(self, redirection: str, told_by: Node) -> Node:
        """The node in `MOVED 3999 host:port`; an empty host is that of the node that said so."""
        host, _, port = redirection.split()[2].rpartition(":")
        return self._node(told_by.address.beside(host or told_by.address.host, int(port)))

    def _moved(self, redirection: str, told_by: Node) -> Node:
        if self._slots is None:
            self._slots = [None] * SLOTS
        found = self._slots[int(redirection.split()[1])] = self._named(redirection, told_by)
        self.refresh()
        return found

    def _avoid(self, node: Node) -> None:
        """`node` does not serve: ask others for what the map does not tell, and look whether the map has changed."""
        if not self.is_cluster and len(self._seeds) == 1:
            return
        if node is self._home:
            known = [*self._nodes.values()]
            self._home = known[(known.index(node) + 1) % len(known)] if node in known else known[0]
        self.refresh()

    # --- the map ---

    def _node(self, address: Address) -> Node:
        found = self._nodes.get(str(address))
        if found is None:
            found = self._nodes[str(address)] = Node(address, self._greeted)
        return found

    def _greeted(self, address: Address, pipe: Pipe) -> None:
        if len(self._seeds) > 1 and not pipe.is_cluster:
            why = f"{address} is one of several Redis servers named, but not in cluster mode"
            raise NotAnswered(why, may_have_happened=False)
        if pipe.is_cluster and not self.is_cluster:
            self.is_cluster = True
            self.refresh()

    async def _learn(self) -> None:
        nodes = [self._node(address) for address in self._seeds] + [*self._nodes.values()]
        asked = [asyncio.ensure_future(self._map_of(node)) for node in dict.fromkeys(nodes)]
        try:
            await asyncio.wait(asked, timeout=_MAP_WAIT_S)
            if not any(task.done() and task.result() for task in asked):
                await asyncio.wait(asked, timeout=CONNECT_TIMEOUT_S)
            told = [answer for task in asked if task.done() and (answer := task.result())]
        finally:
            for task in asked:
                task.cancel()
        if told:
            self._take_map(max(told, key=lambda answer: answer[0])[1])
        await asyncio.sleep(_REFRESH_PAUSE_S)

    async def _map_of(self, node: Node) -> tuple[tuple[bool, int], list[tuple[int, int, Node]]] | None:
        """How far to trust it (state, epoch), and from slot, to slot, node; None when it does not answer."""
        line = node.line(Purpose.CALLS)
        try:
            state, ranges = await asyncio.gather(line.ask("CLUSTER", "INFO"), line.ask("CLUSTER", "SLOTS"))
        except (NotAnswered, ErrorReply):
            return None
        told = dict(each.split(":", 1) for each in state.decode().splitlines() if ":" in each)
        found = []
        for first, last, (host, port, *_), *_ in ranges:
            if host != b"?":  # a node whose address nobody knows
                address = node.address.beside((host or b"").decode() or node.address.host, port)
                found.append((first, last, self._node(address)))
        return (told["cluster_state"] == "ok", int(told["cluster_current_epoch"])), found

    def _take_map(self, ranges: Sequence[tuple[int, int, Node]]) -> None:
        slots: list[Node | None] = [None] * SLOTS
        for first, last, node in ranges:
            slots[first : last + 1] = [node] * (last + 1 - first)
        self._slots = slots
        kept = {str(address) for address in self._seeds} | {str(node.address) for _, _, node in ranges}
        for name in self._nodes.keys() - kept:
            # What is under way there is still answered, or overdue.
            asyncio.get_running_loop().call_later(BULK_TIMEOUT_S, self._nodes.pop(name).close)
        if str(self._home.address) not in self._nodes:
            self._home = next(iter(self._nodes.values()))


def slot_of(redis_key: str) -> int:
    """The cluster's hash slot: CRC16 (XMODEM) of the part in braces, or of the whole key."""
    begins = redis_key.find("{")
    if begins >= 0:
        ends = redis_key.find("}", begins + 1)
        if ends > begins + 1:
            redis_key = redis_key[begins + 1 : ends]
    return binascii.crc_hqx(redis_key.encode(), 0) % SLOTS


def _ignore(_: Any) -> None:
    """ASKING is always answered OK, or its connection breaks and the command after it hears of that."""
