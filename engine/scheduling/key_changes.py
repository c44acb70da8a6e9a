"""A regrade is proposed here, where papers come in: its answers go the same way, and no process keeps them readable.

Promise: a proposal is taken whole, sealed to the grader, of a batch that is over and graded; sent again it is the same
one. From here on the grader alone knows what would change to what (`scoring/regrader.py`).
"""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine import batch_log
from engine.access import require
from engine.rules import timing
from engine.rules.errors import Refused, TryLater
from engine.rules.limits import PAPER_BODY_BYTES_MAX, REGRADE_BODY_BYTES_MAX
from engine.rules.terms import Batch
from engine.scheduling.batches import refuse_erased
from engine.scheduling.resources import Scheduling
from engine.scheduling.sealer_jobs import SealChanges, SealedChanges
from engine.sealing.secrets import random_bytes
from engine.sealing.signature import key_id
from engine.stores import public_keys
from engine.stores.clock import now_ms
from engine.stores.laying import batch_of
from engine.stores.postgres import Connection
from engine.stores.sql import Queries
from engine.vault import SCOPE_NAME, Vault, read_vault
from engine.wire import json_response, path_id

_queries = Queries(__file__)
_ID_BYTES = 8


async def propose(request: Request) -> Response:
    """`POST /v1/batches/{batch_id}/regrades`: 201, or 200 when the same proposal is open already."""
    api_key_id = await require(request, "results")
    scheduling: Scheduling = request.app.state.scheduling
    batch_id = path_id(request, "batch_id")
    regrade_id = f"RG-{random_bytes(_ID_BYTES).hex()}"
    request.scope.setdefault(SCOPE_NAME, Vault(PAPER_BODY_BYTES_MAX))
    body = await read_vault(request.scope, request.receive, REGRADE_BODY_BYTES_MAX)
    try:
        async with scheduling.database.connection() as connection:
            batch = await _check_over(connection, batch_id)
            recipient = await public_keys.answer_key_recipient(connection)
            forms = [
                {"form": row["form"], "paper_id": paper_id, "items": orjson.Fragment(row["item_index"])}
                for row, paper_id in zip(
                    await connection.fetch(_queries.forms_of, batch_id), batch.paper_ids, strict=True
                )
            ]
        if recipient is None:
            raise TryLater("no grader has registered its public key yet; start one, nothing was proposed")
        job = SealChanges(regrade_id, batch_id, body.bytes, recipient)
        body.keep(orjson.dumps(forms))
        sealed = await scheduling.sealer.seal_changes(job, body)
    finally:
        body.close()
    async with scheduling.database.transaction() as connection:
        await _check_over(connection, batch_id)
        open_one = await _find_open(connection, batch_id, sealed)
        if open_one is None:
            await _store(connection, regrade_id, batch_id, sealed, key_id(recipient), api_key_id)
    found = {"regrade_id": regrade_id, "state": "proposed"} if open_one is None else open_one
    return json_response({"batch_id": batch_id, **found}, 201 if open_one is None else 200)


async def _check_over(connection: Connection, batch_id: str) -> Batch:
    """The batch. Raises Refused `not_found`, `batch.erased`; `regrade.not_closed` while it is not over and graded."""
    row = await connection.fetchrow(_queries.lock_batch, batch_id)
    if row is None:
        raise Refused("not_found", f"there is no batch {batch_id[:80]!r}")
    await refuse_erased(connection, batch_id)  # once it is held: a purge that was waited for shows only now
    batch = batch_of(row)
    counts = await connection.fetchrow(_queries.count_unfinished, batch_id)
    closes_ms = timing.boundaries(batch, counts["extra_time_s"]).closes_ms
    if row["armed_ms"] is None:
        raise Refused("regrade.not_closed", f"batch {batch_id!r} has not been armed", unfinished=counts["unfinished"])
    if counts["unfinished"] or now_ms() < closes_ms:
        raise Refused(
            "regrade.not_closed",
            f"batch {batch_id!r} closes at {closes_ms} ms, {counts['unfinished']} of its sittings have no result yet",
            closes_ms=closes_ms,
            unfinished=counts["unfinished"],
        )
    return batch


async def _find_open(connection: Connection, batch_id: str, sealed: SealedChanges) -> dict[str, str] | None:
    """The regrade that this very proposal has begun already. Raises Refused `regrade.open` for another one."""
    row = await connection.fetchrow(_queries.open_regrade, batch_id)
    if row is None:
        return None
    if row["fingerprint"] != sealed.fingerprint:
        raise Refused(
            "regrade.open",
            f"regrade {row['regrade_id']!r} of batch {batch_id!r} is {row['state']}: apply or drop it first",
            regrade_id=row["regrade_id"],
        )
    return {"regrade_id": row["regrade_id"], "state": row["state"]}


async def _store(
    connection: Connection, regrade_id: str, batch_id: str, sealed: SealedChanges, recipient_id: str, api_key_id: str
) -> None:
    told = sealed.told.decode()
    await connection.execute(
        _queries.insert_regrade,
        regrade_id,
        batch_id,
        sealed.reason,
        sealed.proposed_by,
        now_ms(),
        api_key_id,
        sealed.fingerprint,
        told,
    )
    await connection.execute(_queries.insert_change, regrade_id, recipient_id, sealed.envelope)
    after = {"regrade_id": regrade_id, "reason": sealed.reason, "changes": orjson.loads(told)}
    people = [sealed.proposed_by]
    await batch_log.record(connection, batch_id, "regrade_proposed", people=people, key_id=api_key_id, after=after)
