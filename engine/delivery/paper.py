"""The sealed paper and its key: the bytes travel early and to anyone, the key at the start and to those who pledged."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from engine.delivery.release import too_early
from engine.delivery.resources import Delivery
from engine.delivery.sitting import edges_of, read_sitting
from engine.rules import timing
from engine.rules.errors import Refused
from engine.rules.photo import check_photo_done
from engine.rules.terms import SittingState
from engine.sealing.encoding import to_base64url
from engine.sealing.paper import sitting_seed
from engine.wire import json_response

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


async def show_sealed(request: Request) -> Response:
    """`GET /v1/sealed/{digest}`: public, immutable, the same for every candidate."""
    delivery: Delivery = request.app.state.delivery
    digest = request.path_params["digest"]
    if not _DIGEST.fullmatch(digest):
        raise _no_paper(digest)
    headers = {"cache-control": "public, max-age=31536000, immutable", "etag": f'"{digest}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    sealed = await delivery.sealed_paper(digest)
    if sealed is None:
        raise _no_paper(digest)
    return Response(sealed, headers=headers, media_type="application/octet-stream")


def _no_paper(digest: str) -> Refused:
    return Refused("not_found", f"there is no sealed paper {digest[:80]!r}")


async def show_key(request: Request) -> Response:
    """`GET /v1/sitting/paper-key`: 425 before the start, whoever asks; after pledge and photo, with the release."""
    delivery: Delivery = request.app.state.delivery
    token = delivery.authenticate(request.scope)  # type: ignore[arg-type]
    armed = await delivery.batch(token.armed_id)
    reading = await read_sitting(delivery, token)
    edges = edges_of(armed, reading.fields)
    if reading.now_ms < edges.starts_ms:
        raise too_early(edges.starts_ms, reading.now_ms)
    state = timing.state_at(SittingState(reading.fields["state"].decode()), edges, reading.now_ms)
    if state != SittingState.IN_PROGRESS:
        raise Refused("sitting.order", f"the key goes to sittings in progress, this one is {state}")
    check_photo_done(armed.prepared.batch.rules, reading.fields.get("photo"))
    paper_key = await delivery.release.paper_key(armed, reading.now_ms, token.sitting_id)
    seed = sitting_seed(paper_key, token.sitting_id)
    return json_response({"paper_key": to_base64url(paper_key), "seed": to_base64url(seed)})
