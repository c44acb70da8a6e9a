"""Where in a partition's log something stands."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """Compares as the log does: by generation, then by number."""

    generation: int
    number: int

    def __str__(self) -> str:
        """As the log writes it."""
        return f"{self.generation}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Position:
        generation, _, number = text.partition("-")
        return cls(int(generation), int(number))


NOWHERE = Position(0, 0)  # before everything: nothing has ever been recorded
