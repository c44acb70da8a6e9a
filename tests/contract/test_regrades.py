"""Regrades over HTTP: proposed for a batch that is over, shown, then applied or dropped by two named people."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, accepted, pointers, refused

ITEMS = [out.single("A1", points=2), out.multiple("B1", points=1), out.text("F1", points=2)]
PEOPLE = {"approved_by": ["王五", "赵六"]}


class Played:
    """A batch that is over: `right` and `wrong` by the first item, `essay` waits for an assessor, one never came."""

    def __init__(self, outsider: Outsider) -> None:
        self.outsider = outsider
        self.exam: Exam = outsider.exam(*ITEMS, rows=4, duration_s=2, rules={"grace_s": 0})
        self.path = f"/v1/batches/{self.exam.batch_id}/regrades"
        right, wrong, essay = (self.exam.enter(index) for index in range(3))
        accepted(right.save(("A1", 1, "b"), ("B1", 2, ["a", "c"])))
        accepted(wrong.save(("A1", 1, "c"), ("B1", 2, ["a", "c"])))
        accepted(essay.save(("F1", 1, "一篇文章")))
        self.sittings = [right.sitting_id, wrong.sitting_id, essay.sitting_id]
        outsider.all_results(self.exam.batch_id, 4)
        out.sleep_until(self.exam.closes_ms)

    def call(self, method: str, path: str = "", **options: Any) -> Any:
        return self.outsider.call(method, self.path + path, scope="results", **options)

    def propose(self, *changes: dict[str, Any], **members: Any) -> Any:
        body = {"reason": "答案有误", "proposed_by": "王五", "changes": list(changes), **members}
        return self.call("POST", json=body)

    def tried(self, *changes: dict[str, Any]) -> str:
        """The id of a regrade whose dry run is there."""
        regrade_id: str = accepted(self.propose(*changes), 201)["regrade_id"]
        out.poll(lambda: self.show(regrade_id)["state"] not in ("proposed", "approved"), 15, "a dry run")
        return regrade_id

    def show(self, regrade_id: str, **query: Any) -> Any:
        return out.exact(self.call("GET", f"/{regrade_id}", params=query))

    def decide(self, regrade_id: str, act: str, body: Any = PEOPLE) -> Any:
        return self.call("POST", f"/{regrade_id}/{act}", json=body)

    def scores(self) -> list[Any]:
        """Of the three who came; `None` while an assessor is awaited."""
        shown = self.outsider.results(self.exam.batch_id)["results"]
        found = {result["sitting_id"]: result["score"] for result in shown}
        assert len(shown) == 4
        return [found[sitting_id] for sitting_id in self.sittings]


@pytest.fixture(scope="module")
def played(outsider: Outsider) -> Played:
    return Played(outsider)


def test_a_regrade_shows_who_gains_and_loses_before_anything_changes(played: Played) -> None:
    """The difference with both scores, by candidate and ticket; dropped by two people it leaves nothing."""
    before = played.scores()
    regrade_id = played.tried({"item": "A1", "answer": "c"})

    shown = played.show(regrade_id)
    assert shown["state"] == "ready"
    summary = shown["summary"]
    assert (summary["sittings"], summary["up"], summary["down"], summary["unscored"]) == (4, 1, 1, 2)
    assert (summary["passes_gained"], summary["passes_lost"]) == (1, 1)
    found = {each["sitting_id"]: each for each in shown["differences"]}
    right, wrong = (found[sitting_id] for sitting_id in played.sittings[:2])
    assert (right["direction"], right["before"], right["after"]) == (
        "down", {"score": 60, "passed": True}, {"score": 20, "passed": False},
    )  # fmt: skip
    assert (wrong["direction"], wrong["pass_change"]) == ("up", "gained")
    assert right["admission_ticket"] == played.exam.roster[0]["admission_ticket"]
    assert right["candidate_id"] == played.exam.roster[0]["candidate_id"]
    assert [each["sitting_id"] for each in played.show(regrade_id, only="lost")["differences"]] == [right["sitting_id"]]
    assert len(played.show(regrade_id, only="all")["differences"]) == 4
    dropped = accepted(played.decide(regrade_id, "drop"))
    assert (dropped["state"], dropped["decided_by"]) == ("dropped", ["王五", "赵六"])
    assert accepted(played.decide(regrade_id, "drop"))["decided_ms"] == dropped["decided_ms"]
    assert played.scores() == before
    refused(played.decide(regrade_id, "apply"), 409, "regrade.settled")


def test_an_applied_regrade_makes_new_signed_revisions_and_keeps_the_old_ones(outsider: Outsider) -> None:
    """Every result of the batch, in the feed behind the old ones; another regrade takes it back to the same scores."""
    played = Played(outsider)
    keys = outsider.public_keys()
    before = {each["sitting_id"]: each for each in outsider.results_answer(played.exam.batch_id).json()["results"]}
    for is_voided, scores in ((True, [Decimal("33.33"), Decimal("33.33"), None]), (False, [60, 20, None])):
        regrade_id = played.tried({"item": "A1", "voided": is_voided})
        assert accepted(played.decide(regrade_id, "apply"))["state"] in ("approved", "applied")
        out.poll(lambda: played.show(regrade_id)["state"] == "applied", 15, "an applied regrade")  # noqa: B023

        assert played.scores() == scores
        assert accepted(played.decide(regrade_id, "apply"))["state"] == "applied"
        refused(played.decide(regrade_id, "drop"), 409, "regrade.settled")
    after = outsider.results_answer(played.exam.batch_id).json()["results"]
    assert {each["revision"] for each in after} == {3}
    assert all(len(out.signed_by(each, keys)) == 1 for each in after)
    unsaid = ("revision", "graded_ms", "signature")
    assert [{name: value for name, value in each.items() if name not in unsaid} for each in after] == [
        {name: before[each["sitting_id"]][name] for name in each if name not in unsaid} for each in after
    ]
    feed: list[Any] = []
    cursor = "0"
    while page := accepted(outsider.call("GET", "/v1/results", scope="results", params={"after": cursor})):
        if not page["results"]:
            break
        feed += [each for each in page["results"] if each["sitting_id"] in before]
        cursor = page["next"]
    assert [each["revision"] for each in feed] == [1] * 4 + [2] * 4 + [3] * 4
    log = outsider.call("GET", f"/v1/batches/{played.exam.batch_id}/log", scope="schedule")
    kinds = [event["kind"] for event in accepted(log)["events"]]
    assert kinds[-4:] == ["regrade_proposed", "regrade_tried", "regrade_approved", "regrade_applied"]


def test_marks_behind_a_score_follow_the_newest_revision(outsider: Outsider) -> None:
    """`GET …/responses` shows what each response earns now."""
    played = Played(outsider)
    regrade_id = played.tried({"item": "A1", "accept_all": True}, {"item": "B1", "points": 5})
    accepted(played.decide(regrade_id, "apply"))
    out.poll(lambda: played.show(regrade_id)["state"] == "applied", 15, "an applied regrade")

    responses = outsider.responses(played.sittings[1])
    assert {item: (each["mark"], each["points"]) for item, each in responses.items()} == {"A1": (2, 2), "B1": (5, 5)}


def test_assessors_marks_are_kept_and_asked_for_again(outsider: Outsider) -> None:
    """Voided, an item waits for nobody; counting again it has the mark it was given, or an assessor is awaited."""
    played = Played(outsider)
    path = f"/v1/batches/{played.exam.batch_id}/assessments"

    def tasks() -> list[Any]:
        answer = outsider.call("GET", path, scope="results", params={"assessor": "李四"})
        return list(accepted(answer)["tasks"])

    def mark(task_id: str, points: float) -> None:
        body = {"assessor": "李四", "marks": [{"task_id": task_id, "mark": points}]}
        accepted(outsider.call("POST", path, scope="results", json=body))

    def regrade(change: dict[str, Any]) -> list[Any]:
        regrade_id = played.tried(change)
        accepted(played.decide(regrade_id, "apply"))
        out.poll(lambda: played.show(regrade_id)["state"] == "applied", 15, "an applied regrade")
        return [tasks(), played.scores()[2]]

    (asked,) = tasks()
    voided = regrade({"item": "F1", "voided": True})
    restored = regrade({"item": "F1", "voided": False})
    mark(asked["task_id"], 1.25)
    out.poll(lambda: played.scores()[2] is not None, 15, "a mark that counts")
    marked = played.scores()[2]
    other_item = regrade({"item": "A1", "points": 3})
    voided_again = regrade({"item": "F1", "accept_all": True})
    restored_again = regrade({"item": "F1", "accept_all": False})

    assert (voided, restored) == ([[], 0], [[asked], None])
    assert marked == 25
    assert other_item == [[], Decimal("20.83")]
    assert voided_again == [[], Decimal("33.33")]
    assert restored_again == other_item


def test_a_regrade_of_one_paper_leaves_the_other_papers_results(outsider: Outsider) -> None:
    """Papers of one batch may call different questions by one id; who has the other paper gets no new revision."""
    papers = [outsider.paper(out.paper(out.single("A1", stem=f"试卷 {form}"), out.single("B1"))) for form in "AB"]
    rows = [out.person(site="考点", seat=f"{seat:02d}") for seat in (1, 2)]
    document = outsider.batch_document("", paper_id=out.NOTHING, papers=papers, duration_s=2, rules={"grace_s": 0})
    batch_id = outsider.batch(document)
    accepted(outsider.put_roster(batch_id, rows))
    accepted(outsider.arm(batch_id))
    exam = Exam(outsider, batch_id, document, rows)
    for index in (0, 1):
        accepted(exam.enter(index).save(("A1", 1, "a")))
    outsider.all_results(batch_id, 2)
    out.sleep_until(exam.closes_ms)
    path = f"/v1/batches/{batch_id}/regrades"

    def propose(**members: Any) -> Any:
        body = {"reason": "r", "proposed_by": "王五", "changes": [{"item": "A1", "answer": "a", **members}]}
        return outsider.call("POST", path, scope="results", json=body)

    assert pointers(refused(propose(), 422, "regrade.invalid")) == ["/changes/0/item"]
    for members, revisions, scores in (
        ({"paper_id": papers[1]}, [1, 2], [0, 50]),
        ({"all_forms": True, "answer": ["a", "c"]}, [2, 3], [50, 50]),
    ):
        at = f"{path}/{accepted(propose(**members), 201)['regrade_id']}"
        out.poll(lambda: accepted(outsider.call("GET", at, scope="results"))["state"] == "ready", 15, "a dry run")  # noqa: B023
        accepted(outsider.call("POST", f"{at}/apply", scope="results", json=PEOPLE))
        out.poll(lambda: accepted(outsider.call("GET", at, scope="results"))["state"] == "applied", 15, "applied")  # noqa: B023
        shown = outsider.results(batch_id)["results"]
        assert sorted(result["revision"] for result in shown) == revisions
        assert sorted(result["score"] for result in shown) == scores


def test_the_same_proposal_again_is_the_same_regrade(played: Played) -> None:
    """Whoever lost the answer sends it again; another proposal waits for a decision on the first."""
    first = accepted(played.propose({"item": "A1", "answer": "a"}), 201)

    again = accepted(played.propose({"item": "A1", "answer": "a"}))
    other = refused(played.propose({"item": "A1", "answer": "c"}), 409, "regrade.open")

    assert again["regrade_id"] == first["regrade_id"] == other["regrade_id"]
    out.poll(lambda: played.show(first["regrade_id"])["state"] == "ready", 15, "a dry run")
    accepted(played.decide(first["regrade_id"], "drop"))
    listed = accepted(played.call("GET"))["regrades"]
    assert listed[0]["regrade_id"] == first["regrade_id"]
    assert listed[0]["changes"] == [{"form": 0, "item": "A1", "changed": ["answer"]}]


def test_a_running_batch_is_never_regraded(outsider: Outsider) -> None:
    """Nor one in which somebody waits for a result, nor a draft."""
    running = outsider.exam()
    sitting = running.enter()
    accepted(sitting.submit(0))
    body = {"reason": "r", "proposed_by": "王五", "changes": [{"item": "A1", "voided": True}]}

    for batch_id in (running.batch_id, outsider.batch()):
        path = f"/v1/batches/{batch_id}/regrades"
        problem = refused(outsider.call("POST", path, scope="results", json=body), 409, "regrade.not_closed")
        assert "unfinished" in problem


def test_a_change_that_means_nothing_is_refused_with_all_its_faults(played: Played) -> None:
    """At their pointers, by the items and options of the paper that was sat."""
    problem = refused(
        played.propose({"item": "A1", "answer": "z"}, {"item": "Q7", "voided": True}, {"item": "F1", "points": 3}, x=1),
        422,
        "regrade.invalid",
    )

    assert pointers(problem) == ["/changes/0/answer", "/changes/1/item", "/changes/2/points", "/x"]
    refused(played.call("POST", content=b"{"), 400, "request.malformed")


@pytest.mark.parametrize("body", [{}, {"approved_by": ["一人"]}, {"approved_by": ["甲", "甲"]}, {**PEOPLE, "x": 1}])
def test_a_decision_needs_two_people(played: Played, body: Any) -> None:
    """Different ones, named."""
    regrade_id = played.tried({"item": "A1", "answer": "a"})
    try:
        for act in ("apply", "drop"):
            assert refused(played.decide(regrade_id, act, body), 422, "request.invalid")["errors"]
    finally:
        accepted(played.decide(regrade_id, "drop"))


def test_a_regrade_that_failed_says_why_and_cannot_be_applied(played: Played) -> None:
    """It is settled: the next may be proposed."""
    regrade_id = played.tried({"item": "A1", "answer": "b"})

    shown = played.show(regrade_id)
    assert shown["state"] == "failed" and "changes nothing" in shown["fault"]
    refused(played.decide(regrade_id, "apply"), 409, "regrade.not_ready")
    refused(played.decide(regrade_id, "drop"), 409, "regrade.settled")


def test_a_regrade_that_is_none_is_not_found(played: Played, outsider: Outsider) -> None:
    """By batch and id, in every call."""
    for method, path in (("GET", "/RG-1"), ("POST", "/RG-1/apply"), ("POST", "/RG-1/drop")):
        options = {"json": PEOPLE} if method == "POST" else {}
        refused(played.call(method, path, **options), 404, "not_found")
    elsewhere = f"/v1/batches/{out.unique('B')}/regrades"
    refused(outsider.call("GET", elsewhere, scope="results"), 404, "not_found")
    body = {"reason": "r", "proposed_by": "p", "changes": [{"item": "A1", "voided": True}]}
    refused(outsider.call("POST", elsewhere, scope="results", json=body), 404, "not_found")
    refused(outsider.call("POST", played.path, scope="schedule", json=body), 403, "auth.scope")
