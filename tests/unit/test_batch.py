"""Reading a batch: EXAM_RULES' defaults, every fault at its pointer, and all of them at once."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from engine.rules import exact_json
from engine.rules.batch import read_batch, show_batch
from engine.rules.errors import Invalid
from engine.rules.terms import Batch, Rules

STARTS_MS = 1_763_773_200_000
BEFORE_MS = STARTS_MS - 86_400_000
# The contract's example.
DOCUMENT: dict[str, Any] = {
    "title": "劳动关系协调师 三级 理论知识",
    "occupation": "劳动关系协调师",
    "level": 3,
    "subject": "theory",
    "kind": "formal",
    "paper_id": "P1",
    "admission_code": "LDGX3",
    "starts_ms": STARTS_MS,
    "duration_s": 5400,
    "rules": {
        "latest_entry_s": 1800,
        "earliest_submit_s": 1800,
        "warn_before_end_s": 900,
        "check_in_before_s": 900,
        "grace_s": 5,
        "pass_mark": 60,
        "shuffle_items": True,
        "shuffle_options": True,
    },
}
RULE_SECONDS = ("latest_entry_s", "earliest_submit_s", "warn_before_end_s", "check_in_before_s", "grace_s")


def changed(**members: Any) -> dict[str, Any]:
    return {**DOCUMENT, **members}


def with_rules(**rules: Any) -> dict[str, Any]:
    return changed(rules=rules)


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in DOCUMENT.items() if name not in names}


def read(document: Any, now_ms: int = BEFORE_MS) -> Batch:
    """Read as it comes off the wire: numbers are exact."""
    return read_batch("B1", exact_json.decode(json.dumps(document).encode()), now_ms)


def faults_of(document: Any, now_ms: int = BEFORE_MS) -> dict[str, str]:
    """Pointer -> message of every fault; fails when there is none."""
    with pytest.raises(Invalid) as invalid:
        read(document, now_ms)
    assert (invalid.value.code, invalid.value.status) == ("batch.invalid", 422)
    assert invalid.value.members["errors_total"] == len(invalid.value.faults)
    return {fault["pointer"]: fault["message"] for fault in invalid.value.faults}


# --- what is taken ---------------------------------------------------------------------------------------------


def test_the_contract_s_example_is_taken() -> None:
    """Member by member."""
    assert read(DOCUMENT) == Batch(
        batch_id="B1",
        title="劳动关系协调师 三级 理论知识",
        occupation="劳动关系协调师",
        level=3,
        subject="theory",
        kind="formal",
        paper_id="P1",
        admission_code="LDGX3",
        starts_ms=STARTS_MS,
        duration_s=5400,
        rules=Rules(),
    )


@pytest.mark.parametrize("document", [without("rules"), with_rules()])
def test_rules_left_out_have_the_defaults_of_the_exam_rules(document: dict[str, Any]) -> None:
    """The table of EXAM_RULES, number by number."""
    rules = read(document).rules

    assert structs.asdict(rules) == {
        "latest_entry_s": 1800,
        "earliest_submit_s": 1800,
        "warn_before_end_s": 900,
        "check_in_before_s": 900,
        "grace_s": 5,
        "pass_mark": Decimal(60),
        "shuffle_items": True,
        "shuffle_options": True,
        "release": "graded",
        "takeover": "free",
        "allow_copy": False,
        "photo": "none",
        "assessors": 0,
        "second_marking": False,
        "second_marking_tolerance": Decimal("0.2"),
        "publication_days": 5,
        "review_answer_days": 5,
    }


@pytest.mark.parametrize(("subject", "assessors"), [("theory", 0), ("skill", 0), ("review", 3)])
def test_a_review_has_three_assessors(subject: str, assessors: int) -> None:
    """EXAM_RULES: comprehensive review is scored by three; the others by their paper."""
    assert read({**without("rules"), "subject": subject}).rules.assessors == assessors


def test_a_review_s_own_number_of_assessors_wins_over_the_default() -> None:
    """0: its paper makes the score, as of any other subject."""
    assert read({**with_rules(assessors=0), "subject": "review"}).rules.assessors == 0
    assert read({**with_rules(assessors=5), "subject": "skill"}).rules.assessors == 5


def test_a_theory_paper_is_scored_by_no_panel() -> None:
    """Its score is a function of the answer key."""
    faults = faults_of(with_rules(assessors=1))

    assert faults == {"/rules/assessors": "expected 0: theory is scored by its paper, item by item"}


def test_a_panel_has_no_second_marking() -> None:
    """Every sitting is marked by all of them already."""
    faults = faults_of({**with_rules(assessors=3, second_marking=True), "subject": "skill"})

    assert faults == {"/rules/second_marking": "expected false: 3 assessors score every sitting already"}


@pytest.mark.parametrize("value", [-0.1, 1.1, "0.2", True, None, 0.00001])
def test_the_tolerance_is_a_share(value: Any) -> None:
    """Of the points: 0 to 1."""
    message = "expected a number from 0 to 1 with at most four decimals"

    assert faults_of(with_rules(second_marking_tolerance=value)) == {"/rules/second_marking_tolerance": message}


@pytest.mark.parametrize(("kind", "check_in_before_s"), [("formal", 900), ("mock", 1800), ("device_check", 900)])
def test_a_mock_opens_half_an_hour_before(kind: str, check_in_before_s: int) -> None:
    """The one default that depends on the kind; it changes no other rule."""
    rules = read({**without("rules"), "kind": kind}).rules

    assert rules == structs.replace(Rules(), check_in_before_s=check_in_before_s)


def test_a_mock_s_own_rule_wins_over_the_default() -> None:
    """A default is for what was not said."""
    assert read({**with_rules(check_in_before_s=60), "kind": "mock"}).rules.check_in_before_s == 60


@pytest.mark.parametrize("name", RULE_SECONDS)
def test_a_whole_number_may_be_written_with_a_point(name: str) -> None:
    """5400.0 is 5400 in JSON's data model."""
    batch = read({**with_rules(**{name: 1000.0}), "duration_s": 5400.0})

    assert (getattr(batch.rules, name), batch.duration_s) == (1000, 5400)
    assert {type(getattr(batch.rules, name)), type(batch.duration_s)} == {int}


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("level", [1, 5]),
        ("subject", ["theory", "skill", "review"]),
        ("kind", ["formal", "mock", "device_check"]),
        ("paper_id", ["p", "A" * 64, "a.B_c-9"]),
        ("admission_code", ["7", "LDGX3", "Z" * 32]),
        ("title", ["x", "中" * 200]),
        ("occupation", ["x", "中" * 200]),
        ("duration_s", [1801, 43_200]),
        ("starts_ms", [BEFORE_MS, STARTS_MS, 253_402_300_799_000]),
    ],
)
def test_a_member_is_taken_up_to_its_edges(member: str, values: list[Any]) -> None:
    """Both ends of each range are inside it."""
    assert [getattr(read(changed(**{member: value})), member) for value in values] == values


def test_the_shortest_and_earliest_exam_is_taken() -> None:
    """One second, at the beginning of time."""
    batch = read({**with_rules(earliest_submit_s=0), "starts_ms": 0, "duration_s": 1}, now_ms=0)

    assert (batch.starts_ms, batch.duration_s, batch.ends_ms) == (0, 1, 1000)


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        *((rule, [0, 86_400]) for rule in RULE_SECONDS if rule != "earliest_submit_s"),
        ("earliest_submit_s", [0, 5399]),
        ("shuffle_items", [True, False]),
        ("shuffle_options", [True, False]),
        ("release", ["graded", "approved"]),
        ("takeover", ["free", "silent", "proctor"]),
        ("allow_copy", [True, False]),
    ],
)
def test_a_rule_is_taken_up_to_its_edges(rule: str, values: list[Any]) -> None:
    """Other authorities use other numbers: rules are data."""
    assert [getattr(read(with_rules(**{rule: value})).rules, rule) for value in values] == values


@pytest.mark.parametrize("text", ["0", "100", "60", "59.5", "59.99", "60.0", "60.00", "6e1", "0.01", "60.000"])
def test_a_pass_mark_has_at_most_two_decimals(text: str) -> None:
    """It is compared with a score of two decimals; zeros behind them are none."""
    body = json.dumps(with_rules(pass_mark=12345)).replace("12345", text)

    batch = read_batch("B1", exact_json.decode(body.encode()), BEFORE_MS)

    assert batch.rules.pass_mark == Decimal(text)
    assert show_batch(batch)["rules"]["pass_mark"] == float(text)


@pytest.mark.parametrize(
    "text",
    [
        "-0.01",
        "100.01",
        "101",
        "60.001",
        "59.999999999999999999999999999999999999",
        "1e300",
        "true",
        '"60"',
        "null",
        "[]",
    ],
)
def test_any_other_pass_mark_is_refused(text: str) -> None:
    """However many digits it is written with."""
    body = json.dumps(with_rules(pass_mark=12345)).replace("12345", text)

    with pytest.raises(Invalid) as invalid:
        read_batch("B1", exact_json.decode(body.encode()), BEFORE_MS)

    message = "expected a number from 0 to 100 with at most two decimals"
    assert [(fault["pointer"], fault["message"]) for fault in invalid.value.faults] == [("/rules/pass_mark", message)]


# --- single faults ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", [name for name in DOCUMENT if name != "rules"])
def test_every_member_but_the_rules_is_required(member: str) -> None:
    """A batch without a start is no batch."""
    assert faults_of(without(member)) == {f"/{member}": "is missing"}


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("title", ["", "中" * 201, 1, None, "a\0"]),
        ("occupation", ["", "中" * 201, [], None]),
        ("level", [0, 6, 2.5, "3", None, True]),
        ("subject", ["Theory", "", None, 1]),
        ("kind", ["real", "", None, 1]),
        ("paper_id", ["", "a b", "a/b", "A" * 65, "é", 7, None, "a\n"]),
        ("admission_code", ["", " ", "A" * 33, "A-1", "ldgx3", "ＬＤＧＸ３", " LDGX3", "口令", 7, None]),
        ("starts_ms", [-1, 253_402_300_799_001, 1.5, "now", None, False]),
        ("duration_s", [0, 43_201, -1, 1.5, "5400", None]),
        ("rules", [None, [], "x", 1]),
    ],
)
def test_a_member_past_its_edges_is_refused_at_its_pointer(member: str, values: list[Any]) -> None:
    """And nothing else is complained of."""
    assert [list(faults_of(changed(**{member: value}))) for value in values] == [[f"/{member}"]] * len(values)


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        *((rule, [-1, 86_401, 1.5, "5", None, True]) for rule in RULE_SECONDS),
        ("shuffle_items", [1, "true", None]),
        ("shuffle_options", [0, "false", None]),
        ("release", ["now", "", None]),
        ("takeover", ["never", "", None]),
        ("allow_copy", [1, "true", None]),
        ("grace", [5]),
        ("Pass_mark", [60]),
    ],
)
def test_a_rule_past_its_edges_is_refused_at_its_pointer(rule: str, values: list[Any]) -> None:
    """An unknown rule is a typing error, never ignored."""
    assert [list(faults_of(with_rules(**{rule: value}))) for value in values] == [[f"/rules/{rule}"]] * len(values)


@pytest.mark.parametrize("name", ["batch_id", "state", "Title", "a/b"])
def test_an_unknown_member_is_refused(name: str) -> None:
    """Also those that the engine itself shows."""
    pointer = "/" + name.replace("/", "~1")

    assert faults_of(changed(**{name: "x"})) == {pointer: "is not a known member"}


@pytest.mark.parametrize("document", [None, [], "x", 5])
def test_what_is_no_object_is_one_fault(document: Any) -> None:
    """Not one for each member that an object would have had."""
    assert faults_of(document) == {"": "expected an object"}


@pytest.mark.parametrize("known", [None, ["P0", "P1"]])
def test_a_known_paper_is_taken_and_so_is_any_where_none_are_given(known: list[str] | None) -> None:
    """Which papers there are is the store's knowledge."""
    document = exact_json.decode(json.dumps(DOCUMENT).encode())

    assert read_batch("B1", document, BEFORE_MS, known).paper_id == "P1"


@pytest.mark.parametrize(("paper_id", "known"), [("P1", []), ("P1", ["P0"]), ("P 1", ["P0"]), ("P 1", ["P 1"])])
def test_an_unknown_paper_is_one_fault_among_the_others(paper_id: str, known: list[str]) -> None:
    """At its pointer, once, also where it is no id at all."""
    document = exact_json.decode(json.dumps(changed(paper_id=paper_id, title="")).encode())

    with pytest.raises(Invalid) as invalid:
        read_batch("B1", document, BEFORE_MS, known)

    assert [fault["pointer"] for fault in invalid.value.faults] == ["/title", "/paper_id"]


# --- faults between members ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("duration_s", "is_taken"), [(1799, False), (1800, False), (1801, True)])
def test_the_earliest_hand_in_lies_before_the_end(duration_s: int, is_taken: bool) -> None:
    """Else nobody could hand in; the default counts like a rule that was sent."""
    document = {**without("rules"), "duration_s": duration_s}
    if is_taken:
        assert read(document).duration_s == duration_s
    else:
        message = f"expected less than duration_s ({duration_s}): nobody could hand in"
        assert faults_of(document) == {"/rules/earliest_submit_s": message}


@pytest.mark.parametrize(("now_ms", "is_taken"), [(-1, True), (0, False), (1, False)])
def test_a_window_that_has_closed_is_refused(now_ms: int, is_taken: bool) -> None:
    """At the very end of grace it has closed: intervals are half-open."""
    closes_ms = STARTS_MS + 5_400_000 + 5_000
    if is_taken:
        assert read(DOCUMENT, closes_ms + now_ms).starts_ms == STARTS_MS
    else:
        assert list(faults_of(DOCUMENT, closes_ms + now_ms)) == ["/starts_ms"]


def test_every_fault_is_listed_at_once() -> None:
    """One push, one reply, everything to mend in it."""
    document = {
        "title": "",
        "level": 9,
        "subject": "praxis",
        "kind": "real",
        "paper_id": "P 1",
        "admission_code": "口令",
        "starts_ms": "soon",
        "duration_s": 0,
        "colour": "red",
        "rules": {
            **dict.fromkeys(RULE_SECONDS, -1),
            "pass_mark": 101,
            "shuffle_items": 1,
            "shuffle_options": 0,
            "release": "now",
            "takeover": "never",
            "allow_copy": "yes",
            "grace": 5,
        },
    }
    members = {*DOCUMENT, "colour"} - {"rules"}
    rules = {*document["rules"]}  # type: ignore[misc]

    assert set(faults_of(document)) == {f"/{name}" for name in members} | {f"/rules/{name}" for name in rules}


def test_faults_between_members_are_listed_beside_the_others() -> None:
    """A missing title hides neither an exam in the past nor a hand-in after the end."""
    document = {**without("title"), "rules": {"earliest_submit_s": 5400}}

    assert list(faults_of(document, now_ms=STARTS_MS * 2)) == ["/title", "/rules/earliest_submit_s", "/starts_ms"]


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ({**DOCUMENT, "duration_s": "long"}, ["/duration_s"]),
        ({**DOCUMENT, "rules": 5}, ["/rules"]),
        ({**DOCUMENT, "rules": {"earliest_submit_s": "x"}}, ["/rules/earliest_submit_s", "/starts_ms"]),
        ({**DOCUMENT, "rules": {"grace_s": -1}}, ["/rules/grace_s"]),
        ({**DOCUMENT, "starts_ms": None}, ["/starts_ms"]),
    ],
)
def test_a_faulty_member_is_not_blamed_twice(document: dict[str, Any], pointers: list[str]) -> None:
    """Relations are checked between members that are sound by themselves."""
    assert list(faults_of(document, now_ms=STARTS_MS * 2)) == pointers


# --- what is shown ---------------------------------------------------------------------------------------------


def test_a_batch_is_shown_with_every_rule_spelled_out() -> None:
    """What a pusher left out is told back to them."""
    batch = read({**without("rules"), "kind": "mock"})

    shown = show_batch(batch)

    left_out = {
        "check_in_before_s": 1800,
        "release": "graded",
        "takeover": "free",
        "allow_copy": False,
        "photo": "none",
        "assessors": 0,
        "second_marking": False,
        "second_marking_tolerance": 0.2,
        "publication_days": 5,
        "review_answer_days": 5,
    }
    rules = {**DOCUMENT["rules"], **left_out}
    assert shown == {"batch_id": "B1", **DOCUMENT, "kind": "mock", "rules": rules}
    assert json.loads(json.dumps(shown)) == shown


def test_a_shown_batch_can_be_pushed_again() -> None:
    """Idempotent: it reads as the same batch."""
    batch = read(DOCUMENT)
    shown = show_batch(batch)
    del shown["batch_id"]

    assert read(shown) == batch
