"""API.md, rule `takeover`: who may move a sitting to another machine."""

from __future__ import annotations

import time

import pytest

from tests.contract.outsider import Outsider, accepted, now_ms, refused


def test_free_takeover_is_the_default(outsider: Outsider) -> None:
    """API.md: `takeover`: `free` (default: a new login takes the sitting over)."""
    exam = outsider.exam()
    older = exam.enter()
    accepted(older.save(("A1", 1, "a")))
    newer = exam.arrive()
    assert newer.login["state"] == "in_progress"
    assert newer.sitting_id == older.sitting_id
    assert newer.token != older.token
    assert newer.stored() == {"A1": (1, "a")}
    refused(older.save(("A1", 2, "b")), 409, "sitting.superseded")
    third = exam.arrive()
    refused(newer.show(), 409, "sitting.superseded")
    refused(older.show(), 409, "sitting.superseded")
    accepted(third.submit(1))


@pytest.mark.parametrize("takeover", ["silent", "proctor"])
def test_sitting_in_use_stays_where_it_is(outsider: Outsider, takeover: str) -> None:
    """API.md: `login.elsewhere` 409: `silent` only after 60 s of silence, `proctor` never by itself."""
    exam = outsider.exam(rules={"takeover": takeover})
    first = exam.arrive()
    refused(exam.log_in(), 409, "login.elsewhere")
    accepted(first.confirm())
    refused(exam.log_in(), 409, "login.elsewhere")
    accepted(first.pledge())
    accepted(first.save(("A1", 1, "a")))
    refused(exam.log_in(), 409, "login.elsewhere")
    accepted(first.save(("A1", 2, "b")))  # the refused login has not raised the epoch
    assert first.stored() == {"A1": (2, "b")}


@pytest.mark.parametrize("takeover", ["silent", "proctor"])
def test_waiting_room_is_kept_too(outsider: Outsider, takeover: str) -> None:
    """API.md: `login.elsewhere` before the start as well."""
    exam = outsider.exam(starts_ms=now_ms() + 60_000, rules={"takeover": takeover})
    first = exam.arrive()
    refused(exam.log_in(), 409, "login.elsewhere")
    accepted(first.show())


@pytest.mark.parametrize("takeover", ["silent", "proctor"])
def test_takeover_rule_does_not_hide_the_receipt(outsider: Outsider, takeover: str) -> None:
    """SMALL_PRINT: who had entered may still log in to see the receipt."""
    exam = outsider.exam(rules={"takeover": takeover})
    receipt = accepted(exam.enter().submit(0))
    assert accepted(exam.arrive().receipt()) == receipt


@pytest.mark.slow
def test_silent_machine_may_be_replaced_after_a_minute(outsider: Outsider) -> None:
    """API.md: `silent` (only after the old machine was silent for 60 s)."""
    exam = outsider.exam(rules={"takeover": "silent"})
    first = exam.enter()
    time.sleep(5)
    accepted(first.save(("A1", 1, "a")))
    time.sleep(56)
    refused(exam.log_in(), 409, "login.elsewhere")  # 61 s after the login, 56 s after the save
    time.sleep(4.5)
    second = exam.arrive()
    assert second.stored() == {"A1": (1, "a")}
    refused(first.show(), 409, "sitting.superseded")
