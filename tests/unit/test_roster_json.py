"""A roster in JSON: array and lines told apart, and no JSON that does more than a refusal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules import roster_json, roster_row
from engine.rules.errors import Refused
from tests.unit.roster_entries import TODAY, Entry, as_array, as_lines, entry, faults, read, read_roster


@pytest.mark.parametrize("write", [as_array, as_lines])
@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b" \r\n\t", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson", "text/csv", "", "nonsense"])
def test_content_decides_the_format(write: Callable[[list[Any]], bytes], prefix: bytes, content_type: str) -> None:
    """Array and lines are told apart by their first character, whatever the sender calls them."""
    candidates = read_roster(prefix + write([entry(0), entry(1)]), content_type, TODAY)

    assert [candidate.candidate_id for candidate in candidates] == ["C0", "C1"]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/csv", ""])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("sent", [entry(), {"candidates": [entry()]}, {}])
def test_one_object_alone_is_no_roster(sent: Entry, indent: int | None, content_type: str) -> None:
    """Whoever sends one candidate, or wraps the list, would have everybody else taken off: it is refused."""
    body = b"\n" + json.dumps(sent, indent=indent).encode() + b"\n"
    with pytest.raises(Refused) as caught:
        read_roster(body, content_type, TODAY)

    assert caught.value.code == "roster.file_format"
    assert "one JSON object" in caught.value.detail and "array" in caught.value.detail


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "Application/NDJSON ; charset=utf-8", "text/jsonl"])
def test_one_object_that_is_called_a_line_is_a_roster_of_one(content_type: str) -> None:
    """A roster of one line looks like nothing else; only its sender can say so."""
    assert len(read_roster(as_lines([entry()]) + b"\n", content_type, TODAY)) == 1


@pytest.mark.parametrize("body", [b"[]", b" [ ] \n", b"\xef\xbb\xbf[]"])
def test_an_empty_array_empties_the_roster(body: bytes) -> None:
    """`[]` is the one way to say: nobody."""
    assert read_roster(body, "application/json", TODAY) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "XLS"),
        ("[]".encode("utf-16"), "text"),
        (b"\x00\x01\x02", "binary"),
        (b"null", "text"),
        (b'"C1"', "text"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<html><table><tr><td>", "HTML"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook>', "XML"),
    ],
)
def test_any_other_format_is_refused_by_what_was_found(body: bytes, found: str) -> None:
    """The refusal names what the body looks like and what is accepted."""
    with pytest.raises(Refused) as caught:
        read_roster(body, "application/pdf", TODAY)

    assert caught.value.code == "roster.file_format"
    assert found in caught.value.detail
    assert caught.value.members["accepted"]


@pytest.mark.parametrize("body", [b"[", b"[{}", b"[{}]]", b"[NaN]", b'["\xff"]', b"[" * 100_000, b'[{"a":1,"a":2}]'])
def test_an_array_that_cannot_be_parsed_is_malformed(body: bytes) -> None:
    """Without JSON there are no rows to find faults in."""
    with pytest.raises(Refused) as caught:
        read_roster(body, "application/json", TODAY)

    assert caught.value.code == "request.malformed"


def test_a_lone_surrogate_makes_an_array_malformed() -> None:
    """Half a character is no text; PostgreSQL could not keep it."""
    with pytest.raises(Refused) as caught:
        read(entry(name="张\ud842三"))

    assert caught.value.code == "request.malformed"


def test_lines_that_cannot_be_parsed_are_faults_beside_the_others() -> None:
    """One broken line hides no other fault; rows are counted as lines of the file, blank ones too."""
    lines = [
        json.dumps(entry(0)),
        "",
        "{broken",
        "[1]",
        json.dumps(entry(2, name="")),
        '{"name": "\\ud800"}',
        "   ",
        "7",
    ]
    found = faults(write=lambda _: "\r\n".join(lines).encode() + b"\r\n")

    assert [(fault["row"], fault["field"], fault["code"]) for fault in found] == [
        (3, None, "malformed"),
        (4, None, "type"),
        (5, "name", "missing"),
        (6, None, "malformed"),
        (8, None, "type"),
    ]
    assert [fault["pointer"] for fault in found] == ["/1", "/2", "/3/name", "/4", "/5"]
    assert found[0]["value"] == "{broken"


def test_a_line_that_is_not_utf8_is_a_fault_of_that_line() -> None:
    """The others are still read."""
    body = as_lines([entry(0)]) + b'\n{"name": "\xc0\xc1"}\n' + as_lines([entry(1, seat="1")])
    found = faults(write=lambda _: body)

    assert [(fault["row"], fault["code"]) for fault in found] == [(2, "malformed"), (3, "seat.shape")]


def test_a_line_separator_inside_a_text_ends_no_line() -> None:
    """Only a line feed ends a line: U+2028 and U+0085 may stand in a JSON text."""
    body = as_lines([entry(0, site="A\u2028B"), entry(1)])

    assert [fault["row"] for fault in faults(write=lambda _: body)] == [1]


@pytest.mark.parametrize("write", [as_array, as_lines])
def test_too_many_rows_are_refused(write: Callable[[list[Any]], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound itself is taken, one more is not."""
    monkeypatch.setattr(roster_json, "ROSTER_ROWS_MAX", 2)
    assert len(read_roster(write([entry(0), entry(1)]), "", TODAY)) == 2

    with pytest.raises(Refused) as caught:
        read_roster(write([entry(0), entry(1), entry(2)]), "", TODAY)
    assert caught.value.code == "request.too_large"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ANY_ENTRY = st.dictionaries(st.sampled_from(roster_row.FIELDS), ANY_JSON | st.text()) | ANY_JSON


@given(st.lists(ANY_ENTRY, min_size=1, max_size=4), st.sampled_from([as_array, as_lines]))
def test_no_json_makes_reading_fail_other_than_by_refusal(
    entries: list[Any], write: Callable[[list[Any]], bytes]
) -> None:
    """Whatever is sent, the answer is candidates or a refusal that can be written as JSON."""
    try:
        read_roster(write(entries), "application/json", TODAY)
    except Refused as refused:
        json.dumps(refused.problem(), allow_nan=False)


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"{" + tail))
def test_no_bytes_make_reading_fail_other_than_by_refusal(body: bytes) -> None:
    """Anything at all may arrive as a body."""
    try:
        read_roster(body, "application/json", TODAY)
    except Refused as refused:
        json.dumps(refused.problem(), allow_nan=False)


def test_array_and_lines_give_the_same_candidates() -> None:
    """The format carries rows, it does not change them."""
    entries = [entry(number, name="𠮷 野", id_number=f"ｅ{number:08}") for number in range(50)]

    assert read_roster(as_array(entries), "", TODAY) == read_roster(as_lines(entries), "", TODAY)


@pytest.mark.parametrize("write", [as_array, as_lines])
def test_fifty_thousand_rows_are_read_within_seconds(write: Callable[[list[Any]], bytes]) -> None:
    """Linear in the rows: measured 2 s; anything quadratic would take minutes."""
    body = write([entry(number, room=f"{number // 30}", seat=f"{number % 30:02}") for number in range(50_000)])
    started_s = time.process_time()

    assert len(read_roster(body, "", TODAY)) == 50_000
    assert time.process_time() - started_s < 60, "the processor's time, which a busy machine hardly lengthens"
