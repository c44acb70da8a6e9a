"""Arming: the act, with two named people, after which a batch runs by the clock alone.

Preflight lists everything that is not ready. Then the batch's paper, or each of its papers, is sealed under a key of
its own and pinned together with its answer key, every sitting is given one, and all that candidates need is laid ready,
so that at the start only keys move.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules import timing
from engine.rules.errors import Refused, TryLater
from engine.rules.forms import armed_id
from engine.rules.limits import FAULTS_LISTED_MAX, PAPER_BODY_BYTES_MAX
from engine.rules.people import read_people
from engine.rules.terms import Batch
from engine.scheduling.batches import describe, refuse_erased, unknown_batch
from engine.scheduling.batches import queries as batch_queries
from engine.scheduling.clashes import clashes_warned
from engine.scheduling.elsewhere import hold_rosters, look_elsewhere
from engine.scheduling.forms import Form, assign_forms
from engine.scheduling.package import package_faults, package_of, read_arming, seal_packaged
from engine.scheduling.resources import Scheduling
from engine.scheduling.roster import queries as roster_queries
from engine.scheduling.sealer_jobs import SealBatch, SealedBatch
from engine.scheduling.warning import all_warned, with_warnings
from engine.sealing.signature import key_id
from engine.stores import public_keys
from engine.stores.clock import now_ms
from engine.stores.laying import batch_of, lay_ready
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries
from engine.stores.withdrawing import withdraw
from engine.vault import Vault
from engine.wire import json_response, path_id, read_dry_run

_queries = Queries(__file__)


async def arm(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/arm`: 200, also when it is armed already; 409 lists what is not ready."""
    api_key_id = await require(request, "schedule", "dry_run")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = path_id(request, "batch_id")
    is_dry = read_dry_run(request)
    if not is_dry:  # what is left of an arming that was undone would still be a way in
        await withdraw(scheduling.memory, scheduling.database, batch_id)
    document, shares = await read_arming(request, scheduling.sealer)
    try:
        witnesses = read_people(document, "witnesses")
        async with scheduling.database.transaction(is_dry_run=is_dry) as connection:
            await _arm(scheduling, connection, batch_id, witnesses, shares, api_key_id)
            answer = await _describe(connection, batch_id)
    finally:
        if shares is not None:
            shares.close()
    # After the commit, and again whenever arming is repeated; should it fail here, a recorder finishes it.
    if not is_dry:
        await lay_ready(scheduling.memory, scheduling.database, batch_id, scheduling.login_key)
    return json_response(answer)


async def _describe(connection: Connection, batch_id: str) -> dict[str, Any]:
    """The batch as it stands, with what the calendar says of it and of its roster, and where it meets other batches."""
    row = await connection.fetchrow(batch_queries.find_batch, batch_id)
    sittings = await connection.fetch(roster_queries.sittings_of, batch_id)
    people = {sitting["candidate_id"]: sitting["id_number"] for sitting in sittings}
    batch = batch_of(row)
    met = await look_elsewhere(connection, batch, list(people.values()))
    warned = [
        *await all_warned(connection, batch, row["pushed_ms"], people, met),
        *await clashes_warned(connection, batch),
    ]
    return with_warnings((await describe(connection, [row]))[0], warned)


async def _arm(
    scheduling: Scheduling,
    connection: Connection,
    batch_id: str,
    witnesses: list[str],
    shares: Vault | None,
    api_key_id: str,
) -> None:
    row = await connection.fetchrow(batch_queries.lock_batch, batch_id)
    if row is None:
        raise unknown_batch(batch_id)
    await refuse_erased(connection, batch_id)
    if row["armed_ms"] is not None:
        return
    if await connection.fetchval(_queries.still_withdrawing, batch_id):
        raise TryLater(f"what the last arming of batch {batch_id!r} left behind is still being withdrawn")
    batch = batch_of(row)
    sittings = await connection.fetch(roster_queries.sittings_of, batch_id)
    forms = await _forms(connection, batch)
    await _check_ready(scheduling, connection, batch, sittings, forms, shares)
    pinned = [await _pin(scheduling, connection, row, forms, form, shares) for form in range(len(forms))]
    await assign_forms(connection, batch)
    await connection.execute(_queries.arm, batch_id, now_ms(), witnesses)
    after = {**(pinned[0] if batch.papers is None else {"papers": pinned}), "sittings": len(sittings)}
    await batch_log.record(connection, batch_id, "armed", people=witnesses, key_id=api_key_id, after=after)
    # Sealing took a while, in which somebody may have been put into a batch that is at the same time now.
    await hold_rosters(connection)
    if met := await _overlaps(connection, batch, sittings):
        raise _not_ready(batch, [{"code": "roster.overlap", "message": message} for message in met])


async def _forms(connection: Connection, batch: Batch) -> list[Form]:
    """The batch's papers as they are pinned; nobody may push another meanwhile. Their content stays where it is."""
    found = []
    for paper_id in batch.paper_ids:
        paper = await connection.fetchrow(_queries.lock_paper, paper_id)
        found.append(Form(paper_id, paper, await package_of(connection, paper_id)))
    return found


async def _check_ready(
    scheduling: Scheduling,
    connection: Connection,
    batch: Batch,
    sittings: Sequence[Record],
    forms: Sequence[Form],
    shares: Vault | None,
) -> None:
    missing: list[dict[str, str]] = []

    def not_ready(code: str, message: str) -> None:
        missing.append({"code": code, "message": message})

    if not sittings:
        not_ready("roster.missing", "no roster has been pushed, or it is empty")
    unseated = [row["candidate_id"] for row in sittings if not row["room"] or not row["seat"]]
    if unseated:
        not_ready("seat.missing", f"{len(unseated)} candidates have no room or seat, the first is {unseated[0]!r}")
    for message in await _overlaps(connection, batch, sittings):
        not_ready("roster.overlap", message)
    for code, message in package_faults(forms, batch.batch_id, shares):
        not_ready(code, message)
    recipient = await public_keys.answer_key_recipient(connection)
    for form in forms:
        if form.package is None and not form.paper["has_content"]:
            not_ready("paper.content", f"paper {form.paper_id!r} came before papers were sealed; push it again")
        if recipient is None or form.paper["answer_key_recipient"] != key_id(recipient):
            not_ready("paper.recipient", f"paper {form.paper_id!r} is sealed to another grader's key; push it again")
    latest_entry_ms = timing.boundaries(batch, 0).latest_entry_ms
    if now_ms() >= latest_entry_ms:
        not_ready("batch.window", f"the latest entry was at {latest_entry_ms} ms: nobody could enter any more")
    for fault in await scheduling.memory.durability_faults():
        not_ready("redis.durability", fault)
    partitions = len(scheduling.memory.partitions)
    recorded = await connection.fetchval(_queries.live_recorders)
    if recorded < partitions:
        not_ready("recorder.missing", f"a running recorder holds {recorded} of {partitions} partitions")
    if missing:
        raise _not_ready(batch, missing)


async def _overlaps(connection: Connection, batch: Batch, sittings: Sequence[Record]) -> list[str]:
    """Who cannot be in this batch too, and why."""
    why = (await look_elsewhere(connection, batch, [row["id_number"] for row in sittings])).overlaps
    return [
        f"candidate {row['candidate_id']!r}: {why[row['id_number']]}" for row in sittings if row["id_number"] in why
    ]


def _not_ready(batch: Batch, missing: Sequence[dict[str, str]]) -> Refused:
    detail = "; ".join(entry["message"] for entry in missing[:3])
    more = f" (and {len(missing) - 3} more)" if len(missing) > 3 else ""
    listed = missing[:FAULTS_LISTED_MAX]
    return Refused("batch.not_ready", f"batch {batch.batch_id!r}: {detail}{more}", not_ready=listed, errors=listed)


async def _pin(
    scheduling: Scheduling,
    connection: Connection,
    row: Record,
    forms: Sequence[Form],
    number: int,
    shares: Vault | None,
) -> dict[str, str]:
    """Seal one of the batch's papers, each under a key of its own, and pin it; what the batch's log says of it."""
    form, batch_id = forms[number], row["batch_id"]
    named = armed_id(batch_id, number, row["disarmed_ms"])
    if form.package is not None and shares is not None:
        sealed = await seal_packaged(connection, scheduling.sealer, batch_id, named, forms, form, shares)
    else:
        sealed = await _seal(scheduling, connection, batch_id, named, form)
    await connection.execute(
        _queries.insert_seal,
        batch_id,
        number,
        sealed.sealed_digest,
        sealed.sealed,
        sealed.paper_key_wrapped,
        form.paper["digest"],
        form.paper["item_index"],
        form.paper["answer_key_digest"],
        form.paper["answer_key_recipient"],
    )
    return {"sealed_digest": sealed.sealed_digest, "paper_digest": form.paper["digest"]}


async def _seal(scheduling: Scheduling, connection: Connection, batch_id: str, named: str, form: Form) -> SealedBatch:
    """Under a key made and wrapped where it is used; this process sees neither."""
    job = SealBatch(batch_id, named, form.paper_id, form.paper["digest"], form.paper["content_key_wrapped"])
    stored = await connection.fetchval(_queries.content_of, form.paper_id)
    content = Vault(2 * PAPER_BODY_BYTES_MAX)
    try:
        await asyncio.to_thread(content.keep, stored)
        return await scheduling.sealer.seal_batch(job, content)
    finally:
        content.close()
