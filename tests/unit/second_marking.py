"""A second marking, written from the small print alone and sharing nothing with `engine.rules.marking`.

It reads the paper as pushed instead of the answer key, computes in whole numbers (numerator and denominator, decimals
as digits and a power of ten) instead of `Fraction`, and folds by written-out tables instead of decompositions.
Only the tests import it: where the two disagree, one of them misreads the contract.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")

_WIDE = {0x3000: " ", 0xFF5F: "⦅", 0xFF60: "⦆"}
_WIDE |= {0xFF01 + step: chr(0x21 + step) for step in range(94)}
_WIDE |= dict(enumerate("。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノ", 0xFF61))
_WIDE |= dict(enumerate("ハヒフヘホマミムメモヤユヨラリルレロワン\u3099\u309a", 0xFF8A))
_WIDE |= dict(enumerate("\u3164ㄱㄲㄳㄴㄵㄶㄷㄸㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅃㅄㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ", 0xFFA0))
for _start, _vowels in (
    (0xFFC2, "ㅏㅐㅑㅒㅓㅔ"),
    (0xFFCA, "ㅕㅖㅗㅘㅙㅚ"),
    (0xFFD2, "ㅛㅜㅝㅞㅟㅠ"),
    (0xFFDA, "ㅡㅢㅣ"),
):
    _WIDE |= dict(enumerate(_vowels, _start))
_WIDE |= dict(enumerate("¢£¬¯¦¥₩", 0xFFE0)) | dict(enumerate("│←↑→↓■○", 0xFFE8))


def second_mark(item: dict[str, Any], value: Any) -> tuple[int, int, bool]:
    """(numerator, denominator, waits) of the points that `value` earns on one item of the pushed paper."""
    share, parts, waits = 0, 1, False
    match item["type"]:
        case "text":
            waits = isinstance(value, str) and any(not letter.isspace() for letter in value)
        case "single":
            share = int(type(value) is str and value == item["answer"])
        case "true_false":
            share = int(value is item["answer"])
        case "numeric":
            share = int(_is_near(value, item))
        case "multiple":
            share, parts = _multiple(value, item)
        case "fill":
            share, parts = _fill(value, item)
    points, power = _scaled(item["points"])
    return share * points * 10 ** max(power, 0), parts * 10 ** max(-power, 0), waits


def second_score(document: dict[str, Any], responses: dict[str, Any]) -> str | None:
    """The published score with its two decimals as text, None while something waits."""
    top, bottom, all_top, all_bottom = 0, 1, 0, 1
    for section in document["sections"]:
        for item in section["items"]:
            numerator, denominator, waits = second_mark(item, responses.get(item["id"]))
            if waits:
                return None
            top, bottom = top * denominator + numerator * bottom, bottom * denominator
            points, power = _scaled(item["points"])
            numerator, denominator = points * 10 ** max(power, 0), 10 ** max(-power, 0)
            all_top, all_bottom = all_top * denominator + numerator * all_bottom, all_bottom * denominator
    # top/bottom / (all_top/all_bottom) * 100, in hundredths, plus a half, floored
    above, below = top * all_bottom * 10_000, bottom * all_top
    hundredths = (2 * above + below) // (2 * below)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def second_fold(text: str, steps: list[str]) -> str:
    text = unicodedata.normalize("NFC", text)
    if "width" in steps:
        text = "".join(_WIDE.get(ord(letter), letter) for letter in text)
    if "space" in steps:
        text = "".join(letter for letter in text if not letter.isspace())
    if "case" in steps:
        text = text.casefold()
    if "punctuation" in steps:
        marks = {"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"}
        text = "".join(letter for letter in text if unicodedata.category(letter) not in marks)
    return unicodedata.normalize("NFC", text)


def _multiple(value: Any, item: dict[str, Any]) -> tuple[int, int]:
    known = [option["id"] for option in item["options"]]
    if type(value) is not list or any(type(option) is not str or option not in known for option in value):
        return 0, 1
    hits = sum(option in value for option in item["answer"])
    misses = sum(option in value for option in known) - hits
    needed = len(item["answer"])
    marking = item.get("marking", "exact")
    if marking == "per_option":
        return (hits - misses, needed) if hits > misses else (0, 1)
    if hits == needed and misses == 0:
        return 1, 1
    return (1, 2) if marking == "subset_half" and hits > 0 and misses == 0 else (0, 1)


def _fill(value: Any, item: dict[str, Any]) -> tuple[int, int]:
    blanks, steps = item["answer"], item.get("fold", ["width", "space", "case"])
    if type(value) is not list or len(value) > len(blanks) or any(type(text) is not str for text in value):
        return 0, 1
    right = 0
    for position, text in enumerate(value):
        given = second_fold(text, steps)
        right += any(given == second_fold(accepted, steps) for accepted in blanks[position])
    return right, len(blanks)


def _is_near(value: Any, item: dict[str, Any]) -> bool:
    if type(value) is bool or value is None or isinstance(value, str | list | dict):
        return False
    given, answer, tolerance = (_scaled(number) for number in (value, item["answer"], item.get("tolerance", 0)))
    if len(str(abs(given[0])).rstrip("0")) > 15:
        return False
    lowest = min(given[1], answer[1], tolerance[1])
    whole = [digits * 10 ** (power - lowest) for digits, power in (given, answer, tolerance)]
    return -whole[2] <= whole[0] - whole[1] <= whole[2]


def _scaled(number: Any) -> tuple[int, int]:
    """A number as it is written, as (whole number, power of ten)."""
    found = _NUMBER.fullmatch(str(number))
    assert found, number
    sign, whole, decimals, exponent = found.groups(default="")
    digits = int(whole + decimals)
    return (-digits if sign else digits), int(exponent or 0) - len(decimals)
