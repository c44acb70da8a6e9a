"""ID documents and admission codes: one spelling for each, and what is wrong with a number.

Candidates type these under stress and clerks paste them from spreadsheets, so spellings are folded, the same way in the
roster and at login; digits are never guessed. Folding is narrower than NFKC on purpose: NFKC would read `①` or `²` as
a digit nobody wrote.
"""

from __future__ import annotations

import datetime
import operator
import re
from typing import Final

# TAB is a space here: exporters append one to a long number to keep a spreadsheet from rounding it.
SPACES: Final = "\t \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"

DOCUMENT_FAULTS: Final = {
    "characters": "holds something other than letters and digits",
    "shape": "expected a resident number of 18 or 15 digits or another document of 5 to 18 letters and digits, "
    "at least 5 of them digits",
    "region": "does not begin with a province, 81 to 83, or 9",
    "birth_date": "has no real birth date from 1900 until today",
    "sequence": "has the sequence number 000, which is never issued",
    "check_digit": "has a check character that does not fit: a digit is mistyped",
}

# Unicode's Default_Ignorable_Code_Point and the blank Braille cell: everything a screen draws as nothing at all. Not
# category Cf, which holds visible Arabic signs and lacks the fillers and the variation selectors.
_INVISIBLE_RANGES = (
    *((0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164), (0xFE00, 0xFE0F)),
    *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A)),
    (0xE0000, 0xE0FFF),
)
_INVISIBLE: dict[int, int | None] = {
    point: None for first, last in _INVISIBLE_RANGES for point in range(first, last + 1)
}
_NARROW: dict[int, int | None] = {
    **_INVISIBLE,
    **{ord(space): None for space in SPACES},
    **{point: point - 0xFEE0 for point in range(0xFF01, 0xFF5F)},
}
# ASCII letters only: Unicode's upper case would make an I of a dotless i and an S of a long s.
_UPPER: dict[int, int | None] = {point: point - 32 for point in range(ord("a"), ord("z") + 1)}

_PLAIN = re.compile("[0-9A-Za-z\u4e00-\u9fff]*")
_LETTERS_AND_DIGITS = re.compile(r"[A-Z0-9]*", re.ASCII)
_RESIDENT_18 = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_RESIDENT_15 = re.compile(r"[0-9]{15}", re.ASCII)
_OLD_FOREIGNERS_CARD = re.compile(r"[A-Z]{3}[0-9]{12}", re.ASCII)
_PROVINCES = frozenset(
    str(province)
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83), (90, 99))
    for province in range(first, last + 1)
)
_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
_WEIGHT_OF_ZEROS = sum(_WEIGHTS) * ord("0")  # digits are weighed as their characters' codes
_CHECK_CHARACTERS = "10X98765432"  # by the weighted sum modulo 11
_BIRTH_YEAR_MIN = 1900
_MASK_KEEPS = 4


def is_plain(text: str) -> bool:
    """Nothing but ASCII letters and digits, and usual Han: as most texts of a roster are, and no folding changes."""
    return text.isalnum() if text.isascii() else _PLAIN.fullmatch(text) is not None


def remove_invisible(text: str) -> str:
    """`text` without the characters a screen draws as nothing: zero-width, soft hyphens, BOMs, direction marks."""
    return text if text.isascii() else text.translate(_INVISIBLE)


def fold_width_and_space(text: str) -> str:
    """`text` in half-width forms (U+FF01-FF5E only), without spaces and invisible characters; case is kept."""
    return text if is_plain(text) else text.translate(_NARROW)


def fold_document(text: str) -> str:
    """The one spelling of an ID number: half-width, upper case, no spaces, nothing invisible.

    Punctuation and control characters stay, for `document_fault` to name.
    """
    return text.upper() if is_plain(text) else text.translate(_NARROW).translate(_UPPER)


def fold_code(text: str) -> str:
    """The one spelling of an admission code, as `fold_document`."""
    return fold_document(text)


def document_fault(folded: str, today: datetime.date) -> str | None:
    """What is wrong with a folded ID number, as a key of DOCUMENT_FAULTS; None for a number that may be real.

    The shape tells the kind. 18 or 15 characters are a resident's (GB 11643) and checked as such: a letter O for a
    zero must not make a passport of them; only three letters with 12 digits are another kind. All other kinds (H/M
    with 8 or 10 digits, 8 digits, passports) have nothing to check beyond their characters, so one rule covers them:
    5 to 18 letters and digits, at least five of them digits.
    """
    if _RESIDENT_18.fullmatch(folded):
        fault = _resident_fault(folded[:17], today)
        return fault or (None if folded[17] == _check_character(folded[:17]) else "check_digit")
    if not _LETTERS_AND_DIGITS.fullmatch(folded):
        return "characters"
    if _RESIDENT_15.fullmatch(folded):
        return _resident_fault(_with_century(folded), today)
    if len(folded) in (15, 18) and not _OLD_FOREIGNERS_CARD.fullmatch(folded):
        return "shape"
    digits = sum(character.isdigit() for character in folded)
    return None if 5 <= len(folded) <= 18 and digits >= 5 else "shape"


def canonical_document(folded: str) -> str:
    """The form two spellings of one document share: a valid 15-digit number in its 18 digits, all else itself."""
    if not _RESIDENT_15.fullmatch(folded) or _resident_fault(_with_century(folded), datetime.date.max):
        return folded
    body = _with_century(folded)
    return body + _check_character(body)


def masked_document(document: str) -> str:
    """As logs may tell it: at most the last four characters, never more than a third."""
    kept = min(_MASK_KEEPS, len(document) // 3)
    return "*" * (len(document) - kept) + document[len(document) - kept :]


def _with_century(resident_15: str) -> str:
    # The 15-digit form ended in 1999, and every number issued in it means a year 19yy.
    return resident_15[:6] + "19" + resident_15[6:]


def _resident_fault(body: str, today: datetime.date) -> str | None:
    """What is wrong with the first 17 digits of a resident number."""
    if body[:2] not in _PROVINCES:
        return "region"
    try:
        born = datetime.date(int(body[6:10]), int(body[10:12]), int(body[12:14]))
    except ValueError:
        return "birth_date"
    if born.year < _BIRTH_YEAR_MIN or born > today:
        return "birth_date"
    return "sequence" if body[14:] == "000" else None


def _check_character(body: str) -> str:
    """ISO 7064 MOD 11-2 over 17 digits."""
    return _CHECK_CHARACTERS[(sum(map(operator.mul, _WEIGHTS, body.encode("ascii"))) - _WEIGHT_OF_ZEROS) % 11]
