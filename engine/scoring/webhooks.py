"""Webhooks: where published results are pushed. This room writes down where; the courier (`courier/`) sends.

A secret is shown once, when we made it. It lies wrapped by a key that only workers and couriers have, in a column that
a worker may write and not read: pushed again it is known by its digest.
"""

from __future__ import annotations

import hashlib

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.rules.addresses import Network
from engine.rules.errors import Refused
from engine.rules.limits import DELIVERY_HOLD_MS_MAX, WEBHOOK_SECRET_BYTES, WEBHOOK_SECRET_OVERLAP_S, WEBHOOKS_MAX
from engine.rules.webhook import Webhook, read_webhook, shown_secret
from engine.sealing.provider import KeyProvider, webhook_purpose
from engine.sealing.secrets import random_bytes
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.sql import Queries
from engine.wire import json_response, new_id, path_id, read_json

_queries = Queries(__file__)


class Pushing(Struct, frozen=True):
    """What managing webhooks needs: `networks` are the operator's, `provider` wraps secrets."""

    database: Postgres
    provider: KeyProvider
    networks: tuple[Network, ...]


async def put_webhook(request: Request) -> Response:
    """`PUT /v1/webhooks/{webhook_id}`: the same content again changes nothing; a changed secret's former one signs on
    for a day."""
    await require(request, "results")
    pushing: Pushing = request.app.state.pushing
    webhook_id = new_id(request, "webhook_id", "webhook.invalid")
    webhook = read_webhook(await read_json(request), pushing.networks)
    made: bytes | None = None
    async with pushing.database.transaction() as connection:
        is_new = await connection.fetchval(_queries.insert_webhook, webhook_id, webhook.url, webhook.batches, now_ms())
        if is_new:
            if await connection.fetchval(_queries.count_webhooks) > WEBHOOKS_MAX:
                raise Refused("webhook.too_many", f"expected at most {WEBHOOKS_MAX} webhooks; delete one first")
            made = None if webhook.secret else random_bytes(WEBHOOK_SECRET_BYTES)
            await _keep_secret(pushing, connection, webhook_id, webhook.secret or made or b"")
        else:
            await _change(pushing, connection, webhook_id, webhook)
        (row,) = await connection.fetch(_queries.show_webhooks, webhook_id)
    secret = {"secret": shown_secret(made)} if made else {}
    return json_response({**_shown(row), **secret}, 201 if is_new else 200)


async def show_webhook(request: Request) -> Response:
    """`GET /v1/webhooks/{webhook_id}`: never its secret."""
    await require(request, "results")
    pushing: Pushing = request.app.state.pushing
    webhook_id = path_id(request, "webhook_id")
    async with pushing.database.connection() as connection:
        return json_response(_shown(await find_webhook(connection, webhook_id)))


async def show_webhooks(request: Request) -> Response:
    """`GET /v1/webhooks`: all of them."""
    await require(request, "results")
    pushing: Pushing = request.app.state.pushing
    async with pushing.database.connection() as connection:
        rows = await connection.fetch(_queries.show_webhooks, None)
    return json_response({"webhooks": [_shown(row) for row in rows]})


async def enable_webhook(request: Request) -> Response:
    """`POST /v1/webhooks/{webhook_id}/enable`: after it answered 410; what was published since is sent."""
    await require(request, "results")
    pushing: Pushing = request.app.state.pushing
    webhook_id = path_id(request, "webhook_id")
    async with pushing.database.transaction() as connection:
        await connection.execute(_queries.enable_webhook, webhook_id)
        await connection.execute(_queries.hasten_queues, webhook_id, DELIVERY_HOLD_MS_MAX)
        return json_response(_shown(await find_webhook(connection, webhook_id)))


async def delete_webhook(request: Request) -> Response:
    """`DELETE /v1/webhooks/{webhook_id}`: nothing is sent there any more."""
    await require(request, "results")
    pushing: Pushing = request.app.state.pushing
    webhook_id = path_id(request, "webhook_id")
    async with pushing.database.connection() as connection:
        if await connection.fetchval(_queries.delete_webhook, webhook_id) is None:
            raise _unknown(webhook_id)
    return json_response({"webhook_id": webhook_id, "deleted": True})


async def find_webhook(connection: Connection, webhook_id: str) -> Record:
    """Raises Refused `not_found`."""
    rows: list[Record] = await connection.fetch(_queries.show_webhooks, webhook_id)
    if not rows:
        raise _unknown(webhook_id)
    return rows[0]


async def _change(pushing: Pushing, connection: Connection, webhook_id: str, webhook: Webhook) -> None:
    row = await connection.fetchrow(_queries.lock_webhook, webhook_id)
    if row is None:
        raise _unknown(webhook_id)  # deleted at this very moment
    if (row["url"], row["batches"]) != (webhook.url, webhook.batches):
        await connection.execute(_queries.update_webhook, webhook_id, webhook.url, webhook.batches)
        if row["url"] != webhook.url:
            await connection.execute(_queries.hasten_queues, webhook_id, DELIVERY_HOLD_MS_MAX)
    if webhook.secret and await connection.fetchval(_queries.secret_in_use, webhook_id) != _digest(webhook.secret):
        await connection.execute(_queries.retire_secrets, webhook_id, now_ms() + WEBHOOK_SECRET_OVERLAP_S * 1000)
        await _keep_secret(pushing, connection, webhook_id, webhook.secret)


async def _keep_secret(pushing: Pushing, connection: Connection, webhook_id: str, secret: bytes) -> None:
    digest = _digest(secret)
    if await connection.fetchval(_queries.revive_secret, webhook_id, digest) is None:
        wrapped = pushing.provider.wrap(webhook_purpose(webhook_id), secret)
        await connection.execute(_queries.insert_secret, webhook_id, digest, wrapped, now_ms())


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _unknown(webhook_id: str) -> Refused:
    return Refused("not_found", f"there is no webhook {webhook_id[:80]!r}")


def _shown(row: Record) -> dict[str, object]:
    return {**dict(row), "state": "enabled" if row["disabled_ms"] is None else "disabled"}
