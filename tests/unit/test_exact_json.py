"""JSON of machine clients: decimals as they were written, one canonical form, and nothing that is only nearly JSON."""

from __future__ import annotations

import contextlib
import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from engine.rules import exact_json
from engine.rules.errors import Refused
from engine.rules.limits import JSON_DEPTH_MAX


def decoded(body: bytes | str) -> Any:
    return exact_json.decode(body.encode() if isinstance(body, str) else body)


def refusal(body: bytes | str) -> str:
    """Why the body is refused; fails when it is read."""
    with pytest.raises(Refused) as refused:
        decoded(body)
    assert (refused.value.code, refused.value.status) == ("request.malformed", 400)
    return refused.value.detail


# --- reading ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("null", None),
        (" true ", True),
        ('"é中𠮷"', "é中𠮷"),
        (r'"\u00e9\ud842\udfb7"', "é𠮷"),
        ('{"a":[1,{"b":null}]}', {"a": [1, {"b": None}]}),
        ("[]", []),
        ('""', ""),
    ],
)
def test_json_is_read_as_json(body: str, value: Any) -> None:
    """The usual kinds, with any white space around."""
    assert decoded(body) == value


@pytest.mark.parametrize("text", ["21.75", "0.1", "0.10", "1e2", "-0.0", "1.0", "0.30000000000000004", "1e-300"])
def test_decimals_are_kept_as_they_were_written(text: str) -> None:
    """Marking compares decimals, not the doubles nearest to them."""
    number = decoded(text)

    assert isinstance(number, Decimal)
    assert (str(number), number) == (str(Decimal(text)), Decimal(text))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0", int),
        ("-7", int),
        (str(2**53 - 1), int),
        (str(2**53), Decimal),
        ("-" + str(2**53), Decimal),
        ("1" + "0" * 300, Decimal),
    ],
)
def test_integers_are_integers_as_far_as_json_counts_exactly(text: str, kind: type) -> None:
    """Beyond 2^53 they are decimals, as 1e30 is."""
    number = decoded(text)

    assert type(number) is kind
    assert number == Decimal(text)


@pytest.mark.parametrize("text", ["1e309", "-1e309", "9" * 400, "9" * 5000, "1e-400", "1e999999", "-1e-999999"])
def test_a_number_beyond_a_double_is_read_exactly(text: str) -> None:
    """It is JSON; who wants a number there refuses it by its name."""
    assert decoded(f'{{"points": [{text}]}}') == {"points": [Decimal(text)]}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e99999999999999999999", Decimal("Infinity")),
        ("-1e99999999999999999999", Decimal("-Infinity")),
        ("1e-99999999999999999999", Decimal("Infinity")),
        ("0e99999999999999999999", Decimal("Infinity")),
        ("1e1000000", Decimal("Infinity")),
        ("-12.5e999999", Decimal("-Infinity")),
        ("1e-1000000", Decimal("Infinity")),
        ("1e999999999", Decimal("Infinity")),
    ],
)
def test_a_number_beyond_a_decimal_is_one_that_nobody_takes(text: str, number: Decimal) -> None:
    """However large its exponent, it is no error of ours: an infinite number fits nowhere."""
    assert decoded(text) == number


@pytest.mark.parametrize("text", ["1e999999999", "-1e1000000", "1e-999999999", "0e999999999", "9e999999", "1e-999999"])
def test_with_whatever_is_read_one_can_compute(text: str) -> None:
    """Readers compare, round and negate before they know what a number is."""
    number = decoded(text)

    assert abs(number) >= 0
    assert (number < 2**53) == (number.to_integral_value() < 2**53)
    assert isinstance(float(number), float)


@pytest.mark.parametrize("text", ["1e309", "-1e309", "1e99999999999999999999"])
def test_a_number_beyond_a_double_has_no_canonical_form(text: str) -> None:
    """So it can be in nothing that is digested or signed."""
    with pytest.raises(ValueError, match="inf"):
        exact_json.canonical([decoded(text)])


@pytest.mark.parametrize("body", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_python_s_own_numbers_are_refused(body: str) -> None:
    """`json` reads them by default; JSON does not know them."""
    assert "is not JSON" in refusal(body)


@pytest.mark.parametrize(
    "body", ["", " ", "{", "[1,]", "{'a': 1}", "nul", "1 2", '"\t"', "\ufeff{}", '{"a"}', "// x\n1", "01", "+1"]
)
def test_what_is_no_json_is_refused(body: str) -> None:
    """A byte order mark, comments and trailing commas included."""
    assert refusal(body).startswith("the body is not JSON: ")


def test_bytes_that_are_no_utf8_are_refused_with_their_place() -> None:
    """GBK in a JSON body is a common accident."""
    assert refusal(b'{"name": "' + "张".encode("gbk") + b'"}') == "the body is not UTF-8 at byte 10"
    assert "not UTF-8" in refusal(b'"\xed\xa0\x80"')


@pytest.mark.parametrize("body", [r'"\ud800"', r'["ok", "\udc00 tail"]', r'{"\ud83d": 1}', r'{"a": {"b": "é\udfff"}}'])
def test_lone_surrogates_are_refused_wherever_they_stand(body: str) -> None:
    """Names of members included: no UTF-8 could carry them on."""
    assert "lone surrogate" in refusal(body)


@pytest.mark.parametrize("body", ['{"a":1,"a":1}', '[{"b":{"c":2,"a":1,"a":3}}]', r'{"a":1,"\u0061":2}'])
def test_a_name_given_twice_is_refused_by_name(body: str) -> None:
    """Which of the two counts would depend on the reader."""
    assert "the name 'a' stands twice" in refusal(body)


@pytest.mark.parametrize(
    ("opening", "innermost", "closing"),
    [("[", "", "]"), ("[", "1", "]"), ('{"a":', "null", "}"), ('{"a":', '"é"', "}"), ("[0,", "true", "]")],
)
def test_nesting_has_an_edge(opening: str, innermost: str, closing: str) -> None:
    """As deep as the limit is read, one deeper is refused, whatever lies innermost."""
    deepest = opening * JSON_DEPTH_MAX + innermost + closing * JSON_DEPTH_MAX

    assert decoded(deepest)
    assert refusal(opening + deepest + closing) == f"the body is nested deeper than {JSON_DEPTH_MAX}"


@pytest.mark.parametrize("body", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000])
def test_deep_nesting_costs_no_stack(body: str) -> None:
    """An attack on the parser is a refusal like any other."""
    assert refusal(body) == f"the body is nested deeper than {JSON_DEPTH_MAX}"


# --- the canonical form ----------------------------------------------------------------------------------------


def test_the_rfc_s_own_example_has_the_rfc_s_own_form() -> None:
    """RFC 8785, section 3.2.2 and 3.2.3."""
    body = (
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        r' "string": "\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}'
    )

    form = exact_json.canonical(decoded(body))

    assert form.decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        r'"string":"€$\u000f\nA' + "'" + r'B\"\\\\\"/"}'
    )


def test_members_are_sorted_by_utf_16_units() -> None:
    """RFC 8785, section 3.2.3: the emoji stands before the Hebrew presentation form, unlike by code point."""
    body = r'{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}'

    assert list(json.loads(exact_json.canonical(decoded(body)))) == ["\r", "1", "\x80", "ö", "€", "😀", "\ufb33"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.0", "1"), ("0.50", "5e-1"), ("-0", "0"), ("-0.0", "0"), ("1e2", "100"), ('"\\u4e2d"', '"中"'),
     ('{"b":1,"a":2}', ' { "a" : 2.0 , "b" : 1 } ')],
)  # fmt: skip
def test_two_spellings_of_one_document_have_one_digest(one: str, other: str) -> None:
    """A pusher that serialises differently on Monday pushes the same paper."""
    assert exact_json.digest(decoded(one)) == exact_json.digest(decoded(other))


def test_the_digest_is_the_sha256_of_the_form() -> None:
    """In hexadecimal, as `digest` and `paper_digest` show it."""
    assert exact_json.digest({"b": Decimal("1.50"), "a": None}) == hashlib.sha256(b'{"a":null,"b":1.5}').hexdigest()


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)  # fmt: skip
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4
    ),
    max_leaves=20,
)  # fmt: skip


@given(documents, st.booleans())
def test_any_document_has_the_form_of_the_rfc(document: Any, ascii_only: bool) -> None:
    """Compared with another implementation, through our reader and past it."""
    body = json.dumps(document, ensure_ascii=ascii_only).encode()

    form = exact_json.canonical(exact_json.decode(body))

    assert form == rfc8785.dumps(document)
    assert exact_json.canonical(exact_json.decode(form)) == form


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing a network can carry is an error of ours."""
    try:
        value = exact_json.decode(body)
    except Refused as refused:
        assert refused.code == "request.malformed"
        return

    with contextlib.suppress(ValueError):  # a number beyond a double
        assert exact_json.canonical(value)
