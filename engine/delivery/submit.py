"""Hand-in and receipt. The receipt is a pure function of the closed sitting: asked again, it is the same again."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine import metrics
from engine.delivery.resources import ArmedBatch, Delivery
from engine.delivery.sitting import edges_of, read_sitting, responses_of
from engine.rules import timing
from engine.rules.errors import ExamError, Refused
from engine.rules.limits import SEQ_MAX
from engine.rules.outcome import Outcome
from engine.rules.shape import Faults, Members
from engine.rules.terms import SittingState
from engine.stores.memory import beside, fields_of
from engine.wire import check, json_response, read_json

_SUBMIT = beside(__file__)


async def submit(request: Request) -> Response:
    """`POST /v1/sitting/submit`."""
    try:
        receipt = await _submit(request)
    except ExamError as error:
        metrics.submit_calls.labels(error.code).inc()
        raise
    metrics.submit_calls.labels("submitted").inc()
    return json_response(receipt)


async def show_receipt(request: Request) -> Response:
    """`GET /v1/sitting/receipt`: of a sitting handed in, or collected at its end."""
    delivery: Delivery = request.app.state.delivery
    token = delivery.authenticate(request.scope)  # type: ignore[arg-type]
    armed = await delivery.batch(token.armed_id)
    reading = await read_sitting(delivery, token, is_for_receipt=True)
    edges = edges_of(armed, reading.fields)
    state = timing.state_at(SittingState(reading.fields["state"].decode()), edges, reading.now_ms)
    if state not in (SittingState.SUBMITTED, SittingState.COLLECTED):
        raise Refused("sitting.order", f"a receipt comes with the hand-in, this sitting is {state}")
    return json_response(_receipt(delivery, token.sitting_id, armed, reading.fields, state))


async def _submit(request: Request) -> dict[str, Any]:
    delivery: Delivery = request.app.state.delivery
    token = delivery.authenticate(request.scope)  # type: ignore[arg-type]
    faults = Faults()
    body = Members(await read_json(request), "", faults)
    seq = body.take_integer("seq", 0, SEQ_MAX)  # 0: nothing was ever answered
    body.finish()
    check(faults)
    armed = await delivery.batch(token.armed_id)
    earliest_ms = timing.boundaries(armed.prepared.batch, 0).earliest_submit_ms
    keys = delivery.memory.partition_of(token.sitting_id)
    reply = await delivery.memory.run(
        _SUBMIT,
        [keys.marker, keys.log, keys.due, keys.news, keys.sitting(token.sitting_id)],
        [token.sitting_id, token.epoch, seq, earliest_ms],
    )
    outcome = Outcome(reply[0])
    fields = fields_of(reply, 5)
    if outcome == Outcome.BEHIND:
        high = int(fields["high"])
        raise Refused(
            "submit.behind", f"seq {seq} is sent, but {high} is the highest that arrived; send the rest", high=high
        )
    if outcome == Outcome.TOO_EARLY:
        raise Refused(
            "submit.too_early",
            f"handing in is allowed from {earliest_ms} ms, it is {reply[4]} ms",
            earliest_submit_ms=earliest_ms,
            server_ms=int(reply[4]),
        )
    if outcome != Outcome.OK:
        raise await delivery.refusal(token, outcome, "submit")
    return _receipt(delivery, token.sitting_id, armed, fields, SittingState.SUBMITTED)


def _receipt(
    delivery: Delivery, sitting_id: str, armed: ArmedBatch, fields: dict[str, bytes], state: SittingState
) -> dict[str, Any]:
    """A collected sitting counts as handed in at its end, whenever that is written down."""
    responses = responses_of(fields)
    is_submitted = state == SittingState.SUBMITTED
    return delivery.signer.signed(
        {
            "sitting_id": sitting_id,
            "batch_id": armed.prepared.batch.batch_id,
            "state": state,
            "submitted_ms": int(fields["closed_ms"] if is_submitted else fields["ends_ms"]),
            "answered": sum(value != b"null" for _, _, value in responses),
            "items": len(armed.checkers),
            "digest": responses_digest(responses),
            "key_id": delivery.signer.key_id,
        }
    )


def responses_digest(responses: list[tuple[str, int, bytes]]) -> str:
    """Hex SHA-256 of the RFC 8785 form of [[item, seq, value], …]; the values are stored in that form already."""
    rows = (b'["%s",%d,%s]' % (item.encode(), seq, value) for item, seq, value in responses)
    return hashlib.sha256(b"[" + b",".join(rows) + b"]").hexdigest()
