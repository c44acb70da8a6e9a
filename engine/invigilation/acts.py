"""Acts of proctors: who did it, why, with which key, and the row that says so.

The call's body may name a person and a reason, `{"proctor": "…", "reason": "…"}`; the API key is on record in any case.
"""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import Request

from engine.invigilation import events
from engine.rules import exact_json
from engine.rules.limits import NAME_CHARACTERS_MAX, REASON_CHARACTERS_MAX, SMALL_BODY_BYTES_MAX
from engine.rules.shape import Faults, Members
from engine.sealing.secrets import random_bytes
from engine.stores.postgres import Connection
from engine.wire import check, read_body

_EVENT_ID_BYTES = 12


class Act(Struct, frozen=True, kw_only=True):
    """Who acted and why, as far as they say."""

    key_id: str
    proctor: str | None
    reason: str | None


async def read_act(request: Request, key_id: str) -> Act:
    """The body of a call that is an act; no body names nobody. Raises Invalid `request.invalid`."""
    body = await read_body(request.receive, SMALL_BODY_BYTES_MAX)
    faults = Faults()
    members = Members(exact_json.decode(body) if body else {}, "", faults)
    act = take_act(members, key_id)
    members.finish()
    check(faults)
    return act


def take_act(members: Members, key_id: str) -> Act:
    """The same from a body that says more."""
    proctor = members.take_text("proctor", NAME_CHARACTERS_MAX, None)
    reason = members.take_text("reason", REASON_CHARACTERS_MAX, None)
    return Act(key_id=key_id, proctor=proctor.strip() or None, reason=reason.strip() or None)


async def record_act(connection: Connection, batch_id: str, sitting_id: str, kind: str, act: Act, at_ms: int) -> None:
    """Put it on record in the caller's transaction; late in it, since a batch's records are written in turns."""
    event = events.Event(
        event_id=f"act-{random_bytes(_EVENT_ID_BYTES).hex()}",
        kind=kind,
        at_ms=at_ms,
        proctor=act.proctor,
        reason=act.reason,
        key_id=act.key_id,
    )
    await events.record(connection, batch_id, sitting_id, [event], at_ms)
