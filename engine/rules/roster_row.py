"""A roster's row between decoding and checking: what stands where, and what decoding found wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from engine.rules.errors import Refused
from engine.rules.limits import ROSTER_ROWS_MAX

FIELDS: Final = ("candidate_id", "name", "id_number", "admission_ticket", "site", "room", "seat", "extra_time_s")
REQUIRED_FIELDS: Final = frozenset({"name", "id_number", "admission_ticket", "site"})


class Flaw(Struct, frozen=True):
    """One fault of a row, or of the row as a whole (`field` is None)."""

    field: str | None
    code: str
    message: str
    value: Any = None
    column: str | None = None  # its letter, where it is not the field's own


class Row(Struct, frozen=True):
    """One decoded row, unchecked. What decoding found wrong is in `flaws`; those fields are not checked again."""

    index: int  # among the candidates, from 0
    members: dict[str, Any]
    number: int | None = None  # from 1 as the sender counts (NDJSON: lines, blank ones too); None: the index locates it
    flaws: tuple[Flaw, ...] = ()
    columns: Mapping[str, str] | None = None  # of a table: each field's letter
    is_candidate: bool = True  # else it only says what is wrong with a header, or with a whole table


class Decoded(Struct, frozen=True):
    """A whole roster, unchecked. `unread`: fields of which a row does not say anything, because a flaw says it for all.

    `warnings`: [{row?, message}], of what was taken all the same.
    """

    rows: list[Row]
    warnings: list[dict[str, Any]] = []
    unread: frozenset[str] = frozenset()


def too_many_rows(seen: str) -> Refused:
    """The refusal of a roster that `seen`, as `has more candidates`."""
    return Refused("request.too_large", f"the roster {seen}, at most {ROSTER_ROWS_MAX} are taken")
