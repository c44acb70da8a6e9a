"""A sheet as it was read from a table of whatever format: what stands in its cells, and how a person sees them."""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TypeAlias

from msgspec import Struct, field


class CellKind(StrEnum):
    NUMBER = auto()
    DATE = auto()  # a number that is shown as a date or a time
    BOOLEAN = auto()
    ERROR = auto()  # #N/A, #REF! and their like
    UNCALCULATED = auto()  # a formula whose outcome was never stored


class Cell(Struct, frozen=True):
    """What is not text. `shown` is what a person sees in the cell; empty: this reader cannot tell."""

    kind: CellKind
    shown: str
    stored: float = 0.0
    number_format: str = "General"


Value: TypeAlias = str | Cell


class Merge(Struct, frozen=True):
    """Cells that are one; the value stands in the first."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int


class Flaw(Struct, frozen=True):
    """What is wrong at a place of a sheet, or with all of it; beyond it nothing could be read."""

    row: int
    code: str
    message: str


class Sheet(Struct):
    """Rows and columns count from 1. Only cells that hold something are there."""

    name: str = ""
    rows: dict[int, dict[int, Value]] = field(default_factory=dict)  # in ascending order
    merges: list[Merge] = field(default_factory=list)
    hidden_rows: set[int] = field(default_factory=set)
    widths: dict[int, float] = field(default_factory=dict)  # of columns, in characters
    long_rows: list[int] = field(default_factory=list)  # in text: with a line break inside a cell
    flaw: Flaw | None = None
    doubt: str = ""  # about all of it: taken, and to be looked at


def column_letter(column: int) -> str:
    """1 -> A, 27 -> AA."""
    letters = ""
    while column > 0:
        column, place = divmod(column - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters


def column_number(letters: str) -> int:
    """A -> 1, AA -> 27; `letters` are A to Z."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
