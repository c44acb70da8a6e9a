"""The channels of one worker over real stores: who hears what, also when news are lost, and how a worker lets go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.delivery import channel, channel_news, channel_watch
from engine.delivery.autosave import Autosave
from engine.delivery.channel import Channel
from engine.delivery.channel_watch import Channels
from engine.delivery.resources import Delivery
from engine.rules.errors import TryLater
from engine.sealing import paper, token
from engine.sealing.encoding import to_base64url
from engine.sealing.provider import FileProvider
from engine.sealing.signature import Signer
from engine.stores.clock import now_ms
from tests.contract.line import PATIENCE_S, frame, text
from tests.integration.exam import LOGIN_KEY, WRAP_KEY, Exam, batch

TOKEN_KEY = b"t" * 32
CROWD = 400


class Hall:
    """A worker's channels, on a port of their own: connections are channels from their first byte."""

    def __init__(self, exam: Exam) -> None:
        delivery = Delivery(exam.memory, TOKEN_KEY, LOGIN_KEY, FileProvider(WRAP_KEY), Signer(b"s" * 32))
        self.exam = exam
        self.autosave = Autosave(delivery)
        self.channels = Channels(delivery, self.autosave)
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Hall]:
        server = await asyncio.get_running_loop().create_server(lambda: Channel(self.channels), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            await self.channels.close()
            server.close()
            await server.wait_closed()

    async def asked(self, *sitting_ids: str) -> None:
        """Until the partitions of these sittings have been asked for news for the first time."""
        watched = [self.channels._news[self.exam.memory.partition_of(sitting_id).number] for sitting_id in sitting_ids]
        async with asyncio.timeout(PATIENCE_S):
            while any(news._told < 0 for news in watched):  # noqa: ASYNC110 - a state, not an event
                await asyncio.sleep(0.01)

    async def connect(self) -> Line:
        return Line(*await asyncio.open_connection("127.0.0.1", self.port))

    async def greet(self, sitting_id: str, epoch: str = "1", batch_id: str = "") -> Line:
        """A channel whose hello has been answered."""
        line = await self.connect()
        issued = token.issue(token.Token(sitting_id, batch_id or self.exam.batch.batch_id, epoch), TOKEN_KEY)
        line.send(text({"type": "hello", "token": issued}))
        await line.hear("time")
        return line


class Line:
    """A candidate's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.heard: list[dict[str, Any]] = []

    def send(self, *parts: bytes) -> None:
        self._writer.write(b"".join(parts))

    def save(self, seq: int) -> None:
        self.send(text({"type": "save", "changes": [{"item": "A1", "seq": seq, "value": "a"}]}))

    async def receive(self) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENCE_S):
            first, length = await self._reader.readexactly(2)
            if length == 126:
                length = int.from_bytes(await self._reader.readexactly(2), "big")
            return first, await self._reader.readexactly(length)

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next message of this kind."""
        while True:
            first, payload = await self.receive()
            if first in (0x89, 0x8A):  # a ping or a sign of life may come at any time
                continue
            assert first == 0x81, (first, payload)
            message: dict[str, Any] = json.loads(payload)
            self.heard.append(message)
            if message["type"] == kind:
                return message

    async def closed(self) -> int:
        """The close code; the close frame is answered."""
        while True:
            first, payload = await self.receive()
            if first == 0x88:
                self.send(frame(0x88, payload[:2]))
                return int.from_bytes(payload[:2], "big")
            if first in (0x89, 0x8A):
                continue
            self.heard.append(json.loads(payload))

    async def is_cut(self) -> bool:
        """Whether the connection ends, sooner or later, without a close frame."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return b"\x88" not in await self._reader.read()
        except ConnectionError:
            return True

    def leave(self) -> None:
        self._writer.close()


@pytest.fixture
async def hall(exam: Exam) -> AsyncIterator[Hall]:
    """Both candidates are writing."""
    await exam.enter("one", "two")
    async with Hall(exam).serving() as found:
        yield found


async def execute(exam: Exam, *command: Any) -> Any:
    return await exam.redis.execute_command(*command)


# --- one channel of many -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("field", ["state", "ends_ms"])
async def test_a_channel_that_fails_keeps_no_other_from_hearing(hall: Hall, field: str) -> None:
    """The sitting of one cannot be read: the others of its partition are looked at all the same."""
    exam = hall.exam
    names = [name for number in range(99) if exam.memory.partition_of(name := f"s{number:02d}").number == 0][:3]
    crowd = Exam.beside(exam, "crowd")
    await crowd.arm(*names)
    await crowd.enter(*names)
    lines = [await hall.greet(name, batch_id="crowd") for name in names]
    await hall.asked(names[0])
    keys = exam.memory.partition_of(names[0])
    ends_ms = int((await exam.stored(names[2]))["ends_ms"]) + 60_000
    await execute(exam, "HSET", keys.sitting(names[0]), field, "rubbish")
    await execute(exam, "HSET", keys.sitting(names[2]), "ends_ms", ends_ms)

    await execute(exam, "HSET", keys.marker, "run_id", "f" * 40)
    lines[1].save(1)
    heard = await lines[2].hear("time")

    assert heard["ends_ms"] == ends_ms
    await lines[1].hear("saved")
    if field == "state":
        assert await lines[0].is_cut()


# --- how far things are committed --------------------------------------------------------------------------------
@pytest.fixture
def whole_hall(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few they are, the channels of a partition are told as a whole hall is."""
    monkeypatch.setattr(channel_news, "CHANNEL_TOLD_AT_ONCE", 0)


@pytest.mark.usefixtures("whole_hall")
async def test_who_falls_silent_in_a_hall_is_told_all_the_same(hall: Hall) -> None:
    line = await hall.greet("one")
    line.save(1)
    saved = await line.hear("saved")
    await hall.exam.recorder.record()

    assert (await line.hear("committed"))["committed"] >= saved["position"]
    line.leave()


@pytest.mark.usefixtures("whole_hall")
async def test_a_hall_is_spared_what_acknowledgements_tell(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a channel with a save of which nothing has said that it is committed is told beside them."""
    line = await hall.greet("one")
    await hall.asked("one")
    monkeypatch.setattr(channel_news, "CHANNEL_COMMITTED_S", 1e9)
    line.save(1)
    first = await line.hear("saved")
    await hall.exam.recorder.record()
    line.save(2)
    second = await line.hear("saved")
    [channel] = hall.channels._news[hall.exam.memory.partition_of("one").number].channels["one"]

    assert second["committed"] >= first["position"]
    assert not channel.is_owed(first["generation"], second["position"] - 1)
    assert channel.is_owed(first["generation"], second["position"])
    assert "committed" not in [message["type"] for message in line.heard[-2:]]
    monkeypatch.setattr(channel_news, "CHANNEL_COMMITTED_S", 0)
    await hall.exam.recorder.record()
    assert (await line.hear("committed"))["committed"] >= second["position"]
    line.leave()


async def test_a_commit_heard_before_its_acknowledgement_is_told_again(hall: Hall) -> None:
    """Polls come on another connection: they may overtake the answer to a save. Nothing further need be committed."""
    line = await hall.greet("one")
    line.save(1)
    saved = await line.hear("saved")
    await hall.exam.recorder.record()
    told = await line.hear("committed")
    while told["committed"] < saved["position"]:
        told = await line.hear("committed")
    [channel] = hall.channels._news[hall.exam.memory.partition_of("one").number].channels["one"]
    channel._expect_commit(saved["generation"], saved["position"], saved["committed"])

    assert (await line.hear("committed"))["committed"] >= saved["position"]
    line.leave()


async def test_a_look_from_before_a_rise_hides_no_save(hall: Hall) -> None:
    """Looks come on another connection: one of an older generation may come in after a save of the newest."""
    line = await hall.greet("one")
    await hall.asked("one")
    line.save(1)
    saved = await line.hear("saved")
    [channel] = hall.channels._news[hall.exam.memory.partition_of("one").number].channels["one"]
    channel._expect_commit(saved["generation"] - 1, saved["position"] + 9, 0)
    await hall.exam.recorder.record()

    told = await line.hear("committed")
    while told["committed"] < saved["position"]:
        told = await line.hear("committed")
    assert told["generation"] == saved["generation"]
    line.leave()


# --- generations and lost news -----------------------------------------------------------------------------------
async def test_a_new_generation_is_told_to_every_channel(hall: Hall) -> None:
    """So that journals are sent again: also to whom has saved nothing yet, and without anybody's save."""
    lines = [await hall.greet(sitting_id) for sitting_id in ("one", "two")]
    lines[0].save(1)
    old = await lines[0].hear("saved")
    await hall.asked("one", "two")
    for keys in hall.exam.memory.partitions:
        await execute(hall.exam, "HSET", keys.marker, "run_id", "another")

    for line in lines:
        told = await line.hear("committed")
        while told["generation"] == old["generation"]:
            told = await line.hear("committed")
        assert told["generation"] > old["generation"]
        line.leave()


async def test_news_no_longer_kept_are_made_good(hall: Hall) -> None:
    """A takeover and a hand-in whose lines are gone before anybody read them: the sittings are looked at."""
    lines = {sitting_id: await hall.greet(sitting_id) for sitting_id in ("one", "two")}
    await hall.asked("one", "two")
    keys = {sitting_id: hall.exam.memory.partition_of(sitting_id) for sitting_id in lines}
    for each in keys.values():  # as if the server refused to keep them: their number stands, they do not
        await execute(hall.exam, "DEL", each.news)
        await execute(hall.exam, "SET", each.news, "no stream")
    await hall.exam.login("one")
    assert (await hall.exam.submit("two"))[0] == 0

    assert await lines["one"].closed() == 1008
    assert lines["one"].heard[-1]["code"] == "sitting.superseded"
    assert (await lines["two"].hear("closed"))["state"] == "submitted"
    lines["two"].leave()


async def test_a_partition_rebuilt_goes_on_telling(hall: Hall) -> None:
    """Redis loses everything; the recorder builds it again, and the channel that stayed open hears of it."""
    line = await hall.greet("one")
    line.save(1)
    saved = await line.hear("saved")
    await hall.exam.recorder.record()
    await execute(hall.exam, "FLUSHALL")
    line.save(2)
    assert (await line.hear("error"))["code"] == "try_later"
    await hall.exam.hold()

    told = await line.hear("committed")
    while told["generation"] == saved["generation"]:
        told = await line.hear("committed")
    line.save(2)
    again = await line.hear("saved")
    assert again["generation"] == told["generation"] > saved["generation"]
    line.leave()


async def test_the_news_are_bounded_and_numbered(exam: Exam) -> None:
    """About a thousand are kept, each under the number that the marker counts."""
    await exam.enter("one")
    keys = exam.memory.partition_of("one")
    for _ in range(1_300):
        await exam.login("one")
    told = int(await execute(exam, "HGET", keys.marker, "told"))
    newest = (await execute(exam, "XREVRANGE", keys.news, "+", "-", "COUNT", 1))[0][0]

    assert told == 1_302  # confirmed, pledged, and a takeover each
    assert newest.decode().endswith(f"-{told}")
    assert await execute(exam, "XLEN", keys.news) < 1_200


# --- time --------------------------------------------------------------------------------------------------------
async def test_the_start_reaches_a_whole_hall(redis_url: str, postgres_dsn: str) -> None:
    """Every open channel gets its own seed and the one key, never before Redis's clock says so; without any task."""
    exam = Exam(redis_url, postgres_dsn, batch(starts_in_ms=6_000))
    people = [f"s{number}" for number in range(CROWD)]
    await exam.hold()
    await exam.arm(*people)
    await exam.enter(*people)
    async with Hall(exam).serving() as hall:
        lines = [await hall.greet(sitting_id) for sitting_id in people]
        tasks = len(asyncio.all_tasks())
        keys = {sitting_id: await line.hear("paper_key") for sitting_id, line in zip(people, lines, strict=True)}
        assert now_ms() >= exam.batch.starts_ms

        assert {key["paper_key"] for key in keys.values()} == {to_base64url(b"k" * 32)}
        assert all(
            key["seed"] == to_base64url(paper.sitting_seed(b"k" * 32, sitting_id)) for sitting_id, key in keys.items()
        )
        assert tasks < 20
        assert not hasattr(next(iter(hall.channels._turns[0])), "__dict__")
        for line in lines:
            line.leave()
    await exam.close()


async def test_a_clock_of_the_worker_releases_nothing(exam: Exam) -> None:
    """A worker that believes it is later than it is asks Redis in vain."""
    later = Exam.beside(exam, "LATER")
    later.batch = batch("LATER", starts_in_ms=600_000)
    await later.arm("three")
    await later.enter("three")
    async with Hall(later).serving() as hall:
        line = await hall.greet("three")
        hall.channels._ahead_ms = 10.0**15  # by its own clock everything is long over
        before = len(line.heard)
        await asyncio.sleep(3 * channel_watch.CHANNEL_POLL_S)
        later_line = await hall.greet("three")

        assert len(line.heard) == before
        assert [message["type"] for message in later_line.heard] == ["time"]
        line.leave()
        later_line.leave()


# --- those who are not there, and the end ------------------------------------------------------------------------
async def test_who_says_nothing_is_sent_away(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without hello costs its place."""
    monkeypatch.setattr(channel_watch, "CHANNEL_HELLO_S", 0.5)
    line = await hall.connect()
    line.send(frame(0x89))

    assert (await line.receive())[0] == 0x8A
    assert await line.closed() == 1008
    assert line.heard[-1]["code"] == "auth.missing"


async def test_who_answers_no_ping_is_cut_off(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has vanished; one that answers stays."""
    monkeypatch.setattr(channel_watch, "CHANNEL_TURN_S", 2)
    monkeypatch.setattr(channel, "CHANNEL_PING_S", 1)
    monkeypatch.setattr(channel, "CHANNEL_UNHEARD_S", 4)
    hall.channels._turns = hall.channels._turns[:2]
    alive, dead = await hall.greet("one"), await hall.greet("two")
    answering = asyncio.create_task(_answer_pings(alive))
    first, _ = await dead.receive()
    while first == 0x81:
        first, _ = await dead.receive()

    assert first == 0x89
    assert await dead.is_cut()
    assert not answering.done()
    answering.cancel()
    alive.save(1)
    alive.leave()


async def _answer_pings(line: Line) -> None:
    while True:
        first, payload = await line.receive()
        if first == 0x89:
            line.send(frame(0x8A, payload))


async def test_a_quiet_line_gets_signs_of_life_that_need_no_answer(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy nor the browser takes it for dead, at half of what asking costs; and it stays."""
    monkeypatch.setattr(channel_watch, "CHANNEL_TURN_S", 2)
    monkeypatch.setattr(channel, "CHANNEL_SIGN_S", 1)
    hall.channels._turns = hall.channels._turns[:2]
    line = await hall.greet("one")

    received = [await line.receive() for _ in range(4)]

    assert [entry for entry in received if entry[0] != 0x81][:2] == [(0x8A, b"")] * 2
    line.leave()


async def test_a_quiet_machine_is_asked_soon_while_its_room_is_watched(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that nothing recent answers makes the worker ask; the next look then knows whether it lives."""
    monkeypatch.setattr(channel, "CHANNEL_PING_WATCHED_S", 0)
    line = await hall.greet("one")
    [watched] = hall.channels._news[hall.exam.memory.partition_of("one").number].channels["one"]
    hall.channels.now_s += 1

    watched.hear("look", 0)

    first, payload = await line.receive()
    while first == 0x81:
        first, payload = await line.receive()
    assert (first, payload) == (0x89, b"")
    line.leave()


async def test_who_does_not_answer_a_close_is_cut_off(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that ignores the end does not keep the connection."""
    monkeypatch.setattr(channel_watch, "CHANNEL_CLOSE_S", 0.5)
    line = await hall.greet("one")
    line.send(frame(0x82, b"binary"))
    first, payload = await line.receive()
    while first != 0x88:
        first, payload = await line.receive()
    for _ in range(100):
        line.send(frame(0x89, b"still here"))

    assert payload[:2] == (1003).to_bytes(2, "big")
    assert await line.is_cut()
    assert hall.channels._count == 0


async def test_a_stopping_worker_answers_and_moves_everybody(hall: Hall) -> None:
    """What is under way is answered before the close: 1012, connect again."""
    one, two = await hall.greet("one"), await hall.greet("two")
    unheard = await hall.connect()
    [saving] = hall.channels._news[hall.exam.memory.partition_of("one").number].channels["one"]
    await execute(hall.exam, "CLIENT", "PAUSE", 1500, "ALL")
    one.save(1)
    one.save(2)
    async with asyncio.timeout(PATIENCE_S):
        while len(saving._unanswered) < 2:  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.01)
    draining = asyncio.create_task(hall.channels.drain(3))

    assert await one.closed() == await two.closed() == await unheard.closed() == 1012
    assert [message["type"] for message in one.heard[-3:]] == ["notice", "saved", "saved"]
    assert two.heard[-1]["code"] == "moving"
    await draining
    with pytest.raises(TryLater):
        hall.channels.check_room()


async def test_a_channel_that_ends_leaves_nothing_behind(hall: Hall) -> None:
    """Nor in any of the lists it stood in."""
    lines = [await hall.greet(sitting_id) for sitting_id in ("one", "two", "one")]
    for seq, line in enumerate(lines, start=1):
        line.save(seq)
        await line.hear("saved")
        line.leave()
    async with asyncio.timeout(PATIENCE_S):
        while hall.channels._count:  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.01)
    channels = hall.channels

    assert not any(channels._turns)
    assert not channels._unheard and not channels._closing and not channels._moments
    assert not any(news.channels or news._unsure for news in channels._news)
