"""Wire and channel with a witness on them: each call of a candidate and each answer goes into the ledger.

Promise: a call is in the ledger before it is sent, an answer is fsynced before the client sees it. So whatever a client
does with an answer (forget a change, tell a person), the ledger knows better than the client.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Unpack

import orjson

from loadtest.channel import Channel
from loadtest.torture.ledger import Ledger
from loadtest.wire import CALL_TIMEOUT_S, Problem, Reply, Sending, Wire

RESPONSES = "/v1/sitting/responses"
WITNESSED = {
    "/v1/login": "login",
    "/v1/sitting": "sitting",
    RESPONSES: "responses",
    "/v1/sitting/submit": "submit",
    "/v1/sitting/receipt": "receipt",
}
PATIENT_S = 3.0  # a stopped process keeps its connections: the client turns to another one rather soon
BODIES_KEPT = 20  # per token, to be sent again by mischief


class Witness(Wire):
    """One per client process. Knows each sitting's tokens and each token's last bodies, for those who misuse them."""

    def __init__(self, url: str, ledger: Ledger, process: str) -> None:
        super().__init__(url)
        self.ledger = ledger
        self.tokens: dict[str, list[str]] = defaultdict(list)  # sitting -> its tokens, the newest last
        self.bodies: dict[str, deque[bytes]] = defaultdict(lambda: deque(maxlen=BODIES_KEPT))  # by token
        self._process = process
        self._calls = 0

    async def send(self, method: str, path: str, **how: Unpack[Sending]) -> Reply:
        """As the plain wire sends, with an entry before and a kept one after."""
        how["timeout_s"] = min(how.get("timeout_s", CALL_TIMEOUT_S), PATIENT_S)
        part = WITNESSED.get(path)
        if part is None:
            return await super().send(method, path, **how)
        call = self.begin(part, how.get("token", ""), how.get("body"))
        try:
            reply = await super().send(method, path, **how)
        except Problem as problem:
            self.ledger.note("refused", call=call, status=problem.status, code=problem.code)
            raise
        await self.ledger.keep("answer", call=call, reply=self._told(part, reply.json()))
        return reply

    def begin(self, part: str, token: str, body: bytes | None) -> str:
        """Take down a call that is about to be sent; returns its number."""
        self._calls += 1
        call = f"{self._process}-{self._calls}"
        sent = orjson.loads(body) if body else {}
        if part == "login":
            self.ledger.note("call", call=call, path=part, person=f"{sent['admission_code']}/{sent['id_number']}")
            return call
        if part == "responses" and body is not None:
            self.bodies[token].append(body)
        self.ledger.note("call", call=call, path=part, token=tag(token), **sent)
        return call

    def _told(self, part: str, reply: dict[str, Any]) -> dict[str, Any]:
        """The answer without secrets."""
        if part != "login":
            return reply
        self.tokens[reply["sitting_id"]].append(reply["token"])
        kept = {name: reply[name] for name in ("sitting_id", "batch_id", "state")}
        return {"token": tag(reply["token"]), **kept}


class WitnessedChannel(Channel):
    """A channel over a Witness: its saves are calls like any other, and what it hears as committed is a promise."""

    def __init__(self, wire: Wire, told: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(wire, self._take_down)
        assert isinstance(wire, Witness), "only a witness has a ledger"
        self._witness = wire
        self._tells = told

    async def save(self, body: bytes) -> dict[str, Any]:
        ledger, call = self._witness.ledger, self._witness.begin("responses", self.token, body)
        try:
            saved = await super().save(body)
        except Problem as problem:
            ledger.note("refused", call=call, status=problem.status, code=problem.code)
            raise
        reply = {name: saved[name] for name in ("saved", "generation", "position", "committed")}
        await ledger.keep("answer", call=call, reply=reply)
        return saved

    def _take_down(self, message: dict[str, Any]) -> None:
        if message["type"] == "committed":
            told = {name: message[name] for name in ("generation", "committed")}
            self._witness.ledger.note("heard", token=tag(self.token), **told)
        self._tells(message)


def tag(token: str) -> str:
    """What a ledger calls a token: enough to tell tokens apart, not enough to use them."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]
