"""How requests are read and answers written: JSON in UTF-8, problems as RFC 9457, bounds on every body."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engine.rules import exact_json
from engine.rules.errors import ExamError, Invalid, Refused, TryLater
from engine.rules.limits import DISCARDED_BYTES_MAX, ID_PATTERN, SMALL_BODY_BYTES_MAX
from engine.rules.shape import Faults

JSON_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
PROBLEM_HEADERS = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """The whole body. Raises Refused `request.too_large` beyond `bytes_max`, `request.malformed` if the client left."""
    parts = []
    total = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused("request.malformed", "the connection closed before the body was complete")
        part = message.get("body", b"")
        total += len(part)
        if total <= bytes_max:
            parts.append(part)
        elif total > DISCARDED_BYTES_MAX:
            break
        if not message.get("more_body", False):
            break
    if total > bytes_max:
        raise Refused(
            "request.too_large", f"the body has {total} bytes, expected at most {bytes_max}", bytes_max=bytes_max
        )
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def read_json(request: Request, bytes_max: int = SMALL_BODY_BYTES_MAX) -> Any:
    """The body as exactly decoded JSON (see rules/exact_json.py)."""
    return exact_json.decode(await read_body(request.receive, bytes_max))


def path_id(request: Request, name: str) -> str:
    """The id of something that should exist. Raises Refused `not_found` for what cannot be one, asking no database."""
    given: str = request.path_params[name]
    if not ID_PATTERN.fullmatch(given):
        raise Refused("not_found", f"there is no {name.removesuffix('_id')} {given[:80]!r}")
    return given


def new_id(request: Request, name: str, code: str) -> str:
    """The id in the path of something that may be made by this call. Raises Invalid `code` naming it."""
    given: str = request.path_params[name]
    if not ID_PATTERN.fullmatch(given):
        faults = Faults()
        faults.add(f"/{name}", "expected 1 to 64 characters of A-Z a-z 0-9 . _ -", given)
        raise Invalid(code, faults.listed, errors_total=faults.total)
    return given


def query_whole(request: Request, name: str, default: int, smallest: int, largest: int, faults: Faults) -> int:
    """A whole number of the query; absent or empty it is the default."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and smallest <= int(text) <= largest):
        faults.add(f"/{name}", f"expected an integer from {smallest} to {largest}", text)
        return default
    return int(text)


def is_dry_run(request: Request, faults: Faults) -> bool:
    """Whether the call only asks what it would do: `?dry_run=1`; `0` or absent it is meant."""
    text = request.query_params.get("dry_run", "0")
    if text not in ("0", "1"):
        faults.add("/dry_run", "expected 1 or 0", text)
    return text == "1"


def read_dry_run(request: Request) -> bool:
    """The same for a call that has nothing else in its query. Raises Invalid `request.invalid`."""
    faults = Faults()
    is_dry = is_dry_run(request, faults)
    check(faults)
    return is_dry


def check(faults: Faults, code: str = "request.invalid") -> None:
    """Raise Invalid with all `faults`, if any."""
    if faults:
        raise Invalid(code, faults.listed, errors_total=faults.total)


def json_bytes(value: Any) -> bytes:
    return orjson.dumps(value)


def json_response(value: Any, status: int = 200) -> Response:
    content = value if isinstance(value, bytes) else orjson.dumps(value)
    return Response(content, status, headers={"cache-control": "no-store"}, media_type="application/json")


def problem_headers(error: ExamError) -> list[tuple[bytes, bytes]]:
    if isinstance(error, TryLater):
        return [*PROBLEM_HEADERS, (b"retry-after", str(error.retry_after_s).encode())]
    if error.status == 401:
        return [*PROBLEM_HEADERS, (b"www-authenticate", b"Bearer")]
    return PROBLEM_HEADERS


def problem_bytes(error: ExamError) -> bytes:
    return orjson.dumps(error.problem(), default=float)


def problem_response(error: ExamError) -> Response:
    headers = {name.decode(): value.decode() for name, value in problem_headers(error)}
    return Response(problem_bytes(error), error.status, headers=headers)


async def send_bytes(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """The hot routes' answer: two messages, nothing in between."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def bearer(scope: Scope) -> str:
    """The bearer credential of a request. Raises Refused `auth.missing`."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, credential = value.decode("latin-1").partition(" ")
            if kind.lower() == "bearer" and credential.strip():
                return str(credential.strip())
    raise Refused("auth.missing", "expected the header `Authorization: Bearer …`")
