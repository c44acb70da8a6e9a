"""Probes of a machine's line, while its device check runs: bytes down, bytes up, and how long a call takes.

A whole room may measure at once over one line, so a probe is bounded, a machine may send only so many, and only as
long as the check it belongs to. What goes down cannot be compressed and is kept by nobody on the way.
"""

from __future__ import annotations

import functools
import hashlib

from starlette.requests import Request
from starlette.responses import Response

from engine.access import require
from engine.candidates import Standing
from engine.invigilation.resources import Invigilation
from engine.rules.errors import Invalid, Refused, TryLater
from engine.rules.limits import (
    MANAGEMENT_PROBES_PER_MINUTE,
    PROBE_BYTES_MAX,
    PROBE_WINDOW_S,
    PROBES_PER_MINUTE,
)
from engine.rules.shape import Faults
from engine.sealing.token import Token
from engine.stores.clock import now_ms
from engine.wire import json_response, path_id, read_body

KIND = "device_check"
_HEADERS = {"cache-control": "no-store, no-transform"}


async def show(request: Request) -> Response:
    """`GET /v1/sitting/probe?bytes=`: so many bytes."""
    _token(request)
    wanted = _bytes_wanted(request)
    await admit_candidate(request)
    return _bytes(wanted)


async def take(request: Request) -> Response:
    """`POST /v1/sitting/probe`: how many bytes came, and what time it is here."""
    _token(request)
    await admit_candidate(request)
    return _counted(len(await read_body(request.receive, PROBE_BYTES_MAX)))


async def show_management(request: Request) -> Response:
    """`GET /v1/batches/{batch_id}/devices/probe?bytes=`: the same for a room's management machine."""
    await require(request, "proctor")
    wanted = _bytes_wanted(request)
    await admit_management(request)
    return _bytes(wanted)


async def take_management(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/devices/probe`."""
    await require(request, "proctor")
    await admit_management(request)
    return _counted(len(await read_body(request.receive, PROBE_BYTES_MAX)))


async def _standing_in_check(request: Request) -> Standing:
    """The caller's sitting in a device check that still runs. Raises Refused `device.not_a_check`, `device.closed`."""
    invigilation: Invigilation = request.app.state.invigilation
    standing = await invigilation.candidates.standing(_token(request))
    batch = standing.armed.prepared.batch
    if batch.kind != KIND:
        raise Refused("device.not_a_check", f"the batch is of kind {batch.kind!r}, expected {KIND!r}", kind=batch.kind)
    closes_ms = standing.ends_ms + batch.rules.grace_s * 1000
    if standing.now_ms >= closes_ms:
        raise Refused("device.closed", f"the device check closed at {closes_ms} ms, it is {standing.now_ms} ms")
    return standing


def _token(request: Request) -> Token:
    """Asked for before anything else is looked at."""
    invigilation: Invigilation = request.app.state.invigilation
    return invigilation.candidates.authenticate(request.scope)  # type: ignore[arg-type]


async def admit_candidate(request: Request) -> None:
    """A call of a check that runs, and not too many of them."""
    standing = await _standing_in_check(request)
    await _count(request, f"probes:{standing.token.sitting_id}")


async def admit_management(request: Request) -> None:
    """The same for rooms' management machines, which have no sitting to tell them apart."""
    await _count(request, f"probes:management:{path_id(request, 'batch_id')}", MANAGEMENT_PROBES_PER_MINUTE)


async def _count(request: Request, counter: str, calls_max: int = PROBES_PER_MINUTE) -> None:
    """One call of a check more. Raises TryLater `rate.limited`."""
    invigilation: Invigilation = request.app.state.invigilation
    if await invigilation.memory.count_within(counter, PROBE_WINDOW_S) > calls_max:
        raise TryLater(
            f"more than {calls_max} calls of a device check within {PROBE_WINDOW_S} s from such machines",
            retry_after_s=PROBE_WINDOW_S,
            code="rate.limited",
        )


def _bytes_wanted(request: Request) -> int:
    text = request.query_params.get("bytes") or ""
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= PROBE_BYTES_MAX:
        return int(text)
    faults = Faults()
    faults.add("/bytes", f"expected a number of bytes from 0 to {PROBE_BYTES_MAX}", text)
    raise Invalid("request.invalid", faults.listed)


def _bytes(wanted: int) -> Response:
    return Response(_noise()[:wanted], headers=_HEADERS, media_type="application/octet-stream")


def _counted(taken: int) -> Response:
    return json_response({"bytes": taken, "server_ms": now_ms()})


@functools.cache
def _noise() -> bytes:
    """The same for everybody; it only has to be as long on the line as it is here."""
    return hashlib.shake_128(b"liankao probe").digest(PROBE_BYTES_MAX)
