"""The calls that manage webhooks, and the message that a receiver gets."""

from __future__ import annotations

from functools import partial

from engine.openapi.building import (
    ID,
    INSTANT_MS,
    Schema,
    answered,
    choice,
    many,
    nullable,
    ref,
    sent,
    text,
    whole,
)
from engine.openapi.operation import Operation, in_path, in_query, json_body, json_reply
from engine.rules.limits import (
    DELIVERIES_PAGE_DEFAULT,
    DELIVERIES_PAGE_MAX,
    REPLAYED_MESSAGES_MAX,
    SEQ_MAX,
    WEBHOOK_BATCHES_MAX,
    WEBHOOK_URL_CHARACTERS_MAX,
    WEBHOOKS_MAX,
)
from engine.rules.webhook import EVENT_TYPE, SECRET_PREFIX

_STATES = ("waiting", "delivered", "dead")
_MESSAGE_ID: Schema = {"type": "string", "pattern": "^msg_[0-9a-f]{40}$"}
_COUNT = whole(0, SEQ_MAX)
_CURSOR: Schema = {"type": "string", "pattern": "^[0-9]+$"}
_URL = text(
    WEBHOOK_URL_CHARACTERS_MAX,
    description="`http` or `https`, a host in ASCII, no user and no fragment; at a public address, or in a network of "
    "`LIANKAO_COURIER_NETWORKS`",
)
_BATCHES = nullable(many(ID, 1, WEBHOOK_BATCHES_MAX, description="Results of these only; null or absent: of all"))
_SECRET: Schema = {
    "type": "string",
    "pattern": f"^{SECRET_PREFIX}[A-Za-z0-9+/]+=*$",
    "description": "In base64, 24 to 64 bytes",
}

SENT: dict[str, Schema] = {
    "Webhook": sent({"url": _URL}, {"batches": _BATCHES, "secret": nullable(_SECRET)}),
    "Replay": {
        "oneOf": [
            sent({"state": {"const": "dead"}}),
            sent({"message_ids": many(_MESSAGE_ID, 1, REPLAYED_MESSAGES_MAX)}),
        ]
    },
}
_STORED_WEBHOOK = answered(
    {
        "webhook_id": ID,
        "url": _URL,
        "batches": _BATCHES,
        "state": choice("enabled", "disabled", description="Disabled: it answered 410; `enable` sends what came since"),
        "created_ms": INSTANT_MS,
        "disabled_ms": nullable(INSTANT_MS),
        "disabled_why": nullable(text()),
        "waiting": {**_COUNT, "description": "Deliveries that were not taken yet"},
        "dead": {**_COUNT, "description": "Deliveries that were given up, and not replayed"},
        "oldest_ms": nullable({**INSTANT_MS, "description": "Since when the oldest of them waits"}),
    },
    {"secret": {**_SECRET, "description": "Of a new webhook whose secret we made: shown once"}},
)
ANSWERED: dict[str, Schema] = {
    "StoredWebhook": _STORED_WEBHOOK,
    "StoredWebhooks": answered({"webhooks": many(ref("StoredWebhook"), 0, WEBHOOKS_MAX)}),
    "WebhookDeleted": answered({"webhook_id": ID, "deleted": {"const": True}}),
    "Deliveries": answered(
        {
            "deliveries": many(
                answered(
                    {
                        "message_id": {**_MESSAGE_ID, "description": "`webhook-id` of every attempt"},
                        "batch_id": ID,
                        "sitting_id": ID,
                        "revision": whole(1, SEQ_MAX),
                        "publication": {**_CURSOR, "description": "Its place in the feed"},
                        "state": choice(*_STATES),
                        "queued_ms": INSTANT_MS,
                        "attempts": _COUNT,
                        "attempted_ms": nullable(INSTANT_MS),
                        "attempted_status": nullable(whole(0, 999, description="0: no answer came")),
                        "attempted_fault": nullable({"type": "string"}),
                    }
                ),
                0,
                DELIVERIES_PAGE_MAX,
            ),
            "next": nullable(_CURSOR),
        }
    ),
    "Replayed": answered({"replayed": _COUNT}),
    "ResultEvent": answered(
        {
            "type": {"const": EVENT_TYPE},
            "timestamp": text(description="When it was published, ISO 8601 in UTC"),
            "batch_id": ID,
            "cursor": {**_CURSOR, "description": "Its place in the feed: `GET /v1/results?after=` goes on from here"},
            "data": ref("Result"),
        },
        description="POSTed to a webhook, as Standard Webhooks says: headers `webhook-id`, `webhook-timestamp`, "
        "`webhook-signature`. Of one batch in the order of publication; a message may come again under the same id",
    ),
}

_WEBHOOK_ID = in_path("webhook_id")
_results = partial(Operation, tag="results", caller="results")

CALLS = (
    _results(
        "GET /v1/webhooks",
        "listWebhooks",
        "All webhooks, never their secrets",
        replies={200: json_reply("StoredWebhooks", "In the order of their ids")},
    ),
    _results(
        "PUT /v1/webhooks/{webhook_id}",
        "putWebhook",
        "Push results to a URL from now on; the same content again changes nothing, a former secret signs on for a day",
        parameters=(_WEBHOOK_ID,),
        sends=json_body("Webhook"),
        replies={
            200: json_reply("StoredWebhook", "It was there already, the same or otherwise"),
            201: json_reply("StoredWebhook", "A new one; with its secret, unless that was pushed"),
        },
        codes=("webhook.invalid", "webhook.too_many", "not_found"),
    ),
    _results(
        "GET /v1/webhooks/{webhook_id}",
        "showWebhook",
        "A webhook, and what waits for it",
        parameters=(_WEBHOOK_ID,),
        replies={200: json_reply("StoredWebhook", "The webhook")},
        codes=("not_found",),
    ),
    _results(
        "DELETE /v1/webhooks/{webhook_id}",
        "deleteWebhook",
        "Push nothing there any more; what waits for it is forgotten",
        parameters=(_WEBHOOK_ID,),
        replies={200: json_reply("WebhookDeleted", "It is gone")},
        codes=("not_found",),
    ),
    _results(
        "POST /v1/webhooks/{webhook_id}/enable",
        "enableWebhook",
        "After it answered 410: send what was published since, and at once what waits",
        parameters=(_WEBHOOK_ID,),
        replies={200: json_reply("StoredWebhook", "The webhook")},
        codes=("not_found",),
    ),
    _results(
        "GET /v1/webhooks/{webhook_id}/deliveries",
        "listDeliveries",
        "What became of each result: waiting, delivered, or dead",
        parameters=(
            _WEBHOOK_ID,
            in_query("state", choice(*_STATES), "Only these"),
            in_query("batch_id", ID, "Only of this batch"),
            in_query("after", whole(0, 2**63 - 1, default=0), "The `next` of the page before"),
            in_query("limit", whole(1, DELIVERIES_PAGE_MAX, default=DELIVERIES_PAGE_DEFAULT), "Per page"),
        ),
        replies={200: json_reply("Deliveries", "In publication order; `next` is null at the end")},
        codes=("request.invalid", "not_found"),
    ),
    _results(
        "POST /v1/webhooks/{webhook_id}/replay",
        "replayDeliveries",
        "Send again, each under its own id: everything dead, or the messages named, delivered ones too",
        parameters=(_WEBHOOK_ID,),
        sends=json_body("Replay"),
        replies={200: json_reply("Replayed", "How many")},
        codes=("request.invalid", "not_found"),
    ),
)
