"""Who may call what: API keys with one scope each for machine clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from starlette.requests import Request

from engine.rules.errors import Refused
from engine.rules.shape import Faults, pointer_part, shown
from engine.stores.api_keys import KnownKeys, key_id_of
from engine.wire import bearer, check

_READING: Final = ("GET", "HEAD")


async def require(request: Request, scope: str, *names: str) -> str:
    """The id of the key. Raises Refused `auth.missing` without one in force, `auth.scope` when its scope is another.

    Then Invalid `request.invalid` for a query that says a thing twice: of two values one would be passed over; and, of
    a call that changes something, for a query that says anything but `names`: a misspelt `dry_run` must not be done.
    """
    known_keys: KnownKeys = request.app.state.known_keys
    key = bearer(request.scope)
    found = await known_keys.scope_of(key) if key.startswith("lk_") else None
    if found is None:
        raise Refused("auth.missing", "the API key is not known, or revoked")
    if found != scope:
        raise Refused(
            "auth.scope", f"this call needs scope {scope!r}, the key has {found!r}", scope=found, expected=scope
        )
    _check_query(request, names)
    return key_id_of(key)


def _check_query(request: Request, names: Collection[str]) -> None:
    given = Counter(name for name, _ in request.query_params.multi_items())
    expected = f"only {', '.join(names)}" if names else "no query"
    faults = Faults()
    for name, times in given.items():
        pointer, value = f"/{pointer_part(shown(name))}", request.query_params[name]
        if request.method not in _READING and name not in names:
            faults.add(pointer, f"is not a known name: this call takes {expected}", value)
        elif times > 1:
            faults.add(pointer, f"expected once, given {times} times", value)
    check(faults)
