"""Who may call what: API keys with one scope each for machine clients."""

from __future__ import annotations

from starlette.requests import Request

from engine.rules.errors import Refused
from engine.stores.api_keys import KnownKeys, key_id_of
from engine.wire import bearer


async def require(request: Request, scope: str) -> str:
    """The id of the key. Raises Refused `auth.missing` without one in force, `auth.scope` when its scope is another."""
    known_keys: KnownKeys = request.app.state.known_keys
    key = bearer(request.scope)
    found = await known_keys.scope_of(key) if key.startswith("lk_") else None
    if found is None:
        raise Refused("auth.missing", "the API key is not known, or revoked")
    if found != scope:
        raise Refused(
            "auth.scope", f"this call needs scope {scope!r}, the key has {found!r}", scope=found, expected=scope
        )
    return key_id_of(key)
