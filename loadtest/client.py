"""Clients over the public API: the machines that push and pull, and a well-behaved candidate."""

from __future__ import annotations

import email.utils
import time
from types import TracebackType
from typing import Any, Self

import orjson

from loadtest.candidate import Candidate
from loadtest.wire import Problem, Reply, Unreachable, Wire

__all__ = ["Candidate", "MachineClient", "Problem", "Unreachable", "Wire"]

PATIENCE_S = 120.0  # longer than any restart of a part; an engine away for longer needs a person
PAPER_TIMEOUT_S = 60.0
PAGE_RESULTS = 100


class MachineClient:
    """A scheduling system or a scorer with one API key; every call is retried while the engine says `try later`.

    Give it the engine's URL and use it as an async context manager, or a `Wire` that is already open and shared.
    Raises Problem with the engine's own words where it refuses, Unreachable after `patience_s` without an answer.
    """

    def __init__(self, engine: str | Wire, api_key: str, patience_s: float = PATIENCE_S) -> None:
        self.wire = Wire(engine) if isinstance(engine, str) else engine
        self.api_key = api_key
        self.patience_s = patience_s

    async def __aenter__(self) -> Self:
        await self.wire.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.wire.__aexit__(kind, fault, trace)

    async def put_paper(self, paper_id: str, paper: dict[str, Any]) -> dict[str, Any]:
        """Push a question set; returns `{paper_id, digest, items, points}`."""
        return await self._put(f"/v1/papers/{paper_id}", paper)

    async def put_batch(self, batch_id: str, batch: dict[str, Any]) -> dict[str, Any]:
        return await self._put(f"/v1/batches/{batch_id}", batch)

    async def put_roster(self, batch_id: str, roster: list[dict[str, Any]]) -> dict[str, Any]:
        """Push the whole roster; returns `{accepted, added, changed, removed, unchanged}`."""
        return await self._put(f"/v1/batches/{batch_id}/roster", roster)

    async def arm(self, batch_id: str, witnesses: list[str]) -> dict[str, Any]:
        return await self._json("POST", f"/v1/batches/{batch_id}/arm", {"witnesses": witnesses})

    async def batch(self, batch_id: str) -> dict[str, Any]:
        """The batch with its `state` and `counts`."""
        return await self._json("GET", f"/v1/batches/{batch_id}")

    async def results(self, batch_id: str, page_results: int = PAGE_RESULTS) -> list[dict[str, Any]]:
        """All results of a batch, page after page."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = await self._json("GET", f"/v1/batches/{batch_id}/results?limit={page_results}{after}")
            found.extend(page["results"])
            if page["next"] is None:
                return found
            if not page["results"]:
                raise Problem("results", 200, {"detail": f"an empty page that is not the last: {page}"})
            after = f"&after={page['next']}"

    async def results_ndjson(self, batch_id: str) -> list[dict[str, Any]]:
        """All results of a batch in one NDJSON answer."""
        reply = await self._send("GET", f"/v1/batches/{batch_id}/results", accept="application/x-ndjson")
        return [orjson.loads(line) for line in reply.body.splitlines() if line]

    async def responses(self, sitting_id: str) -> dict[str, dict[str, Any]]:
        """The stored responses of a sitting: `{item: {seq, value, mark, points}}`."""
        stored = await self._json("GET", f"/v1/sittings/{sitting_id}/responses")
        responses: dict[str, dict[str, Any]] = stored["responses"]
        return responses

    async def history(self, sitting_id: str) -> list[dict[str, Any]]:
        """Every accepted change of a sitting in the order of acceptance: `[{item, seq, value, saved_ms}]`."""
        stored = await self._json("GET", f"/v1/sittings/{sitting_id}/history")
        history: list[dict[str, Any]] = stored["history"]
        return history

    async def put_webhook(self, webhook_id: str, url: str, secret: str) -> None:
        """Have every result that is published from now on pushed to `url`."""
        await self._put(f"/v1/webhooks/{webhook_id}", {"url": url, "secret": secret})

    async def public_keys(self) -> dict[str, str]:
        """The engine's signing keys: `{key_id: base64 of 32 bytes}`."""
        reply = await self._json("GET", "/v1/keys")
        return {key["key_id"]: key["public_key"] for key in reply["keys"]}

    async def server_ms(self) -> int:
        """The engine's clock to about a second, from the Date header; this machine's clock where there is none."""
        reply = await self._send("GET", "/healthz")
        stamp = reply.headers.get("Date")
        here_ms = int(time.time() * 1000)
        if stamp is None:
            return here_ms
        there_ms = int(email.utils.parsedate_to_datetime(stamp).timestamp() * 1000)
        return here_ms if abs(there_ms - here_ms) < 2000 else there_ms + 500

    async def _put(self, path: str, content: Any) -> dict[str, Any]:
        return await self._json("PUT", path, content)

    async def _json(self, method: str, path: str, content: Any = None) -> dict[str, Any]:
        reply = await self._send(method, path, None if content is None else orjson.dumps(content))
        found: dict[str, Any] = reply.json()
        return found

    async def _send(self, method: str, path: str, body: bytes | None = None, accept: str = "application/json") -> Reply:
        return await self.wire.send_patiently(
            method,
            path,
            patience_s=self.patience_s,
            token=self.api_key,
            body=body,
            accept=accept,
            timeout_s=PAPER_TIMEOUT_S,
        )
