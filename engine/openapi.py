"""The OpenAPI 3.1 document of the contract."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine import VERSION
from engine.wire import json_response


def document() -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "Liankao", "version": VERSION}, "paths": {}}


async def show(_: Request) -> Response:
    """`GET /openapi.json`."""
    return json_response(document())
