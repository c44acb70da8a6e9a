"""An event as it travels: Standard Webhooks' body and headers around a signed result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from engine.rules.webhook import EVENT_TYPE

CONTENT_TYPE = "application/json"


def body(batch_id: str, publication: int, document: str) -> bytes:
    """The same bytes at every attempt. `data` is the result as it is served, byte for byte; `cursor` is its place in
    the feed, from which a receiver that missed something reads on."""
    published = datetime.fromtimestamp(publication / 1_000_000, UTC).isoformat(timespec="milliseconds")
    moment = published.replace("+00:00", "Z")
    head = f'{{"type":"{EVENT_TYPE}","timestamp":"{moment}","batch_id":"{batch_id}","cursor":"{publication}","data":'
    return (head + document + "}").encode()


def headers(message_id: str, content: bytes, secrets: Sequence[bytes], at_ms: int) -> dict[str, str]:
    """Of one attempt: signed by each of `secrets`, the newest first."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    text = content.decode()
    return {
        "content-type": CONTENT_TYPE,
        "webhook-id": message_id,
        "webhook-timestamp": str(at_ms // 1000),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, text) for secret in secrets),
    }
