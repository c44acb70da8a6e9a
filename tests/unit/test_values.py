"""What a candidate may answer: every kind's canonical form is RFC 8785's, and everything else is refused."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.limits import FILL_CHARACTERS_MAX, TEXT_CHARACTERS_MAX
from engine.rules.question_set import read_question_set
from engine.rules.values import Checker, ValueRefused, checkers

CHECK: dict[str, Checker] = checkers(
    {
        "single": {"type": "single", "options": ["a", "b", "A.1_-"]},
        "multiple": {"type": "multiple", "options": ["a", "b", "c"]},
        "true_false": {"type": "true_false"},
        "fill": {"type": "fill", "blanks": 2},
        "numeric": {"type": "numeric"},
        "text": {"type": "text"},
    }
)
KINDS = sorted(CHECK)


def canonical(kind: str, raw: bytes | str) -> bytes:
    return CHECK[kind](raw.encode() if isinstance(raw, str) else raw)


def refusal(kind: str, raw: bytes | str) -> str:
    """Why the value is no answer; fails when it is one."""
    with pytest.raises(ValueRefused) as refused:
        canonical(kind, raw)
    return str(refused.value)


# --- all kinds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_null_clears_any_item(kind: str) -> None:
    """And is stored as what it is: a cleared answer belongs into the receipt."""
    assert canonical(kind, "null") == b"null"


@pytest.mark.parametrize(
    ("raw", "takers"),
    [
        ("true", {"true_false"}),
        ("false", {"true_false"}),
        ('"a"', {"single", "text"}),
        ('"z"', {"text"}),
        ('["a"]', {"multiple", "fill"}),
        ('["z"]', {"fill"}),
        ("[]", {"multiple", "fill"}),
        ("0", {"numeric"}),
        ("1.5", {"numeric"}),
        ('""', {"text"}),
        ("{}", set()),
        ("[null]", set()),
        ("[1]", set()),
        ("[[]]", set()),
        ("[true]", set()),
        ('{"a":1}', set()),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(raw: str, takers: set[str]) -> None:
    """At save, by every kind but those it belongs to."""
    refusers = set()
    for kind in KINDS:
        try:
            canonical(kind, raw)
        except ValueRefused:
            refusers.add(kind)

    assert refusers == set(KINDS) - takers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "raw", [b"", b" ", b"nul", b"NaN", b"Infinity", b"-Infinity", b"'a'", b'"\xff"', b'["\xff"]', b'"', b"[", b"\x00"]
)
def test_what_is_no_json_is_refused_by_every_kind(kind: str, raw: bytes) -> None:
    """The journal of a broken client must not reach the log."""
    assert refusal(kind, raw).startswith("expected ")


@pytest.mark.parametrize(("kind", "raw"), [("single", r'"\ud800"'), ("text", r'"\ud800"'), ("fill", r'["\udfff"]')])
def test_lone_surrogates_are_refused(kind: str, raw: str) -> None:
    """No UTF-8 can carry them, so no receipt could."""
    assert refusal(kind, raw).startswith("expected ")


def test_every_kind_of_a_paper_has_its_checker() -> None:
    """The index that a paper gives is what the checkers are made from."""
    items: list[dict[str, Any]] = [
        {"type": "single", "options": [{"id": "a", "text": "A"}, {"id": "b", "text": "B"}], "answer": "b"},
        {"type": "multiple", "options": [{"id": "a", "text": "A"}, {"id": "b", "text": "B"}], "answer": ["a"]},
        {"type": "true_false", "answer": True},
        {"type": "fill", "answer": [["x"], ["y"]]},
        {"type": "numeric", "answer": 1},
        {"type": "text"},
    ]
    numbered = [{"id": item["type"], "stem": "?", "points": 1, **item} for item in items]
    paper = read_question_set({"title": "t", "sections": [{"id": "S", "title": "S", "items": numbered}]})
    made = checkers(paper.index)
    values = ['"a"', '["b"]', "false", '["1","2"]', "3", '"words"']

    taken = [made[item["type"]](raw.encode()) for item, raw in zip(items, values, strict=True)]

    assert taken == [raw.encode() for raw in values]


# --- choices ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ['"a"', r'"\u0061"'])
def test_an_option_has_one_form_however_it_was_escaped(raw: str) -> None:
    """Two spellings of one answer must not make two receipts."""
    assert canonical("single", raw) == b'"a"'


@pytest.mark.parametrize("raw", ['"A"', '"a "', '"ab"', '""', r'"a\u0000"', '"\uff41"', '"é"'])
def test_an_unknown_option_is_refused_with_the_known_ones(raw: str) -> None:
    """Ids are compared as they are: no case, no width."""
    assert refusal("single", raw) == "expected one of the options A.1_-, a, b"


def test_options_chosen_keep_their_order_and_lose_their_spaces() -> None:
    """The order is the candidate's; white space is nobody's."""
    assert canonical("multiple", ' [ "c" ,\n"a" ] ') == b'["c","a"]'
    assert canonical("multiple", "[ ]") == b"[]"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ('["a","d"]', "expected options out of a, b, c"),
        ('["a","a"]', "expected each option once"),
        (r'["a","\u0061"]', "expected each option once"),
        ('["a",null]', "expected a list of option ids or null"),
        ('"a"', "expected a list of option ids or null"),
        ('["a"', "expected a list of option ids or null"),
    ],
)
def test_a_list_of_options_is_refused_with_the_reason(raw: str, why: str) -> None:
    """Unknown, twice, or no list."""
    assert refusal("multiple", raw) == why


@pytest.mark.parametrize("raw", ["0", "1", '"true"', "True", "[true]", '""'])
def test_true_false_takes_nothing_that_is_only_like_a_boolean(raw: str) -> None:
    """A 1 is not a true."""
    assert refusal("true_false", raw) == "expected true, false or null"


# --- fill ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["[]", '[""]', '["八小时"]', '["八小时","8"]', '["",""]'])
def test_fewer_strings_than_blanks_are_an_answer(raw: str) -> None:
    """Missing strings are blank: a candidate fills in as they go."""
    assert canonical("fill", raw) == raw.encode()


def test_more_strings_than_blanks_are_refused() -> None:
    """The message says how many there are."""
    assert refusal("fill", '["a","b",""]') == "expected at most 2 strings, one per blank, got 3"


def test_a_blank_has_a_longest_answer() -> None:
    """Counted in characters, not in bytes or UTF-16 units."""
    longest = "𠮷" * FILL_CHARACTERS_MAX

    assert canonical("fill", json.dumps([longest])) == orjson.dumps([longest])
    assert "at most 1000 characters, got 1001" in refusal("fill", orjson.dumps(["", longest + "x"]))


@pytest.mark.parametrize(("kind", "raw"), [("fill", r'["a\u0000"]'), ("text", r'"\u0000"'), ("text", r'"a\u0000b"')])
def test_nul_is_refused(kind: str, raw: str) -> None:
    """PostgreSQL's text cannot hold it."""
    assert refusal(kind, raw) == "expected no NUL character"


# --- text ------------------------------------------------------------------------------------------------------


def test_a_text_has_a_longest_answer() -> None:
    """20,000 characters of any plane are taken, one more is not."""
    longest = "汉" * (TEXT_CHARACTERS_MAX - 1) + "𠮷"

    assert canonical("text", orjson.dumps(longest)) == orjson.dumps(longest)
    assert refusal("text", orjson.dumps(longest + "x")) == "expected at most 20000 characters, got 20001"


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (r'"\u00e9\/\u4e2d"', '"é/中"'),
        (r'"\u000a\u0009\u000d\u0008\u000c"', r'"\n\t\r\b\f"'),
        (r'"\u001F\u0001"', r'"\u001f\u0001"'),
        (r'"\u007f\u2028"', '"\x7f\u2028"'),
        (r'"\ud842\udfb7"', '"𠮷"'),
        (r'"\"\\"', r'"\"\\"'),
    ],
)
def test_escapes_are_written_as_the_rfc_writes_them(raw: str, form: str) -> None:
    """Short forms where there are any, lower-case hexadecimal for the rest, nothing else escaped."""
    assert canonical("text", raw) == form.encode()


# --- numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e5", "0"),
        ("0.000", "0"),
        ("7", "7"),
        ("-12", "-12"),
        ("999999999999999", "999999999999999"),
        ("-999999999999999", "-999999999999999"),
        ("1000000000000000", "1000000000000000"),
        ("21.75", "21.75"),
        ("21.750", "21.75"),
        ("2175e-2", "21.75"),
        ("0.2175E+2", "21.75"),
        ("1E2", "100"),
        ("1e21", "1e+21"),
        ("1e20", "100000000000000000000"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("0.123456789012345", "0.123456789012345"),
        ("1.23456789012345e308", "1.23456789012345e+308"),
        ("1e-300", "1e-300"),
        ("-1e-300", "-1e-300"),
        ("1e-320", "1e-320"),
        ("5e-324", "5e-324"),
        ("0.1234567890123450000", "0.123456789012345"),
    ],
)
def test_a_number_has_one_form_however_it_was_written(raw: str, form: str) -> None:
    """ECMAScript's, as the RFC demands; the decimals that were written survive it."""
    assert canonical("numeric", raw) == form.encode()
    assert Decimal(form) == Decimal(raw)


@pytest.mark.parametrize(
    "raw", ["1e309", "-1e309", "1e400", "1e99999999999999999999", "-1e99999999999999999999", "9" * 15 + "e300"]
)
def test_a_number_beyond_a_double_is_refused(raw: str) -> None:
    """However large its exponent is: none of them may become infinite, or an error of ours."""
    assert refusal("numeric", raw) == "expected a finite number a double can hold"


@pytest.mark.parametrize(
    "raw", ["4e-324", "1.23456789012345e-320", "1e-400", "1e-99999999999999999999", "0e99999999999999999999"]
)
def test_a_number_too_small_for_its_digits_is_refused(raw: str) -> None:
    """Down there a double keeps fewer digits than were written; an exponent past all bounds is not looked into."""
    assert refusal("numeric", raw) == "expected a finite number a double can hold"


@pytest.mark.parametrize(
    "raw", ["1234567890123456", "0.1234567890123456", "1.000000000000001", "1" + "0" * 30 + "1", "9" * 400]
)
def test_more_than_fifteen_significant_digits_are_refused(raw: str) -> None:
    """A double would change the answer silently."""
    assert refusal("numeric", raw) == "expected at most 15 significant digits"


@pytest.mark.parametrize(
    "raw", ["", "+1", "01", "1.", ".5", "1e", "--1", "0x1", "1_0", "1 2", "１", "1,5", '"1"', "NaN", "1" * 401]
)
def test_what_is_no_json_number_is_refused(raw: str) -> None:
    """Python's float() would take half of these."""
    assert refusal("numeric", raw) == "expected a finite number or null"


# --- agreement with the RFC ------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)
options = st.sampled_from(["a", "b", "c"])
decimals = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent), st.integers(-(10**15) + 1, 10**15 - 1),
    st.integers(-280, 290),
)  # fmt: skip
answers = st.one_of(
    st.tuples(st.just("single"), st.sampled_from(["a", "b", "A.1_-"])),
    st.tuples(st.just("multiple"), st.lists(options, unique=True)),
    st.tuples(st.just("true_false"), st.booleans()),
    st.tuples(st.just("fill"), st.lists(texts, max_size=2)),
    st.tuples(st.just("text"), texts),
    st.tuples(st.just("numeric"), st.integers(-(10**15) + 1, 10**15 - 1)),
)


@given(answers, st.booleans(), st.sampled_from([None, (" , ", " : ")]))
def test_any_spelling_of_an_answer_becomes_its_canonical_form(
    answer: tuple[str, Any], ascii_only: bool, separators: tuple[str, str] | None
) -> None:
    """Compared with another implementation of RFC 8785."""
    kind, value = answer

    form = canonical(kind, json.dumps(value, ensure_ascii=ascii_only, separators=separators))

    assert form == rfc8785.dumps(value)


@given(answers)
def test_a_canonical_form_is_its_own(answer: tuple[str, Any]) -> None:
    """Sending back what the server showed changes nothing."""
    kind, value = answer
    form = canonical(kind, json.dumps(value))

    assert canonical(kind, form) == form


@given(decimals, st.sampled_from(["{:f}", "{:e}", "{:E}", "{}"]))
def test_any_spelling_of_a_number_keeps_its_decimals(number: Decimal, spelling: str) -> None:
    """Fifteen significant digits go through a double and come back."""
    raw = spelling.format(number)
    if len(raw) > 400:
        assert refusal("numeric", raw) == "expected a finite number or null"
        return

    form = canonical("numeric", raw)

    assert form == rfc8785.dumps(float(number))
    assert Decimal(form.decode()) == number
    assert canonical("numeric", form) == form


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,9})\.[0-9]{1,8}", fullmatch=True))
def test_a_decimal_as_people_write_it_has_its_canonical_form(raw: str) -> None:
    """Most of them are taken as they are: that must be what the RFC says."""
    if len(raw.strip("-0.").replace(".", "")) > 15:
        assert refusal("numeric", raw) == "expected at most 15 significant digits"
        return

    assert canonical("numeric", raw) == rfc8785.dumps(float(raw))


@given(st.floats())
def test_any_double_is_kept_or_refused_but_never_changed(double: float) -> None:
    """A browser sends shortest forms of up to 17 digits."""
    try:
        form = canonical("numeric", json.dumps(double))
    except ValueRefused:
        assert not math.isfinite(double) or len(Decimal(repr(double)).normalize().as_tuple().digits) > 15
    else:
        assert float(form) == double


@given(st.sampled_from(KINDS), st.binary(max_size=40))
def test_any_bytes_are_answered_or_refused(kind: str, raw: bytes) -> None:
    """Nothing a network can carry is an error of ours."""
    try:
        form = canonical(kind, raw)
    except ValueRefused:
        return

    assert form == rfc8785.dumps(orjson.loads(form))
