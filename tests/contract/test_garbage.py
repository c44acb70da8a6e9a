"""Whatever a body holds, the engine answers: a problem with a known code, never 500, never an end without a word."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from engine.rules.limits import CHANGES_PER_CALL_MAX, SMALL_BODY_BYTES_MAX
from tests.contract import outsider as contract
from tests.contract.outsider import Exam, Outsider, Sitting
from tests.contract.raw import WHOLE, Wire, call, change, harmless

MIB = 2**20
DEEP = 100_000


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> Exam:
    return outsider.exam()


@pytest.fixture(scope="module")
def sitting(exam: Exam) -> Sitting:
    return exam.enter()


@pytest.fixture
def wire(outsider: Outsider, sitting: Sitting) -> Iterator[Wire]:
    with harmless(outsider, sitting) as wire:
        yield wire


UNREADABLE = {
    "nothing": b"",
    "blanks": b" \r\n\t",
    "binary": bytes(range(256)),
    "utf8": WHOLE.replace(b'"a"', b'"\xff\xfe"'),
    "overlong_utf8": WHOLE.replace(b'"a"', b'"\xc0\x80"'),
    "surrogates_as_utf8": WHOLE.replace(b'"a"', b'"\xed\xa0\x80"'),
    "utf16": WHOLE.decode().encode("utf-16"),
    "byte_order_mark": b"\xef\xbb\xbf" + WHOLE,
    "truncated": WHOLE[:-1],
    "truncated_in_a_string": WHOLE[:25],
    "truncated_in_an_escape": b'{"changes":[{"item":"\\u00',
    "two_texts": WHOLE * 2,
    "trailing_comma": WHOLE.replace(b"]", b",]"),
    "single_quotes": WHOLE.replace(b'"', b"'"),
    "comment": b"/* */" + WHOLE,
    "lone_surrogate": call(change(b'"\\ud800"')),
    "lone_low_surrogate": call(change(b'"\\udc00x"')),
    "surrogate_in_a_name": WHOLE.replace(b'"item"', b'"\\ud800"'),
    "raw_nul": WHOLE.replace(b'"a"', b'"\x00"'),
    "control": WHOLE.replace(b'"a"', b'"\x1f"'),
    "nan": call(change(b"NaN")),
    "infinity": call(change(b"Infinity")),
    "minus_infinity": call(change(b"-Infinity")),
    "leading_zero": call(change(seq=b"01")),
    "deep_lists": b"[" * DEEP,
    "deep_lists_closed": b"[" * DEEP + b"]" * DEEP,
    "deep_objects": b'{"changes":' * 10_000,
    "deep_value": call(change(b"[" * 10_000 + b"]" * 10_000)),
    "deep_unknown_member": b'{"changes":[],"more":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "name_twice": b'{"changes":[%s],"changes":[%s]}' % (change(), change()),
    "name_twice_in_a_change": call(b'{"item":"A1","seq":1,"seq":2,"value":"a"}'),
    "name_twice_in_escapes": b'{"changes":[{"item":"A1","seq":1,"s\\u0065q":2,"value":"a"}]}',
    "name_twice_among_many": b'{%s,"0":0}' % b",".join(b'"%d":0' % name for name in range(20_000)),
}
INVALID = {
    "list": b"[]",
    "null": b"null",
    "string": b'"changes"',
    "number": b"1",
    "no_changes": b"{}",
    "changes_null": b'{"changes":null}',
    "changes_object": b'{"changes":{}}',
    "empty": call(),
    "too_many": call(*[change(seq=b"%d" % seq) for seq in range(1, CHANGES_PER_CALL_MAX + 2)]),
    "unknown_member": b'{"changes":[%s],"more":1}' % change(),
    "unknown_member_of_a_change": call(b'{"item":"A1","seq":1,"value":"a","more":1}'),
    "change_is_a_list": call(b'["A1",1,"a"]'),
    "unknown_item": call(change(item=b'"Z9"')),
    "item_number": call(change(item=b"1")),
    "item_with_nul": call(change(item=b'"A1\\u0000"')),
    "item_very_long": call(change(item=b'"%s"' % (b"A" * 100_000))),
    "seq_0": call(change(seq=b"0")),
    "seq_negative": call(change(seq=b"-1")),
    "seq_too_large": call(change(seq=b"9007199254740992")),
    "seq_larger_than_int64": call(change(seq=b"18446744073709551616")),
    "seq_huge": call(change(seq=b"1" + b"0" * 400)),
    "seq_huge_negative": call(change(seq=b"-1" + b"0" * 400)),
    "seq_huge_exponent": call(change(seq=b"1e9999999999999999999")),
    "beyond_a_double": call(change(b"1e400", item=b'"E1"')),
    "beyond_a_decimal": call(change(b"1e99999999999999999999", item=b'"E1"')),
    "below_a_double": call(change(b"1e-99999999999999999999", item=b'"E1"')),
    "beyond_a_double_in_a_list": call(change(b"[1e400]", item=b'"B1"')),
    "seq_fraction": call(change(seq=b"1.5")),
    "seq_string": call(change(seq=b'"1"')),
    "seq_true": call(change(seq=b"true")),
    "seq_null": call(change(seq=b"null")),
    "unknown_option": call(change(b'"z"')),
    "wrong_kind": call(change(b"7")),
    "object": call(change(b"{}")),
    "nul_in_a_text": call(change(b'"\\u0000"', item=b'"F1"')),
    "long_text": call(change(b'"%s"' % (b"x" * 20_001), item=b'"F1"')),
    "many_digits": call(change(b"0.%s" % (b"1" * 300), item=b'"E1"')),
    "one_bad_of_two": call(change(), change(b'"z"', b"2")),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_save_answers_a_body_that_is_no_json(wire: Wire, body: bytes) -> None:
    """400 `request.malformed`, and nothing is saved."""
    problem = wire.save(body).problem()

    assert problem["code"] == "request.malformed"


@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID)
def test_save_answers_a_body_that_is_no_save_call(wire: Wire, body: bytes) -> None:
    """422 `autosave.invalid` with every fault, and nothing is saved."""
    problem = wire.save(body).problem()

    assert problem["code"] == "autosave.invalid"
    assert problem["errors"]


@pytest.mark.parametrize("path", ["/v1/papers/P1", "/v1/batches/B1", "/v1/login", "/v1/sitting/submit"])
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_every_reader_of_json_answers_a_body_that_is_none(wire: Wire, path: str, body: bytes) -> None:
    method = "PUT" if path.count("/") == 3 and "sitting" not in path else "POST"
    bearer = wire.token if "sitting" in path else wire.key

    problem = wire.request(method, path, body, bearer=bearer).problem()

    is_large = len(body) > SMALL_BODY_BYTES_MAX and "papers" not in path
    assert problem["code"] == ("request.too_large" if is_large else "request.malformed")


@pytest.mark.parametrize("body", [*UNREADABLE.values(), *INVALID.values()], ids=[*UNREADABLE, *INVALID])
def test_roster_answers_whatever_is_no_roster(wire: Wire, exam: Exam, body: bytes) -> None:
    problem = wire.request("PUT", f"/v1/batches/{exam.batch_id}/roster", body, bearer=wire.key).problem()

    refusals = ("request.malformed", "roster.file_format", "roster.invalid")
    assert problem["code"] in (("batch.armed",) if body == b"[]" else refusals)  # the one body that is a roster


@pytest.mark.parametrize(
    "huge",
    ["1e308", "1e309", "-1e400", "1e-400", "1e999999999", "1e99999999999999999999", "9" * 400, "1." + "3" * 9000],
)
def test_numbers_beyond_all_need_are_refused_where_they_stand(
    outsider: Outsider, wire: Wire, exam: Exam, huge: str
) -> None:
    """Whether or not a double or a Decimal can hold them; each by its pointer."""
    paper = contract.paper(contract.numeric(points=7777))
    documents = {
        "/v1/papers/P1": (paper, "7777", "/sections/0/items/0/points"),
        "/v1/batches/B1": ({**exam.document, "duration_s": 7777}, "7777", "/duration_s"),
        f"/v1/batches/{exam.batch_id}": (
            {**exam.document, "rules": {"earliest_submit_s": 0, "pass_mark": 7777}},
            "7777",
            "/rules/pass_mark",
        ),
        f"/v1/batches/{exam.batch_id}/roster": ([contract.person(extra_time_s=7777)], "7777", "/0/extra_time_s"),
    }
    for path, (document, number, pointer) in documents.items():
        body = json.dumps(document).replace(number, huge).encode()
        problem = wire.request("PUT", path, body, bearer=wire.key).problem()
        assert (problem["status"], [fault["pointer"] for fault in problem["errors"]]) == (422, [pointer]), path


@pytest.mark.parametrize("member", ["answer", "tolerance"])
@pytest.mark.parametrize(
    "huge", ["1e309", "1e400", "1e-400", "1e-330", "1e99999999999999999999", "1e-99999999999999999999"]
)
def test_a_numeric_item_takes_no_number_that_a_double_cannot_hold(wire: Wire, huge: str, member: str) -> None:
    """Its digest could not be computed, or would be that of another number."""
    body = json.dumps(contract.paper(contract.numeric(**{member: 7777}))).replace("7777", huge).encode()
    problem = wire.request("PUT", "/v1/papers/P1", body, bearer=wire.key).problem()

    assert [fault["pointer"] for fault in problem["errors"]] == [f"/sections/0/items/0/{member}"]


def test_ten_mebibytes_are_refused_with_an_answer(wire: Wire) -> None:
    """The whole body is taken off the line first, so that the client reads the reason and not a broken pipe."""
    problem = wire.save(b" " * 10 * MIB).problem()

    assert problem["code"] == "request.too_large"


def test_ten_thousand_changes_are_refused(wire: Wire) -> None:
    problem = wire.save(call(*[change(seq=b"%d" % seq) for seq in range(1, 10_001)])).problem()

    assert problem["code"] in ("autosave.invalid", "request.too_large")


def test_small_bodies_have_a_small_limit(wire: Wire) -> None:
    for path in ("/v1/login", "/v1/sitting/submit", "/v1/sitting/confirm"):
        assert wire.request("POST", path, b" " * MIB, bearer=wire.token).problem()["code"] == "request.too_large"


def test_a_large_body_without_a_key_is_refused_for_the_key(wire: Wire) -> None:
    for path in ("/v1/papers/P1", "/v1/batches/B1/roster"):
        assert wire.request("PUT", path, b" " * MIB).problem()["code"] == "auth.missing"
