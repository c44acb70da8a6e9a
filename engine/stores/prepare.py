"""Lays out in Redis what candidates need, from what PostgreSQL holds: at arming, on roster changes, at a rebuild.

Promise: an exam that runs beside it does not notice. Redis and the worker do one thing at a time, so sittings go there
a few at a time, each few after the answer to those before and a rest as long as they took: however busy Redis is, half
of the time belongs to saves. Only what is rebuilt goes as fast as it can, for there candidates wait for the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from engine.rules import timing
from engine.rules.forms import armed_id
from engine.rules.limits import LAID_AT_ONCE, LAID_REST_S_MAX, REBUILT_AT_ONCE
from engine.rules.terms import Batch
from engine.sealing.token import login_digest
from engine.stores.clock import monotonic_s
from engine.stores.memory import Memory, beside
from engine.stores.postgres import Record

_PREPARE = beside(__file__)
# In the place of a prepared batch whose sittings were erased: nothing of them is to be waited for.
ERASED = b"erased"


class Sitting(Struct, frozen=True, kw_only=True):
    """What a sitting's hash is made from; a rebuild adds `responses` = (item, seq, canonical JSON value) and photo."""

    sitting_id: str
    batch_id: str
    candidate_id: str
    name: str
    admission_ticket: str
    site: str
    room: str
    seat: str
    extra_time_s: int
    id_number: str
    state: str = "expected"
    epoch: int = 0
    entered_ms: int | None = None
    closed_ms: int | None = None
    responses: Sequence[tuple[str, int, str]] = ()
    photo: str = ""
    form: int = 0


class Card(Struct, frozen=True, kw_only=True):
    """What a candidate is shown of themselves before confirming it."""

    name: str
    admission_ticket: str
    site: str
    room: str
    seat: str


class PreparedBatch(Struct, frozen=True, kw_only=True):
    """What a worker knows of one paper of an armed batch: enough to check a response, nothing of the paper's words."""

    batch: Batch
    form: int = 0
    disarmed_ms: int | None = None  # when an earlier arming of the batch was undone
    sealed_digest: str
    sealed_bytes: int
    paper_key_wrapped: bytes
    item_index: bytes  # JSON: item id -> what checking a response needs

    @property
    def armed_id(self) -> str:
        return armed_id(self.batch.batch_id, self.form, self.disarmed_ms)


def prepared_batch(batch: Batch, seal: Record, disarmed_ms: int | None) -> PreparedBatch:
    """From a row of `seal`."""
    return PreparedBatch(
        batch=batch,
        form=seal["form"],
        disarmed_ms=disarmed_ms,
        sealed_digest=seal["sealed_digest"],
        sealed_bytes=len(seal["sealed"]),
        paper_key_wrapped=seal["paper_key_wrapped"],
        item_index=seal["item_index"],
    )


def prepared_sitting(row: Record, responses: Sequence[tuple[str, int, str]] = (), photo: str = "") -> Sitting:
    """From a row of `sitting`."""
    fields = {name: row[name] for name in Sitting.__struct_fields__ if name not in ("responses", "photo")}
    return Sitting(**fields, responses=responses, photo=photo)


def batch_key(armed_id: str) -> str:
    return f"batch:{armed_id}"


def sealed_key(digest: str) -> str:
    return f"sealed:{digest}"


async def prepare_batch(memory: Memory, prepared: PreparedBatch, sealed: bytes) -> None:
    """Write the batch with one of its sealed papers; repeating it changes nothing.

    A sealed paper is named by its digest and may have many MiB: one that is there is not written again.
    """
    redis_key = sealed_key(prepared.sealed_digest)
    if await memory.bytes_at(redis_key) != len(sealed):
        await memory.write_bytes(redis_key, sealed)
    await memory.write_bytes(batch_key(prepared.armed_id), msgspec.msgpack.encode(prepared))


async def prepare_sittings(
    memory: Memory,
    batch: Batch,
    sittings: Sequence[Sitting],
    login_key: bytes,
    disarmed_ms: int | None = None,
    *,
    is_rebuild: bool = False,
) -> None:
    """Write the sittings of one batch and the way in to them (admission code and ID number lead to the sitting).

    Repeating it changes nothing and undoes nothing a candidate did. What an ID number that was corrected since led
    through is no way in any more.
    """

    def entry(sitting: Sitting) -> str:
        return login_entry(batch.admission_code, sitting.id_number, login_key)

    at_once = REBUILT_AT_ONCE if is_rebuild else LAID_AT_ONCE
    for at in range(0, len(sittings), at_once):
        began_s = monotonic_s()
        some = [(entry(sitting), sitting) for sitting in sittings[at : at + at_once]]
        await _close_former_ways_in(memory, {sitting.sitting_id: login for login, sitting in some})
        await memory.run_many(_PREPARE, [_call(memory, batch, sitting, login, disarmed_ms) for login, sitting in some])
        await memory.write_hashes({login: {sitting.sitting_id: batch.batch_id} for login, sitting in some})
        if not is_rebuild:
            await asyncio.sleep(min(monotonic_s() - began_s, LAID_REST_S_MAX))


async def _close_former_ways_in(memory: Memory, logins: Mapping[str, str]) -> None:
    """`logins` = the way in that each sitting is to have; any other that its hash names leads to it no longer.

    Before the hash is written: should it end here, the sitting still says which that was, and laying it again goes on.
    """
    hashes = [memory.partition_of(sitting_id).sitting(sitting_id) for sitting_id in logins]
    former: dict[str, list[str]] = {}
    stored = await memory.read_hash_fields(hashes, ["login"])
    for (sitting_id, login), (known,) in zip(logins.items(), stored, strict=True):
        if known and known.decode() != login:
            former.setdefault(known.decode(), []).append(sitting_id)
    await memory.delete_hash_fields(former)


def login_entry(admission_code: str, id_number: str, login_key: bytes) -> str:
    """The key under which a login finds its sittings; a sitting names the one that is its own (`login`)."""
    return f"login:{login_digest(admission_code, id_number, login_key)}"


def _call(
    memory: Memory, batch: Batch, sitting: Sitting, login: str, disarmed_ms: int | None
) -> tuple[list[str], list[str | bytes | int]]:
    keys = memory.partition_of(sitting.sitting_id)
    fields = laid_fields(batch, sitting, login, disarmed_ms)
    arguments: list[str | bytes | int] = [
        sitting.sitting_id,
        sitting.state,
        sitting.epoch,
        sitting.entered_ms or 0,
        sitting.closed_ms or 0,
        sitting.photo,
        sitting.form if batch.papers else "",
        len(fields),
    ]
    for name, value in fields.items():
        arguments += [name, value]
    for item, seq, value in sitting.responses:
        arguments += [item, seq, value]
    return [keys.marker, keys.due, keys.news, keys.sitting(sitting.sitting_id)], arguments


def laid_fields(
    batch: Batch, sitting: Sitting, login: str, disarmed_ms: int | None = None
) -> dict[str, str | bytes | int]:
    """What a sitting's hash holds of the batch and the roster, whatever its candidate has done."""
    edges = timing.boundaries(batch, sitting.extra_time_s)
    card = Card(
        name=sitting.name,
        admission_ticket=sitting.admission_ticket,
        site=sitting.site,
        room=sitting.room,
        seat=sitting.seat,
    )
    return {
        "batch": batch.batch_id,
        "login": login,
        "card": msgspec.json.encode(card),
        "check_in_ms": edges.check_in_ms,
        "entry_ms": edges.latest_entry_ms,
        "starts_ms": edges.starts_ms,
        "ends_ms": edges.ends_ms,
        "closes_ms": edges.closes_ms,
        **({"disarmed_ms": disarmed_ms} if disarmed_ms else {}),
    }
