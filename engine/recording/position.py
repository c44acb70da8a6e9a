"""Where in a partition's log something stands."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """Compares as the log does: by generation, then by number."""

    generation: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Position:
        generation, _, number = text.partition("-")
        return cls(int(generation), int(number))
