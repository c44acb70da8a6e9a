"""Redis as the engine uses it: partition scripts, and the few plain keys beside the partitions.

Every method raises TryLater when the server that holds a key does not answer, or cannot serve now. It may have been
done then, unless the message says otherwise: everything here is safe to send again. Nothing is sent twice by itself,
but what a node refused to do because a script or a slot is elsewhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engine.rules.errors import TryLater
from engine.stores.nodes import SLOTS, Call, Node, Nodes, Purpose
from engine.stores.pipe import ErrorReply, NotAnswered, Part

__all__ = ["Memory", "PartitionKeys", "Purpose", "Script", "beside", "fields_of", "partition_number"]

_SCANNED_AT_ONCE = 1_000  # about half a millisecond of the server's time
_HEAD = (Path(__file__).parent / "partition.lua").read_text("utf-8")
# Answers of a server that lives but cannot serve now.
_UNABLE = (
    "LOADING", "READONLY", "OOM ", "MISCONF", "NOREPLICAS", "BUSY ", "UNKILLABLE", "MASTERDOWN",
    "CLUSTERDOWN", "TRYAGAIN", "MOVED ", "ASK ", "NOAUTH",
)  # fmt: skip
# What makes `saved` mean on disk.
_DURABLE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}
# And on a cluster, that a dead node stalls only its own partitions.
_DURABLE_ON_CLUSTER = {**_DURABLE, "cluster-require-full-coverage": "no"}

Entry = tuple[int, int, list[tuple[bytes, bytes]]]


class Script:
    """One Lua script with the partition head in front of it.

    The head takes the last argument for the run id of the server process that runs the script. No caller gives it: it
    is put there when the call is sent, from the very connection it is sent on.
    """

    def __init__(self, path: Path, head: str = _HEAD) -> None:
        self.name = path.stem
        self.text = head + path.read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self.wants_run_id = bool(head)


def beside(module_file: str, name: str | None = None) -> Script:
    """The script `name`.lua (the module's own stem by default) that lies beside a module."""
    path = Path(module_file)
    return Script(path.with_name((name or path.stem) + ".lua"))


class PartitionKeys:
    """The key names of one partition; all carry the hash tag, so one script may touch them on a cluster."""

    def __init__(self, number: int) -> None:
        self.number = number
        tag = f"{{p{number:02d}}}"
        self.marker = f"{tag}:meta"
        self.log = f"{tag}:log"
        self.due = f"{tag}:due"
        self.news = f"{tag}:news"
        self.unknown = f"{tag}:unknown"
        self._sitting = f"{tag}:s:"

    def sitting(self, sitting_id: str) -> str:
        return self._sitting + sitting_id


class Memory:
    """`url`: one server, or nodes of a cluster separated by commas. Connections are made when first needed."""

    def __init__(self, url: str, partitions: int) -> None:
        self._nodes = Nodes(url)
        self.partitions = [PartitionKeys(number) for number in range(partitions)]

    def partition_of(self, sitting_id: str) -> PartitionKeys:
        """A stable hash: the same in every process and version."""
        return self.partitions[partition_number(sitting_id, len(self.partitions))]

    # --- scripts ---

    def call(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Part],
        done: Callable[[Any], None],
        purpose: Purpose = Purpose.SAVES,
    ) -> None:
        """The hot path's form of `run`: no future, no task. `done` is called once, never before this returns.

        It gets the script's answer, or an exception: TryLater, or ErrorReply when the script itself is at fault. It
        must not raise. Calls of one purpose to one node are answered in the order in which they were made, but for
        those that had to be sent again because the script or the slot was elsewhere.
        """
        self._nodes.submit(self._script_call(script, keys, arguments, partial(_tell, done), purpose))

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Part],
        purpose: Purpose = Purpose.CALLS,
    ) -> list[Any]:
        """One script call. When it raises TryLater the call may or may not have happened: scripts are repeatable."""
        [answer] = await self.run_many(script, [(keys, arguments)], purpose)
        return answer

    async def run_many(
        self,
        script: Script,
        calls: Sequence[tuple[Sequence[str], Sequence[Part]]],
        purpose: Purpose = Purpose.BULK,
    ) -> list[list[Any]]:
        """Many calls of one script in one round trip, each atomic by itself."""
        return _whole(await self._scripts_answered(script, calls, purpose))

    async def run_each(
        self,
        script: Script,
        calls: Sequence[tuple[Sequence[str], Sequence[Part]]],
        purpose: Purpose = Purpose.BULK,
    ) -> list[list[Any] | TryLater]:
        """The same, but where a call's node does not serve, TryLater stands in its place: the others go on.

        When none of them is served it is raised; so do all that speak of `each`.
        """
        return _each(await self._scripts_answered(script, calls, purpose))

    # --- plain keys ---

    async def read_hash(self, redis_key: str) -> dict[bytes, bytes]:
        flat = await self._ask(Purpose.CALLS, redis_key, "HGETALL")
        return dict(zip(flat[::2], flat[1::2], strict=True))

    async def read_hash_fields(self, redis_keys: Sequence[str], fields: Sequence[str]) -> list[list[bytes | None]]:
        """The same fields of many hashes in one round trip."""
        return _whole(await self._answers(Purpose.CALLS, [(key, ("HMGET", key, *fields)) for key in redis_keys]))

    async def read_each_hash_fields(
        self, redis_keys: Sequence[str], fields: Sequence[str]
    ) -> list[list[bytes | None] | TryLater]:
        """The same, but where a hash's node does not serve, TryLater stands in its place."""
        return _each(await self._answers(Purpose.CALLS, [(key, ("HMGET", key, *fields)) for key in redis_keys]))

    async def read_hashes(self, redis_keys: Sequence[str]) -> list[dict[bytes, bytes]]:
        """Many whole hashes in one round trip; an empty one where there is none."""
        found = _whole(await self._answers(Purpose.BULK, [(key, ("HGETALL", key)) for key in redis_keys]))
        return [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in found]

    async def find_keys(self, pattern: str) -> AsyncIterator[list[str]]:
        """All keys like `pattern`, some at a time; one that stands all along comes at least once."""
        for node in (await self._primaries())[0]:
            cursor = b"0"
            while True:
                try:
                    cursor, names = await node.line(Purpose.BULK).ask(
                        "SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED_AT_ONCE
                    )
                except (NotAnswered, ErrorReply) as fault:
                    raise _meant(fault) from fault
                yield [name.decode() for name in names]
                if cursor == b"0":
                    break

    async def read_scores(self, members: Mapping[str, Sequence[str]]) -> list[list[bytes | None]]:
        """Of sorted sets the scores of some members, None where there is no such member; in one round trip."""
        wanted = [(key, ("ZMSCORE", key, *names)) for key, names in members.items() if names]
        return _whole(await self._answers(Purpose.BULK, wanted))

    async def delete_fields(self, redis_key: str, fields: Sequence[str]) -> None:
        await self._ask(Purpose.BULK, redis_key, "HDEL", *fields)

    async def delete_hash_fields(self, fields: Mapping[str, Sequence[str]]) -> None:
        """Fields of many hashes in one round trip."""
        wanted = [(redis_key, ("HDEL", redis_key, *names)) for redis_key, names in fields.items() if names]
        _whole(await self._answers(Purpose.BULK, wanted))

    async def write_hashes(self, hashes: Mapping[str, Mapping[str, str | bytes]]) -> None:
        wanted = [
            (redis_key, ("HSET", redis_key, *(part for pair in fields.items() for part in pair)))
            for redis_key, fields in hashes.items()
        ]
        _whole(await self._answers(Purpose.BULK, wanted))

    async def read_bytes(self, redis_key: str) -> bytes | None:
        found: bytes | None = await self._ask(Purpose.BULK, redis_key, "GET")
        return found

    async def is_there(self, redis_key: str) -> bool:
        return bool(await self._ask(Purpose.CALLS, redis_key, "EXISTS"))

    async def bytes_at(self, redis_key: str) -> int:
        """How long the value of a plain key is; 0 without one."""
        return int(await self._ask(Purpose.CALLS, redis_key, "STRLEN"))

    async def write_bytes(self, redis_key: str, content: bytes) -> None:
        await self._ask(Purpose.BULK, redis_key, "SET", content)

    async def delete(self, *redis_keys: str) -> None:
        _whole(await self._answers(Purpose.BULK, [(key, ("DEL", key)) for key in redis_keys]))

    async def count_within(self, redis_key: str, window_s: int) -> int:
        """Add one to a counter that forgets itself `window_s` after its first count; returns the new count.

        A connection that breaks between the two commands leaves a counter without an end, until the next count.
        """
        wanted = [(redis_key, ("INCR", redis_key)), (redis_key, ("EXPIRE", redis_key, window_s, "NX"))]
        return int(_whole(await self._answers(Purpose.CALLS, wanted))[0])

    # --- logs and due sets ---

    async def read_logs(
        self, positions: Sequence[tuple[PartitionKeys, int, int]], entries_max: int
    ) -> list[list[Entry]]:
        """Per partition up to `entries_max` entries after (generation, position): [(generation, position, fields)].

        Fields are a list of pairs as the stream holds them: a name may stand twice, and none may get lost.
        """
        return [[_entry(raw) for raw in answer] for answer in _whole(await self._log_answers(positions, entries_max))]

    async def read_each_log(
        self, positions: Sequence[tuple[PartitionKeys, int, int]], entries_max: int
    ) -> list[list[Entry] | TryLater]:
        """The same, but where a partition's node does not serve, TryLater stands in its place: the others go on."""
        answers = _each(await self._log_answers(positions, entries_max))
        return [answer if isinstance(answer, TryLater) else [_entry(raw) for raw in answer] for answer in answers]

    async def due(self, due_keys: Sequence[str], until_ms: int, count_max: int) -> list[list[str]]:
        """Per due set the sittings whose moment has come. A set whose node does not serve now counts as empty."""
        answers = await self._answers(
            Purpose.CALLS, [(key, ("ZRANGEBYSCORE", key, "-inf", until_ms, "LIMIT", 0, count_max)) for key in due_keys]
        )
        return [[] if isinstance(each, TryLater) else [member.decode() for member in each] for each in _each(answers)]

    # --- the servers ---

    async def durability_faults(self) -> list[str]:
        """What in the configuration of any primary server breaks the promise that `saved` means on disk.

        Of a node that does not answer nothing is said, unless none does: it acknowledges nothing either.
        """
        primaries, slots_unserved = await self._primaries()
        asked = [_durability_faults_of(node, self._nodes.is_cluster) for node in primaries]
        found = _each(await asyncio.gather(*asked, return_exceptions=True))
        faults = [fault for of_one in found if not isinstance(of_one, TryLater) for fault in of_one]
        if slots_unserved:
            faults.append(f"Redis Cluster serves {SLOTS - slots_unserved} of {SLOTS} slots")
        return faults

    async def read_clocks(self, own_ms: Callable[[], int], *, of_all: bool = False) -> list[tuple[int, int, int]]:
        """For every node that serves: the caller's clock before asking, the node's in ms, the caller's after.

        `of_all`: raises TryLater when any of them does not.
        """

        async def read(node: Node) -> tuple[int, int, int]:
            before_ms = own_ms()
            seconds, microseconds = await node.line(Purpose.CALLS).ask("TIME")
            return before_ms, int(seconds) * 1000 + int(microseconds) // 1000, own_ms()

        nodes, _ = await self._primaries()
        answers = await asyncio.gather(*map(read, nodes), return_exceptions=True)
        found = _whole(answers) if of_all else _each(answers)
        return [clocks for clocks in found if not isinstance(clocks, TryLater)]

    async def ask_each(self, command: str, *arguments: str) -> dict[str, Any]:
        """Every primary server's answer by its address; ErrorReply or TryLater in the place of one that gives none."""

        async def ask(node: Node) -> Any:
            try:
                return await node.line(Purpose.CALLS).ask(command, *arguments)
            except (NotAnswered, ErrorReply) as fault:
                return _meant(fault)

        nodes, _ = await self._primaries()
        answers = await asyncio.gather(*map(ask, nodes))
        return {str(node.address): answer for node, answer in zip(nodes, answers, strict=True)}

    async def _primaries(self) -> tuple[list[Node], int]:
        try:
            return await self._nodes.primaries()
        except (NotAnswered, ErrorReply) as fault:
            raise _meant(fault) from fault

    async def close(self) -> None:
        self._nodes.close()

    # --- pieces ---

    def _script_call(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Part],
        done: Callable[[Any], None],
        purpose: Purpose,
    ) -> Call:
        parts: list[Part] = ["EVALSHA", script.sha, len(keys), *keys, *arguments]
        run_id_at = 0
        if script.wants_run_id:
            run_id_at = len(parts)
            parts.append("")
        return Call(self._nodes, purpose, keys[0], parts, done, run_id_at, script.text)

    async def _scripts_answered(
        self, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Part]]], purpose: Purpose
    ) -> list[Any]:
        answers = _Answers(len(calls))
        for at, (keys, arguments) in enumerate(calls):
            self._nodes.submit(self._script_call(script, keys, arguments, partial(answers.take, at), purpose))
        return await answers.all

    async def _answers(self, purpose: Purpose, wanted: Sequence[tuple[str, tuple[Part, ...]]]) -> list[Any]:
        """Per (key, command) its answer or exception, all asked at once."""
        answers = _Answers(len(wanted))
        for at, (redis_key, parts) in enumerate(wanted):
            self._nodes.submit(Call(self._nodes, purpose, redis_key, parts, partial(answers.take, at)))
        return await answers.all

    async def _ask(self, purpose: Purpose, redis_key: str, command: str, *arguments: Part) -> Any:
        return _whole(await self._answers(purpose, [(redis_key, (command, redis_key, *arguments))]))[0]

    async def _log_answers(self, positions: Sequence[tuple[PartitionKeys, int, int]], entries_max: int) -> list[Any]:
        wanted = [
            (keys.log, ("XRANGE", keys.log, f"({generation}-{position}", "+", "COUNT", entries_max))
            for keys, generation, position in positions
        ]
        return await self._answers(Purpose.LOGS, wanted)


class _Answers:
    """Answers that come one by one, awaited together, in the order of asking; an error is an answer."""

    def __init__(self, count: int) -> None:
        self.all: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._taken: list[Any] = [None] * count
        self._left = count
        if not count:
            self.all.set_result([])

    def take(self, at: int, answer: Any) -> None:
        self._taken[at] = answer
        self._left -= 1
        if not self._left and not self.all.done():
            self.all.set_result(self._taken)


def partition_number(sitting_id: str, partitions: int) -> int:
    return zlib.crc32(sitting_id.encode()) % partitions


def fields_of(answer: Sequence[Any], first: int) -> dict[str, bytes]:
    """A flat field, value, field, value … tail of a script's answer as a dict."""
    return {answer[at].decode(): answer[at + 1] for at in range(first, len(answer), 2)}


def _entry(raw: Any) -> Entry:
    entry_id, flat = raw
    generation, _, position = entry_id.decode().partition("-")
    return int(generation), int(position), list(zip(flat[::2], flat[1::2], strict=True))


async def _durability_faults_of(node: Node, is_cluster: bool) -> list[str]:
    wanted = _DURABLE_ON_CLUSTER if is_cluster else _DURABLE
    line = node.line(Purpose.CALLS)
    try:
        flat, told = await asyncio.gather(line.ask("CONFIG", "GET", *wanted), line.ask("INFO", "persistence"))
    except ErrorReply as fault:
        if isinstance(_meant(fault), TryLater):
            raise
        return []  # managed Redis without CONFIG: the operator vouches for it
    found = {name.decode(): setting.decode() for name, setting in zip(flat[::2], flat[1::2], strict=True)}
    server = f"Redis {node.address}" if is_cluster else "Redis"
    faults = [
        f"{server} has {name}={found[name]}, expected {setting}"
        for name, setting in wanted.items()
        if name in found and found[name] != setting
    ]
    if b"aof_last_write_status:ok" not in told and b"aof_last_write_status:" in told:
        faults.append(f"{server} failed its last write to the AOF")
    return faults


def _whole(answers: list[Any]) -> list[Any]:
    """All answers, or the first error among them as what it means."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise _meant(answer) from answer
    return answers


def _each(answers: list[Any]) -> list[Any]:
    """Answers with TryLater in the place of those that a server did not give, unless none has answered."""
    meant = [_meant(answer) if isinstance(answer, Exception) else answer for answer in answers]
    faults = [answer for answer in meant if isinstance(answer, Exception)]
    for fault in faults:
        if len(faults) == len(meant) or not isinstance(fault, TryLater):
            raise fault
    return meant


def _tell(done: Callable[[Any], None], answer: Any) -> None:
    done(_meant(answer) if isinstance(answer, Exception) else answer)


def _meant(fault: Exception) -> Exception:
    """TryLater for a server that is away or cannot serve at this moment; anything else as it is."""
    if isinstance(fault, NotAnswered):
        done = "it may have been done" if fault.may_have_happened else "nothing was done"
        return TryLater(f"Redis does not serve ({fault}); {done}, sending the same again is safe")
    unable = next((word for word in _UNABLE if word in str(fault)), None)
    if unable is None:
        return fault
    return TryLater(f"Redis does not serve ({unable.strip()}); sending the same again is safe")
