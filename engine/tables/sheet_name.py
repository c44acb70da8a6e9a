"""What a workbook takes as the name of a sheet, made of any text."""

from __future__ import annotations

_CHARACTERS_MAX = 31
_NOT_IN_A_NAME = str.maketrans("", "", "[]:*?/\\'")


def sheet_name(wished: str, taken: set[str], without: str) -> str:
    """`wished` as far as it can be one, and as no other of a workbook is called; it is put among the `taken` ones.

    `without`: where nothing is left of it. Case does not tell two apart.
    """
    plain = wished.translate(_NOT_IN_A_NAME).strip() or without
    name, number = plain[:_CHARACTERS_MAX], 1
    while name.casefold() in taken:
        number += 1
        ending = f" ({number})"
        name = plain[: _CHARACTERS_MAX - len(ending)] + ending
    taken.add(name.casefold())
    return name
