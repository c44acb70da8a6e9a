"""The only importer of redis: connections, partition scripts, and the few plain keys beside the partitions.

The driver's own retries are off: a resend is decided by those who know that it is idempotent.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from engine.rules.errors import TryLater

CALL_TIMEOUT_S = 2.0  # a fsync on a busy disk takes tens of ms; longer means the node is gone
CONNECTIONS_MAX = 64
_SCANNED_AT_ONCE = 1_000  # about half a millisecond of the server's time
_HEAD = (Path(__file__).parent / "partition.lua").read_text("utf-8")
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
)
# Answers of a server that lives but cannot serve now; the driver has no classes of their own for most.
_UNABLE = ("NOREPLICAS", "MISCONF", "BUSY ", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "UNKILLABLE")


class Script:
    """One Lua script with the partition head in front of it."""

    def __init__(self, path: Path, head: str = _HEAD) -> None:
        self.name = path.stem
        self.text = head + path.read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


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
    """Redis as the engine sees it. Every method raises TryLater when Redis does not answer."""

    def __init__(self, url: str, partitions: int) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=CALL_TIMEOUT_S,
            socket_timeout=CALL_TIMEOUT_S,
            socket_connect_timeout=CALL_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = redis.asyncio.Redis.from_pool(pool)
        # The driver would make a dict of an entry's fields; a stream may hold a name twice, and none may get lost.
        self._redis.set_response_callback("XRANGE", _as_sent)
        self.partitions = [PartitionKeys(number) for number in range(partitions)]
        self._calls: set[asyncio.Task[None]] = set()

    def partition_of(self, sitting_id: str) -> PartitionKeys:
        """A stable hash: the same in every process and version."""
        return self.partitions[partition_number(sitting_id, len(self.partitions))]

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> list[Any]:
        """One script call. When it raises TryLater the call may or may not have happened: scripts are repeatable."""
        with _answering():
            try:
                answer: list[Any] = await self._redis.evalsha(script.sha, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                answer = await self._redis.eval(script.text, len(keys), *keys, *arguments)
            return answer

    def call(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[str | bytes | int],
        done: Callable[[list[Any] | Exception], None],
    ) -> None:
        """`run` for the save path: `done` is called once with the reply, or with what `run` would raise."""

        async def running() -> None:
            try:
                reply: list[Any] | Exception = await self.run(script, keys, arguments)
            except Exception as fault:
                reply = fault
            done(reply)

        task = asyncio.get_running_loop().create_task(running())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def run_many(
        self, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[str | bytes | int]]]
    ) -> list[list[Any]]:
        """Many calls of one script in one round trip, in order, each atomic by itself."""
        with _answering():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.script_load(script.text)
            for keys, arguments in calls:
                pipeline.evalsha(script.sha, len(keys), *keys, *arguments)
            answers = await pipeline.execute()
            return answers[1:]

    async def read_hash(self, redis_key: str) -> dict[bytes, bytes]:
        with _answering():
            return cast(dict[bytes, bytes], await self._redis.hgetall(redis_key))

    async def read_hash_fields(self, redis_keys: Sequence[str], fields: Sequence[str]) -> list[list[bytes | None]]:
        """The same fields of many hashes in one round trip."""
        with _answering():
            pipeline = self._redis.pipeline(transaction=False)
            for redis_key in redis_keys:
                pipeline.hmget(redis_key, list(fields))
            return await pipeline.execute()

    async def read_hashes(self, redis_keys: Sequence[str]) -> list[dict[bytes, bytes]]:
        """Many whole hashes in one round trip; an empty one where there is none."""
        with _answering():
            pipeline = self._redis.pipeline(transaction=False)
            for redis_key in redis_keys:
                pipeline.hgetall(redis_key)
            return await pipeline.execute()

    async def find_keys(self, pattern: str) -> AsyncIterator[list[str]]:
        """All keys like `pattern`, some at a time; one that stands all along comes at least once."""
        cursor = 0
        while True:
            with _answering():
                cursor, names = await self._redis.scan(cursor, match=pattern, count=_SCANNED_AT_ONCE)
            yield [name.decode() for name in cast(list[bytes], names)]
            if cursor == 0:
                return

    async def delete_fields(self, redis_key: str, fields: Sequence[str]) -> None:
        with _answering():
            await self._redis.hdel(redis_key, *fields)

    async def write_hashes(self, hashes: Mapping[str, Mapping[str, str | bytes]]) -> None:
        with _answering():
            pipeline = self._redis.pipeline(transaction=False)
            for redis_key, fields in hashes.items():
                pipeline.hset(redis_key, mapping={name: content for name, content in fields.items()})
            await pipeline.execute()

    async def read_bytes(self, redis_key: str) -> bytes | None:
        with _answering():
            return cast(bytes | None, await self._redis.get(redis_key))

    async def write_bytes(self, redis_key: str, content: bytes) -> None:
        with _answering():
            await self._redis.set(redis_key, content)

    async def delete(self, *redis_keys: str) -> None:
        with _answering():
            await self._redis.delete(*redis_keys)

    async def count_within(self, redis_key: str, window_s: int) -> int:
        """Add one to a counter that forgets itself `window_s` after its first count; returns the new count."""
        with _answering():
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.incr(redis_key)
            pipeline.expire(redis_key, window_s, nx=True)
            return int((await pipeline.execute())[0])

    async def read_logs(
        self, positions: Sequence[tuple[PartitionKeys, int, int]], entries_max: int
    ) -> list[list[tuple[int, int, list[tuple[bytes, bytes]]]]]:
        """Per partition up to `entries_max` entries after (generation, position): [(generation, position, fields)]."""
        with _answering():
            pipeline = self._redis.pipeline(transaction=False)
            for keys, generation, position in positions:
                pipeline.execute_command("XRANGE", keys.log, f"({generation}-{position}", "+", "COUNT", entries_max)
            answers = await pipeline.execute()
        return [[_entry(raw) for raw in answer] for answer in answers]

    async def due(self, due_keys: Sequence[str], until_ms: int, count_max: int) -> list[list[str]]:
        """Per due set the sittings whose moment has come."""
        with _answering():
            pipeline = self._redis.pipeline(transaction=False)
            for redis_key in due_keys:
                pipeline.zrangebyscore(redis_key, "-inf", until_ms, start=0, num=count_max)
            return [[member.decode() for member in answer] for answer in await pipeline.execute()]

    async def durability_faults(self) -> list[str]:
        """What in the server's configuration breaks the promise that `saved` means on disk."""
        wanted = {
            "appendonly": "yes",
            "appendfsync": "always",
            "no-appendfsync-on-rewrite": "no",
            "maxmemory-policy": "noeviction",
        }
        with _answering():
            try:
                found = await self._redis.config_get(*wanted)
                persistence = await self._redis.info("persistence")
            except redis.exceptions.ResponseError:
                return []  # managed Redis without CONFIG: the operator vouches for it
        faults = [
            f"Redis has {name}={found[name]}, expected {value}"
            for name, value in wanted.items()
            if name in found and found[name] != value
        ]
        if persistence.get("aof_last_write_status", "ok") != "ok":
            faults.append("Redis failed its last write to the AOF")
        return faults

    async def close(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.aclose()


def partition_number(sitting_id: str, partitions: int) -> int:
    return zlib.crc32(sitting_id.encode()) % partitions


def fields_of(answer: Sequence[Any], first: int) -> dict[str, bytes]:
    """A flat field, value, field, value … tail of a script's answer as a dict."""
    return {answer[at].decode(): answer[at + 1] for at in range(first, len(answer), 2)}


def _as_sent(response: Any, **_: Any) -> Any:
    return response


def _entry(raw: Any) -> tuple[int, int, list[tuple[bytes, bytes]]]:
    entry_id, flat = raw
    if not isinstance(flat, list):
        raise TypeError(f"expected the flat fields of a log entry, got {type(flat).__name__}")
    generation, _, position = entry_id.decode().partition("-")
    fields = list(zip(flat[::2], flat[1::2], strict=True))
    return int(generation), int(position), fields


@contextmanager
def _answering() -> Iterator[None]:
    """Turns what a server that is away, or cannot serve at this moment, causes into TryLater."""
    try:
        yield
    except _UNAVAILABLE as fault:
        raise _away(type(fault).__name__) from fault
    except redis.exceptions.ResponseError as fault:
        unable = next((word for word in _UNABLE if word in str(fault)), None)
        if unable is None:
            raise
        raise _away(unable) from fault


def _away(why: str) -> TryLater:
    return TryLater(f"Redis does not serve ({why}); it may have been done, sending the same again is safe")
