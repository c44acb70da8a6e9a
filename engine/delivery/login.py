"""Login: admission code and ID number -> a token for one sitting.

Unknown codes and unknown persons get the same answer in the same way. Attempts are counted per code and ID number,
never per address: a whole room shares one.
"""

from __future__ import annotations

from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import Response

from engine import metrics
from engine.delivery.resources import ArmedBatch, Delivery
from engine.delivery.sitting import edges_of, sitting_document
from engine.rules import timing
from engine.rules.documents import canonical_document, fold_code, fold_document
from engine.rules.errors import ExamError, Refused, TryLater
from engine.rules.forms import armed_id
from engine.rules.limits import (
    LOGIN_ATTEMPTS_PER_MINUTE,
    LOGIN_FAILURES_PER_MINUTE,
    LOGIN_WINDOW_S,
    TAKEOVER_SILENT_S,
    TYPED_CHARACTERS_MAX,
)
from engine.rules.outcome import Outcome, refuse
from engine.rules.shape import Faults, Members
from engine.rules.terms import SittingState
from engine.sealing import token
from engine.stores.clock import now_ms
from engine.stores.memory import beside, fields_of
from engine.stores.prepare import login_entry
from engine.wire import check, json_response, read_json

_LOGIN = beside(__file__)


async def log_in(request: Request) -> Response:
    """`POST /v1/login`."""
    delivery: Delivery = request.app.state.delivery
    try:
        faults = Faults()
        body = Members(await read_json(request), "", faults)
        admission_code = fold_code(body.take_text("admission_code", TYPED_CHARACTERS_MAX))
        id_number = canonical_document(fold_document(body.take_text("id_number", TYPED_CHARACTERS_MAX)))
        body.finish()
        check(faults)
        answer = await _enter(delivery, admission_code, id_number)
    except ExamError as error:
        metrics.login_calls.labels(error.code).inc()
        raise
    metrics.login_calls.labels("ok").inc()
    return json_response(answer)


async def _enter(delivery: Delivery, admission_code: str, id_number: str) -> dict[str, Any]:
    entry = login_entry(admission_code, id_number, delivery.login_key)
    await _count(delivery, f"attempts:{entry}", LOGIN_ATTEMPTS_PER_MINUTE)
    found = await _choose(delivery, entry)
    if found is None:
        failures = login_entry("", id_number, delivery.login_key)
        await _count(delivery, f"failures:{failures}", LOGIN_FAILURES_PER_MINUTE)
        raise Refused("login.refused", "the admission code and the ID number do not belong together")
    sitting_id, armed = found
    batch = armed.prepared.batch
    keys = delivery.memory.partition_of(sitting_id)
    reply = await delivery.memory.run(
        _LOGIN,
        [keys.marker, keys.log, keys.due, keys.news, keys.sitting(sitting_id)],
        [sitting_id, batch.rules.takeover, TAKEOVER_SILENT_S * 1000],
    )
    outcome = Outcome(reply[0])
    fields = fields_of(reply, 5)
    if outcome != Outcome.OK:
        _refuse_entry(outcome, armed, fields, reply)
    # Known by now, unless the form was changed between the look and the login.
    armed = await delivery.batch(_armed_id(batch.batch_id, fields.get("form"), fields.get("disarmed_ms")))
    issued = token.issue(token.Token(sitting_id, armed.prepared.armed_id, fields["epoch"].decode()), delivery.token_key)
    return {"token": issued, **sitting_document(sitting_id, armed, fields, now_ms=int(reply[4]))}


async def _choose(delivery: Delivery, entry: str) -> tuple[str, ArmedBatch] | None:
    """The sitting meant: the first that has not closed, else the one that closed last; None when there is none."""
    found = [(name.decode(), batch_id.decode()) for name, batch_id in (await delivery.memory.read_hash(entry)).items()]
    hashes = [delivery.memory.partition_of(sitting_id).sitting(sitting_id) for sitting_id, _ in found]
    stored = await delivery.memory.read_hash_fields(hashes, ["login", "starts_ms", "closes_ms", "form", "disarmed_ms"])
    now = now_ms()
    ranked = []
    for (sitting_id, batch_id), (login, starts_ms, closes_ms, form, disarmed_ms) in zip(found, stored, strict=True):
        if login is None or starts_ms is None or closes_ms is None:
            raise TryLater("the sitting is not prepared at this moment; nothing was changed")
        if login.decode() != entry:
            continue  # the ID number was corrected since, or the arming undone: this is no way in
        armed = await delivery.batch(_armed_id(batch_id, form, disarmed_ms))
        has_closed = int(closes_ms) <= now
        ranked.append((has_closed, -int(closes_ms) if has_closed else int(starts_ms), sitting_id, armed))
    if not ranked:
        return None
    _, _, sitting_id, armed = min(ranked, key=lambda one: one[:3])
    return sitting_id, armed


def _armed_id(batch_id: str, form: bytes | None, disarmed_ms: bytes | None) -> str:
    """From a sitting's hash."""
    return armed_id(batch_id, int(form or 0), int(disarmed_ms or 0))


def _refuse_entry(outcome: Outcome, armed: ArmedBatch, fields: dict[str, bytes], reply: list[Any]) -> NoReturn:
    """The script has decided; the rule says why."""
    if fields:
        timing.check_entry(edges_of(armed, fields), SittingState(fields["state"].decode()), int(reply[4]))
    refuse(outcome, "login", "this sitting takes no logins")


async def _count(delivery: Delivery, counter: str, per_window: int) -> None:
    attempts = await delivery.memory.count_within(counter, LOGIN_WINDOW_S)
    if attempts > per_window:
        raise TryLater(
            f"more than {per_window} attempts within {LOGIN_WINDOW_S} s for this code and ID number",
            retry_after_s=LOGIN_WINDOW_S,
            code="rate.limited",
        )
