"""API.md, hand-in and receipt: when it is allowed, what is signed, and that it is always the same."""

from __future__ import annotations

import base64
from itertools import count
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, refused

_next = count()
BAD_SEQS = (-1, "1", 2**53, 1.5, True, None)


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> out.Exam:
    return outsider.exam(rows=30)


@pytest.fixture
def sitting(exam: out.Exam) -> out.Sitting:
    return exam.enter(next(_next))


def test_receipt_has_what_the_contract_names(exam: out.Exam, sitting: out.Sitting) -> None:
    """API.md: `{sitting_id, batch_id, state, submitted_ms, answered, items, digest, signature, key_id}`."""
    sent = [("A1", 1, "b"), ("B1", 2, ["c", "a"]), ("D1", 3, ["8"]), ("D1", 4, None), ("E1", 5, 21.75), ("F1", 6, "文")]
    accepted(sitting.save(*sent))
    before_ms = out.now_ms()
    receipt = accepted(sitting.submit(6))
    assert receipt.keys() == {
        "sitting_id", "batch_id", "state", "submitted_ms", "answered", "items", "digest", "signature", "key_id",
    }  # fmt: skip
    assert (receipt["sitting_id"], receipt["batch_id"]) == (sitting.sitting_id, exam.batch_id)
    assert (receipt["state"], receipt["answered"], receipt["items"]) == ("submitted", 4, 6)
    assert before_ms - 5 <= receipt["submitted_ms"] <= out.now_ms() + 5
    rows = [row for row in sent if row != ("D1", 3, ["8"])]
    assert receipt["digest"] == out.responses_digest(rows)


def test_receipt_signature_verifies_with_a_published_key(outsider: Outsider, sitting: out.Sitting) -> None:
    """API.md: `signature` = base64url Ed25519 over the RFC 8785 form of the object without `signature`; `/v1/keys`."""
    receipt = accepted(sitting.submit(0))
    keys = outsider.public_keys()
    for key in keys:
        assert {"key_id", "algorithm", "public_key"} <= key.keys()
        assert len(base64.b64decode(key["public_key"], validate=True)) == 32
    assert out.signed_by(receipt, keys) == [receipt["key_id"]]
    assert out.signed_by({**receipt, "answered": receipt["answered"] + 1}, keys) == []


def test_receipt_of_nothing_answered(sitting: out.Sitting) -> None:
    """API.md: `digest` of `[]` when nothing was ever answered."""
    receipt = accepted(sitting.submit(0))
    assert (receipt["answered"], receipt["digest"]) == (0, out.digest([]))


def test_digest_counts_cleared_and_odd_values(sitting: out.Sitting) -> None:
    """API.md: `[[item, seq, value], …]` sorted by item, cleared ones included, in RFC 8785 form."""
    text = 'é é "\\/\u2028\b\f\n\r\t\u007f 🙂𠮷 \u001f'
    sent: list[Any] = [("F1", 9, text), ("E1", 2, 1e21), ("B1", 3, ["d", "b"]), ("A1", 4, None), ("C1", 5, False)]
    accepted(sitting.save(*sent))
    receipt = accepted(sitting.submit(9))
    assert (receipt["digest"], receipt["answered"]) == (out.responses_digest(sent), 4)


@pytest.mark.parametrize(
    ("raw", "value"), [("1e-7", 1e-7), ("100.00", 100), ("-0", 0), ("1E+20", 1e20), ("0.000001", 1e-6)]
)
def test_digest_writes_numbers_as_rfc8785(exam: out.Exam, raw: str, value: float) -> None:
    """API.md: RFC 8785 form: one spelling of a number."""
    sitting = exam.enter(next(_next))
    accepted(sitting.save_value("E1", 1, raw))
    assert accepted(sitting.submit(1))["digest"] == out.responses_digest([("E1", 1, value)])


def test_hand_in_repeated_gives_the_same_receipt(sitting: out.Sitting) -> None:
    """API.md: the receipt, the same again when repeated."""
    accepted(sitting.save(("A1", 1, "a")))
    first = sitting.submit(1)
    accepted(first)
    for answer in (sitting.submit(1), sitting.submit(0), sitting.submit(99), sitting.receipt(), sitting.receipt()):
        assert answer.status_code == 200
        assert answer.json() == first.json()


def test_hand_in_ahead_of_the_saves_is_behind(sitting: out.Sitting) -> None:
    """API.md: 409 `submit.behind` when `seq` is above the highest the server has seen."""
    refused(sitting.submit(1), 409, "submit.behind")
    accepted(sitting.save(("A1", 5, "a")))
    refused(sitting.submit(6), 409, "submit.behind")
    assert accepted(sitting.show())["state"] == "in_progress"
    accepted(sitting.save(("A1", 6, "b"), ("C1", 2, True)))
    assert accepted(sitting.submit(6))["answered"] == 2


def test_stale_changes_count_as_seen(sitting: out.Sitting) -> None:
    """API.md: a stale change counts as saved; the hand-in looks at the highest `seq` the server has seen."""
    accepted(sitting.save(("A1", 5, "a")))
    accepted(sitting.save(("A1", 4, "b")))
    accepted(sitting.submit(5))


def test_hand_in_before_its_time_is_too_early(outsider: Outsider) -> None:
    """API.md: `submit.too_early` 409; SMALL_PRINT: extra time does not move the earliest hand-in."""
    starts_ms = out.now_ms() - 200
    exam = outsider.exam(rows=[out.person(extra_time_s=600)], starts_ms=starts_ms, rules={"earliest_submit_s": 2})
    sitting = exam.enter()
    accepted(sitting.save(("A1", 1, "a")))
    refused(sitting.submit(1), 409, "submit.too_early")
    assert accepted(sitting.show())["state"] == "in_progress"
    out.sleep_until(starts_ms + 2000)
    accepted(sitting.submit(1))


@pytest.mark.parametrize("body", [{}, [], {"seq": 0, "force": True}, *({"seq": seq} for seq in BAD_SEQS)])
def test_body_of_a_hand_in_is_checked(steady: out.Sitting, body: Any) -> None:
    """API.md: `{"seq"}`; unknown JSON fields are 422 everywhere."""
    assert refused(steady.call("POST", "/v1/sitting/submit", json=body), 422)["errors"]
    assert accepted(steady.show())["state"] == "in_progress"


@pytest.fixture(scope="module")
def steady(exam: out.Exam) -> out.Sitting:
    return exam.enter(next(_next))


def test_login_after_the_hand_in_shows_the_receipt(exam: out.Exam) -> None:
    """SMALL_PRINT: who had entered may still log in to see the receipt."""
    index = next(_next)
    sitting = exam.enter(index)
    accepted(sitting.save(("A1", 1, "b")))
    receipt = accepted(sitting.submit(1))
    again = exam.arrive(index)
    assert again.login["state"] == "submitted"
    assert accepted(again.receipt()) == receipt
    assert accepted(again.submit(1)) == receipt
    refused(again.save(("A1", 2, "a")), 409, "autosave.closed")
    refused(sitting.receipt(), 409, "sitting.superseded")
    assert again.stored() == {"A1": (1, "b")}


def test_public_keys_are_stable(outsider: Outsider) -> None:
    """API.md: `GET /v1/keys`: `{keys: [{key_id, algorithm, public_key}]}`, without a key."""
    first = outsider.public_keys()
    assert first and first == outsider.public_keys()
    assert {key["algorithm"] for key in first} == {"Ed25519"}
    assert len({key["key_id"] for key in first}) == len(first)
