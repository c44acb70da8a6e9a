"""Which item a person turns to next: pure, so that every kind of simulated candidate works in one way."""

from __future__ import annotations

import random
from typing import Any

REVISING_SHARE = 0.2  # of all changes while items are still open


class Work:
    """The open items in an order of one's own, now and then an earlier one again."""

    def __init__(self, paper: dict[str, Any], dice: random.Random) -> None:
        self.items: list[dict[str, Any]] = [item for section in paper["sections"] for item in section["items"]]
        self.dice = dice
        self.reached = 0
        dice.shuffle(self.items)

    def next_item(self) -> dict[str, Any]:
        finished = self.reached == len(self.items)
        if finished or (self.reached and self.dice.random() < REVISING_SHARE):
            return self.dice.choice(self.items[: self.reached])
        self.reached += 1
        return self.items[self.reached - 1]
