"""Heads of packages that are whole and signed, and say what no paper can be: refused when they are pushed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from engine.rules.question_set import read_question_set
from engine.scheduling.package import _check_usable
from engine.sealing import answer_key
from engine.sealing.envelope import SealBroken
from engine.sealing.package import Package, make_package, read_package
from engine.sealing.signature import Signer
from tests.contract import outsider as out


@pytest.fixture(scope="module")
def package() -> Package:
    """Of a paper with one item of each type."""
    grader = answer_key.public_key(b"g" * 32)
    return read_package(make_package("B", read_question_set(out.paper()), b"k" * 32, grader, Signer(b"r" * 32)))


def test_index_of_every_type_can_be_used(package: Package) -> None:
    assert {entry["type"] for entry in package.index.values()} == {
        "single", "multiple", "true_false", "fill", "numeric", "text",
    }  # fmt: skip
    _check_usable(package)


@pytest.mark.parametrize("name", ["paper_digest", "answer_key_digest", "key_check"])
@pytest.mark.parametrize("digest", ["", "a\0b", "x" * 64, "a" * 65], ids=["none", "NUL", "not hex", "long"])
def test_digest_that_is_none_is_refused(package: Package, name: str, digest: str) -> None:
    with pytest.raises(SealBroken, match=f"{name} is .*expected 64 hex digits"):
        _check_usable(structs.replace(package, **{name: digest}))


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        {"type": "essay"},
        {"type": ["text"]},
        {"type": "text", "answer": "b"},
        {"type": "single"},
        {"type": "single", "options": "ab"},
        {"type": "single", "options": ["a"]},
        {"type": "single", "options": ["a", "a"]},
        {"type": "single", "options": ["a", 5]},
        {"type": "single", "options": ["a", "b\0"]},
        {"type": "multiple", "options": ["a", ["b"]]},
        {"type": "multiple", "options": {"a": 1, "b": 2}},
        {"type": "single", "options": ["a", "b"], "answer": "b"},
        {"type": "fill", "blanks": 0},
        {"type": "fill", "blanks": 10**12},
        {"type": "fill", "blanks": 1.5},
        {"type": "fill", "blanks": True},
        {"type": "fill", "blanks": "2"},
    ],
)
def test_index_by_which_nothing_can_be_checked_is_refused(package: Package, entry: Any) -> None:
    """A save would fail on it, in the middle of the exam."""
    with pytest.raises(SealBroken, match="item 'A1'"):
        _check_usable(structs.replace(package, index={**package.index, "A1": entry}))
