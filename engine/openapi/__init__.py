"""The OpenAPI 3.1 document of the contract, put together from `operations`, `sent` and `answered`.

Kept as `schema/openapi.json`; tests compare that file, the routes and the error codes with what stands here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine import VERSION
from engine.openapi import answered, invigilation, nodes, sent
from engine.openapi.building import Schema, ref
from engine.openapi.operation import CANDIDATE, PUBLIC, Content, Operation
from engine.openapi.operations import OPERATIONS
from engine.rules.errors import CODES
from engine.wire import json_bytes, json_response

_PROBLEM = "application/problem+json"
_DESCRIPTION = """\
Liankao (联考) runs online exams: papers, batches and rosters come in, candidates answer, signed results go out.

* JSON is UTF-8. Instants are integer Unix milliseconds (`…_ms`), durations carry their unit. A number that is an
  integer by value (`5400.0`) counts as one, except for `seq` in a save call.
* Bodies are closed: an unknown member is refused. NUL, lone surrogates, NaN, a name given twice in one object and
  nesting beyond any need are refused everywhere.
* Every refusal is a problem (RFC 9457) with a stable `code`; 422 lists every fault found.
* A path that exists is answered with 405 `method.not_allowed` to every other method, naming the ones it has in `Allow`.
  GET stands for HEAD, too.
* 429 and 503 say in `Retry-After` when the same request may be sent again; that is always safe.
* Writes by machine clients are idempotent. Scopes of API keys do not include one another.
"""
_TAGS = {
    "candidate": "The browser exam client: from the login to the receipt",
    "scheduling": "The scheduling system: papers, batches, rosters, arming",
    "invigilation": "Proctors: rooms, seats, takeovers, what happened; machines and their checks",
    "results": "Scorers and the evaluation system",
    "operations": "Health, metrics, keys: public, for machines; what a worker is: for operators",
    "page": "The candidate's page and the room's: public, static",
}
_HEADERS: Mapping[str, tuple[str, Schema]] = {
    "Retry-After": ("Seconds", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("The scheme that is asked for", {"const": "Bearer"}),
    "Allow": ("The methods this path has", {"type": "string"}),
}
_STATUS_HEADERS = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}


async def show(_: Request) -> Response:
    """`GET /openapi.json`."""
    return json_response(_document_bytes())


@functools.cache
def _document_bytes() -> bytes:
    return json_bytes(document())


def document() -> dict[str, Any]:
    """The whole document, JSON-ready."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        method, path = operation.call.split()
        paths.setdefault(path, {})[method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Liankao",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {
                **sent.SCHEMAS,
                **invigilation.SENT,
                **answered.SCHEMAS,
                **invigilation.ANSWERED,
                **nodes.ANSWERED,
            },
            "responses": {"MethodNotAllowed": _refusal(405, ["method.not_allowed"])},
            "headers": {
                name: {"description": description, "schema": schema} for name, (description, schema) in _HEADERS.items()
            },
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of `./run key create --scope …`; an operation names the scope it needs",
                },
                "candidateToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of `POST /v1/login`; a later login of the same sitting ends it",
                },
            },
        },
    }


def codes_of(operation: Operation) -> list[str]:
    """Every code this operation can be refused with."""
    codes = list(operation.codes)
    if operation.caller != PUBLIC:
        codes.append("auth.missing")
    if operation.caller == CANDIDATE:
        codes.append("sitting.superseded")
    elif operation.caller != PUBLIC:
        codes.append("auth.scope")
    if operation.sends is not None:
        codes += ["request.malformed", "request.too_large"]
    if operation.stores:
        codes.append("try_later")
    return [*codes, "internal"]


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": _security(operation),
    }
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.sends is not None:
        described["requestBody"] = {
            "required": not operation.sends.is_optional,
            "description": f"{operation.sends.description}, at most {operation.sends.bytes_max} bytes",
            "content": _content(operation.sends),
        }
    replies = {status: _reply(reply) for status, reply in operation.replies.items()}
    for status, codes in _by_status(codes_of(operation)).items():
        replies.setdefault(status, _refusal(status, codes))
    for status, schemas in operation.refused_as.items():
        replies[status]["content"] |= _content(Content(schemas, ""))
    described["responses"] = {str(status): replies[status] for status in sorted(replies)}
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.caller == PUBLIC:
        return []
    return [{"candidateToken": []}] if operation.caller == CANDIDATE else [{"apiKey": [operation.caller]}]


def _reply(reply: Content) -> dict[str, Any]:
    described: dict[str, Any] = {"description": reply.description}
    if reply.headers:
        described["headers"] = {
            name: {"description": description, "schema": {"type": "string"}}
            for name, description in reply.headers.items()
        }
    if reply.schemas:
        described["content"] = _content(reply)
    return described


def _content(content: Content) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for media_type, schema in content.schemas.items():
        described[media_type] = {"schema": schema} if schema else {}
        if media_type in content.examples:
            described[media_type]["example"] = content.examples[media_type]
    return described


def _by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(CODES[code][0], []).append(code)
    return found


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    """One answer for all the codes an operation can give with this status."""
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    described: dict[str, Any] = {"description": "; ".join(f"`{code}`: {CODES[code][1]}" for code in codes)}
    if status in _STATUS_HEADERS:
        described["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _STATUS_HEADERS[status]}
    described["content"] = {_PROBLEM: {"schema": {"allOf": [ref("Problem"), narrowed]}}}
    return described
