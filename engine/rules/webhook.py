"""A webhook as it is pushed: where results go, of which batches, and what signs them."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from msgspec import Struct

from engine.rules.addresses import Network, host_fault
from engine.rules.errors import Invalid
from engine.rules.limits import (
    ID_PATTERN,
    WEBHOOK_BATCHES_MAX,
    WEBHOOK_SECRET_BYTES_MAX,
    WEBHOOK_SECRET_BYTES_MIN,
    WEBHOOK_URL_CHARACTERS_MAX,
)
from engine.rules.shape import Faults, Members

SECRET_PREFIX = "whsec_"  # of Standard Webhooks
EVENT_TYPE = "result.published"
# No user, no fragment, no white space, ASCII only: every reader of it finds the same host.
URL_PATTERN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?",
    re.ASCII,
)
_PORT_MAX = 65_535


class Webhook(Struct, frozen=True):
    """`batches` is None for all; `secret` is None where the pusher leaves it to us, or as it was."""

    url: str
    batches: list[str] | None
    secret: bytes | None


def read_webhook(document: object, networks: tuple[Network, ...]) -> Webhook:
    """`networks`: where results may go beside the public internet. Raises Invalid `webhook.invalid`, all faults."""
    faults = Faults()
    members = Members(document, "", faults)
    url = _url(members, networks)
    batches = _batches(members)
    secret = _secret(members)
    members.finish()
    if faults:
        raise Invalid("webhook.invalid", faults.listed, errors_total=faults.total)
    return Webhook(url, batches, secret)


def shown_secret(secret: bytes) -> str:
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def _url(members: Members, networks: tuple[Network, ...]) -> str:
    url = members.take_text("url", WEBHOOK_URL_CHARACTERS_MAX)
    if not url:
        return ""
    found = URL_PATTERN.fullmatch(url)
    if found is None:
        members.fault("url", "expected http:// or https://, a host in ASCII, and no user, white space or fragment")
    elif found["port"] is not None and not 1 <= int(found["port"]) <= _PORT_MAX:
        members.fault("url", f"expected a port from 1 to {_PORT_MAX}")
    elif why := host_fault(found["host"], networks):
        members.fault("url", why)
    return url


def _batches(members: Members) -> list[str] | None:
    if members.take("batches", None) is None:
        return None
    named: list[str] = []
    for index, batch_id in enumerate(members.take_list("batches", 1, WEBHOOK_BATCHES_MAX)):
        pointer = f"{members.at('batches')}/{index}"
        if not isinstance(batch_id, str) or not ID_PATTERN.fullmatch(batch_id):
            members.faults.add(pointer, "expected a batch id", batch_id)
        elif batch_id in named:
            members.faults.add(pointer, "is named twice", batch_id)
        else:
            named.append(batch_id)
    return sorted(named)


def _secret(members: Members) -> bytes | None:
    """What is wrong with a secret is told without repeating it."""
    text: Any = members.take("secret", None)
    if text is None:
        return None
    secret = b""
    if isinstance(text, str) and text.startswith(SECRET_PREFIX):
        try:
            secret = base64.b64decode(text.removeprefix(SECRET_PREFIX).encode(), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            secret = b""
    if not WEBHOOK_SECRET_BYTES_MIN <= len(secret) <= WEBHOOK_SECRET_BYTES_MAX:
        expected = f"{SECRET_PREFIX} and {WEBHOOK_SECRET_BYTES_MIN} to {WEBHOOK_SECRET_BYTES_MAX} bytes in base64"
        members.faults.add(members.at("secret"), f"expected {expected}")
    return secret
