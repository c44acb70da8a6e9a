"""What does checking one response cost a worker, by kind of item?"""

from __future__ import annotations

from typing import Any

import pytest

from engine.rules import values

INDEX: dict[str, dict[str, Any]] = {
    "single": {"type": "single", "options": ["a", "b", "c", "d"]},
    "multiple": {"type": "multiple", "options": ["a", "b", "c", "d", "e"]},
    "true_false": {"type": "true_false"},
    "fill": {"type": "fill", "blanks": 2},
    "numeric": {"type": "numeric"},
    "text": {"type": "text"},
}
RAW = {
    "single": b'"c"',
    "multiple": b'["a","d"]',
    "true_false": b"true",
    "fill": '["八小时","5"]'.encode(),
    "numeric": b"21.75",
    "text": ('"' + "劳动合同" * 250 + '"').encode(),
}


@pytest.mark.parametrize("kind", list(RAW))
def test_check_one_value(benchmark: Any, kind: str) -> None:
    check = values.checkers(INDEX)[kind]

    assert benchmark(check, RAW[kind])
