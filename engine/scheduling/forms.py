"""Which of a batch's papers each sitting has: given at arming and on an armed batch's roster changes, by the seats.

Promise: who has entered keeps the paper that the login gave, and neighbours differ wherever that can be. Redis decides
who has entered; what is written here without knowing of an entry is put right when the recorder records it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from msgspec import Struct

from engine.rules.forms import Seated, give_forms
from engine.rules.sites import Layout
from engine.rules.terms import Batch, SittingState
from engine.stores.postgres import Connection, Record
from engine.stores.sql import Queries

_queries = Queries(__file__)


class Form(Struct, frozen=True):
    """One of a batch's papers on its way to be pinned; `package` where it came sealed."""

    paper_id: str
    paper: Record
    package: Record | None


async def seat_late(connection: Connection, batch: Batch, rooms: Iterable[tuple[str, str]]) -> None:
    """In those (site, room) that somebody came into or left, after arming."""
    changed = sorted(set(rooms))
    if batch.papers and changed:
        await assign_forms(connection, batch, changed)


async def assign_forms(connection: Connection, batch: Batch, rooms: Sequence[tuple[str, str]] | None = None) -> None:
    """For sittings that have not entered, in all rooms or in `rooms` (site, room)."""
    forms = len(batch.paper_ids)
    sites = None if rooms is None else [site for site, _ in rooms]
    names = None if rooms is None else [room for _, room in rooms]
    rows = await connection.fetch(_queries.seats_of, batch.batch_id, sites, names)
    seated = [
        Seated(
            sitting_id=row["sitting_id"],
            site=row["site"],
            room=row["room"],
            seat=row["seat"],
            kept=None if row["state"] == SittingState.EXPECTED else row["form"],
        )
        for row in rows
    ]
    layouts = {
        (row["site"], row["room"]): Layout(row["layout_rows"], row["layout_columns"], row["numbering"])
        for row in await connection.fetch(_queries.layouts_at, sorted({sitting.site for sitting in seated}))
    }
    given = await asyncio.to_thread(give_forms, seated, forms, layouts)  # a large batch takes seconds
    changed = [row["sitting_id"] for row in rows if given[row["sitting_id"]] != row["form"]]
    if changed:
        await connection.execute(_queries.put_forms, changed, [given[sitting_id] for sitting_id in changed])
