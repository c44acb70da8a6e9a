"""Assessors and regrades over one batch: what a regrade takes back waits for nobody, what it brings back waits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, accepted, refused

PEOPLE = {"approved_by": ["王五", "赵六"]}


class Played:
    """An `approved` batch that is over; its one candidate wrote two essays, worth 2 and 3 of 10 points."""

    def __init__(self, outsider: Outsider, **rules: Any) -> None:
        self.outsider = outsider
        items = (out.single("A1", points=5), out.text("F1", points=2), out.text("F2", points=3))
        rules = {"grace_s": 0, "release": "approved", **rules}
        self.exam: Exam = outsider.exam(*items, rows=1, duration_s=2, rules=rules)
        self.path = f"/v1/batches/{self.exam.batch_id}"
        sitting = self.exam.enter()
        accepted(sitting.save(("A1", 1, "b"), ("F1", 2, "第一篇"), ("F2", 3, "第二篇")))
        out.poll(lambda: len(self.tasks("甲")) == 2, 20, "two tasks")
        out.sleep_until(self.exam.closes_ms)

    def call(self, method: str, path: str, scope: str = "results", **options: Any) -> Any:
        return self.outsider.call(method, self.path + path, scope=scope, **options)

    def tasks(self, assessor: str) -> dict[str, str]:
        """item -> task that this assessor can mark."""
        shown = accepted(self.call("GET", "/assessments", params={"assessor": assessor}))["tasks"]
        return {task["item"]: task["task_id"] for task in shown}

    def mark(self, assessor: str, task_id: str, mark: Any) -> Any:
        body = {"assessor": assessor, "marks": [{"task_id": task_id, "mark": mark}]}
        return self.call("POST", "/assessments", json=body)

    def regrade(self, **change: Any) -> None:
        body = {"reason": "r", "proposed_by": "王五", "changes": [change]}
        at = f"/regrades/{accepted(self.call('POST', '/regrades', json=body), 201)['regrade_id']}"
        out.poll(lambda: accepted(self.call("GET", at))["state"] == "ready", 15, "a dry run")
        accepted(self.call("POST", f"{at}/apply", json=PEOPLE))
        out.poll(lambda: accepted(self.call("GET", at))["state"] == "applied", 15, "an applied regrade")

    def state(self) -> str:
        return str(self.outsider.show_batch(self.exam.batch_id)["state"])

    def release(self) -> Any:
        return self.call("POST", "/release", scope="schedule", json=PEOPLE)


@pytest.fixture(scope="module")
def played(outsider: Outsider) -> Played:
    return Played(outsider)


def test_an_item_that_a_regrade_voided_keeps_no_sitting_waiting(played: Played) -> None:
    """Its mark will never come, and nobody is asked for it; the other essay's mark makes the result.

    Brought back by another regrade it is waited for, and so is the release: a score still to be made is not out.
    """
    asked = played.tasks("甲")
    played.regrade(item="F1", voided=True)
    assert played.tasks("甲") == {"F2": asked["F2"]}
    accepted(played.mark("甲", asked["F2"], 1.5))
    out.poll(lambda: played.state() == "graded", 15, "a result without the voided essay")

    played.regrade(item="F1", voided=False)

    assert played.state() == "closed"
    assert played.tasks("甲") == {"F1": asked["F1"]}
    refused(played.release(), 409, "batch.not_ready")
    refused(played.call("GET", "/statistics"), 409, "batch.not_ready")
    accepted(played.mark("乙", asked["F1"], 2))
    out.poll(lambda: played.state() == "graded", 15, "the result")
    accepted(played.release())
    (result,) = played.outsider.results(played.exam.batch_id)["results"]
    assert (result["state"], result["score"], result["revision"]) == ("graded", 85, 5)
    problem = refused(played.mark("乙", asked["F1"], 1), 422, "assessment.invalid")
    assert [fault["code"] for fault in problem["errors"]] == ["final"]


def test_a_mark_with_thousands_of_zeros_is_the_mark_it_is(outsider: Outsider) -> None:
    """Neither a fault of ours nor another mark."""
    played = Played(outsider, second_marking=True)
    task_id = played.tasks("甲")["F1"]
    path = f"{played.path}/assessments"

    for written, counted in (("1." + "0" * 20_000, "added"), ("1e0", "unchanged"), ("0e-900000", "corrected")):
        content = f'{{"assessor": "甲", "marks": [{{"task_id": "{task_id}", "mark": {written}}}]}}'.encode()
        assert accepted(outsider.call("POST", path, scope="results", content=content))[counted] == 1
    body = {"assessor": "甲\u200b", "marks": [{"task_id": task_id, "mark": 2}]}
    assert accepted(outsider.call("POST", path, scope="results", json=body))["corrected"] == 1
    assert Decimal(out.exact(played.mark("乙", task_id, 2))["added"]) == 1
