"""What a workbook takes as the name of a sheet, made of any text."""

from __future__ import annotations

_UTF16_UNITS_MAX = 31  # so spreadsheets count: a character beyond the BMP is two
_NOT_IN_A_NAME = str.maketrans("", "", "[]:*?/\\'\ufffe\uffff")  # the last two are not in XML either


def sheet_name(wished: str, taken: set[str], without: str) -> str:
    """`wished` as far as it can be one, and as no other of a workbook is called; it is put among the `taken` ones.

    `without`: where nothing is left of it. Case does not tell two apart.
    """
    plain = wished.translate(_NOT_IN_A_NAME).strip() or without
    name, number = _cut(plain, _UTF16_UNITS_MAX), 1
    while name.casefold() in taken:
        number += 1
        ending = f" ({number})"
        name = _cut(plain, _UTF16_UNITS_MAX - len(ending)) + ending
    taken.add(name.casefold())
    return name


def _cut(text: str, units_max: int) -> str:
    """`text` up to so many UTF-16 units; no character is halved."""
    return text.encode("utf-16-le")[: 2 * units_max].decode("utf-16-le", "ignore")
