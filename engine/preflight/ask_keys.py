"""Looks at key files, key provider, shares and certificates, for `keys.py` to judge. No paper key is unwrapped."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from engine.preflight.ask_batches import Known, packages_of
from engine.preflight.finding import Finding
from engine.preflight.keys import (
    Share,
    judge_answer_keys,
    judge_bad_certificate,
    judge_certificate,
    judge_no_certificate,
    judge_provider,
    judge_registered,
    judge_secrets,
    judge_shares,
    judge_wrapped,
)
from engine.rules.errors import TryLater
from engine.rules.forms import armed_id
from engine.sealing import answer_key, secrets
from engine.sealing.envelope import SealBroken
from engine.sealing.provider import FileProvider, KeyProvider, open_provider, paper_key_purpose
from engine.sealing.secrets import SecretError
from engine.sealing.shares import share_head
from engine.sealing.signature import Signer, key_id
from engine.settings import Settings
from engine.stores import public_keys
from engine.stores.clock import now_ms
from engine.stores.postgres import Postgres
from engine.stores.sql import Queries

_queries = Queries(__file__)
_PURPOSE = "preflight"  # what is wrapped for it opens nothing
_CONNECT_S = 5.0
# File -> (purpose under which its public half is registered, how that is made).
_PUBLIC = {"receipt.key": "receipt", "result.key": "result", "grader.key": "answer_key"}


def key_files(folder: str) -> tuple[dict[str, bytes], dict[str, str], list[str]]:
    """The good ones by name, why others are at fault, and those that are not there."""
    found: dict[str, bytes] = {}
    faults: dict[str, str] = {}
    missing: list[str] = []
    for name in secrets.NAMES:
        if not (Path(folder) / name).exists():
            missing.append(name)
            continue
        try:
            found[name] = secrets.read(folder, name)
        except SecretError as fault:
            faults[name] = str(fault)
    return found, faults, missing


async def look_at_secrets(settings: Settings, database: Postgres) -> list[Finding]:
    """The key files of this machine, and whether the deployment uses them. Raises TryLater."""
    keys, faults, missing = key_files(settings.secrets_dir)
    async with database.connection() as connection:
        rows = await connection.fetch(_queries.registered)
    known = {(row["purpose"], row["key_id"]): row["is_newest"] for row in rows}
    found = [judge_secrets(settings.secrets_dir, faults, missing, list(keys))]
    for name, purpose in _PUBLIC.items():
        if name in keys:
            public = answer_key.public_key(keys[name]) if purpose == "answer_key" else Signer(keys[name]).public_key
            at = (purpose, key_id(public))
            found.append(judge_registered(name, key_id(public), known.get(at, False), at in known))
    return found


async def look_at_provider(settings: Settings, database: Postgres, batches: Sequence[Known]) -> list[Finding]:
    """Whether it works, and whether paper keys and answers of armed batches are its own. Raises TryLater."""
    try:
        provider = await asyncio.to_thread(open_provider, settings)
        fault = await asyncio.to_thread(_tried, provider)
    except SecretError as missing:
        return [judge_provider(settings.key_provider, str(missing))]
    found = [judge_provider(settings.key_provider, fault)]
    async with database.connection() as connection:
        recipient = await public_keys.answer_key_recipient(connection)
        for known in (known for known in batches if known.is_armed):
            batch_id = known.batch.batch_id
            seals = await connection.fetch(_queries.seals_of, batch_id)
            names = [armed_id(batch_id, seal["form"], known.row["disarmed_ms"]) for seal in seals]
            foreign = [
                name
                for name, seal in zip(names, seals, strict=True)
                if not _is_ours(provider, name, seal["paper_key_wrapped"])
            ]
            found.append(judge_wrapped(batch_id, len(seals), foreign, can_tell=isinstance(provider, FileProvider)))
            recipients = [seal["answer_key_recipient"] for seal in seals]
            found.append(judge_answer_keys(batch_id, recipients, key_id(recipient) if recipient else None))
    return found


def _tried(provider: KeyProvider) -> str:
    secret = secrets.random_bytes(32)
    try:
        is_same = provider.unwrap(_PURPOSE, provider.wrap(_PURPOSE, secret)) == secret
    except (TryLater, SealBroken) as fault:
        return str(fault)
    return "" if is_same else "what it gives back is not what it was given"


def _is_ours(provider: KeyProvider, armed: str, wrapped: bytes) -> bool:
    if isinstance(provider, FileProvider):
        return provider.has_wrapped(paper_key_purpose(armed), wrapped)
    return wrapped[:4] == provider.wrap(_PURPOSE, b"?")[:4]  # a token tells no more without opening it


async def look_at_shares(database: Postgres, batches: Sequence[Known], files: Sequence[Path]) -> list[Finding]:
    """Drafts whose papers came sealed, against the shares at hand. Raises TryLater, and SealBroken for no share."""
    shares = []
    for file in files:
        try:
            shares.append(Share(**share_head(file.read_bytes(), str(file))))
        except OSError as fault:
            raise SealBroken(f"share {file}: {fault.strerror}") from None
    found = []
    for known in batches:
        if known.is_armed:
            continue
        found += judge_shares(known.batch.batch_id, await packages_of(database, known), shares)
    return found


# --- certificates -----------------------------------------------------------------------------------------------


async def look_at_certificates(urls: Sequence[str], ca: Path | None, needed_until_ms: int) -> list[Finding]:
    """As a browser would: chain, name and days. Who does not answer at all is told of elsewhere."""
    found = await asyncio.gather(*(asyncio.to_thread(_certificate, url, ca, needed_until_ms) for url in urls))
    return [finding for finding in found if finding is not None]


def _certificate(url: str, ca: Path | None, needed_until_ms: int) -> Finding | None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return judge_no_certificate(url, is_loopback=is_loopback(host))
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    try:
        with (
            socket.create_connection((host, parts.port or 443), timeout=_CONNECT_S) as wire,
            context.wrap_socket(wire, server_hostname=host) as secure,
        ):
            told = secure.getpeercert() or {}
    except ssl.SSLError as fault:
        return judge_bad_certificate(url, getattr(fault, "verify_message", "") or str(fault))
    except OSError:
        return None
    expires_ms = int(ssl.cert_time_to_seconds(str(told["notAfter"]))) * 1000
    return judge_certificate(url, expires_ms, now_ms(), needed_until_ms)


def is_loopback(host: str) -> bool:
    """Whether a host in a URL is this machine by its name alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
