"""How fast does a recorder drain a backlog, and what does one change cost the recorder and PostgreSQL?

The logs are filled by the real autosave script with small single-choice changes of random items; then a recorder
process starts as `./run record` starts it. The clock runs from its first commit to its last, so that starting Python is
not counted. `python -m bench.draining --changes 500000` prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from engine.delivery import autosave
from engine.recording.leases import Leases
from engine.recording.mending import Mender
from engine.settings import PREFIX
from engine.stores import migrations, postgres
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres
from engine.supervision import embedded
from loadtest import usage
from tests import servers

SITTINGS = 5_000
ITEMS = 100
PARTITIONS = 16
CALLS_PER_CHUNK = 32  # what shares a script call at some 20,000 saves/s over 16 partitions
DRAINED_WITHIN_S = 600
_LOOK_EVERY_S = 0.02
_INSERT_SITTINGS = """
    INSERT INTO sitting (sitting_id, batch_id, partition, candidate_id, name, id_number, admission_ticket, site, room,
                         seat, extra_time_s, state, epoch)
    SELECT sitting_id, 'B', 0, sitting_id, 'n', sitting_id, sitting_id, 's', 'r', '', 0, 'pledged', 1
    FROM unnest($1::text[]) AS made (sitting_id)
"""


def measure(changes: int) -> dict[str, Any]:
    """changes/s, and CPU microseconds per change of the recorder, PostgreSQL and Redis, on servers of its own."""
    with servers.postgres(durable=True) as sockets, servers.redis() as redis_url, tempfile.TemporaryDirectory() as made:
        dsn = embedded.postgres_dsn(sockets)
        secrets_dir = Path(made)
        (secrets_dir / "login.key").write_bytes(b"l" * 32)
        (secrets_dir / "login.key").chmod(0o600)
        ids = [f"{random.Random(number).getrandbits(120):024x}"[:24] for number in range(SITTINGS)]
        redis_pid, last = asyncio.run(_fill(dsn, redis_url, ids, changes))
        postgres_pid = int((sockets.parent / "data" / "postmaster.pid").read_text().split()[0])
        with _recording(dsn, redis_url, secrets_dir) as recorder:
            pids = {"recorder": recorder.pid, "postgresql": postgres_pid, "redis": redis_pid}
            return asyncio.run(_watch(dsn, pids, changes, last))


async def _fill(dsn: str, redis_url: str, ids: list[str], changes: int) -> tuple[int, int]:
    """Leave `changes` accepted changes in the logs; the pid of Redis, and the sum of the newest positions."""
    await migrations.migrate(dsn)
    memory, database = Memory(redis_url, PARTITIONS), Postgres(dsn, 2)
    try:
        leases = Leases(database, "bench", PARTITIONS)
        mender = Mender(memory, database, b"l" * 32, "bench")
        await mender.look(await leases.take())
        await mender.mend()
        await leases.leave()
        async with database.transaction() as connection:
            await connection.execute(
                "INSERT INTO paper VALUES ('P', 'd', 1, 1, NULL, '', 'd', 'k', 0);"
                "INSERT INTO batch VALUES ('B', 't', 'o', 3, 's', 'mock', 'P', 'C', 0, 1, '{}', 0)"
            )
            await connection.execute(_INSERT_SITTINGS, ids)
        fields = {"state": "pledged", "epoch": "1", "starts_ms": "0", "closes_ms": "9000000000000000", "high": "0"}
        await memory.write_hashes({memory.partition_of(each).sitting(each): fields for each in ids})
        await _save(memory, ids, changes)
        newest = await memory.read_hash_fields([keys.marker for keys in memory.partitions], ["n"])
        with redis.Redis.from_url(redis_url) as client:
            return int(client.info("server")["process_id"]), sum(int(n or 0) for (n,) in newest)
    finally:
        await memory.close()
        await database.close()


async def _save(memory: Memory, ids: list[str], changes: int) -> None:
    """Every change through the script that workers call, in chunks as workers make them."""
    chance = random.Random(1)
    of_partition: dict[int, list[str]] = {}
    for each in ids:
        of_partition.setdefault(memory.partition_of(each).number, []).append(each)
    seqs = dict.fromkeys(ids, 0)
    left = changes
    while left:
        calls = []
        for number, own in of_partition.items():
            some = chance.choices(own, k=min(CALLS_PER_CHUNK, left))
            left -= len(some)
            keys = memory.partitions[number]
            arguments: list[str | bytes | int] = []
            for each in some:
                seqs[each] += 1
                value = f'"{chance.choice("abcd")}"'
                arguments += [each, "1", 1, f"A{chance.randrange(ITEMS):03d}", seqs[each], value]
            calls.append(([keys.marker, keys.log, *map(keys.sitting, some)], arguments))
        for reply in await memory.run_many(autosave._AUTOSAVE, calls):
            assert not any([reply[0], *reply[4:]]), reply


@contextlib.contextmanager
def _recording(dsn: str, redis_url: str, secrets_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    chosen = {"POSTGRES_DSN": dsn, "REDIS_URL": redis_url, "SECRETS_DIR": str(secrets_dir)}
    environ = servers.environ() | {PREFIX + name: text for name, text in chosen.items()}
    environ[PREFIX + "PARTITIONS"] = str(PARTITIONS)
    environ[PREFIX + "LOG_LEVEL"] = "warning"
    command = [sys.executable, "-m", "engine", "record"]
    child = subprocess.Popen(command, cwd=servers.ROOT, env=environ, stdin=subprocess.DEVNULL)
    try:
        yield child
    finally:
        servers.stop(child, signal.SIGTERM)


async def _watch(dsn: str, pids: dict[str, int], changes: int, last: int) -> dict[str, Any]:
    """From the first commit to the last; positions tell which that is, so that watching costs next to nothing."""
    connection = await postgres.connect(dsn)

    async def ask(statement: str) -> int:
        return int(await connection.fetchval(statement))

    async def reach(position: int) -> None:
        until_s = time.monotonic() + DRAINED_WITHIN_S
        while await ask("SELECT sum(position) FROM recording") < position:
            assert time.monotonic() < until_s, f"not drained within {DRAINED_WITHIN_S} s"
            await asyncio.sleep(_LOOK_EVERY_S)

    def used_s() -> dict[str, float]:
        return {name: usage.cpu_s(pid) for name, pid in pids.items()}

    try:
        await reach(PARTITIONS + 1)
        first = await ask("SELECT count(*) FROM response_history")
        began_s, before = time.monotonic(), used_s()
        await reach(last)
        took_s, after = time.monotonic() - began_s, used_s()
        recorded = await ask("SELECT count(*) FROM response_history")
    finally:
        await connection.close()
    assert recorded == changes, f"{recorded} of {changes} changes are in the history"
    counted = changes - first
    assert counted > changes / 2, "too few changes: most were recorded before the clock ran"
    costs = {f"{name}_cpu_us": round((after[name] - before[name]) / counted * 1e6, 2) for name in pids}
    return {"changes": counted, "seconds": round(took_s, 3), "changes_per_s": round(counted / took_s), **costs}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--changes", type=int, default=500_000)
    print(json.dumps(measure(asked.parse_args().changes)))


if __name__ == "__main__":
    main()
