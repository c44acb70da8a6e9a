"""JSON for machine clients, read exactly: numbers keep the decimals they were written with.

Save calls do not come through here (see `delivery/autosave.py`); this reader favours exactness over speed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import rfc8785

from engine.rules.errors import Refused
from engine.rules.limits import JSON_DEPTH_MAX

_NESTED = (dict, list)
_EXPONENT_MAX = 999_999  # a Decimal beyond it can be written down, but arithmetic with it overflows
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # UTF-8 has none, so that texts get them from such escapes alone


def decode(body: bytes) -> Any:
    """Parse one JSON text; numbers with a point or exponent become `Decimal`.

    Raises Refused `request.malformed` for bad JSON, NaN and infinities, lone surrogates, a name given twice in one
    object, and nesting deeper than JSON_DEPTH_MAX.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as fault:
        raise Refused("request.malformed", f"the body is not UTF-8 at byte {fault.start}") from None
    except RecursionError:
        raise Refused("request.malformed", f"the body is nested deeper than {JSON_DEPTH_MAX}") from None
    except ValueError as fault:
        raise Refused("request.malformed", f"the body is not JSON: {fault}") from None
    _check_depth_and_text(value, _SURROGATE.search(body) is not None)
    return value


def canonical(value: Any) -> bytes:
    """The RFC 8785 form. Decimals are written as the doubles nearest to them, which is what the RFC demands."""
    return rfc8785.dumps(_as_doubles(value))


def digest(value: Any) -> str:
    """Hex SHA-256 of the RFC 8785 form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _decimal(text: str) -> Decimal:
    # 1e400 is JSON, but no number anything can be computed with: readers refuse it where it stands, by its name.
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent that is beyond even a Decimal's range
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")
    fits = not number or abs(number.adjusted()) <= _EXPONENT_MAX  # nothing is nothing, whatever it is multiplied by
    return number if fits else Decimal("Infinity").copy_sign(number)


def _integer(text: str) -> int | Decimal:
    # Integers past 2^53 are not exact in JSON's data model: they count as decimals, as `1e30` does.
    return int(text) if len(text) <= 16 and abs(int(text)) < 2**53 else _decimal(text)


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"the name {twice[:40]!r} stands twice in one object")
    return members


def _check_depth_and_text(value: Any, has_surrogates: bool) -> None:
    """Level by level; what is nested no further is passed over where no text needs to be looked at."""
    level, depth = [value], 0
    while level:
        below: list[Any] = []
        for node in level:
            if depth == JSON_DEPTH_MAX and isinstance(node, _NESTED):
                raise Refused("request.malformed", f"the body is nested deeper than {JSON_DEPTH_MAX}")
            if isinstance(node, dict):
                below.extend(node.keys() if has_surrogates else ())
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
            elif has_surrogates and isinstance(node, str) and not node.isascii():
                _check_surrogates(node)
        level = below if has_surrogates else [node for node in below if isinstance(node, _NESTED)]
        depth += 1


def _check_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("request.malformed", f"a text holds a lone surrogate: {text[:40]!a}") from None


def _as_doubles(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_as_doubles(part) for part in value]
    if isinstance(value, dict):
        return {name: _as_doubles(part) for name, part in value.items()}
    return value
