"""The simulated candidate loses nothing: against a small stand-in for the public API that fails in every way."""

from __future__ import annotations

import base64
import hashlib
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.sealing.paper import seal_paper
from engine.sealing.signature import Signer
from loadtest import candidate as candidate_module
from loadtest.candidate import Candidate, TakenOver
from loadtest.sealed import SealBroken, check_digest, open_paper
from loadtest.wire import Problem, Wire

BATCH = "batch-1"
PAPER_KEY = bytes(range(32))
PAPER: dict[str, Any] = {"batch_id": BATCH, "title": "T", "sections": [{"id": "A", "title": "A", "items": []}]}
PAPER |= {"media": {}, "media_types": {}}
SEALED = seal_paper(BATCH, PAPER, PAPER_KEY, Signer(b"s" * 32))


class StandIn:
    """One sitting of an engine; each save call meets the next of `troubles`, then all goes well."""

    def __init__(self) -> None:
        self.troubles: deque[str] = deque()
        self.stored: dict[str, tuple[int, Any]] = {}
        self.epoch = self.saves = self.position = self.committed = 0
        self.generation = 1
        self.state = "checked_in"
        self.starts_ms = int(time.time() * 1000)
        self.commits_at_once = True

    def app(self) -> web.Application:
        made = web.Application()
        made.router.add_post("/v1/login", self.log_in)
        made.router.add_get("/v1/sitting", self.sitting)
        made.router.add_post("/v1/sitting/{step:confirm|pledge}", self.step)
        made.router.add_get("/v1/sealed/{digest}", self.sealed)
        made.router.add_get("/v1/sitting/paper-key", self.paper_key)
        made.router.add_post("/v1/sitting/responses", self.save)
        made.router.add_post("/v1/sitting/submit", self.submit)
        return made

    def told(self) -> dict[str, Any]:
        return {
            "sitting_id": "s-1",
            "batch_id": BATCH,
            "state": self.state,
            "server_ms": int(time.time() * 1000),
            "starts_ms": self.starts_ms,
            "ends_ms": self.starts_ms + 60_000,
            "paper": {"digest": hashlib.sha256(SEALED).hexdigest(), "bytes": len(SEALED)},
        }

    def reached(self) -> dict[str, int]:
        return {"generation": self.generation, "committed": self.committed}

    async def log_in(self, request: web.Request) -> web.Response:
        self.epoch += 1
        return web.json_response({"token": str(self.epoch), **self.told()})

    async def sitting(self, request: web.Request) -> web.Response:
        self.check(request)
        responses = {item: {"seq": seq, "value": value} for item, (seq, value) in self.stored.items()}
        return web.json_response({**self.told(), **self.reached(), "responses": responses})

    async def step(self, request: web.Request) -> web.Response:
        self.check(request)
        self.state = {"confirm": "confirmed", "pledge": "pledged"}[request.match_info["step"]]
        if self.troubles and self.troubles[0] == "order":
            self.troubles.popleft()  # it happened, but the answer got lost and the client asked twice
            raise problem(web.HTTPConflict, "sitting.order")
        return web.json_response({"state": self.state})

    async def sealed(self, request: web.Request) -> web.Response:
        return web.Response(body=SEALED)

    async def paper_key(self, request: web.Request) -> web.Response:
        if time.time() * 1000 < self.starts_ms:
            body = orjson.dumps({"code": "paper_key.too_early", "starts_ms": self.starts_ms})
            return web.Response(status=425, body=body)
        encoded = base64.urlsafe_b64encode(PAPER_KEY).rstrip(b"=").decode()
        return web.json_response({"paper_key": encoded, "seed": encoded})

    async def save(self, request: web.Request) -> web.Response:
        self.check(request)
        changes = (await request.json())["changes"]
        trouble = self.troubles.popleft() if self.troubles else ""
        self.meet(trouble, request)
        for change in changes:
            if change["seq"] > self.stored.get(change["item"], (0, None))[0]:
                self.stored[change["item"]] = (change["seq"], change["value"])
        self.saves += 1
        self.position += 1
        self.committed = self.position if self.commits_at_once else self.committed
        if trouble == "answer lost":
            hang_up(request)
        saved = max(change["seq"] for change in changes)
        return web.json_response({"saved": saved, "position": self.position, **self.reached()})

    def meet(self, trouble: str, request: web.Request) -> None:
        if trouble == "try later":
            raise problem(web.HTTPServiceUnavailable, "try_later")
        if trouble == "call lost":
            hang_up(request)
        if trouble == "superseded":
            self.epoch += 1
            self.check(request)
        if trouble == "rolled back":
            self.stored, self.position, self.committed = {}, 0, 0
            self.generation += 1
        if trouble == "closed":
            raise problem(web.HTTPConflict, "autosave.closed")

    async def submit(self, request: web.Request) -> web.Response:
        self.check(request)
        seq = (await request.json())["seq"]
        if seq > max((stored for stored, _ in self.stored.values()), default=0):
            raise problem(web.HTTPConflict, "submit.behind")
        self.state = "submitted"
        return web.json_response({"state": "submitted"})

    def check(self, request: web.Request) -> None:
        if request.headers["Authorization"] != f"Bearer {self.epoch}":
            raise problem(web.HTTPConflict, "sitting.superseded")


def problem(kind: Any, code: str) -> Exception:
    made: Exception = kind(text=orjson.dumps({"code": code}).decode(), content_type="application/problem+json")
    return made


def hang_up(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
    raise web.HTTPInternalServerError


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
async def candidate(stand_in: StandIn) -> AsyncIterator[Candidate]:
    """A person who has logged in and may write."""
    async with TestServer(stand_in.app()) as server, Wire(str(server.make_url(""))) as wire:
        person = Candidate(wire, "CODE", "110101", dice=random.Random(1))
        await person.log_in()
        await person.enter()
        await person.fetch_sealed()
        await person.open_paper()
        person.start_saving()
        yield person
        await person.stop()


@pytest.mark.parametrize("trouble", ["", "try later", "call lost", "answer lost", "superseded", "rolled back"])
async def test_change_survives_every_trouble_of_a_save(candidate: Candidate, stand_in: StandIn, trouble: str) -> None:
    """Whatever happens to a call, its changes end up stored, acknowledged once and in the ledger once."""
    stand_in.commits_at_once = False
    candidate.change("A1", "a")
    await candidate.flush()
    stand_in.troubles.append(trouble)

    candidate.change("A2", "b")
    candidate.change("A1", "c")
    await candidate.flush()

    assert stand_in.stored == {"A1": (3, "c"), "A2": (2, "b")}
    assert [(change.seq, change.acknowledged) for change in candidate.ledger.changes] == [
        (1, True),
        (2, True),
        (3, True),
    ]
    assert candidate.tally.acknowledged == 3


async def test_without_a_channel_everything_goes_over_http(stand_in: StandIn) -> None:
    """A proxy that lets no WebSocket through: key and saves come and go by calls, and none is refused for it."""
    async with TestServer(stand_in.app()) as server, Wire(str(server.make_url(""))) as wire:
        person = Candidate(wire, "CODE", "110101", dice=random.Random(1), has_channel=True)
        await person.log_in()
        await person.enter()
        await person.fetch_sealed()
        assert await person.open_paper() == PAPER
        person.start_saving()
        person.change("A1", "a")
        await person.flush()
        await person.stop()

    assert stand_in.stored == {"A1": (1, "a")}
    assert (person.tally.channels, person.tally.over_http, person.tally.acknowledged) == (0, 1, 1)


async def test_rolled_back_engine_gets_everything_not_committed_again(candidate: Candidate, stand_in: StandIn) -> None:
    """A raised generation replays the journal: what was only saved is not lost."""
    stand_in.commits_at_once = False
    for number in range(5):
        candidate.change(f"A{number}", "a")
        await candidate.flush()
    stand_in.troubles.append("rolled back")

    candidate.change("B1", "b")
    await candidate.flush()

    assert sorted(stand_in.stored) == ["A0", "A1", "A2", "A3", "A4", "B1"]


async def test_idle_client_notices_a_rolled_back_engine(
    candidate: Candidate, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With saved but uncommitted changes it keeps asking, even when nobody types."""
    monkeypatch.setattr(candidate_module, "REFRESH_S", 0.05)
    stand_in.commits_at_once = False
    candidate.change("A1", "a")
    await candidate.flush()
    stand_in.meet("rolled back", None)  # type: ignore[arg-type]
    stand_in.commits_at_once = True

    await candidate.settle()

    assert stand_in.stored == {"A1": (1, "a")}


async def test_coming_back_replays_the_journal(candidate: Candidate, stand_in: StandIn) -> None:
    """Typing goes on without a connection; the second login raises the epoch and sends it all."""
    await candidate.stop()
    candidate.change("A1", "a")
    candidate.change("A1", "b")
    assert stand_in.stored == {}

    await candidate.come_back()
    await candidate.flush()

    assert stand_in.epoch == 2
    assert stand_in.stored == {"A1": (2, "b")}


async def test_other_machine_goes_on_with_the_engines_seq(candidate: Candidate, stand_in: StandIn) -> None:
    """Without the journal the next change is newer than everything the engine holds."""
    candidate.change("A1", "a")
    candidate.change("A2", "a")
    await candidate.flush()
    await candidate.stop()

    await candidate.come_back(other_machine=True)
    candidate.change("A1", "z")
    await candidate.flush()

    assert stand_in.stored["A1"] == (3, "z")


async def test_closed_sitting_stops_the_sender(candidate: Candidate, stand_in: StandIn) -> None:
    """After the end nothing is sent any more, and nobody waits for it."""
    stand_in.troubles.append("closed")

    candidate.change("A1", "a")
    await candidate.flush()

    assert candidate.closed
    assert not await candidate.submit()
    assert not candidate.ledger.changes[0].acknowledged


async def test_hand_in_waits_for_the_last_change(candidate: Candidate, stand_in: StandIn) -> None:
    """The hand-in names a seq that the engine has already saved, so it is never behind."""
    stand_in.troubles.extend(["try later", "answer lost"])
    candidate.change("A1", "a")

    assert await candidate.submit()

    assert stand_in.state == "submitted"
    assert candidate.ledger.receipts == [{"state": "submitted"}]


async def test_polite_candidate_gives_way_to_another_login(candidate: Candidate, stand_in: StandIn) -> None:
    """In a demo a person may take the sitting over for good."""
    candidate.takes_back = False
    stand_in.troubles.append("superseded")
    candidate.change("A1", "a")

    with pytest.raises(TakenOver):
        await candidate.flush()


async def test_step_whose_answer_was_lost_is_not_repeated_for_ever(stand_in: StandIn) -> None:
    """`sitting.order` after a retry means that the step was taken already."""
    stand_in.troubles.append("order")
    async with TestServer(stand_in.app()) as server, Wire(str(server.make_url(""))) as wire:
        person = Candidate(wire, "CODE", "110101")
        await person.log_in()

        await person.enter()

        assert stand_in.state == "pledged"


async def test_paper_key_is_waited_for_by_the_servers_clock(stand_in: StandIn) -> None:
    """Before the start the key is refused with the instant to come back at."""
    stand_in.starts_ms = int(time.time() * 1000) + 300
    async with TestServer(stand_in.app()) as server, Wire(str(server.make_url(""))) as wire:
        person = Candidate(wire, "CODE", "110101")
        await person.log_in()
        await person.fetch_sealed()
        person.starts_ms -= 10_000  # as if the start had been put off after the login

        paper = await person.open_paper()

        assert paper == PAPER
        assert time.time() * 1000 >= stand_in.starts_ms


async def test_refused_call_is_an_error_with_the_engines_words(candidate: Candidate) -> None:
    """What no retry can mend is raised with status and code."""
    with pytest.raises(Problem) as raised:
        await candidate.wire.send("GET", "/v1/nothing")
    assert raised.value.status == 404


def test_sealed_paper_opens_only_with_its_key_batch_and_bytes() -> None:
    """Digest, key, batch and bytes must all be right."""
    check_digest(SEALED, hashlib.sha256(SEALED).hexdigest())
    assert open_paper(SEALED, PAPER_KEY, BATCH) == PAPER

    with pytest.raises(SealBroken):
        check_digest(SEALED + b".", hashlib.sha256(SEALED).hexdigest())
    for sealed, paper_key, batch_id in [
        (SEALED, bytes(32), BATCH),
        (SEALED, PAPER_KEY, "batch-2"),
        (SEALED[:-1] + b"?", PAPER_KEY, BATCH),
        (b"LKP1" + SEALED[4:], PAPER_KEY, BATCH),
        (seal_paper("batch-9", PAPER, PAPER_KEY, Signer(b"s" * 32)), PAPER_KEY, BATCH),
        (b"", PAPER_KEY, BATCH),
    ]:
        with pytest.raises(SealBroken):
            open_paper(sealed, paper_key, batch_id)


async def test_hand_in_forgotten_by_the_engine_is_repeated(candidate: Candidate, stand_in: StandIn) -> None:
    """After a roll-back behind the hand-in the journal and then the hand-in go out again."""
    stand_in.commits_at_once = False
    candidate.change("A1", "a")
    assert await candidate.submit()
    stand_in.meet("rolled back", None)  # type: ignore[arg-type]
    stand_in.state, stand_in.commits_at_once = "in_progress", True

    await candidate.settle()

    assert (stand_in.stored, stand_in.state) == ({"A1": (1, "a")}, "submitted")


async def test_settling_ends_where_the_hand_in_is_known(candidate: Candidate, stand_in: StandIn) -> None:
    """A raised generation that kept the hand-in refuses the replay: there is nothing left to wait for."""
    stand_in.commits_at_once = False
    candidate.change("A1", "a")
    assert await candidate.submit()
    stand_in.generation += 1
    stand_in.troubles.append("closed")
    began = time.monotonic()

    await candidate.settle()

    assert time.monotonic() - began < 10
