"""The sitting as its candidate sees it, and the steps before the start: confirm, pledge."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine.delivery.resources import ArmedBatch, Delivery
from engine.rules import timing
from engine.rules.errors import Refused
from engine.rules.outcome import Outcome
from engine.rules.photo import photo_state
from engine.rules.shape import Faults, Members
from engine.rules.terms import SittingState
from engine.rules.timing import Boundaries
from engine.sealing.token import Token
from engine.stores.memory import beside, fields_of
from engine.wire import check, json_response, read_json

_SITTING = beside(__file__)
RESPONSE_PREFIX = "r:"


class Reading(msgspec.Struct, frozen=True):
    """One consistent look at a sitting in Redis."""

    generation: int
    position: int
    committed: int
    now_ms: int
    fields: dict[str, bytes]


async def show(request: Request) -> Response:
    """`GET /v1/sitting`."""
    delivery: Delivery = request.app.state.delivery
    token = delivery.authenticate(request.scope)  # type: ignore[arg-type]
    armed = await delivery.batch(token.armed_id)
    reading = await read_sitting(delivery, token)
    document = sitting_document(token.sitting_id, armed, reading.fields, reading.now_ms)
    document["remaining_ms"] = timing.remaining_ms(edges_of(armed, reading.fields), reading.now_ms)
    document["responses"] = {
        item: {"seq": seq, "value": orjson.Fragment(value)} for item, seq, value in responses_of(reading.fields)
    }
    document["generation"] = reading.generation
    document["committed"] = reading.committed
    return json_response(document)


async def confirm(request: Request) -> Response:
    """`POST /v1/sitting/confirm`: the personal data shown are right."""
    return await _step(request, SittingState.CHECKED_IN, SittingState.CONFIRMED, "confirm.refused")


async def pledge(request: Request) -> Response:
    """`POST /v1/sitting/pledge`: the room's rules are accepted; refusing leaves the exam."""
    return await _step(request, SittingState.CONFIRMED, SittingState.PLEDGED, "pledge.refused")


async def _step(request: Request, before: SittingState, after: SittingState, refused_code: str) -> Response:
    delivery: Delivery = request.app.state.delivery
    token = delivery.authenticate(request.scope)  # type: ignore[arg-type]
    faults = Faults()
    body = Members(await read_json(request), "", faults)
    accepted = body.take_boolean("accepted")
    body.finish()
    check(faults)
    armed = await delivery.batch(token.armed_id)
    if not accepted:
        await read_sitting(delivery, token)  # an older device hears that it is one, not that it refused
        raise Refused(refused_code, "expected `accepted: true`; the state of the sitting has not changed")
    reading = await read_sitting(delivery, token, before, after)
    edges = edges_of(armed, reading.fields)
    state = timing.state_at(SittingState(reading.fields["state"].decode()), edges, reading.now_ms)
    return json_response({"state": state})


async def read_sitting(
    delivery: Delivery,
    token: Token,
    before: SittingState | None = None,
    after: SittingState | None = None,
    *,
    is_for_receipt: bool = False,
) -> Reading:
    """Read a sitting, taking the step `before` -> `after` first if given. Raises Refused or TryLater.

    What is read `is_for_receipt` will be signed: TryLater while it may be older than what PostgreSQL holds.
    """
    keys = delivery.memory.partition_of(token.sitting_id)
    reply = await delivery.memory.run(
        _SITTING,
        [keys.marker, keys.log, keys.news, keys.sitting(token.sitting_id)],
        [token.sitting_id, token.epoch, before or "", after or "", "receipt" if is_for_receipt else ""],
    )
    outcome = Outcome(reply[0])
    if outcome != Outcome.OK:
        detail = f"the step to {after} comes after {before}, and before the end"
        raise await delivery.refusal(token, outcome, "autosave", detail)
    generation, position, committed, now_ms = map(int, reply[1:5])
    return Reading(generation, position, committed, now_ms, fields_of(reply, 5))


def edges_of(armed: ArmedBatch, fields: dict[str, bytes]) -> Boundaries:
    """The sitting's time line; its end stands in the hash, with all time given."""
    return edges_with_end(armed, int(fields["ends_ms"]))


def edges_with_end(armed: ArmedBatch, ends_ms: int) -> Boundaries:
    """The time line of a sitting of this batch that ends at `ends_ms`."""
    batch = armed.prepared.batch
    return timing.boundaries(batch, (ends_ms - batch.ends_ms) // 1000)


def extra_time_s_of(armed: ArmedBatch, fields: dict[str, bytes]) -> int:
    """All time given to this sitting beyond the batch's."""
    return (int(fields["ends_ms"]) - armed.prepared.batch.ends_ms) // 1000


def responses_of(fields: dict[str, bytes]) -> list[tuple[str, int, bytes]]:
    """(item, seq, canonical JSON value), sorted by item."""
    found = []
    for name, stored in fields.items():
        if name.startswith(RESPONSE_PREFIX):
            seq, _, value = stored.partition(b"|")
            found.append((name.removeprefix(RESPONSE_PREFIX), int(seq), value))
    return sorted(found)


def sitting_document(sitting_id: str, armed: ArmedBatch, fields: dict[str, bytes], now_ms: int) -> dict[str, Any]:
    """What login and `GET /v1/sitting` have in common."""
    prepared = armed.prepared
    batch = prepared.batch
    phase, edges = timing.timeline(batch, extra_time_s_of(armed, fields), (), now_ms)
    return {
        "sitting_id": sitting_id,
        "batch_id": batch.batch_id,
        "state": timing.state_at(SittingState(fields["state"].decode()), edges, now_ms),
        "photo": photo_state(batch.rules, fields.get("photo")),
        "phase": phase,
        "server_ms": now_ms,
        "starts_ms": edges.starts_ms,
        "ends_ms": edges.ends_ms,
        "paper": {"digest": prepared.sealed_digest, "bytes": prepared.sealed_bytes},
        "candidate": msgspec.json.decode(fields["card"]),
        "title": batch.title,
        "occupation": batch.occupation,
        "level": batch.level,
        "subject": batch.subject,
        "kind": batch.kind,
        "rules": {
            "latest_entry_ms": edges.latest_entry_ms,
            "earliest_submit_ms": edges.earliest_submit_ms,
            "warning_ms": edges.warning_ms,
            "grace_s": batch.rules.grace_s,
            "shuffle_items": batch.rules.shuffle_items,
            "shuffle_options": batch.rules.shuffle_options,
            "allow_copy": batch.rules.allow_copy,
            "photo": batch.rules.photo,
        },
    }
