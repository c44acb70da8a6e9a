"""The few shapes the document's schemas are built from; every length and range comes from `rules/limits.py`."""

from __future__ import annotations

import re
from typing import Any

from engine.rules.limits import FILL_CHARACTERS_MAX, ID_PATTERN, INSTANT_MS_MAX, SEQ_MAX

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """One of the document's own schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(characters_max: int | None = None, characters_min: int = 1, **more: Any) -> Schema:
    longest = {} if characters_max is None else {"maxLength": characters_max}
    return {"type": "string", "minLength": characters_min, **longest, **more}


def matching(pattern: re.Pattern[str], **more: Any) -> Schema:
    """The engine matches the whole text, JSON Schema any part of it: hence the anchors."""
    return {"type": "string", "pattern": f"^{pattern.pattern}$", **more}


def whole(smallest: int, largest: int, **more: Any) -> Schema:
    return {"type": "integer", "minimum": smallest, "maximum": largest, **more}


def number(smallest: float, largest: float, **more: Any) -> Schema:
    return {"type": "number", "minimum": smallest, "maximum": largest, **more}


def choice(*values: str, **more: Any) -> Schema:
    return {"type": "string", "enum": list(values), **more}


def many(entry: Schema, smallest: int = 0, largest: int | None = None, **more: Any) -> Schema:
    most = {} if largest is None else {"maxItems": largest}
    return {"type": "array", "items": entry, "minItems": smallest, **most, **more}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def sent(members: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    """An object clients send: closed, because a member the engine does not know is most likely a misspelt one."""
    properties = {**members, **(optional or {})}
    required = list(members)
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties, **more}


def answered(members: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    """An object the engine answers: open, so that a later version may add members."""
    return {"type": "object", "required": list(members), "properties": {**members, **(optional or {})}, **more}


def hex_digest(of: str) -> Schema:
    return {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": f"Hex SHA-256 of {of}"}


def base64url(octets: int, **more: Any) -> Schema:
    """Without padding."""
    characters = -(-octets * 4 // 3)
    return {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{{characters}}}$", **more}


ID = matching(ID_PATTERN)
INSTANT_MS = whole(0, INSTANT_MS_MAX, description="Unix milliseconds")
SEQ = whole(1, SEQ_MAX, description="The client's own counter per sitting; of two changes of an item the higher wins")
VALUE: Schema = {
    "description": "An option id, option ids, a boolean, the strings of the blanks, a number or a text, by the item's "
    "type; null clears",
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string", "maxLength": FILL_CHARACTERS_MAX}},
        {"type": "boolean"},
        {"type": "number"},
        {"type": "null"},
    ],
}
