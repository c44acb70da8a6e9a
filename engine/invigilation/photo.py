"""A candidate's photo: taken between the pledge and the paper, stored in PostgreSQL, looked at by a proctor later.

Promise: a photo that was answered `taken` is in PostgreSQL, and every one that arrived is kept: what is taken again
replaces nothing. Nobody is kept from an exam because PostgreSQL is away: then the sitting is known to owe its photo
(`owed`, by the picture's digest), the page keeps the picture and sends it again until it is stored. Only a picture that
would have been taken is owed, so being away opens no way past the camera.
How: PostgreSQL first, then one script call in Redis, which lets the key go and tells the candidate's channel. A picture
sent twice is stored once, so a call whose answer was lost is simply repeated. What Redis says of the photo is in its
log as an event and comes back from there when it is rebuilt (stores/laying.py).
Not here: what a proctor says of it (photo_check.py); the key that waits for it (delivery/paper.py, channel.py). Saves
and hand-ins do not ask for a photo: without the key there is nothing to answer, and whoever has the paper goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from engine import log, metrics
from engine.invigilation.resources import Invigilation
from engine.rules.errors import ExamError, Refused, TryLater
from engine.rules.limits import (
    PHOTO_BYTES_MAX,
    PHOTO_CALLS_PER_MINUTE,
    PHOTO_OWED_RETRY_S,
    PHOTO_STORE_S,
    PHOTO_WINDOW_S,
    PHOTOS_PER_SITTING_MAX,
)
from engine.rules.outcome import Outcome, refuse
from engine.rules.photo import PhotoState, check_picture
from engine.sealing.token import Token
from engine.stores.memory import Memory, beside
from engine.stores.sql import Queries
from engine.wire import json_response, read_body

_queries = Queries(__file__)
_PHOTO = beside(__file__)
MEDIA_TYPE = "image/jpeg"


class Known(Struct, frozen=True):
    """What Redis knows of a sitting's photo at `now_ms`; `digest` and `taken_ms` of the newest picture, if any."""

    now_ms: int
    photo: str
    digest: str
    taken_ms: int


async def take(request: Request) -> Response:
    """`POST /v1/sitting/photo`: 200 once it is stored, 202 when it is owed and to be sent again."""
    invigilation: Invigilation = request.app.state.invigilation
    try:
        token = invigilation.candidates.authenticate(request.scope)  # type: ignore[arg-type]
        armed = await invigilation.candidates.batch(token.armed_id)
        _check_media_type(request)
        jpeg = await read_body(request.receive, PHOTO_BYTES_MAX)
        if armed.prepared.batch.rules.photo != "required":
            raise Refused("photo.not_required", "the rule `photo` of the batch is `none`; nothing was stored")
        answer = await _take(invigilation, token, jpeg)
    except ExamError as error:
        metrics.photo_calls.labels(error.code).inc()
        raise
    metrics.photo_calls.labels(answer["photo"]).inc()
    return json_response(answer, 202 if answer["photo"] == PhotoState.OWED else 200)


def _check_media_type(request: Request) -> None:
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != MEDIA_TYPE:
        detail = f"the body is {given[:80]!r}, expected {MEDIA_TYPE}"
        raise Refused("photo.file_format", detail, accepted=[MEDIA_TYPE])


async def _take(invigilation: Invigilation, token: Token, jpeg: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(jpeg).hexdigest()
    known = await _note_by_candidate(invigilation.memory, token, "", digest, 0)
    is_known = known.digest == digest
    if is_known and known.photo != PhotoState.OWED:
        return _answer(known)  # stored before; the answer was lost
    if known.photo == PhotoState.ACCEPTED:
        raise Refused("sitting.order", "a proctor has accepted the photo; another one is not taken")
    taken_ms = known.taken_ms if is_known else known.now_ms
    await _count(invigilation.memory, token.sitting_id)
    check_picture(jpeg)
    try:
        await _store_within(invigilation, token, jpeg, digest, taken_ms)
    except TryLater as fault:
        if known.photo not in ("", PhotoState.OWED):
            raise  # nobody is kept out by it
        log.logger().warning("photo.owed", sitting_id=token.sitting_id, detail=fault.detail)
        owed = await _note_by_candidate(invigilation.memory, token, PhotoState.OWED, digest, taken_ms)
        return {**_answer(owed), "retry_after_s": PHOTO_OWED_RETRY_S}
    return _answer(await _note_by_candidate(invigilation.memory, token, PhotoState.TAKEN, digest, taken_ms))


async def _count(memory: Memory, sitting_id: str) -> None:
    """Raises TryLater `rate.limited`: who sends without end keeps neither PostgreSQL nor this worker from others."""
    calls = await memory.count_within(f"photos:{sitting_id}", PHOTO_WINDOW_S)
    if calls > PHOTO_CALLS_PER_MINUTE:
        detail = f"more than {PHOTO_CALLS_PER_MINUTE} photos of this sitting within {PHOTO_WINDOW_S} s"
        raise TryLater(detail, retry_after_s=PHOTO_WINDOW_S, code="rate.limited")


def _answer(known: Known) -> dict[str, Any]:
    return {"photo": known.photo, "digest": known.digest, "taken_ms": known.taken_ms, "server_ms": known.now_ms}


async def _store_within(invigilation: Invigilation, token: Token, jpeg: bytes, digest: str, taken_ms: int) -> None:
    """Store it. Raises TryLater when PostgreSQL does not do it in time; it may then still come to be stored.

    A statement that hangs is left to end by itself: taking it back might hang as well.
    """
    storing = asyncio.create_task(_store(invigilation, token, jpeg, digest, taken_ms))
    storing.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting
    await asyncio.wait({storing}, timeout=PHOTO_STORE_S)
    if not storing.done():
        raise TryLater(f"PostgreSQL has not stored the photo within {PHOTO_STORE_S} s; sending it again is safe")
    storing.result()


async def _store(invigilation: Invigilation, token: Token, jpeg: bytes, digest: str, taken_ms: int) -> None:
    row = (token.sitting_id, token.batch_id, digest, jpeg, taken_ms, PHOTOS_PER_SITTING_MAX)
    async with invigilation.database.connection() as connection:
        kept = 0
        # Another photo that arrives in the same moment takes the number: each turn finds one more that is kept.
        while kept < PHOTOS_PER_SITTING_MAX:
            if await connection.fetchval(_queries.store_photo, *row) is not None:
                return
            if await connection.fetchval(_queries.find_photo, token.sitting_id, digest) is not None:
                return
            kept = await connection.fetchval(_queries.count_photos, token.sitting_id)
    raise Refused(
        "photo.too_many",
        f"{PHOTOS_PER_SITTING_MAX} photos of this sitting are kept, and no more; the proctor looks at them",
    )


async def _note_by_candidate(memory: Memory, token: Token, photo: str, digest: str, taken_ms: int) -> Known:
    """What Redis knows, and from now on `photo` if given. Raises Refused where a candidate may not, TryLater."""
    return await note(memory, token.sitting_id, photo, digest, taken_ms, epoch=token.epoch)


async def note(
    memory: Memory, sitting_id: str, photo: str, digest: str = "", taken_ms: int = 0, *, epoch: str = ""
) -> Known:
    """Write down what is known of a sitting's photo; without `epoch`, for a proctor. Raises Refused, TryLater."""
    keys = memory.partition_of(sitting_id)
    reply = await memory.run(
        _PHOTO,
        [keys.marker, keys.log, keys.news, keys.sitting(sitting_id)],
        [sitting_id, epoch, photo, digest, taken_ms],
    )
    outcome = Outcome(reply[0])
    if outcome == Outcome.CLOSED:
        raise Refused("photo.closed", "the sitting is closed; a photo that was not shown before is not taken")
    if outcome != Outcome.OK:
        refuse(outcome, "photo", "the photo comes after the pledge; log in, confirm, pledge")
    return Known(int(reply[1]), reply[3].decode(), reply[4].decode(), int(reply[5]))
