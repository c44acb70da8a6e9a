"""What nobody foresaw is answered as a problem, and the connection that ends with it says so."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine import app

pytestmark = pytest.mark.anyio


async def fails(_: Request) -> Response:
    raise LookupError("a candidate's name")


async def test_an_unexpected_error_is_a_problem_that_ends_the_connection() -> None:
    """The server cuts the line behind it: a client that kept it would lose its next request. Nothing is quoted."""
    served = Starlette(routes=[Route("/", fails)], exception_handlers={Exception: app._fail})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "root_path": ""}
    with pytest.raises(LookupError):
        await served(scope, receive, send)

    assert (sent[0]["status"], (b"connection", b"close") in sent[0]["headers"]) == (500, True)
    problem = orjson.loads(sent[1]["body"])
    assert (problem["code"], "LookupError" in problem["detail"], "name" in problem["detail"]) == (
        "internal",
        True,
        False,
    )
