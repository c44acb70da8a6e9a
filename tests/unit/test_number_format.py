"""A number as a spreadsheet shows it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.number_format import BUILT_IN, shown_number


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (5, "General", "5"),
        (-3, "General", "-3"),
        (0, "General", "0"),
        (12_345_678_901, "General", "12345678901"),
        (123_456_789_012, "General", "1.23457E+11"),
        (110101199003070134, "General", "1.10101E+17"),
        (0.1 + 0.2, "General", "0.3"),
        (3.14159265358979, "General", "3.141592654"),
        (1e-5, "General", "1E-05"),
        (5, "G/通用格式", "5"),
        (5, "@", "5"),
        (5, "", "5"),
        (5, "0", "5"),
        (2.5, "0", "3"),
        (5, "00", "05"),
        (110101199003070134, "0", "110101199003070000"),  # what is kept of it
        (12_345_678, "000000000000", "000012345678"),
        (12_345_678, "0000-0000", "1234-5678"),
        (301, '"第"0"考场"', "第301考场"),
        (301, "0号", "301号"),
        (301, r"0\室", "301室"),
        (1_234_567, "#,##0", "1,234,567"),
        (1_234_567.891, "#,##0.00", "1,234,567.89"),
        (1_234_567, "0,", "1235"),
        (0.5, "0%", "50%"),
        (-3, "0;(0)", "(3)"),
        (-3, "0", "-3"),
        (0, '0;-0;"无"', "无"),
        (5, "0;-0;;@", "5"),
        (0, "#", ""),
        (1.5, "0.0#", "1.5"),
        (1.25, "0.0?", "1.25"),
        (5, "[Red]0", "5"),
        (5, "[颜色3]0", "5"),
        (5, "[$¥-804]0.00", "¥5.00"),
        (5, "[$-804]General", "5"),
        (12_345, "0.00E+00", "1.23E+04"),
        (0, "0.00E+00", "0.00E+00"),
    ],
)
def test_a_number_is_shown_as_its_cell_shows_it(value: float, code: str, shown: str) -> None:
    """Zeros in front, digits dropped, words beside it."""
    assert shown_number(value, code) == shown


@pytest.mark.parametrize(
    "code", ["yyyy-mm-dd", 'm"月"d"日"', "[h]:mm", "h:mm AM/PM", "上午/下午h:mm", "[$-804]aaaa", "yyyy/m/d"]
)
def test_a_date_is_told_as_one(code: str) -> None:
    """How it looks depends on the machine that shows it."""
    assert shown_number(46_000, code) is None


@pytest.mark.parametrize("code", ["# ?/?", "[>3]0", "[DBNum1]0", "[=1]0;0"])
def test_a_format_that_is_not_known_is_not_guessed(code: str) -> None:
    """Fractions, conditions, numerals of other scripts."""
    assert shown_number(5, code) == ""


@pytest.mark.parametrize("number", [*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
def test_built_in_dates_are_dates(number: int) -> None:
    """Also those that only workbooks in Chinese use."""
    assert shown_number(46_000, BUILT_IN[number]) is None


@given(st.integers(0, 10**11 - 1))
def test_a_whole_number_of_up_to_eleven_digits_is_shown_whole(value: int) -> None:
    """Under the three formats that lists of people have; with as many zeros as the format asks for."""
    assert shown_number(value, "General") == shown_number(value, "0") == str(value)
    assert shown_number(value, "000000000000") == f"{value:012}"


@given(st.floats(allow_nan=False, allow_infinity=False), st.text('0#?.,%@/E+-;"\\_*[]yhGgeneral$ 第', max_size=20))
def test_no_format_makes_it_fail(value: float, code: str) -> None:
    """Whatever a workbook calls a format."""
    shown = shown_number(value, code)

    assert shown is None or isinstance(shown, str)
