"""The rehearsal's judge: passes a faultless exam, and fails for every single thing that can be wrong in one."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loadtest.journal import Journal
from loadtest.judge import FAILURES, Exam, Pulled, Verdict, judge, same_value
from loadtest.ledger import Ledger
from loadtest.receipts import responses_digest

PAPER = {
    "sections": [
        {
            "id": "A",
            "items": [
                {"id": "A1", "type": "single", "answer": "b", "points": 1},
                {"id": "B1", "type": "multiple", "answer": ["a", "c"], "points": 2, "marking": "subset_half"},
                {"id": "E1", "type": "numeric", "answer": 21.75, "tolerance": 0.01, "points": 3},
            ],
        }
    ]
}
EXAM = Exam("batch-1", PAPER, "d" * 64, 60)
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEYS = {"key-1": base64.b64encode(SIGNER.public_key().public_bytes_raw()).decode()}


def signed(document: dict[str, Any]) -> dict[str, Any]:
    """`document` signed afresh, as the engine would."""
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    signature = base64.urlsafe_b64encode(SIGNER.sign(rfc8785.dumps(unsigned))).rstrip(b"=").decode()
    return {**unsigned, "signature": signature}


@dataclass
class Account:
    """Both sides of a small exam: one handed in (score 83.33), one collected (0), one absent."""

    ledgers: list[Ledger] = field(default_factory=list)
    responses: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    ndjson: list[dict[str, Any]] | None = None
    batch: dict[str, Any] = field(default_factory=dict)

    def verdict(self) -> Verdict:
        ndjson = self.results if self.ndjson is None else self.ndjson
        return judge(EXAM, self.ledgers, Pulled(self.batch, self.results, ndjson, self.responses, PUBLIC_KEYS))


def answered(ledger: Ledger, *changes: tuple[str, Any], acknowledged: bool = True) -> None:
    """Take down changes as a client would that sent them one by one."""
    journal = Journal(max((change.seq for change in ledger.changes), default=0))
    for item, value in changes:
        change = journal.note(item, value)
        ledger.sent([change])
        change.acknowledged = acknowledged


def result(candidate_id: str, state: str, score: float | None, earned: float) -> dict[str, Any]:
    sections = [{"id": "A", "score": earned, "points": 6}]
    return signed(
        {
            "sitting_id": f"s-{candidate_id}",
            "candidate_id": candidate_id,
            "state": state,
            "score": score,
            "passed": None if score is None else score >= 60,
            "sections": sections if score is not None else [],
            "paper_digest": EXAM.paper_digest,
        }
    )


def receipt(sitting_id: str, state: str, responses: dict[str, Any]) -> dict[str, Any]:
    answered_items = sum(response["value"] is not None for response in responses.values())
    head = {"sitting_id": sitting_id, "batch_id": "batch-1", "state": state, "answered": answered_items, "items": 3}
    return signed({**head, "digest": responses_digest(responses), "key_id": "key-1"})


@pytest.fixture
def account() -> Account:
    """An exam in which everything is right."""
    writer = Ledger("c1", "s-c1", entered=True)
    answered(writer, ("A1", "a"), ("B1", ["a"]), ("E1", 21.76), ("A1", "b"))
    idler = Ledger("c2", "s-c2", entered=True)
    answered(idler, ("A1", "c"), ("A1", None))
    responses = {
        "s-c1": {
            "A1": {"seq": 4, "value": "b", "mark": 1, "points": 1},
            "B1": {"seq": 2, "value": ["a"], "mark": 1, "points": 2},
            "E1": {"seq": 3, "value": 21.76, "mark": 3, "points": 3},
        },
        "s-c2": {"A1": {"seq": 2, "value": None, "mark": 0, "points": 1}},
    }
    writer.receipts = [receipt("s-c1", "submitted", responses["s-c1"])] * 2
    idler.receipts = [receipt("s-c2", "collected", responses["s-c2"])]
    return Account(
        ledgers=[writer, idler, Ledger("c3", stays_away=True)],
        responses=responses,
        results=[result("c1", "graded", 83.33, 5), result("c2", "graded", 0, 0), result("c3", "absent", None, 0)],
        batch={"state": "graded", "counts": {"rostered": 3, "submitted": 1, "collected": 1, "absent": 1, "graded": 2}},
    )


def test_faultless_exam_passes(account: Account) -> None:
    """Nothing wrong, nothing counted; every candidate in one final state."""
    verdict = account.verdict()

    assert verdict.faults == []
    assert verdict.holds
    assert (verdict.submitted, verdict.collected, verdict.absent, verdict.graded) == (1, 1, 1, 2)


def alter_score(account: Account) -> None:
    account.results[0] = signed({**account.results[0], "score": 84.33})


def alter_score_without_signing(account: Account) -> None:
    account.results[0] = {**account.results[0], "score": 83.34}


def flip_pass(account: Account) -> None:
    account.results[1] = signed({**account.results[1], "passed": True})


def alter_section(account: Account) -> None:
    account.results[0] = signed({**account.results[0], "sections": [{"id": "A", "score": 4, "points": 6}]})


def alter_paper_digest(account: Account) -> None:
    account.results[0] = signed({**account.results[0], "paper_digest": "0" * 64})


def score_an_absentee(account: Account) -> None:
    account.results[2] = signed({**account.results[2], "score": 60, "passed": True})


def drop_response(account: Account) -> None:
    del account.responses["s-c1"]["B1"]


def drop_all_responses(account: Account) -> None:
    del account.responses["s-c1"]


def alter_value(account: Account) -> None:
    account.responses["s-c1"]["B1"]["value"] = ["c"]


def keep_older_change(account: Account) -> None:
    account.responses["s-c1"]["A1"].update(seq=1, value="a")


def invent_response(account: Account) -> None:
    account.responses["s-c2"]["E1"] = {"seq": 3, "value": 1, "mark": 0, "points": 3}


def invent_newer_value(account: Account) -> None:
    account.responses["s-c1"]["A1"].update(seq=9, value="b")


def alter_mark(account: Account) -> None:
    account.responses["s-c1"]["B1"]["mark"] = 2


def alter_state(account: Account) -> None:
    account.results[1] = signed({**account.results[1], "state": "void"})


def grade_the_absent(account: Account) -> None:
    account.results[2] = result("c3", "graded", 0, 0)


def drop_result(account: Account) -> None:
    del account.results[1]


def double_result(account: Account) -> None:
    account.results.append(account.results[0])


def add_stranger(account: Account) -> None:
    account.results.append(result("c9", "absent", None, 0))


def leave_batch_open(account: Account) -> None:
    account.batch["state"] = "closed"


def count_one_too_many(account: Account) -> None:
    account.batch["counts"]["in_progress"] = 1


def count_hand_in_as_collected(account: Account) -> None:
    account.batch["counts"].update(submitted=0, collected=2)


def drop_receipt(account: Account) -> None:
    account.ledgers[1].receipts = []


def change_receipt_later(account: Account) -> None:
    first = account.ledgers[0].receipts[0]
    account.ledgers[0].receipts = [first, signed({**first, "submitted_ms": 1})]


def forge_receipt(account: Account) -> None:
    first = account.ledgers[0].receipts[0]
    account.ledgers[0].receipts = [{**first, "signature": "A" * 86}]


def receipt_of_other_answers(account: Account) -> None:
    first = account.ledgers[0].receipts[0]
    account.ledgers[0].receipts = [signed({**first, "digest": "0" * 64})]


def sign_with_unknown_key(account: Account) -> None:
    account.results[0] = signed({**account.results[0], "key_id": "another"})


def differ_in_ndjson(account: Account) -> None:
    account.ndjson = [{**account.results[0], "score": 1}, *account.results[1:]]


def shorten_ndjson(account: Account) -> None:
    account.ndjson = account.results[:2]


def stop_a_candidate(account: Account) -> None:
    account.ledgers[0].failures.append("Problem /v1/sitting/responses: 422")


FLAWS: list[tuple[Callable[[Account], None], dict[str, int]]] = [
    (alter_score, {"wrong_scores": 1}),
    (alter_score_without_signing, {"wrong_scores": 1, "bad_signatures": 1}),
    (flip_pass, {"wrong_scores": 1}),
    (alter_section, {"wrong_scores": 1}),
    (alter_paper_digest, {"wrong_scores": 1}),
    (score_an_absentee, {"wrong_scores": 1}),
    (drop_response, {"lost": 1, "bad_receipts": 1}),
    (drop_all_responses, {"lost": 3, "bad_receipts": 1}),
    (alter_value, {"lost": 1, "bad_receipts": 1}),
    (keep_older_change, {"lost": 1, "bad_receipts": 1}),
    (invent_response, {"foreign": 1, "bad_receipts": 1}),
    (invent_newer_value, {"lost": 1, "bad_receipts": 1}),
    (alter_mark, {"wrong_marks": 1}),
    (alter_state, {"wrong_states": 1}),
    (grade_the_absent, {"wrong_states": 1}),
    (drop_result, {"wrong_states": 1}),
    (double_result, {"wrong_states": 1}),
    (add_stranger, {"wrong_states": 1}),
    (leave_batch_open, {"wrong_states": 1}),
    (count_one_too_many, {"wrong_states": 1}),
    (count_hand_in_as_collected, {"wrong_states": 2}),
    (drop_receipt, {"bad_receipts": 1, "wrong_states": 1}),
    (change_receipt_later, {"bad_receipts": 1}),
    (forge_receipt, {"bad_receipts": 1}),
    (receipt_of_other_answers, {"bad_receipts": 1}),
    (sign_with_unknown_key, {"bad_signatures": 1}),
    (differ_in_ndjson, {"disagreeing_results": 1}),
    (shorten_ndjson, {"disagreeing_results": 1}),
    (stop_a_candidate, {"failed_candidates": 1}),
]


@pytest.mark.parametrize(("flaw", "expected"), FLAWS, ids=[flaw.__name__ for flaw, _ in FLAWS])
def test_each_flaw_fails_the_verdict(
    account: Account, flaw: Callable[[Account], None], expected: dict[str, int]
) -> None:
    """One thing wrong: exactly that is counted, named, and the verdict does not hold."""
    flaw(account)

    verdict = account.verdict()

    assert {name: getattr(verdict, name) for name in FAILURES if getattr(verdict, name)} == expected
    assert verdict.faults and not verdict.holds


def test_lost_answer_does_not_excuse_its_score(account: Account) -> None:
    """The score is judged by what was promised: graded after the loss, it is wrong as well."""
    drop_response(account)
    account.results[0] = result("c1", "graded", 66.67, 4)

    verdict = account.verdict()

    assert (verdict.lost, verdict.wrong_scores) == (1, 1)


def test_later_change_without_acknowledgement_may_be_stored_or_not(account: Account) -> None:
    """A change whose acknowledgement never came is no promise, but it is no stranger either."""
    answered(account.ledgers[1], ("B1", ["c"]), acknowledged=False)
    assert account.verdict().holds

    stored = copy.deepcopy(account.responses["s-c2"])
    stored["B1"] = {"seq": 3, "value": ["c"], "mark": 1, "points": 2}
    account.responses["s-c2"] = stored
    account.ledgers[1].receipts = [receipt("s-c2", "collected", stored)]
    account.results[1] = result("c2", "graded", 16.67, 1)
    assert account.verdict().faults == []

    stored["B1"]["value"] = ["a"]
    assert account.verdict().foreign == 1


def test_what_nobody_acknowledged_is_counted_and_what_somebody_did_is_lost_if_it_is_missing(account: Account) -> None:
    """Whether it was under way or never sent when its candidate left; an acknowledgement that came late is one."""
    ledger = account.ledgers[1]
    answered(ledger, ("B1", ["c"]), ("E1", 5), acknowledged=False)
    ledger.unsent = 2
    under_way = account.verdict()
    ledger.changes[-1].acknowledged = True
    late = account.verdict()

    assert (under_way.undelivered, under_way.faults) == (4, [])
    assert (late.undelivered, late.lost) == (3, 1)


def test_seq_used_again_on_another_machine_is_told_apart_by_its_item(account: Account) -> None:
    """A change that never arrived gave its seq away; the later one under that seq is what counts."""
    ledger = account.ledgers[1]
    lost_with_the_machine = Journal(2).note("E1", 5)
    ledger.sent([lost_with_the_machine])
    again = Journal(2).note("B1", ["c"])
    ledger.sent([again])
    again.acknowledged = True

    verdict = account.verdict()

    assert verdict.lost == 1
    assert "item B1" in verdict.faults[0]


def test_same_value_knows_json() -> None:
    """1 and 1.0 are one number; true is not 1, order matters, null is null."""
    assert same_value(1, 1.0) and same_value(["a", "b"], ["a", "b"]) and same_value(None, None)
    assert not same_value(True, 1) and not same_value(["a", "b"], ["b", "a"]) and not same_value("1", 1)


def test_judge_never_raises_on_what_an_engine_may_deliver() -> None:
    """Rubbish is a failed verdict, not a crash."""
    ledger = Ledger("c1", "s-c1", entered=True)
    answered(ledger, ("A1", "b"))
    ledger.receipts = [{}]
    rubbish = [{"candidate_id": "c1", "score": "83", "sections": [{}], "signature": 5}, {}]

    verdict = judge(
        EXAM,
        [ledger],
        Pulled({}, rubbish, [], {"s-c1": {"A1": {}, "B1": {"seq": None, "value": 2**60}}}, {"key-1": "?"}),
    )

    assert (verdict.lost, verdict.foreign, verdict.wrong_scores) == (1, 1, 1)
