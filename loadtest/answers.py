"""What simulated candidates answer: guesses from the open paper, or the work of somebody who knows some of the key."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

Answer = Callable[[Mapping[str, Any], random.Random], Any]  # (item of the opened paper, dice) -> value
CLEARED_SHARE = 0.02
NUMERIC_DIGITS_MAX = 15  # the contract's bound on significant digits


def guess(item: Mapping[str, Any], dice: random.Random) -> Any:
    """A value the item allows, chosen without knowing the answer; now and then None (cleared)."""
    if dice.random() < CLEARED_SHARE:
        return None
    return GUESSES[item["type"]](item, dice)


def keyed(paper: Mapping[str, Any], skill: float) -> Answer:
    """Answers like a person who knows the share `skill` of the pushed `paper`, written in many allowed ways."""
    key = {item["id"]: item for section in paper["sections"] for item in section["items"]}

    def answer(item: Mapping[str, Any], dice: random.Random) -> Any:
        if item["type"] == "text" or dice.random() >= skill:
            return guess(item, dice)
        return KNOWN[item["type"]](key[item["id"]], dice)

    return answer


def _option_ids(item: Mapping[str, Any]) -> list[str]:
    return [option["id"] for option in item["options"]]


def _guess_multiple(item: Mapping[str, Any], dice: random.Random) -> list[str]:
    options = _option_ids(item)
    return dice.sample(options, dice.randint(0, len(options)))


def _guess_fill(item: Mapping[str, Any], dice: random.Random) -> list[str]:
    blanks = item.get("blanks") or len(item.get("answer", [""]))
    return [dice.choice(("", "不清楚", "大概是它 7Q")) for _ in range(dice.randint(0, blanks))]


def _guess_numeric(item: Mapping[str, Any], dice: random.Random) -> float | int:
    return dice.choice((dice.randint(-5, 5000), round(dice.uniform(0, 1000), 2), 0.5))


def _guess_text(item: Mapping[str, Any], dice: random.Random) -> str:
    return "我认为应当先核实情况，再依照规定办理。" * dice.randint(1, 8)


GUESSES: dict[str, Callable[[Mapping[str, Any], random.Random], Any]] = {
    "single": lambda item, dice: dice.choice(_option_ids(item)),
    "multiple": _guess_multiple,
    "true_false": lambda item, dice: dice.random() < 0.5,
    "fill": _guess_fill,
    "numeric": _guess_numeric,
    "text": _guess_text,
}


def _known_multiple(item: Mapping[str, Any], dice: random.Random) -> list[str]:
    answer = dice.sample(item["answer"], len(item["answer"]))
    return answer if dice.random() < 0.7 else answer[: dice.randint(1, len(answer))]


def _known_fill(item: Mapping[str, Any], dice: random.Random) -> list[str]:
    texts = [_written(dice.choice(accepted), dice) for accepted in item["answer"]]
    return texts if dice.random() < 0.9 else texts[:-1]


def _written(text: str, dice: random.Random) -> str:
    """The same text as somebody else types it: spaces around, full-width ASCII letters and digits, capitals."""
    style = dice.randrange(4)
    if style == 1:
        return f" {text}\u3000"
    if style == 2:
        return "".join(chr(ord(char) + 0xFEE0) if char.isascii() and char.isalnum() else char for char in text)
    if style == 3:
        return "".join(char.swapcase() if char.isascii() else char for char in text)
    return text


def _known_numeric(item: Mapping[str, Any], dice: random.Random) -> float | int:
    """The answer, or one of the two values exactly at the edge of the tolerance, or one just past it."""
    answer, tolerance = Decimal(str(item["answer"])), Decimal(str(item.get("tolerance", 0)))
    past = tolerance + Decimal("0.001")
    value = answer + dice.choice((Decimal(0), Decimal(0), tolerance, -tolerance, past, -past))
    if len(value.as_tuple().digits) > NUMERIC_DIGITS_MAX:
        value = answer
    return int(value) if value == value.to_integral_value() else float(value)


KNOWN: dict[str, Callable[[Mapping[str, Any], random.Random], Any]] = {
    "single": lambda item, dice: item["answer"],
    "multiple": _known_multiple,
    "true_false": lambda item, dice: item["answer"],
    "fill": _known_fill,
    "numeric": _known_numeric,
}
