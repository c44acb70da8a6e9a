"""Judges what came to a webhook: every published result at least once, each as it was published, in a batch's order.

Reads `deliveries.jsonl`, one attempt a line as the receiver wrote it down; knows Standard Webhooks and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from loadtest.torture.account import lines_of

Fault = Callable[[str, Any, str], None]


def settle_deliveries(folder: Path, secret: str, evidence: Mapping[str, Any], fault: Fault) -> int:
    """How many attempts came; `fault(kind, about, text)` is told what is wrong. Raises Unreadable, OSError."""
    published = {
        (result["sitting_id"], result.get("revision", 1)): (batch_id, result)
        for batch_id, results in evidence["results"].items()
        for result in results
    }
    answered: set[tuple[str, int]] = set()
    newest: dict[str, int] = {}  # per batch the place in the feed of what was taken last for the first time
    bodies: dict[str, str] = {}
    attempts = 0
    for line in lines_of(folder / "deliveries.jsonl"):
        attempts += 1
        message_id, body = line["headers"].get("webhook-id", ""), line["body"]
        if not _is_signed(line["headers"], body, secret):
            fault("wrong_deliveries", message_id, f"message {message_id!r} is not signed by the webhook's secret")
            continue
        if bodies.setdefault(message_id, body) != body:
            fault("wrong_deliveries", message_id, f"message {message_id!r} came again with another content")
        event = orjson.loads(body)
        result = event["data"]
        about = (result["sitting_id"], result.get("revision", 1))
        known = published.get(about)
        if known is None or known != (event["batch_id"], result):
            what = "was never published" if known is None else "is not what was published"
            fault("wrong_deliveries", about, f"{about[0]}: revision {about[1]} was delivered and {what}")
        if line["answered"] and about not in answered:
            answered.add(about)
            if int(event["cursor"]) < newest.get(event["batch_id"], 0):
                fault("wrong_deliveries", about, f"{about[0]}: revision {about[1]} came behind a later one")
            newest[event["batch_id"]] = int(event["cursor"])
    for about in published.keys() - answered:
        fault("undelivered", about, f"{about[0]}: revision {about[1]} was published and never delivered")
    return attempts


def _is_signed(headers: Mapping[str, str], body: str, secret: str) -> bool:
    """Standard Webhooks: HMAC-SHA256 over id, time and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.{body}".encode()
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(expected, one) for one in headers.get("webhook-signature", "").split(" "))
