"""Takeovers and rooms over real stores: what a permission is, and who is asked for a sign of life."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from engine.candidates import Candidates
from engine.invigilation import events, seats, takeover
from engine.invigilation.resources import Invigilation
from engine.rules.errors import TryLater
from engine.rules.limits import EVENT_WRITERS_MAX
from engine.rules.outcome import Outcome
from engine.sealing import token
from engine.stores import api_keys
from engine.stores.clock import now_ms
from engine.stores.memory import Script
from engine.stores.postgres import Postgres
from tests.integration.exam import Exam, until_waiting
from tests.integration.test_channel_watch import PATIENCE_S, TOKEN_KEY, Hall

TEN_MINUTES_MS = 600_000


@pytest.fixture
async def hall(exam: Exam) -> AsyncIterator[Hall]:
    await exam.enter("one", "two")
    async with Hall(exam).serving() as serving:
        yield serving


def key_of(exam: Exam, sitting_id: str) -> str:
    return exam.memory.partition_of(sitting_id).sitting(sitting_id)


async def allow(exam: Exam, sitting_id: str, holds_ms: int = TEN_MINUTES_MS) -> list[Any]:
    keys = exam.memory.partition_of(sitting_id)
    script: Script = takeover._TAKEOVER
    return await exam.memory.run(script, [keys.marker, keys.log, keys.sitting(sitting_id)], [holds_ms])


async def look_at(exam: Exam, sitting_id: str) -> list[Any]:
    """What a room's call learns of one sitting."""
    keys = exam.memory.partition_of(sitting_id)
    names = [keys.marker, keys.log, keys.news, keys.sitting(sitting_id)]
    reply = await exam.memory.run(seats._SEATS, names, [0, sitting_id])
    assert reply[0] == Outcome.OK
    return list(reply[2])


def call(exam: Exam, database: Postgres, bearer: str, body: Any, **in_path: str) -> Request:
    """A call as it reaches its handler, in a worker whose invigilation has this database."""
    state = SimpleNamespace(
        invigilation=Invigilation(database, exam.memory, Candidates(exam.memory, TOKEN_KEY)),
        known_keys=api_keys.KnownKeys(exam.owner_database),
    )

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode()}

    headers = [(b"authorization", f"Bearer {bearer}".encode())]
    scope = {"type": "http", "method": "POST", "headers": headers, "path_params": in_path, "query_string": b""}
    return Request({**scope, "app": SimpleNamespace(state=state)}, receive)


@pytest.fixture
async def nowhere() -> AsyncIterator[Postgres]:
    """A PostgreSQL that is away."""
    database = Postgres("postgresql://liankao@127.0.0.1:1/liankao", 1)
    yield database
    await database.close()


# --- takeover --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["proctor", "silent"])
async def test_a_permission_is_for_one_login_and_ends_by_redis_clock(exam: Exam, rule: str) -> None:
    await exam.enter("one")
    outcome, server_ms, until_ms = map(int, await allow(exam, "one"))
    assert (outcome, until_ms - server_ms) == (Outcome.OK, TEN_MINUTES_MS)

    used = await exam.login("one", rule)
    after = await exam.login("one", rule)
    await exam.set_field(key_of(exam, "one"), "takeover_ms", str(int(used[4]) - 1))
    too_late = await exam.login("one", rule)

    assert [reply[0] for reply in (used, after, too_late)] == [Outcome.OK, Outcome.ELSEWHERE, Outcome.ELSEWHERE]
    assert (await exam.stored("one"))["epoch"] == b"2"


async def test_only_looking_allows_nothing(exam: Exam) -> None:
    await exam.enter("one")
    await allow(exam, "one", 0)

    assert "takeover_ms" not in await exam.stored("one")
    assert (await exam.login("one", "proctor"))[0] == Outcome.ELSEWHERE


async def test_a_login_that_needed_no_permission_uses_it_up(exam: Exam) -> None:
    """One login, whichever it was: what is left over would let in whoever comes next."""
    await exam.enter("one")
    await allow(exam, "one")
    await exam.login("one", "free")

    assert "takeover_ms" not in await exam.stored("one")


async def test_nobody_is_let_in_where_nobody_is_or_all_is_over(exam: Exam) -> None:
    assert await allow(exam, "one") == [Outcome.OK, pytest.approx(now_ms(), abs=60_000), 0]
    assert "takeover_ms" not in await exam.stored("one")
    await exam.enter("two")
    await exam.submit("two")
    for field, value in (("state", "absent"), ("state", "void"), ("entry_ms", "1"), ("closes_ms", "1")):
        await exam.set_field(key_of(exam, "one"), field, value)
        assert (await allow(exam, "one"))[0] == Outcome.CLOSED

    assert (await allow(exam, "two"))[0] == Outcome.CLOSED
    assert (await allow(exam, "nobody"))[0] == Outcome.UNKNOWN


async def test_a_rebuilt_redis_has_forgotten_permissions(exam: Exam) -> None:
    """They are on record, and given again; nobody is let in by a permission that nobody can see any more."""
    await exam.enter("one")
    await exam.recorder.record()
    await allow(exam, "one")
    await exam.redis.flushdb()
    await exam.hold()

    assert (await exam.login("one", "proctor"))[0] == Outcome.ELSEWHERE


async def test_the_old_machine_hears_of_an_allowed_takeover_over_its_channel(hall: Hall) -> None:
    exam = hall.exam
    line = await hall.greet("one")
    await hall.asked("one")
    assert (await exam.login("one", "proctor"))[0] == Outcome.ELSEWHERE
    await allow(exam, "one")

    assert (await exam.login("one", "proctor"))[0] == Outcome.OK

    told = await line.hear("error")
    assert told["code"] == "sitting.superseded"


async def test_nobody_is_let_in_without_a_record_of_it(exam: Exam, postgres_dsn: str, nowhere: Postgres) -> None:
    """PostgreSQL away: the proctor tries again later, and until then the old machine keeps the sitting."""
    await exam.enter("one")
    key = await api_keys.create(postgres_dsn, "proctor")
    with pytest.raises(TryLater):
        await takeover.allow(call(exam, nowhere, key, {}, sitting_id="one"))

    assert (await exam.login("one", "proctor"))[0] == Outcome.ELSEWHERE


# --- rooms -----------------------------------------------------------------------------------------------------


async def test_a_room_counts_what_is_answered_and_not_what_is_cleared(exam: Exam) -> None:
    await exam.enter("one")
    await exam.save("one", ("A1", 1, '"a"'), ("A2", 2, '"null"'), ("A3", 3, "null"), ("A4", 4, '["a|null"]'))

    outcome, state, ends_ms, _, takeover_ms, asked_ms, answered = await look_at(exam, "one")

    assert (outcome, state, answered) == (Outcome.OK, b"pledged", 3)
    assert (int(ends_ms), takeover_ms, asked_ms) == (exam.batch.ends_ms, b"0", b"0")


async def test_a_room_hears_of_a_candidate_who_was_refused_elsewhere(exam: Exam) -> None:
    """Until somebody is let in: then nobody waits any more."""
    await exam.enter("one")
    refused = await exam.login("one", "proctor")
    asked = (await look_at(exam, "one"))[5]
    await allow(exam, "one")
    await exam.login("one", "proctor")

    assert (refused[0], int(asked)) == (Outcome.ELSEWHERE, int(refused[4]))
    assert (await look_at(exam, "one"))[5] == b"0"


async def test_a_hash_that_cannot_be_read_spoils_no_other_seat(exam: Exam) -> None:
    await exam.set_field(key_of(exam, "one"), "ends_ms", "soon")

    assert await look_at(exam, "one") == [Outcome.CORRUPT]
    assert await look_at(exam, "nobody") == [Outcome.UNKNOWN]
    assert (await look_at(exam, "two"))[0] == Outcome.OK


async def test_an_open_channel_shows_itself_when_its_room_is_looked_at(hall: Hall) -> None:
    """Who only reads sends nothing for minutes; nothing is written for candidates whom nobody watches."""
    exam = hall.exam
    line = await hall.greet("one")
    await hall.asked("one")
    long_ago = str(now_ms() - 300_000)
    for sitting_id in ("one", "two"):
        await exam.set_field(key_of(exam, sitting_id), "seen_ms", long_ago)
        await look_at(exam, sitting_id)

    async with asyncio.timeout(PATIENCE_S):
        while (await exam.stored("one"))["seen_ms"] == long_ago.encode():  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.05)
    assert (await exam.stored("two"))["seen_ms"] == long_ago.encode()  # has no channel
    assert [message["type"] for message in line.heard] == ["time"]  # and its candidate hears nothing of it


async def test_a_machine_that_may_be_dead_is_not_taken_for_alive_because_somebody_watches(hall: Hall) -> None:
    """Its connection stays open for a while; under `silent` its candidate would be kept out for as long."""
    line = await hall.greet("one")
    news = hall.channels._news[hall.exam.memory.partition_of("one").number]
    [channel] = news.channels["one"]
    looks = []
    for silent_s in (0, 60):
        hall.channels.now_s = channel.heard_s + silent_s
        channel.hear("look", now_ms())
        looks.append(channel in news._to_look)
        news._to_look.clear()
    line.leave()

    assert looks == [True, False]


async def test_a_room_is_shown_while_redis_hangs(exam: Exam) -> None:
    """As far as it is recorded, and long before the page gives up."""
    room = Invigilation(exam.engine_database, exam.memory, Candidates(exam.memory, TOKEN_KEY))
    rows = await exam.query("SELECT sitting_id FROM sitting")
    await room.candidates.batch("B")
    await seats._look(room, "B", [{"sitting_id": sitting_id} for (sitting_id,) in rows])
    await exam.redis.execute_command("CLIENT", "PAUSE", 5_000, "ALL")

    live, _, items = await seats._look(room, "B", [{"sitting_id": sitting_id} for (sitting_id,) in rows])

    assert (live, items) == ({}, None)
    assert await exam.redis.ping()  # it is back


# --- events ----------------------------------------------------------------------------------------------------


async def test_a_sitting_has_so_many_events_and_no_more(exam: Exam, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes beyond is not recorded, what is on record counts again when it is sent again, acts always are."""
    monkeypatch.setattr(events, "EVENTS_PER_SITTING_MAX", 5)
    reported = [events.Event(event_id=f"e{n}", kind="window_left", at_ms=n) for n in range(7)]
    act = events.Event(event_id="act", kind="takeover_allowed", at_ms=9, proctor="p", key_id="k")

    known = []
    for some in (reported[:4], reported[2:7], reported[2:4], reported[6:], [*reported[5:], *reported[:2]]):
        async with exam.engine_database.transaction() as connection:
            known.append(await events._record_reported(connection, "B", "one", some, 10))
    async with exam.engine_database.transaction() as connection:
        await events.record(connection, "B", "one", [act], 10)

    assert known == [4, 3, 2, 0, 2]
    rows = await exam.query("SELECT event_id FROM room_event ORDER BY number")
    assert rows == [("e0",), ("e1",), ("e2",), ("e3",), ("e4",), ("act",)]


async def test_no_reader_passes_over_an_event_that_is_being_recorded(exam: Exam) -> None:
    """Numbers of one batch become visible in their order: a second writer waits for the first to commit."""
    acts = [events.Event(event_id=name, kind="takeover_allowed", at_ms=1, key_id="k") for name in ("a", "b")]
    async with exam.engine_database.transaction() as slow:
        await events.record(slow, "B", "one", acts[:1], 1)

        async def write() -> None:
            async with exam.engine_database.transaction() as connection:
                await events.record(connection, "B", "two", acts[1:], 1)

        waiting = asyncio.create_task(write())
        await asyncio.sleep(0.2)
        seen = await exam.query("SELECT event_id FROM room_event")
        assert not waiting.done()
    await waiting

    assert seen == []
    assert await exam.query("SELECT event_id FROM room_event ORDER BY number") == [("a",), ("b",)]


async def test_a_page_keeps_what_postgresql_cannot_take_now(exam: Exam, nowhere: Postgres) -> None:
    """The same call again is safe, and answered once PostgreSQL is back; saves have never waited for it."""
    await exam.enter("one")
    issued = token.issue(token.Token("one", exam.batch.batch_id, "1"), TOKEN_KEY)
    body = {"events": [{"id": "e", "kind": "window_left", "at_ms": now_ms()}]}
    with pytest.raises(TryLater):
        await events.report(call(exam, nowhere, issued, body))

    answer = await events.report(call(exam, exam.engine_database, issued, body))

    assert json.loads(bytes(answer.body)) == {"recorded": 1}
    assert await exam.query("SELECT event_id FROM room_event") == [("e",)]


async def test_pages_that_report_all_at_once_leave_connections_to_others(
    exam: Exam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They write in turns anyway; who waited too long is told to send the same again."""
    monkeypatch.setattr(events, "EVENTS_WAIT_S", 300)
    await exam.enter("one")
    issued = token.issue(token.Token("one", exam.batch.batch_id, "1"), TOKEN_KEY)
    left = [{"id": f"e{number}", "kind": "window_left", "at_ms": now_ms()} for number in range(7)]
    reports = [call(exam, exam.engine_database, issued, {"events": [event]}) for event in left]
    for report in reports[1:]:
        report.scope["app"] = reports[0].scope["app"]
    async with exam.owner_database.transaction() as slow:
        await events.record(slow, exam.batch.batch_id, "two", [], 1)
        writing = [asyncio.create_task(events.report(report)) for report in reports[:6]]
        await until_waiting(exam, EVENT_WRITERS_MAX)
        async with exam.engine_database.connection() as one, exam.engine_database.connection() as two:
            free = (await one.fetchval("SELECT 1"), await two.fetchval("SELECT 1"))
        monkeypatch.setattr(events, "EVENTS_WAIT_S", 0.1)
        with pytest.raises(TryLater, match="send the same again"):
            await events.report(reports[6])
    answers = await asyncio.gather(*writing)

    assert free == (1, 1)
    assert {bytes(answer.body) for answer in answers} == {b'{"recorded":1}'}
    assert await exam.query("SELECT count(*) FROM room_event") == [(6,)]
