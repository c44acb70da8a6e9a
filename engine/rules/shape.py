"""Reads an untrusted JSON object member by member and lists every fault instead of stopping at the first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from engine.rules.limits import FAULTS_LISTED_MAX

_SHOWN_CHARACTERS = 200
_MISSING: Any = object()


def shown(value: Any) -> Any:
    """`value` as an error message may repeat it: JSON-ready and short."""
    if isinstance(value, Decimal):
        as_double = float(value)
        return as_double if abs(as_double) != float("inf") else str(value)[:_SHOWN_CHARACTERS]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def pointer_part(name: str) -> str:
    """One JSON Pointer step (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


class Faults:
    """A growing list of faults, bounded in what it keeps but counting all."""

    def __init__(self, listed_max: int = FAULTS_LISTED_MAX) -> None:
        self.listed_max = listed_max
        self.listed: list[dict[str, Any]] = []
        self.total = 0

    def add(self, pointer: str, message: str, value: Any = None, **more: Any) -> None:
        self.total += 1
        if len(self.listed) < self.listed_max:
            self.listed.append({"pointer": pointer, "message": message, "value": shown(value), **more})

    def extend(self, listed: Sequence[dict[str, Any]], total: int) -> None:
        """By what was found elsewhere."""
        self.total += total
        self.listed.extend(listed[: self.listed_max - len(self.listed)])

    def __bool__(self) -> bool:
        return self.total > 0


class Members:
    """The members of one JSON object at `pointer`; every take_* returns a default after recording a fault.

    Call `finish()` last: it records the members nobody took as unknown.
    """

    def __init__(self, value: Any, pointer: str, faults: Faults) -> None:
        self.pointer = pointer
        self.faults = faults
        self.is_object = isinstance(value, dict)
        if not self.is_object:
            faults.add(pointer, "expected an object", value)
        self.members: dict[str, Any] = value if self.is_object else {}
        self.taken: set[str] = set()

    def at(self, name: str) -> str:
        return f"{self.pointer}/{pointer_part(name)}"

    def has(self, name: str) -> bool:
        return name in self.members

    def fault(self, name: str, message: str) -> None:
        self.faults.add(self.at(name), message, self.members.get(name))

    def take(self, name: str, default: Any = _MISSING) -> Any:
        """The raw member; without a default its absence is a fault (and None is returned)."""
        self.taken.add(name)
        if name in self.members:
            return self.members[name]
        if default is _MISSING:
            if self.is_object:
                self.faults.add(self.at(name), "is missing")
            return None
        return default

    def take_text(self, name: str, characters_max: int, default: Any = _MISSING, characters_min: int = 1) -> str:
        value = self.take(name, default)
        if name not in self.members:
            return value if isinstance(value, str) else ""
        if not isinstance(value, str):
            self.fault(name, "expected a string")
            return ""
        if not characters_min <= len(value) <= characters_max:
            self.fault(name, f"expected {characters_min} to {characters_max} characters, got {len(value)}")
            return ""
        if "\0" in value:
            self.fault(name, "holds a NUL character")
            return ""
        return value

    def take_pattern(self, name: str, pattern: re.Pattern[str], expected: str) -> str:
        value = self.take(name)
        if name not in self.members:
            return ""
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.fault(name, f"expected {expected}")
            return ""
        return value

    def take_integer(self, name: str, smallest: int, largest: int, default: Any = _MISSING) -> int:
        value = self.take(name, default)
        if name not in self.members:
            return value if isinstance(value, int) else 0
        if isinstance(value, Decimal) and value == value.to_integral_value() and abs(value) < 2**53:
            value = int(value)  # 5400.0 is the integer 5400 in JSON's data model
        if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
            self.fault(name, f"expected an integer from {smallest} to {largest}")
            return smallest
        return value

    def take_boolean(self, name: str, default: Any = _MISSING) -> bool:
        value = self.take(name, default)
        if name in self.members and not isinstance(value, bool):
            self.fault(name, "expected true or false")
            return False
        return bool(value)

    def take_choice(self, name: str, choices: tuple[str, ...], default: Any = _MISSING) -> str:
        value = self.take(name, default)
        if name in self.members and (not isinstance(value, str) or value not in choices):
            self.fault(name, "expected one of " + ", ".join(choices))
            return choices[0]
        return value if isinstance(value, str) else choices[0]

    def take_list(self, name: str, smallest: int, largest: int) -> list[Any]:
        value = self.take(name)
        if name not in self.members:
            return []
        if not isinstance(value, list):
            self.fault(name, "expected a list")
            return []
        if not smallest <= len(value) <= largest:
            # Of a list that is too long its length says enough.
            few = value if len(value) < smallest else None
            self.faults.add(self.at(name), f"expected {smallest} to {largest} entries, got {len(value)}", few)
            return value[:largest]
        return value

    def finish(self) -> None:
        for name in self.members:
            if name not in self.taken:
                self.faults.add(self.at(name), "is not a known member", self.members[name])
