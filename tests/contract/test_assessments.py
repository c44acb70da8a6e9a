"""Assessors over HTTP: anonymous tasks, marks that are only added, and the result they make."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, accepted, pointers, refused, unhurried
from tests.contract.outsider import exact as exactly

ESSAYS = {"F1": "第一题的作答", "F2": "第二题的作答"}


@dataclass
class Played:
    """Exams that are over; nothing in them has been marked yet."""

    single: Exam  # one assessor; two candidates with two essays each, one with none
    double: Exam  # second marking; four candidates with one essay each
    released: Exam  # one assessor, results by release; one essay
    review: Exam  # a panel of three; two candidates, and one who never came
    skill: Exam  # one assessor for the whole sitting
    race: Exam  # one assessor; one candidate with two essays


def play(outsider: Outsider, duration_s: int) -> Played:
    essays = outsider.paper(out.paper(out.single("A1", points=2), out.text("F1", points=5), out.text("F2", points=3)))
    essay = outsider.paper(out.paper(out.single("A1", points=1), out.text("F1", points=10)))
    starts_ms = out.now_ms()

    def exam(paper_id: str, rows: int, subject: str = "theory", **rules: Any) -> Exam:
        rules = {"latest_entry_s": duration_s - 1, "warn_before_end_s": 1, "grace_s": 0, **rules}
        return outsider.exam(
            paper_id=paper_id, rows=rows, starts_ms=starts_ms, duration_s=duration_s, subject=subject, rules=rules
        )

    played = Played(
        single=exam(essays, 3),
        double=exam(essay, 4, second_marking=True),
        released=exam(essay, 1, release="approved"),
        review=exam(essay, 3, "review"),
        skill=exam(essay, 1, "skill", assessors=1),
        race=exam(essays, 1),
    )

    def answer(exam: Exam, index: int, values: dict[str, Any]) -> None:
        sitting = exam.enter(index)
        accepted(sitting.save(*((item, seq, value) for seq, (item, value) in enumerate(values.items(), start=1))))
        accepted(sitting.submit(len(values)))

    for index in range(2):
        answer(played.single, index, {"A1": "b", **{item: f"{text} {index}" for item, text in ESSAYS.items()}})
    answer(played.single, 2, {"A1": "b"})
    for index in range(4):
        answer(played.double, index, {"A1": "a", "F1": f"作答 {index}"})
    answer(played.released, 0, {"F1": "一篇"})
    for index in range(2):
        answer(played.review, index, {"A1": "b", "F1": f"陈述 {index}"})
    answer(played.skill, 0, {"F1": "操作记录"})
    answer(played.race, 0, ESSAYS)
    assert out.now_ms() < played.single.ends_ms, "the machine was too slow to play the exams in time"
    out.sleep_until(played.single.closes_ms)
    return played


@pytest.fixture(scope="module")
def played(outsider: Outsider) -> Played:
    found = unhurried(lambda duration_s: play(outsider, duration_s), (8, 20, 60))
    for exam, count in ((found.single, 3), (found.double, 4), (found.review, 3), (found.skill, 1), (found.race, 1)):
        outsider.all_results(exam.batch_id, count)
    out.poll(lambda: tasks(outsider, found.released, "甲"), 15, "the task of a batch that is released by hand")
    return found


def call(outsider: Outsider, exam: Exam, **query: Any) -> Any:
    return outsider.call("GET", f"/v1/batches/{exam.batch_id}/assessments", scope="results", params=query)


def tasks(outsider: Outsider, exam: Exam, assessor: str, **query: Any) -> list[dict[str, Any]]:
    return list(accepted(call(outsider, exam, assessor=assessor, limit=200, **query))["tasks"])


def push(outsider: Outsider, exam: Exam, assessor: str, marks: dict[str, Any], **members: Any) -> Any:
    """`marks`: task -> mark."""
    query = "?dry_run=1" if members.pop("dry_run", False) else ""
    body = {"assessor": assessor, "marks": [{"task_id": task, "mark": mark} for task, mark in marks.items()], **members}
    path = f"/v1/batches/{exam.batch_id}/assessments{query}"
    return outsider.call("POST", path, scope="results", json=body)


def graded(outsider: Outsider, exam: Exam, count: int) -> list[dict[str, Any]]:
    """The newest results once so many are graded."""

    def found() -> Any:
        shown = [row for row in outsider.results(exam.batch_id, limit=1000)["results"] if row["state"] == "graded"]
        return shown if len(shown) >= count else None

    return list(out.poll(found, 15, f"{count} graded results of {exam.batch_id}"))


# --- tasks -----------------------------------------------------------------------------------------------------
def test_tasks_show_what_was_answered_and_nobody(outsider: Outsider, played: Played) -> None:
    """An assessor sees the response and what it is worth: no person, ticket, seat or sitting."""
    shown = tasks(outsider, played.double, "甲")

    assert sorted(task["value"] for task in shown) == [f"作答 {index}" for index in range(4)]
    assert {task["item"] for task in shown} == {"F1"} and {task["points"] for task in shown} == {10}
    assert all(task.keys() == {"task_id", "item", "points", "value"} for task in shown)
    known = [str(value) for row in played.double.roster for value in row.values() if len(str(value)) > 3]
    assert not [value for value in known if value in str(shown)]


def test_assessors_see_the_tasks_in_orders_of_their_own(outsider: Outsider, played: Played) -> None:
    """The same ones, the same every time; and several assessors do not begin with the same response."""
    orders = {
        name: [task["task_id"] for task in tasks(outsider, played.double, name)] for name in ("甲", "乙", "丙", "丁")
    }

    assert len({frozenset(order) for order in orders.values()}) == 1
    assert len({tuple(order) for order in orders.values()}) > 1
    assert [task["task_id"] for task in tasks(outsider, played.double, "甲")] == orders["甲"]


def test_tasks_come_by_page_and_by_item(outsider: Outsider, played: Played) -> None:
    whole = tasks(outsider, played.race, "甲")
    first = accepted(call(outsider, played.race, assessor="甲", limit=1))
    second = accepted(call(outsider, played.race, assessor="甲", limit=1, after=first["next"]))

    assert [*first["tasks"], *second["tasks"]] == whole and second["next"] is None
    assert [task["item"] for task in tasks(outsider, played.race, "甲", item="F2")] == ["F2"]
    assert tasks(outsider, played.race, "甲", item="A1") == []


def test_a_blank_essay_is_nobodys_task(outsider: Outsider, played: Played) -> None:
    """SMALL_PRINT: null or blank earns 0 and waits for nobody."""
    assert len(tasks(outsider, played.single, "谁")) in (
        0,
        2,
        4,
    )  # of two candidates' essays, whatever is marked by now


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"assessor": ""},
        {"assessor": "甲", "limit": 0},
        {"assessor": "甲", "after": "'"},
        {"assessor": "甲", "item": " "},
    ],
)
def test_what_cannot_be_asked_is_refused(outsider: Outsider, played: Played, query: dict[str, Any]) -> None:
    assert refused(call(outsider, played.double, **query), 422, "request.invalid")["errors"]


def test_a_batch_that_is_not_there_has_no_tasks(outsider: Outsider, played: Played) -> None:
    path = f"/v1/batches/{out.unique('B')}/assessments"

    refused(outsider.call("GET", f"{path}?assessor=x", scope="results"), 404, "not_found")
    body = {"assessor": "x", "marks": [{"task_id": "t", "mark": 1}]}
    refused(outsider.call("POST", path, scope="results", json=body), 404, "not_found")


# --- marks make the result -------------------------------------------------------------------------------------
def test_marks_make_a_graded_result(outsider: Outsider, played: Played) -> None:
    """Only when all of a sitting are in; a new revision, signed, exact, its marks shown with the responses."""
    exam = played.single
    before = {row["sitting_id"]: row for row in outsider.results(exam.batch_id)["results"]}
    shown = tasks(outsider, exam, "李老师")
    mine = {task["task_id"]: 2.35 if task["item"] == "F1" else 1.2 for task in shown if task["value"].endswith(" 0")}
    first, second = mine.items()

    assert accepted(push(outsider, exam, "李老师", dict([first])))["added"] == 1
    assert {row["state"] for row in outsider.results(exam.batch_id)["results"]} == {"graded", "pending_assessor"}
    assert accepted(push(outsider, exam, "李老师", dict([second]))) == {
        "accepted": 1,
        "added": 1,
        "corrected": 0,
        "unchanged": 0,
    }

    found = next(row for row in graded(outsider, exam, 2) if before[row["sitting_id"]]["state"] == "pending_assessor")
    expected = out.published_score(Fraction(2) + Fraction("2.35") + Fraction("1.2"), Fraction(10))
    assert (found["revision"], found["score"], found["passed"]) == (2, expected, False)
    assert found["sections"] == [{"id": "S1", "score": Decimal("5.55"), "points": 10}]
    assert found["graded_ms"] >= before[found["sitting_id"]]["graded_ms"]
    signed = next(
        row
        for row in accepted(outsider.results_answer(exam.batch_id))["results"]
        if row["sitting_id"] == found["sitting_id"]
    )
    assert out.signed_by(signed, outsider.public_keys())
    answer = exactly(outsider.call("GET", f"/v1/sittings/{found['sitting_id']}/responses", scope="results"))
    assert {item: answer["responses"][item]["mark"] for item in ("A1", "F1", "F2")} == {
        "A1": 2,
        "F1": Decimal("2.35"),
        "F2": Decimal("1.2"),
    }
    assert [(row["item"], row["assessor"], row["mark"]) for row in answer["assessments"]] == [
        ("F1" if mark == 2.35 else "F2", "李老师", Decimal(str(mark))) for mark in (first[1], second[1])
    ]


def test_pushing_marks_again_changes_nothing(outsider: Outsider, played: Played) -> None:
    """Also after the result was made; another mark then is refused, for corrections end with it."""
    exam = played.skill
    task = tasks(outsider, exam, "甲")[0]["task_id"]

    assert accepted(push(outsider, exam, "甲", {task: 70}, dry_run=True))["added"] == 1
    assert accepted(push(outsider, exam, "甲", {task: 70}))["added"] == 1
    (result,) = graded(outsider, exam, 1)
    again = accepted(push(outsider, exam, "甲", {task: 70.0}))

    assert (again["added"], again["unchanged"]) == (0, 1)
    problem = refused(push(outsider, exam, "甲", {task: 71}), 422, "assessment.invalid")
    assert [(fault["pointer"], fault["code"]) for fault in problem["errors"]] == [("/marks/0", "final")]
    assert (result["score"], result["passed"], result["sections"], result["revision"]) == (70, True, [], 2)
    assert outsider.results(exam.batch_id)["results"] == [result]


def test_second_marking_brings_a_third_where_two_disagree(outsider: Outsider, played: Played) -> None:
    """Nobody is their own second assessor, however the name is spelt; a correction can end a disagreement."""
    exam = played.double
    by_value = {task["value"][-1]: task["task_id"] for task in tasks(outsider, exam, "Wang Wu")}

    accepted(push(outsider, exam, "Wang Wu", {by_value["0"]: 6, by_value["1"]: 2, by_value["2"]: 1, by_value["3"]: 10}))
    assert tasks(outsider, exam, "Wang Wu") == []
    problem = refused(push(outsider, exam, "ＷＡＮＧ　ＷＵ", {by_value["0"]: 6}), 422, "assessment.invalid")
    assert [(fault["pointer"], fault["code"]) for fault in problem["errors"]] == [("/marks/0/task_id", "same_person")]
    accepted(push(outsider, exam, "乙", {by_value["0"]: 8, by_value["1"]: 9, by_value["2"]: 9, by_value["3"]: 9.25}))
    assert {task["task_id"] for task in tasks(outsider, exam, "丙")} == {by_value["1"], by_value["2"]}
    assert tasks(outsider, exam, "乙") == []
    problem = refused(push(outsider, exam, "丙", {by_value["1"]: 8, by_value["3"]: 1}), 422, "assessment.invalid")
    assert {fault["pointer"]: fault["code"] for fault in problem["errors"]}.keys() <= {"/marks/1", "/marks/1/task_id"}
    accepted(push(outsider, exam, "丙", {by_value["1"]: 8}))
    assert accepted(push(outsider, exam, "Wang Wu", {by_value["2"]: 8}))["corrected"] == 1

    rows = graded(outsider, exam, 4)
    earned = {"0": 7, "1": Fraction(17, 2), "2": Fraction(17, 2), "3": Fraction("9.625")}
    expected = sorted(out.published_score(Fraction(points), Fraction(11)) for points in earned.values())
    assert sorted(row["score"] for row in rows) == expected
    assert outsider.show_batch(exam.batch_id)["state"] == "graded"


def test_a_review_has_three_assessors_and_passes_by_two_thirds(outsider: Outsider, played: Played) -> None:
    """EXAM_RULES: mean >= 60 and at least two thirds >= 60; who never came waits for nobody."""
    exam = played.review
    shown = {task["responses"]["F1"][-1]: task for task in tasks(outsider, exam, "甲")}

    assert shown.keys() == {"0", "1"}
    assert {(task["item"], task["points"]) for task in shown.values()} == {(None, 100)}
    marks = {"甲": (60, 100), "乙": (59.99, 59), "丙": (60, 59)}
    for assessor, (first, second) in marks.items():
        accepted(push(outsider, exam, assessor, {shown["0"]["task_id"]: first, shown["1"]["task_id"]: second}))
    problem = refused(push(outsider, exam, "丁", {shown["0"]["task_id"]: 60}), 422, "assessment.invalid")
    assert problem["errors"][0]["code"] in ("taken", "final")

    rows = graded(outsider, exam, 2)
    assert sorted((row["score"], row["passed"]) for row in rows) == [(60, True), (Decimal("72.67"), False)]
    assert {row["state"] for row in outsider.results(exam.batch_id)["results"]} == {"graded", "absent"}


def test_a_release_waits_for_the_last_mark_and_publishes_one_revision(outsider: Outsider, played: Played) -> None:
    """What was pending is not shown beside what it became."""
    exam = played.released
    path, body = f"/v1/batches/{exam.batch_id}/release", {"approved_by": ["王五", "赵六"]}
    refused(outsider.call("POST", path, scope="schedule", json=body), 409, "batch.not_ready")

    accepted(push(outsider, exam, "甲", {tasks(outsider, exam, "甲")[0]["task_id"]: 10}))
    out.poll(lambda: outsider.show_batch(exam.batch_id)["state"] == "graded", 15, "graded")
    assert outsider.results(exam.batch_id)["results"] == []
    accepted(outsider.call("POST", path, scope="schedule", json=body))

    (result,) = outsider.results(exam.batch_id)["results"]
    assert (result["state"], result["revision"], result["score"]) == ("graded", 2, Decimal("90.91"))


def test_the_last_two_marks_at_once_make_one_result(outsider: Outsider, played: Played) -> None:
    """Two assessors finish one sitting at the same moment: neither believes that the other is missing."""
    exam = played.race
    shown = tasks(outsider, exam, "甲")

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda task: push(outsider, exam, f"人{task['item']}", {task["task_id"]: 1}), shown))

    assert [accepted(answer)["added"] for answer in answers] == [1, 1]
    (result,) = graded(outsider, exam, 1)
    assert (result["revision"], result["score"]) == (2, 20)


# --- what is refused -------------------------------------------------------------------------------------------
def test_every_fault_is_listed_and_nothing_is_taken(outsider: Outsider, played: Played) -> None:
    exam = played.single
    task = tasks(outsider, exam, "王")[0]["task_id"]
    foreign = tasks(outsider, played.single, "王")[1]["task_id"]
    body = {
        "assessor": "王",
        "marks": [
            {"task_id": task, "mark": 5.01},
            {"task_id": "nothing", "mark": 1},
            {"task_id": foreign, "mark": 0.001},
            {"task_id": task, "mark": 1},
            {"task_id": foreign, "mark": "1", "x": 1},
        ],
    }
    path = f"/v1/batches/{exam.batch_id}/assessments"
    problem = refused(outsider.call("POST", path, scope="results", json=body), 422, "assessment.invalid")

    assert set(pointers(problem)) == {
        "/marks/0/mark",
        "/marks/1/task_id",
        "/marks/2/mark",
        "/marks/3/task_id",
        "/marks/4/mark",
        "/marks/4/task_id",
        "/marks/4/x",
    }
    assert {task["task_id"] for task in tasks(outsider, exam, "王")} >= {task, foreign}


def test_tasks_of_another_batch_are_unknown(outsider: Outsider, played: Played) -> None:
    """Whoever may mark one batch says nothing about another by a slip."""
    task = tasks(outsider, played.single, "赵")[0]["task_id"]
    problem = refused(push(outsider, played.skill, "赵", {task: 1}), 422, "assessment.invalid")

    assert [(fault["pointer"], fault["code"]) for fault in problem["errors"]] == [("/marks/0/task_id", "unknown_task")]
