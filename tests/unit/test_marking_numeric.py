"""Marking of numbers: decimals as they were written, compared exactly, the edge of a tolerance included."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules import exact_json
from engine.rules.marking import exact_number
from tests.unit.papers import earned, numeric


@pytest.mark.parametrize(
    ("answer", "tolerance", "value", "points"),
    [
        ("21.75", "0.01", "21.76", 1),  # inclusive at both edges: as doubles 21.76 - 21.75 > 0.01
        ("21.75", "0.01", "21.74", 1),
        ("21.75", "0.01", "21.7600000000001", 0),
        ("21.75", "0.01", "21.7399999999999", 0),
        ("0.3", "0", "0.3", 1),
        ("0.3", "0.2", "0.1", 1),
        ("0.3", "0", "0.30000000000000004", 0),  # what 0.1 + 0.2 prints: 17 digits
        ("0.3", "1", "0.30000000000000004", 0),  # 17 digits earn nothing, however near
        ("0.3", "0.1", "0.300000000000001", 1),  # 15 do
        ("0.3", "0.1", "0.3000000000000001", 0),  # 16 do not
        ("100", "0", "1e2", 1),
        ("100", "0", "100.00", 1),
        ("100", "0", "1.00000000000000000000e2", 1),  # zeros at the end are not significant
        ("1e20", "0", "100000000000000000000", 1),
        ("0.000001", "0", "1e-6", 1),
        ("0", "0", "-0", 1),
        ("0", "0", "-0.0", 1),
        ("0", "0", "0e999999999", 1),
        ("-5", "0.5", "-5.5", 1),
        ("-5", "0.5", "5", 0),
        ("123456789012345", "0", "123456789012345", 1),
        ("123456789012345", "10", "123456789012346", 1),
        ("123456789012345", "9999999", "1234567890123456", 0),
        ("1e308", "0", "1e308", 1),
        ("1e-300", "0", "0", 0),
    ],
)
def test_numeric_compares_decimals_as_written(answer: str, tolerance: str, value: str, points: int) -> None:
    assert earned(numeric(answer, tolerance), exact_json.decode(value.encode())) == points


@pytest.mark.parametrize("value", ["1", True, [1], None, Decimal("NaN"), Decimal("-Infinity"), float("inf"), {}])
def test_numeric_takes_finite_numbers_only(value: Any) -> None:
    assert earned(numeric("1", "1000"), value) == 0


def test_a_double_stands_for_its_shortest_decimal() -> None:
    """A reader that made doubles of the numbers changes no mark."""
    assert exact_number(21.76) == Fraction(2176, 100)
    assert exact_number(0.1 + 0.2) is None


@settings(max_examples=500, deadline=None)
@given(
    answer=st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-1000, max_value=1000),
    tolerance=st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=0, max_value=10),
)
def test_numeric_tolerance_is_inclusive_everywhere(answer: Decimal, tolerance: Decimal) -> None:
    """On the edge it earns, one unit of the ninth decimal further out it does not."""
    item = numeric(answer, tolerance)
    hair = Decimal("1e-9")

    assert earned(item, answer + tolerance) == earned(item, answer - tolerance) == 1
    assert earned(item, answer + tolerance + hair) == earned(item, answer - tolerance - hair) == 0
