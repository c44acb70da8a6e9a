"""What an operation of the HTTP API is, as a row of data, and the few forms that such rows are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from engine.openapi.building import ID, Schema, ref
from engine.rules.limits import SMALL_BODY_BYTES_MAX

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OCTETS = "application/octet-stream"
CANDIDATE = "candidate"  # called with a sitting's token; every other caller is the scope of an API key
PUBLIC = ""


class Content(Struct, frozen=True):
    """A body by its media types, sent or answered; `schemas` is empty where there is none (304)."""

    schemas: Mapping[str, Schema]
    description: str
    headers: Mapping[str, str] = {}
    bytes_max: int = 0
    is_optional: bool = False  # of what is sent: no body says what an empty one says
    examples: Mapping[str, Any] = {}  # by media type


class Operation(Struct, frozen=True):
    """`codes`: how it can be refused beyond what every call of its kind can meet."""

    call: str  # "GET /path"
    id: str
    summary: str
    replies: Mapping[int, Content]
    tag: str
    caller: str
    sends: Content | None = None
    codes: tuple[str, ...] = ()
    parameters: tuple[Schema, ...] = ()
    stores: bool = True  # whether it asks PostgreSQL or Redis, and so may have to say `try_later`
    refused_as: Mapping[int, Mapping[str, Schema]] = {}  # by status: what else a refusal may be answered as


def json_reply(name: str, description: str) -> Content:
    return Content({JSON: ref(name)}, description)


def json_body(name: str, bytes_max: int = SMALL_BODY_BYTES_MAX, is_optional: bool = False) -> Content:
    return Content({JSON: ref(name)}, "JSON in UTF-8", bytes_max=bytes_max, is_optional=is_optional)


def in_path(name: str, schema: Schema = ID) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def in_query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema, "allowEmptyValue": True}
