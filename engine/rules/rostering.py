"""Checks a whole roster: every row folded, every fault listed, nothing guessed.

Decoding (`roster_json`, `roster_table`) turns what was sent into `Row`s and is the only part that knows a format;
`check_rows` turns rows into candidates and is the same for all of them. A roster is taken whole or not at all.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.rules.documents import (
    DOCUMENT_FAULTS,
    SPACES,
    canonical_document,
    document_fault,
    fold_document,
    fold_width_and_space,
    is_plain,
    remove_invisible,
)
from engine.rules.errors import Invalid
from engine.rules.limits import (
    EXTRA_TIME_S_MAX,
    FAULTS_LISTED_MAX,
    ID_PATTERN,
    NAME_CHARACTERS_MAX,
    PLACE_CHARACTERS_MAX,
)
from engine.rules.roster_row import FIELDS, REQUIRED_FIELDS, Flaw, Row
from engine.rules.shape import Faults, pointer_part, shown
from engine.rules.terms import Candidate

# Spreadsheets run a cell that begins with one of these when a roster or result list is opened again (also full-width).
_FORMULA_PREFIXES = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_RUN_AS_FORMULA = "begins with = + - or @, which a spreadsheet would run as a formula"
# What no name or place holds: controls, line breaks, the mark a lossy decoder leaves behind, and what is no character.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufffd-\uffff]")
_SEAT = re.compile(r"[0-9]{2,}|备用[0-9]+", re.ASCII)
_DOTS = dict.fromkeys(map(ord, "\u2022\u30fb\uff0e\u2027"), "·")  # the dots keyboards offer for the one in 阿里·买买提
# By blocks, not by Unicode's script property: Python's tables lag behind the newest characters of planes 2 and 3, and
# names that GB 18030 files write in the private use areas are Han too. The dot joins the parts of one Han name.
_HAN_OR_DOT = (
    "[·\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\ue000-\ufaff"
    "\U00020000-\U0003ffff\U000f0000-\U0010ffff]"
)
_SPACE_INSIDE_HAN = re.compile(f"(?<={_HAN_OR_DOT})[{SPACES}]+(?={_HAN_OR_DOT})")

# 18 digits that were a number for a while end in 000, or are written as 1.10101E+17. Only of what is no number anyway.
_ROUNDED = re.compile(r"[0-9]{15}000|[0-9](\.[0-9]+)?E\+?[0-9]{2}|[0-9]+\.0+", re.ASCII)
_SIGNS_OF_ROUNDING = frozenset({"characters", "shape", "sequence", "check_digit"})


_FirstRows = dict[str, dict[Hashable, Row]]  # field to name -> what must be unique -> the first row that has it


class _Unfit(Exception):
    """A field's value cannot be taken."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


def id_numbers_of(rows: Sequence[Row], today: datetime.date) -> list[str]:
    """The valid ID numbers in `rows`, folded: whose other batches have to be looked up."""
    found = []
    for row in rows:
        try:
            found.append(_id_number(row.members.get("id_number"), today))
        except _Unfit:
            continue  # `check_rows` names it
    return found


def check_rows(
    rows: Sequence[Row],
    today: datetime.date,
    overlaps: Mapping[str, str] | None = None,
    unread: frozenset[str] = frozenset(),
    faults_max: int = FAULTS_LISTED_MAX,
) -> list[Candidate]:
    """The candidates of `rows`, folded, or Invalid `roster.invalid` with every fault in row order.

    `today` bounds birth dates. `overlaps` says of ID numbers why those people cannot be in this batch too. What is said
    of `unread` fields once for the whole roster is not said of each row again.
    A value is compared with other rows only when it is valid by itself, so that one mistake is not named twice.
    """
    faults = Faults(faults_max)
    readers = _readers(today, _shortest_whole_ticket(rows))
    first_rows: _FirstRows = {field: {} for field in _SAME}
    candidates: list[Candidate] = []
    for row in rows:
        flaws, values = _read_fields(row, readers, unread) if row.is_candidate else (list(row.flaws), {})
        if overlaps and values.get("id_number") in overlaps:
            message = overlaps[values["id_number"]]
            flaws.append(Flaw("id_number", "id_number.overlap", message, row.members["id_number"]))
        for flaw in flaws:
            _report(faults, row, flaw)
        _report_duplicates(faults, row, values, first_rows)
        if not faults:
            candidates.append(Candidate(**values))
    if faults:
        raise Invalid("roster.invalid", faults.listed, errors_total=faults.total)
    return candidates


def _read_fields(
    row: Row, readers: dict[str, Callable[[Any], Any]], unread: frozenset[str]
) -> tuple[list[Flaw], dict[str, Any]]:
    """Every flaw of the row by itself, and the folded values of the fields without one."""
    members, flaws = row.members, list(row.flaws)
    values: dict[str, Any] = {}
    flawed = {flaw.field for flaw in flaws}
    if None in flawed:
        return flaws, values
    for field in FIELDS:
        if field in flawed:
            continue
        if field not in members:
            if field in REQUIRED_FIELDS and field not in unread:
                flaws.append(Flaw(field, "missing", "is missing"))
            continue
        try:
            values[field] = readers[field](members[field])
        except _Unfit as unfit:
            flaws.append(Flaw(field, unfit.code, unfit.message, members[field]))
    if "candidate_id" not in members and "candidate_id" not in flawed and "admission_ticket" in values:
        values["candidate_id"] = values["admission_ticket"]
    return flaws, values


def _report(faults: Faults, row: Row, flaw: Flaw, **more: Any) -> None:
    pointer = _pointer(row, flaw.field) if row.is_candidate else ""
    if row.columns is not None:
        column = flaw.column or row.columns.get(flaw.field or "")
        more = {"row": row.number, "column": column, "field": flaw.field, **more}
    elif row.number is not None:
        more = {"row": row.number, "field": shown(flaw.field), **more}
    faults.add(pointer, flaw.message, flaw.value, code=flaw.code, **more)


def _pointer(row: Row, field: str | None) -> str:
    return f"/{row.index}" if field is None else f"/{row.index}/{pointer_part(shown(field))}"


def _report_duplicates(faults: Faults, row: Row, values: dict[str, Any], first_rows: _FirstRows) -> None:
    """Names each of the row's values that an earlier row has; of three equal rows the last two are named."""
    firsts: dict[str, Row] = {}
    for field, identity in _identities(values):
        first = first_rows[field].setdefault(identity, row)
        if first is not row:
            firsts[field] = first
    if not firsts:
        return
    if "candidate_id" not in row.members and firsts.get("candidate_id") is firsts.get("admission_ticket"):
        firsts.pop("candidate_id", None)  # the ticket stands in for it: one mistake, named once
    for field, first in firsts.items():
        pointer = _pointer(first, field)
        place, more = (pointer, {}) if first.number is None else (f"row {first.number}", {"first_row": first.number})
        flaw = Flaw(field, f"{field}.duplicate", f"{_SAME[field]} stands already at {place}", row.members.get(field))
        _report(faults, row, flaw, first_pointer=pointer, **more)


_SAME = {
    "candidate_id": "the same candidate",
    "id_number": "the same person (by ID number)",
    "admission_ticket": "the same admission ticket",
    "seat": "the same seat of the same site and room",
}


def _identities(values: dict[str, Any]) -> Iterator[tuple[str, Hashable]]:
    """What must be unique in a roster: (field to name, value to compare)."""
    for field in ("candidate_id", "id_number", "admission_ticket"):
        if field in values:
            yield field, values[field]
    if values.get("seat") and "site" in values:
        # People type one room as 101 and as １０１: two names of one door, and one machine behind it.
        place = (fold_width_and_space(values["site"]), fold_width_and_space(values.get("room", "")))
        yield "seat", (*place, values["seat"])


def _readers(today: datetime.date, shortest_whole_ticket: int) -> dict[str, Callable[[Any], Any]]:
    """For each field the function that folds its value or raises _Unfit."""
    return {
        "candidate_id": _candidate_id,
        "name": lambda value: _checked_text("name", fold_name(_text(value)), NAME_CHARACTERS_MAX),
        "id_number": lambda value: _id_number(value, today),
        "admission_ticket": lambda value: _admission_ticket(value, shortest_whole_ticket),
        "site": lambda value: _checked_text("site", fold_place(_text(value)), PLACE_CHARACTERS_MAX),
        "room": lambda value: _checked_text("room", fold_place(_text(value)), PLACE_CHARACTERS_MAX),
        "seat": _seat,
        "extra_time_s": _extra_time_s,
    }


def _shortest_whole_ticket(rows: Sequence[Row]) -> int:
    """The least length that is not shorter than most of the file's tickets."""
    tickets = (row.members.get("admission_ticket") for row in rows)
    lengths = Counter(len(fold_width_and_space(ticket)) for ticket in tickets if isinstance(ticket, str))
    del lengths[0]
    longer = lengths.total()
    for length in sorted(lengths):
        longer -= lengths[length]
        if longer * 2 <= lengths.total():
            return length
    return 0


def fold_name(text: str) -> str:
    """A person's name as compared and shown: NFC, one dot, nothing invisible, no space at the ends or in Han."""
    if is_plain(text):
        return text
    name = unicodedata.normalize("NFC", remove_invisible(text)).translate(_DOTS).strip(SPACES)
    return _SPACE_INSIDE_HAN.sub("", name)


def fold_place(text: str) -> str:
    """A site or room as compared and shown: NFC, nothing invisible, no space at the ends."""
    if is_plain(text):
        return text
    return unicodedata.normalize("NFC", remove_invisible(text)).strip(SPACES)


def text_fault(folded: str) -> tuple[str, str] | None:
    """Why nothing is called this, however long: (`formula` or `characters`, in words)."""
    if folded.isalnum():
        return None
    if folded.startswith(_FORMULA_PREFIXES):
        return "formula", _RUN_AS_FORMULA
    unprintable = _UNPRINTABLE.search(folded)
    return ("characters", f"holds the character U+{ord(unprintable[0]):04X}") if unprintable else None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        raise _Unfit("type", "expected a string: a number does not keep every digit")
    raise _Unfit("type", "expected a string")


def _candidate_id(value: Any) -> str:
    # Not folded: results carry it back, and an id we change is one the pusher cannot find again.
    if not ID_PATTERN.fullmatch(_text(value)):
        raise _Unfit("candidate_id.characters", "expected 1 to 64 of A-Z a-z 0-9 . _ -")
    return str(value)


def _checked_text(field: str, folded: str, characters_max: int) -> str:
    """`folded` when a name or place may be that; an empty one is a fault where the field is required."""
    if not folded and field in REQUIRED_FIELDS:
        raise _Unfit("missing", "is empty")
    if fault := text_fault(folded):
        raise _Unfit(f"{field}.{fault[0]}", fault[1])
    if len(folded) > characters_max:
        raise _Unfit(f"{field}.length", f"expected at most {characters_max} characters, got {len(folded)}")
    return folded


def _id_number(value: Any, today: datetime.date) -> str:
    folded = fold_document(_text(value))
    if not folded:
        raise _Unfit("missing", "is empty")
    fault = document_fault(folded, today)
    if fault in _SIGNS_OF_ROUNDING and _ROUNDED.fullmatch(folded):
        raise _Unfit("id_number.lost_digits", "was rounded by a spreadsheet, which keeps 15 digits of a number")
    if fault:
        raise _Unfit(f"id_number.{fault}", DOCUMENT_FAULTS[fault])
    return canonical_document(folded)


def _admission_ticket(value: Any, shortest_whole: int) -> str:
    """Half-width and without spaces, case kept; the characters of an id, because it may serve as `candidate_id`."""
    folded = fold_width_and_space(_text(value))
    if not folded:
        raise _Unfit("missing", "is empty")
    if folded.startswith(_FORMULA_PREFIXES):
        raise _Unfit("admission_ticket.formula", _RUN_AS_FORMULA)
    if not ID_PATTERN.fullmatch(folded):
        raise _Unfit("admission_ticket.characters", "expected 1 to 64 of A-Z a-z 0-9 . _ -")
    if len(folded) < shortest_whole and folded.isdigit():
        message = f"has {len(folded)} digits, most tickets of the file have more: a leading zero may be lost"
        raise _Unfit("admission_ticket.lost_digits", message)
    return folded


def _seat(value: Any) -> str:
    folded = fold_width_and_space(_text(value))
    if folded and not (_SEAT.fullmatch(folded) and len(folded) <= PLACE_CHARACTERS_MAX):
        raise _Unfit("seat.shape", "expected two or more digits with their zeros (01), or 备用 and a number")
    return folded


def _extra_time_s(value: Any) -> int:
    # 600.0 is the integer 600 in JSON's data model; a boolean is no number there, though it is one in Python.
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= EXTRA_TIME_S_MAX or value != int(value):
        raise _Unfit("extra_time_s.range", f"expected a whole number of seconds from 0 to {EXTRA_TIME_S_MAX}")
    return int(value)
