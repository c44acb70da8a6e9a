"""Lets a roster's candidates in: login, confirmation, pledge, over the public API, as fast as it is answered.

Promise: whoever is returned may save from the start of the batch on.
Not here: papers and their keys; the driver's answers are drawn from the pushed paper.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from msgspec import Struct

from loadtest.answers import guess
from loadtest.wire import Wire

AT_ONCE = 48
PATIENCE_S = 120.0
VALUES_PER_ITEM = 4


class Entered(Struct, frozen=True):
    """One candidate who may answer."""

    candidate_id: str
    sitting_id: str
    token: str


async def enter(wire: Wire, admission_code: str, roster: Sequence[Mapping[str, Any]]) -> list[Entered]:
    """Everybody on `roster`, in its order. Raises Problem or Unreachable."""
    found: list[Entered | None] = [None] * len(roster)
    left: Iterator[tuple[int, Mapping[str, Any]]] = iter(enumerate(roster))

    async def door() -> None:
        for index, row in left:
            found[index] = await _enter_one(wire, admission_code, row)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(roster))):
                group.create_task(door())
    except BaseExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [one for one in found if one is not None]


async def _enter_one(wire: Wire, admission_code: str, row: Mapping[str, Any]) -> Entered:
    body = orjson.dumps({"admission_code": admission_code, "id_number": row["id_number"]})
    told = (await wire.send_patiently("POST", "/v1/login", patience_s=PATIENCE_S, body=body)).json()
    for step in ("confirm", "pledge"):
        await wire.send_patiently(
            "POST", f"/v1/sitting/{step}", patience_s=PATIENCE_S, token=told["token"], body=b'{"accepted":true}'
        )
    return Entered(row["candidate_id"], told["sitting_id"], told["token"])


def values_of(paper: Mapping[str, Any], dice: random.Random) -> list[tuple[str, str]]:
    """(item, value as JSON): some values of every item."""
    return [
        (item["id"], orjson.dumps(guess(item, dice)).decode())
        for section in paper["sections"]
        for item in section["items"]
        for _ in range(VALUES_PER_ITEM)
    ]
