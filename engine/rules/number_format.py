"""How a spreadsheet shows a number: enough of its format codes for what stands in lists of people.

Promise: what is answered is what a person sees in a column that is wide enough; what is not known here (fractions,
conditions, numerals of other scripts) is answered as not known, never guessed. Dates are told as dates, not rendered:
how many of them look depends on the machine, and in a roster they are accidents (room 3-1 that became the first of
March).
"""

from __future__ import annotations

import itertools
import re
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import Final

from msgspec import Struct

GENERAL: Final = "General"
_GENERAL_BELOW = Decimal(10) ** 11  # from twelve digits on a cell in this format shows 1.23457E+11
_SMALLEST_PLAIN = Decimal("0.0001")
DIGITS_STORED_MAX: Final = 15  # what a spreadsheet keeps and shows of a number; the rest becomes zeros
_AS_SHOWN = Context(prec=DIGITS_STORED_MAX, rounding=ROUND_HALF_UP)
_ROOMY = Context(prec=400, rounding=ROUND_HALF_UP)

# ECMA-376, part 1, 18.8.30; 27 to 36 and 50 to 58 are dates where the language is Chinese, Japanese or Korean.
BUILT_IN: Final[dict[int, str]] = {
    0: GENERAL, 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?",
    13: "# ??/??", 37: "#,##0 ;(#,##0)", 38: "#,##0 ;[Red](#,##0)", 39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;[Red](#,##0.00)", 48: "##0.0E+0", 49: "@",
    **dict.fromkeys((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)), "yyyy-mm-dd"),
}  # fmt: skip

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_(?P<space>.)|\*.|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<general>general|g/通用格式)|(?P<clock>am/pm|a/p|上午/下午)|(?P<power>e[+-])"
    r"|(?P<digit>[0#?])|(?P<point>\.)|(?P<comma>,)|(?P<percent>%)|(?P<text>@)|(?P<fraction>/)|(?P<date>[ymdhsebga])"
    r"|(?P<plain>.)",
    re.IGNORECASE | re.DOTALL,
)
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)
_CURRENCY = re.compile(r"\$([^-]*)")
_COLOUR = re.compile(r"black|blue|cyan|green|magenta|red|white|yellow|(color|颜色)\s*\d+", re.IGNORECASE)


class _Section(Struct, frozen=True):
    """`whole` and `decimals` hold placeholders (0 # ?) and, as longer texts or others, what stands between them."""

    kind: str  # number, general, date, power, unknown
    whole: tuple[tuple[bool, str], ...] = ()  # (is a placeholder, text)
    decimals: tuple[tuple[bool, str], ...] = ()
    has_point: bool = False
    is_grouped: bool = False
    thousands: int = 0  # by how many thousands the number is divided
    percents: int = 0


def shown_number(value: float, code: str) -> str | None:
    """`value` under the format `code`; None for a date, empty where the format is not known here."""
    sections = _sections(code or GENERAL)
    number = _AS_SHOWN.create_decimal(repr(value))
    if len(sections) > 2 and number == 0:
        section, sign = sections[2], ""
    elif len(sections) > 1 and number < 0:
        section, sign = sections[1], ""
    else:
        section, sign = sections[0], "-" if number < 0 else ""
    if section.kind == "date":
        return None
    if section.kind == "unknown":
        return ""
    magnitude = abs(number)
    if section.kind == "power":
        return sign + _scientific(magnitude, sum(is_digit for is_digit, _ in section.decimals))
    if section.kind == "general":
        return "".join((sign, *(text if text != "@" else _general(magnitude) for _, text in section.whole)))
    return sign + _placed(magnitude, section)


def _general(number: Decimal) -> str:
    if number == 0:
        return "0"
    if not _SMALLEST_PLAIN <= number < _GENERAL_BELOW:
        mantissa, _, power = _scientific(number, 5).partition("E")
        return f"{mantissa.rstrip('0').rstrip('.')}E{power}"
    whole_digits = max(1, number.adjusted() + 1)
    rounded = _ROOMY.quantize(number, Decimal(1).scaleb(-max(0, 10 - whole_digits)))
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scientific(number: Decimal, decimals: int) -> str:
    if number == 0:
        return f"{0:.{decimals}f}E+00"
    power = number.adjusted()
    mantissa = _ROOMY.quantize(number.scaleb(-power), Decimal(1).scaleb(-decimals))
    if mantissa >= 10:
        mantissa, power = _ROOMY.quantize(mantissa / 10, Decimal(1).scaleb(-decimals)), power + 1
    return f"{mantissa:f}E{'-' if power < 0 else '+'}{abs(power):02}"


def _placed(number: Decimal, section: _Section) -> str:
    """The digits of `number` put at the placeholders of `section`, from the point outwards."""
    places = sum(is_digit for is_digit, _ in section.decimals)
    scaled = _ROOMY.scaleb(number, 2 * section.percents - 3 * section.thousands)
    whole, _, fraction = f"{_ROOMY.quantize(scaled, Decimal(1).scaleb(-places)):f}".partition(".")
    whole = whole.lstrip("0")
    placeholders_left = sum(is_digit for is_digit, _ in section.whole)
    written: list[str] = []  # from right to left
    digits = 0
    for is_digit, text in reversed(section.whole):
        if not is_digit:
            written.append(text[::-1])
            continue
        placeholders_left -= 1
        taken = whole[::-1] if placeholders_left == 0 else whole[-1:]
        whole = "" if placeholders_left == 0 else whole[:-1]
        for digit in taken or {"0": "0", "?": " "}.get(text, ""):
            if section.is_grouped and digits and digits % 3 == 0:
                written.append(",")
            written.append(digit)
            digits += 1
    return "".join(written)[::-1] + _placed_fraction(fraction, section)


def _placed_fraction(fraction: str, section: _Section) -> str:
    significant = len(fraction.rstrip("0"))
    written, place = ["." if section.has_point else ""], 0
    for is_digit, text in section.decimals:
        if not is_digit:
            written.append(text)
            continue
        written.append(fraction[place] if text == "0" or place < significant else {"?": " "}.get(text, ""))
        place += 1
    return "".join(written)


@lru_cache(maxsize=1024)
def _sections(code: str) -> tuple[_Section, ...]:
    """For positive numbers, negative ones and zero; the fourth, for texts, is not needed."""
    ends = [match.start() for match in _TOKEN.finditer(code) if match["plain"] == ";"]
    bounds = [-1, *ends, len(code)]
    return tuple(_section(code[start + 1 : end]) for start, end in itertools.pairwise(bounds))[:3]


def _section(code: str) -> _Section:
    before: list[tuple[bool, str]] = []
    after: list[tuple[bool, str]] = []
    seen: set[str] = set()
    commas_waiting = percents = 0
    is_grouped = has_point = False
    for match in _TOKEN.finditer(code):
        kind, text = match.lastgroup or "", match[0]
        place = after if has_point else before
        if kind == "bracket":
            kind, text = _bracket(match["bracket"])
        elif kind in ("quoted", "escaped"):
            kind, text = "plain", match[kind]
        elif kind == "space":
            kind, text = "plain", " "
        elif not kind:  # a character repeated to fill the column
            continue
        seen.add(kind)
        if "power" in seen:  # what follows are the exponent's digits
            continue
        if kind == "digit":
            is_grouped = is_grouped or (commas_waiting > 0 and not has_point)
            commas_waiting = 0
            place.append((True, text))
        elif kind == "comma":
            commas_waiting += 1
        elif kind == "point" and not has_point:
            has_point = True
        elif kind in ("general", "text"):
            place.append((False, "@"))
        elif kind in ("plain", "percent", "point"):
            percents += kind == "percent"
            place.append((False, text))
    return _Section(
        _kind(seen), tuple(before), tuple(after), has_point, is_grouped, thousands=commas_waiting, percents=percents
    )


def _bracket(inside: str) -> tuple[str, str]:
    """What [..] stands for: elapsed time, a currency's sign, a colour; what else there is, is not known here."""
    currency = _CURRENCY.match(inside)
    if currency:
        return "plain", currency[1]
    if _ELAPSED.fullmatch(inside):
        return "date", ""
    return ("plain", "") if _COLOUR.fullmatch(inside) else ("unknown", "")


def _kind(seen: set[str]) -> str:
    if "unknown" in seen:
        return "unknown"
    if seen & {"date", "clock"}:
        return "date"
    if "fraction" in seen:
        return "unknown"
    if "power" in seen:
        return "power"
    return "general" if seen & {"general", "text"} else "number"
