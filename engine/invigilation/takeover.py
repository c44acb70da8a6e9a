"""A proctor lets a candidate go on at another machine.

Promise: after it exactly one next login takes the sitting over, within TAKEOVER_ALLOWED_S by Redis's clock; that login
raises the epoch as every takeover does, and the old machine hears of it over its channel within a second. Asked again
it holds from then on, and still for one login. Every permission is on record, by whom and why, before it works.
How: recorded in PostgreSQL first (`room_event`), then one field in the sitting's hash, which the login takes away
(delivery/login.lua). With PostgreSQL away nobody is permitted: an act nobody can be asked about would be worse, the
API key could not be verified either, and typing goes on where it is. Who cannot have a dead machine wait for that sets
rule `silent`. When Redis is rebuilt the permission is gone: the proctor gives it again.
Not here: whether a login takes over (login.lua), and telling the old machine (channel_news.py).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from engine import log, metrics
from engine.access import require
from engine.invigilation.acts import read_act, record_act
from engine.invigilation.resources import Invigilation
from engine.rules.errors import Refused
from engine.rules.limits import TAKEOVER_ALLOWED_S
from engine.rules.outcome import Outcome, refuse
from engine.stores.memory import beside
from engine.stores.sql import Queries
from engine.wire import json_response, path_id

_queries = Queries(__file__)
_TAKEOVER = beside(__file__)


async def allow(request: Request) -> Response:
    """`POST /v1/sittings/{sitting_id}/takeover`."""
    key_id = await require(request, "proctor")
    invigilation: Invigilation = request.app.state.invigilation
    sitting_id = path_id(request, "sitting_id")
    act = await read_act(request, key_id)
    async with invigilation.database.connection() as connection:
        row = await connection.fetchrow(_queries.find_sitting, sitting_id)
    if row is None:
        raise Refused("not_found", f"there is no sitting {sitting_id!r}")
    if row["armed_ms"] is None:
        raise Refused("batch.not_ready", f"batch {row['batch_id']!r} is not armed: nobody can have logged in")
    until_ms = None
    server_ms, found_ms = await _call(invigilation, sitting_id, 0)
    if found_ms and row["takeover"] != "free":
        async with invigilation.database.transaction() as connection:
            await record_act(connection, row["batch_id"], sitting_id, "takeover_allowed", act, server_ms)
        _, until_ms = await _call(invigilation, sitting_id, TAKEOVER_ALLOWED_S * 1000)
        metrics.takeover_allowed.inc()
        log.logger().info("takeover.allowed", sitting_id=sitting_id, key_id=key_id, until_ms=until_ms)
    return json_response({"sitting_id": sitting_id, "takeover": row["takeover"], "until_ms": until_ms or None})


async def _call(invigilation: Invigilation, sitting_id: str, holds_ms: int) -> tuple[int, int]:
    """(server ms, until when it holds; 0: nothing to allow). Raises Refused `takeover.closed` or TryLater."""
    keys = invigilation.memory.partition_of(sitting_id)
    reply = await invigilation.memory.run(_TAKEOVER, [keys.marker, keys.log, keys.sitting(sitting_id)], [holds_ms])
    outcome = Outcome(reply[0])
    if outcome != Outcome.OK:
        refuse(outcome, "takeover", "the sitting is closed; its candidate logs in anywhere to see the receipt")
    return int(reply[1]), int(reply[2])
