"""Deliveries: what became of each result pushed to a webhook, and sending it again."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.errors import Invalid
from engine.rules.limits import (
    DELIVERIES_PAGE_DEFAULT,
    DELIVERIES_PAGE_MAX,
    ID_PATTERN,
    REPLAYED_MESSAGES_MAX,
)
from engine.rules.shape import Faults, Members
from engine.scoring.webhooks import Pushing, find_webhook
from engine.stores.clock import now_ms
from engine.stores.sql import Queries
from engine.wire import check, json_response, path_id, query_whole, read_json

_queries = Queries(__file__)
STATES = ("waiting", "delivered", "dead")
MESSAGE_ID_PATTERN = re.compile(r"msg_[0-9a-f]{40}", re.ASCII)
_CURSOR_MAX = 2**63 - 1


async def show_deliveries(request: Request) -> Response:
    """`GET /v1/webhooks/{webhook_id}/deliveries?state=&batch_id=&after=&limit=`: a page in publication order."""
    await require(request, "results")
    pushing: Pushing = request.app.state.pushing
    webhook_id = path_id(request, "webhook_id")
    faults = Faults()
    state = request.query_params.get("state") or None
    if state is not None and state not in STATES:
        faults.add("/state", f"expected one of {', '.join(STATES)}", state)
    batch_id = request.query_params.get("batch_id") or None
    if batch_id is not None and not ID_PATTERN.fullmatch(batch_id):
        faults.add("/batch_id", "expected a batch id", batch_id)
    after = query_whole(request, "after", 0, 0, _CURSOR_MAX, faults)
    limit = query_whole(request, "limit", DELIVERIES_PAGE_DEFAULT, 1, DELIVERIES_PAGE_MAX, faults)
    check(faults)
    async with pushing.database.connection() as connection:
        await find_webhook(connection, webhook_id)
        rows = await connection.fetch(_queries.page_of_deliveries, webhook_id, state, batch_id, after, limit + 1)
    shown = [{**dict(row), "publication": str(row["publication"])} for row in rows[:limit]]
    return json_response({"deliveries": shown, "next": shown[-1]["publication"] if len(rows) > limit else None})


async def replay(request: Request) -> Response:
    """`POST /v1/webhooks/{webhook_id}/replay` `{"state": "dead"}` or `{"message_ids": […]}`: send again, same ids."""
    await require(request, "results")
    pushing: Pushing = request.app.state.pushing
    webhook_id = path_id(request, "webhook_id")
    message_ids = _read_replay(await read_json(request))
    async with pushing.database.transaction() as connection:
        await connection.execute(_queries.lock_webhook, webhook_id)
        await find_webhook(connection, webhook_id)
        if message_ids is not None:
            unknown = await connection.fetch(_queries.unknown_messages, webhook_id, message_ids)
            faults = Faults()
            for row in unknown:
                pointer = f"/message_ids/{message_ids.index(row['message_id'])}"
                faults.add(pointer, f"is no message of webhook {webhook_id!r}", row["message_id"])
            check(faults)
        replayed = await connection.fetchval(_queries.replay, webhook_id, message_ids, now_ms())
    return json_response({"replayed": replayed})


def _read_replay(document: object) -> list[str] | None:
    """The messages named; None for all that are dead. Raises Invalid `request.invalid`."""
    faults = Faults()
    members = Members(document, "", faults)
    message_ids: list[str] | None = None
    if members.has("message_ids"):
        message_ids = []
        for index, message_id in enumerate(members.take_list("message_ids", 1, REPLAYED_MESSAGES_MAX)):
            if isinstance(message_id, str) and MESSAGE_ID_PATTERN.fullmatch(message_id):
                message_ids.append(message_id)
            else:
                faults.add(f"/message_ids/{index}", "expected a message id", message_id)
        if members.has("state"):
            faults.add("/state", "expected either this or message_ids", members.take("state"))
    else:
        members.take_choice("state", ("dead",))
    members.finish()
    if faults:
        raise Invalid("request.invalid", faults.listed, errors_total=faults.total)
    return message_ids
