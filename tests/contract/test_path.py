"""API.md, the candidate's path: log in, confirm, pledge, wait, the key at the start."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, now_ms, refused


@pytest.fixture(scope="module")
def running(outsider: Outsider) -> out.Exam:
    """Started, with people for the tests of this file."""
    return outsider.exam(rows=40)


_next = iter(range(40))


@pytest.fixture
def sitting(running: out.Exam) -> out.Sitting:
    """Logged in, nothing else."""
    return running.arrive(next(_next))


def state(sitting: out.Sitting) -> str:
    return str(accepted(sitting.show())["state"])


def test_confirm_and_pledge_lead_into_the_exam(sitting: out.Sitting) -> None:
    """API.md: `expected` -> `checked_in` -> `confirmed` -> `pledged` -> `in_progress`; each `{state}`."""
    assert state(sitting) == "checked_in"
    assert accepted(sitting.confirm()) == {"state": "confirmed"}
    assert state(sitting) == "confirmed"
    assert accepted(sitting.pledge()) == {"state": "in_progress"}  # the batch has started
    assert state(sitting) == "in_progress"


def test_before_the_start_the_pledged_wait(outsider: Outsider) -> None:
    """API.md: `pledged` before the start; `in_progress` from it on."""
    exam = outsider.exam(starts_ms=now_ms() + 1500)
    sitting = exam.arrive()
    accepted(sitting.confirm())
    assert accepted(sitting.pledge()) == {"state": "pledged"}
    assert state(sitting) == "pledged"
    out.sleep_until(exam.starts_ms)
    assert state(sitting) == "in_progress"


def test_pledge_before_confirm_is_out_of_order(sitting: out.Sitting) -> None:
    """API.md: out of order: 409 `sitting.order`."""
    refused(sitting.pledge(), 409, "sitting.order")
    assert state(sitting) == "checked_in"


def test_refused_pledge_is_409(sitting: out.Sitting) -> None:
    """API.md: pledge refused: 409 `pledge.refused`; nothing has changed and it may still be given."""
    accepted(sitting.confirm())
    refused(sitting.pledge({"accepted": False}), 409, "pledge.refused")
    assert state(sitting) == "confirmed"
    accepted(sitting.pledge())


def test_refused_confirmation_changes_nothing(sitting: out.Sitting) -> None:
    """API.md: each `{"accepted": true}`."""
    refused(sitting.confirm({"accepted": False}), 409)
    assert state(sitting) == "checked_in"


def test_steps_repeated_are_answered_again(sitting: out.Sitting) -> None:
    """A lost answer must not lock a candidate out: repeating a step that was taken gives the state."""
    accepted(sitting.confirm())
    assert accepted(sitting.confirm())["state"] == "confirmed"
    accepted(sitting.pledge())
    assert accepted(sitting.pledge())["state"] == "in_progress"


@pytest.mark.parametrize("step", ["confirm", "pledge"])
@pytest.mark.parametrize("body", [{}, {"accepted": "true"}, {"accepted": 1}, {"accepted": True, "x": 1}, [True]])
def test_bodies_of_steps_are_checked(running: out.Exam, shared: out.Sitting, step: str, body: Any) -> None:
    """API.md: unknown JSON fields are 422 everywhere."""
    assert refused(getattr(shared, step)(body), 422)["errors"]
    assert state(shared) == "checked_in"


@pytest.fixture(scope="module")
def shared(running: out.Exam) -> out.Sitting:
    return running.arrive(next(_next))


def test_no_key_before_the_pledge(sitting: out.Sitting) -> None:
    """API.md: no key and no saves before the pledge."""
    problem = refused(sitting.key(), 409, "sitting.order")
    assert "paper_key" not in problem
    accepted(sitting.confirm())
    refused(sitting.key(), 409, "sitting.order")
    accepted(sitting.pledge())
    accepted(sitting.key())


def test_no_saves_before_the_pledge(sitting: out.Sitting) -> None:
    """API.md: no key and no saves before the pledge."""
    refused(sitting.save(("A1", 1, "b")), 409)
    accepted(sitting.confirm())
    refused(sitting.save(("A1", 1, "b")), 409)
    assert sitting.stored() == {}
    accepted(sitting.pledge())
    accepted(sitting.save(("A1", 1, "b")))


def test_no_hand_in_before_the_pledge(sitting: out.Sitting) -> None:
    """API.md: the path's order: 409 `sitting.order`."""
    refused(sitting.submit(0), 409, "sitting.order")
    assert state(sitting) == "checked_in"


def test_key_before_the_start_is_425(outsider: Outsider) -> None:
    """API.md: `GET /v1/sitting/paper-key`: 425 `{starts_ms}` before the start; then `{paper_key, seed}`."""
    exam = outsider.exam(starts_ms=now_ms() + 1500)
    sitting = exam.enter()
    problem = refused(sitting.key(), 425)
    assert problem["starts_ms"] == exam.starts_ms
    assert "paper_key" not in problem
    out.sleep_until(exam.starts_ms)
    reply = accepted(sitting.key())
    assert {len(out.from_base64url(reply[name])) for name in ("paper_key", "seed")} == {32}
    assert "=" not in reply["paper_key"] + reply["seed"]


def test_save_before_the_start_is_not_open(outsider: Outsider) -> None:
    """API.md: `autosave.not_open` 409."""
    exam = outsider.exam(starts_ms=now_ms() + 1200)
    sitting = exam.enter()
    refused(sitting.save(("A1", 1, "b")), 409, "autosave.not_open")
    refused(sitting.submit(0), 409, "submit.too_early")
    out.sleep_until(exam.starts_ms)
    accepted(sitting.save(("A1", 1, "b")))


def test_key_is_the_batchs_and_seed_the_sittings(running: out.Exam) -> None:
    """API.md: one paper key per batch; `{paper_key, seed}` base64url of 32 bytes each, the same when asked again."""
    first, second = running.enter(next(_next)), running.enter(next(_next))
    replies = [accepted(sitting.key()) for sitting in (first, second)]
    assert replies[0]["paper_key"] == replies[1]["paper_key"]
    assert replies[0]["seed"] != replies[1]["seed"]
    assert accepted(first.key()) == replies[0]


def test_sitting_shows_the_login_reply_and_more(running: out.Exam) -> None:
    """API.md: `GET /v1/sitting`: the same, no token, and `remaining_ms, responses, generation, committed`."""
    sitting = running.enter(next(_next))
    saved = accepted(sitting.save(("A1", 3, "a"), ("B1", 4, ["a", "d"])))
    shown = accepted(sitting.show())
    assert "token" not in shown
    for name in ("sitting_id", "starts_ms", "ends_ms", "paper", "candidate"):
        assert shown[name] == sitting.login[name]
    assert shown["responses"] == {"A1": {"seq": 3, "value": "a"}, "B1": {"seq": 4, "value": ["a", "d"]}}
    assert shown["remaining_ms"] == running.ends_ms - shown["server_ms"]
    assert shown["generation"] == saved["generation"]
    assert isinstance(shown["committed"], int)


def test_older_token_is_superseded_everywhere(running: out.Exam) -> None:
    """API.md: a second login raises the sitting's epoch: the older token gets 409 `sitting.superseded`."""
    index = next(_next)
    older = running.enter(index)
    accepted(older.save(("A1", 1, "a")))
    newer = running.arrive(index)
    assert newer.login["state"] == "in_progress"
    calls = [older.show(), older.key(), older.save(("A1", 2, "b")), older.submit(1), older.receipt(), older.confirm(),
             older.pledge()]  # fmt: skip
    for answer in calls:
        refused(answer, 409, "sitting.superseded")
    refused(older.pledge({"accepted": False}), 409, "sitting.superseded")
    assert newer.stored() == {"A1": (1, "a")}
    accepted(newer.save(("A1", 2, "c")))


def test_receipt_before_the_hand_in_is_refused(sitting: out.Sitting) -> None:
    """API.md: `GET /v1/sitting/receipt`: the receipt of a submitted or collected sitting."""
    answer = sitting.receipt()
    assert answer.status_code in (404, 409)
    refused(answer, answer.status_code)


def test_no_steps_after_the_hand_in(running: out.Exam) -> None:
    """API.md: states only go forward."""
    sitting = running.enter(next(_next))
    accepted(sitting.submit(0))
    for answer in (sitting.confirm(), sitting.pledge()):
        assert answer.status_code in (200, 409)
    assert state(sitting) == "submitted"


def test_steps_and_counts_agree(outsider: Outsider) -> None:
    """API.md: `counts`: each sitting in exactly one; `checked_in` counts checked_in, confirmed and pledged."""
    exam = outsider.exam(rows=6, starts_ms=now_ms() + 2000)
    sittings = [exam.arrive(index) for index in range(5)]
    for sitting in sittings[1:]:
        accepted(sitting.confirm())
    for sitting in sittings[2:]:
        accepted(sitting.pledge())

    def counts(wanted: dict[str, int]) -> Any:
        found = outsider.show_batch(exam.batch_id)["counts"]
        states = ("expected", "checked_in", "in_progress", "submitted", "collected", "absent", "void")
        assert sum(found[name] for name in states) == found["rostered"] == 6
        return {name: count for name, count in found.items() if count and name in states} == wanted

    out.poll(lambda: counts({"expected": 1, "checked_in": 5}), 30, "five checked in")
    out.sleep_until(exam.starts_ms)
    out.poll(lambda: counts({"expected": 1, "checked_in": 2, "in_progress": 3}), 30, "three in progress")
    accepted(sittings[2].submit(0))
    out.poll(lambda: counts({"expected": 1, "checked_in": 2, "in_progress": 2, "submitted": 1}), 30, "one submitted")
