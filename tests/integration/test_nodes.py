"""Redis as the engine uses it, over one server and over a cluster of three: errors, redirections, dead nodes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.delivery import autosave
from engine.rules.errors import TryLater
from engine.rules.outcome import Outcome
from engine.stores.memory import Memory, PartitionKeys, Purpose
from engine.stores.nodes import Call, slot_of
from tests.integration.nodes import EVENTUALLY_S, Server, add_node, cluster, eventually, knows_all, server
from tests.servers import wait_until

pytestmark = pytest.mark.anyio
PARTITIONS = 16


@pytest.fixture(scope="module")
def redis_here() -> Iterator[Server]:
    with server() as one:
        yield one


@pytest.fixture(scope="module")
def three() -> Iterator[list[Server]]:
    """A healthy cluster before and after each test."""
    with cluster(3) as nodes:
        yield nodes


@contextlib.asynccontextmanager
async def memory_of(*nodes: Server) -> Any:
    """A client of these nodes, with a fresh marker in every partition."""
    memory = Memory(",".join(one.url for one in nodes), PARTITIONS)
    marker = {"run_id": "", "generation": "1", "n": "0", "committed": "0"}

    async def marked() -> bool:
        await memory.delete(*[key for keys in memory.partitions for key in (keys.marker, keys.log)])
        await memory.write_hashes({keys.marker: marker for keys in memory.partitions})
        return True

    await eventually(marked, TryLater)
    yield memory
    await memory.close()


async def generation(memory: Memory, keys: PartitionKeys) -> int:
    """What a save call without sittings is told; the first since the marker, or a restart, begins a new one."""
    outcome, number, *_ = await memory.run(autosave._AUTOSAVE, [keys.marker, keys.log], [])
    assert outcome == Outcome.OK
    return int(number)


async def generations(memory: Memory) -> list[int]:
    return [await generation(memory, keys) for keys in memory.partitions]


def on(one: Server, memory: Memory) -> list[PartitionKeys]:
    """The partitions that lie on a node, by its own word."""
    ranges = one.do("CLUSTER", "SLOTS")
    mine = [range(first, last + 1) for first, last, primary, *_ in ranges if primary[1] == one.port]
    return [keys for keys in memory.partitions if any(slot_of(keys.marker) in slots for slots in mine)]


# --- one server ------------------------------------------------------------------------------------------------


async def test_forgotten_scripts_are_sent_again(redis_here: Server) -> None:
    """NOSCRIPT means surely not done: one call or many, the caller never hears of it."""
    async with memory_of(redis_here) as memory:
        before = await generations(memory)
        redis_here.do("SCRIPT", "FLUSH")
        assert await generation(memory, memory.partitions[0]) == before[0]
        redis_here.do("SCRIPT", "FLUSH")
        calls = [([keys.marker, keys.log], []) for keys in memory.partitions]

        answers = await memory.run_many(autosave._AUTOSAVE, calls)

        assert [answer[:2] for answer in answers] == [[Outcome.OK, number] for number in before]


async def test_restarted_server_raises_the_generation_before_anything_else() -> None:
    """The run id comes with the connection: whoever answers after a restart has told its own."""
    with server() as one:
        async with memory_of(one) as memory:
            keys = memory.partitions[0]
            before = await generation(memory, keys)
            assert await generation(memory, keys) == before

            one.restart()

            after = await eventually(lambda: generation(memory, keys), TryLater)
            assert after > before
            assert await generation(memory, keys) == after


async def test_call_is_told_once_and_after_it_was_made(redis_here: Server) -> None:
    """The hot path's form: an answer or TryLater, never before the call has returned."""
    async with memory_of(redis_here) as memory:
        keys = memory.partitions[0]
        told: list[Any] = []
        memory.call(autosave._AUTOSAVE, [keys.marker, keys.log], [], told.append)
        assert told == []
        await eventually(lambda: asyncio.sleep(0, told))
        await memory.close()
        memory.call(autosave._AUTOSAVE, [keys.marker, keys.log], [], told.append)
        assert len(told) == 1
        await eventually(lambda: asyncio.sleep(0, len(told) == 2))

    assert told[0][0] == Outcome.OK
    assert isinstance(told[1], TryLater) and "nothing was done" in told[1].detail


async def test_huge_answer_does_not_stand_before_saves(redis_here: Server) -> None:
    """Bulk and saves have lines of their own: saves are answered while a bulk line waits, and 50 MB arrive whole."""
    async with memory_of(redis_here) as memory:
        keys = memory.partitions[0]
        huge = bytes(range(256)) * 200_000
        await memory.write_bytes("huge", huge)
        waits: list[Any] = []
        memory._nodes.submit(Call(memory._nodes, Purpose.BULK, "never", ("BLPOP", "never", 0), waits.append))
        reading = asyncio.create_task(memory.read_bytes("huge"))

        for _ in range(20):
            await generation(memory, keys)
        assert not reading.done() and not waits
        redis_here.do("RPUSH", "never", "now")

        assert await reading == huge
        await memory.delete("huge")


@pytest.mark.parametrize("state", ["MISCONF", "OOM", "READONLY"])
async def test_server_that_lives_but_cannot_serve_means_try_later(state: str) -> None:
    """A full disk, a full memory, a replica: not the script's fault, and over when it is over."""
    with server() as one:
        async with memory_of(one) as memory:
            if state == "READONLY":
                one.do("REPLICAOF", "127.0.0.1", "1")
            elif state == "OOM":
                one.do("CONFIG", "SET", "maxmemory", "1")
            else:
                one.do("CONFIG", "SET", "min-replicas-to-write", "1")
                state = "NOREPLICAS"
            with pytest.raises(TryLater, match=state):
                await memory.write_bytes("any", b"1")
            one.do("REPLICAOF", "NO", "ONE")
            one.do("CONFIG", "SET", "maxmemory", "0")
            one.do("CONFIG", "SET", "min-replicas-to-write", "0")

            async def served() -> bool:
                await memory.write_bytes("any", b"2")
                return await memory.read_bytes("any") == b"2"

            assert await eventually(served, TryLater)


async def test_counter_forgets_itself_after_its_first_window(redis_here: Server) -> None:
    """Later counts do not prolong it."""
    async with memory_of(redis_here) as memory:
        assert [await memory.count_within("attempts:x", 100) for _ in range(3)] == [1, 2, 3]
        redis_here.do("EXPIRE", "attempts:x", 50)
        await memory.count_within("attempts:x", 100)

        assert 0 < redis_here.do("TTL", "attempts:x") <= 50


# --- a cluster -------------------------------------------------------------------------------------------------


async def test_slots_are_counted_as_the_server_counts_them(three: list[Server]) -> None:
    """With and without braces, empty or unclosed ones too."""
    keys = ["{p00}:meta", "batch:B", "login:{", "{}x", "a{b}c{d}", "a{b", "考生", "}{x}"]

    assert [slot_of(key) for key in keys] == [three[0].do("CLUSTER", "KEYSLOT", key) for key in keys]


async def test_keys_of_all_nodes_are_served_through_any_of_them(three: list[Server]) -> None:
    """One address is enough, what spans nodes is put together in the order of asking."""
    async with memory_of(three[2]) as memory:
        assert all(on(one, memory) for one in three), "the partitions must lie on all nodes for this test"
        hashes = {keys.sitting("s"): {"number": str(keys.number)} for keys in memory.partitions}
        await memory.write_hashes(hashes)
        assert await memory.read_hash_fields(list(hashes), ["number"]) == [[b"%d" % at] for at in range(PARTITIONS)]
        assert await memory.read_hash(memory.partitions[5].sitting("s")) == {b"number": b"5"}

        begun = await generations(memory)
        logs = await memory.read_logs([(keys, 1, 0) for keys in memory.partitions], 5)
        assert [[entry[:2] for entry in entries] for entries in logs] == [[(number, 1)] for number in begun]
        assert await memory.due([keys.due for keys in memory.partitions], 0, 5) == [[]] * PARTITIONS
        assert await memory.count_within("attempts:y", 60) == 1

        await memory.delete(*hashes)
        assert await memory.read_hash_fields(list(hashes), ["number"]) == [[None]] * PARTITIONS


async def test_every_node_must_be_durable(three: list[Server]) -> None:
    """One that does not fsync breaks the promise for a third of all; and a dead one must not stop the others."""
    async with memory_of(three[0]) as memory:
        assert await memory.durability_faults() == []
        three[1].do("CONFIG", "SET", "appendfsync", "everysec")
        three[2].do("CONFIG", "SET", "cluster-require-full-coverage", "yes")

        faults = await memory.durability_faults()

        three[1].do("CONFIG", "SET", "appendfsync", "always")
        three[2].do("CONFIG", "SET", "cluster-require-full-coverage", "no")
        assert sorted(faults) == sorted(
            [
                f"Redis {three[1].address} has appendfsync=everysec, expected always",
                f"Redis {three[2].address} has cluster-require-full-coverage=yes, expected no",
            ]
        )


async def test_node_that_stands_still_stalls_only_its_partitions(three: list[Server]) -> None:
    """Saves elsewhere go on before, while and after the calls to it fail."""
    async with memory_of(*three) as memory:
        stalled = on(three[0], memory)
        others = [keys for keys in memory.partitions if keys not in stalled]
        told: list[Any] = []
        begun = await generations(memory)
        calls = [([keys.marker, keys.log], []) for keys in memory.partitions]
        await memory.run_many(autosave._AUTOSAVE, calls, Purpose.SAVES)
        with three[0].stopped():
            for keys in stalled:
                memory.call(autosave._AUTOSAVE, [keys.marker, keys.log], [], told.append)
            while len(told) < len(stalled):
                assert [await generation(memory, keys) for keys in others] == [begun[keys.number] for keys in others]
            each = await memory.run_each(autosave._AUTOSAVE, [([keys.marker, keys.log], []) for keys in others])

        assert all(isinstance(answer, TryLater) and "may have been done" in answer.detail for answer in told)
        assert [answer[0] for answer in each] == [Outcome.OK] * len(others)
        for keys in stalled:
            assert await eventually(lambda keys=keys: generation(memory, keys), TryLater) == begun[keys.number]


async def test_dead_node_is_left_out_where_each_part_stands_for_itself(three: list[Server]) -> None:
    """A recorder reads on what can be read; its place is held by TryLater. When it is back its generations are new."""
    async with memory_of(*three) as memory:
        dead = on(three[1], memory)
        begun = await generations(memory)
        positions = [(keys, 1, 0) for keys in memory.partitions]
        three[1].kill()

        logs = await memory.read_each_log(positions, 1)
        fields = await memory.read_each_hash_fields([keys.marker for keys in memory.partitions], ["generation"])
        with pytest.raises(TryLater):
            await memory.read_logs(positions, 1)
        three[1].start()

        missing = [keys.number for keys in dead]
        assert [at for at, entries in enumerate(logs) if isinstance(entries, TryLater)] == missing
        assert [at for at, found in enumerate(fields) if isinstance(found, TryLater)] == missing
        for keys in memory.partitions:
            found = await eventually(lambda keys=keys: generation(memory, keys), TryLater)
            assert (found > begun[keys.number]) == (keys in dead)


async def test_slot_that_moves_is_followed_while_it_moves_and_after(three: list[Server]) -> None:
    """ASK while its keys are on their way, MOVED when the slot has a new owner: no caller notices."""
    async with memory_of(*three) as memory:
        keys = on(three[0], memory)[0]
        slot = slot_of(keys.marker)
        ids = [one.do("CLUSTER MYID") for one in three]
        before = await generation(memory, keys)
        three[2].do("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        three[0].do("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[2])
        three[0].do("MIGRATE", "127.0.0.1", three[2].port, "", 0, 5000, "KEYS", keys.marker, keys.log)

        moved = (await generation(memory, keys), await generation(memory, keys))
        for one in (three[2], three[0], three[1]):
            one.do("CLUSTER", "SETSLOT", slot, "NODE", ids[2])
        after = await generation(memory, keys)

        # The new owner is another server: it has another run id, so it begins a generation of its own, once.
        assert before < moved[0] == moved[1] == after
        assert keys in on(three[2], memory)


async def test_several_servers_that_are_no_cluster_are_refused(redis_here: Server) -> None:
    """Half of the answers on each would be found by nobody."""
    with server() as other:
        memory = Memory(f"{redis_here.url},{other.url}", PARTITIONS)
        with pytest.raises(TryLater, match="not in cluster mode"):
            await memory.write_bytes("any", b"1")
        await memory.close()


async def test_promoted_replica_is_found_and_begins_new_generations(tmp_path: Path) -> None:
    """Its primary died for good: the partitions go on where the replica serves them."""
    with cluster(3) as nodes, contextlib.ExitStack() as ending:
        replica = add_node(nodes[0].folder.parent, ending)
        replica.do("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].bus_port)
        primary_id = nodes[0].do("CLUSTER MYID")
        wait_until(lambda: knows_all(replica, 4), EVENTUALLY_S, "the replica knows all")
        replica.do("CLUSTER", "REPLICATE", primary_id)
        async with memory_of(*nodes) as memory:
            keys = on(nodes[0], memory)[0]
            wait_until(
                lambda: nodes[0].do("WAIT", 1, 100) == 1 and replica.do("DBSIZE") == nodes[0].do("DBSIZE"),
                EVENTUALLY_S,
                "the replica has everything",
            )
            before = await generation(memory, keys)

            nodes[0].kill()
            replica.do("CLUSTER", "FAILOVER", "TAKEOVER")

            assert await eventually(lambda: generation(memory, keys), TryLater) > before
            assert await memory.durability_faults() == []
