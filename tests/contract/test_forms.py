"""A batch with several papers: neighbours differ, and each candidate has one of them from login to result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from engine import __main__ as command_line
from engine.sealing.encoding import from_base64url
from tests.contract import outsider as out
from tests.contract.line import open_channel
from tests.contract.opener import open_sealed
from tests.contract.outsider import NOTHING, Outsider, accepted, now_ms, person, pointers, refused

FORMS = "ABC"


def paper_of(form: str) -> dict[str, Any]:
    """Each paper has items, answers and points of its own."""
    answer = {"A": "a", "B": "b", "C": "c"}[form]
    items = [out.single(f"{form}{number}", stem=f"试卷 {form} 第 {number} 题", answer=answer) for number in (1, 2)]
    return out.paper(*items, out.single("same", answer=answer))


def push_papers(outsider: Outsider, forms: str = "AB") -> tuple[list[str], dict[str, str]]:
    """Their ids in the order of the forms, and each form's digest."""
    papers, digests = [], {}
    for form in forms:
        document = paper_of(form)
        papers.append(outsider.paper(document))
        digests[form] = out.digest(document)
    return papers, digests


def room(seats: Sequence[str], site: str = "") -> list[dict[str, Any]]:
    site = site or f"第{out.next_number()}考点"
    return [person(site=site, room="101", seat=seat) for seat in seats]


def armed(outsider: Outsider, papers: list[str], roster: list[dict[str, Any]], **members: Any) -> out.Exam:
    document = outsider.batch_document("", paper_id=NOTHING, papers=papers, **members)
    batch_id = outsider.batch(document)
    accepted(outsider.put_roster(batch_id, roster))
    accepted(outsider.arm(batch_id))
    return out.Exam(outsider, batch_id, document, roster)


def opened(outsider: Outsider, sitting: out.Sitting) -> dict[str, Any]:
    """The paper as this candidate's page has it."""
    sealed = accepted_bytes(outsider, sitting.login["paper"]["digest"])
    assert len(sealed) == sitting.login["paper"]["bytes"]
    paper_key = from_base64url(accepted(sitting.key())["paper_key"])
    return open_sealed(sitting.login["batch_id"], sealed, paper_key)[0]


def accepted_bytes(outsider: Outsider, digest: str) -> bytes:
    answer = outsider.call("GET", f"/v1/sealed/{digest}")
    assert answer.status_code == 200 and hashlib.sha256(answer.content).hexdigest() == digest
    return answer.content


def form_of(document: dict[str, Any]) -> str:
    """By the first item of the opened paper."""
    return str(document["sections"][0]["items"][0]["id"][0])


def test_a_batch_shows_its_papers_as_they_were_pushed(outsider: Outsider) -> None:
    """Exactly one of `paper_id` and `papers`, and the same again when asked; the same push changes nothing."""
    papers, _ = push_papers(outsider)
    document = outsider.batch_document("", paper_id=NOTHING, papers=papers)
    batch_id = out.unique("B")

    pushed = accepted(outsider.put_batch(document, batch_id), 201)

    assert pushed["papers"] == papers and "paper_id" not in pushed
    assert accepted(outsider.put_batch(document, batch_id), 200) == pushed
    assert outsider.show_batch(batch_id)["papers"] == papers
    single = {**document, "paper_id": papers[1]}
    del single["papers"]
    changed = accepted(outsider.put_batch(single, batch_id), 200)
    assert changed["paper_id"] == papers[1] and "papers" not in changed


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"papers": NOTHING}, ["/paper_id"]),
        ({"paper_id": "P1"}, ["/paper_id"]),
        ({"papers": []}, ["/papers"]),
        ({"papers": None}, ["/papers"]),
        ({"papers": "P1"}, ["/papers"]),
        ({"papers": ["nowhere", 5, "a b"]}, ["/papers/0", "/papers/1", "/papers/2"]),
        ({"papers": [f"P{number}" for number in range(9)]}, ["/papers", *(f"/papers/{at}" for at in range(8))]),
    ],
)
def test_papers_that_cannot_be_taken_are_named(outsider: Outsider, change: dict[str, Any], expected: list[str]) -> None:
    """One to eight papers that have been pushed, and no `paper_id` beside them."""
    papers, _ = push_papers(outsider, "A")
    members = {"paper_id": NOTHING, "papers": papers, **change}
    document = outsider.batch_document("", **members)

    problem = refused(outsider.put_batch(document), 422, "batch.invalid")

    assert pointers(problem) == expected


def test_papers_of_different_sizes_are_taken_with_a_warning(outsider: Outsider) -> None:
    """Scores scale to 100; who pushes is told. A room is then not told of so many items out of how many."""
    papers, _ = push_papers(outsider)
    short = outsider.paper(out.paper(out.single("S1")))
    document = outsider.batch_document("", paper_id=NOTHING, papers=papers, kind="mock")
    batch_id = out.unique("B")
    assert "warnings" not in accepted(outsider.put_batch(document, batch_id), 201)

    changed = accepted(outsider.put_batch({**document, "papers": [*papers, short]}, batch_id))

    assert [warned["code"] for warned in changed["warnings"]] == ["papers.differ"]
    assert f"{short} 1 items, 1 points" in changed["warnings"][0]["message"]
    place = {"site": f"第{out.next_number()}考点", "room": "101"}
    for named, items in ((papers, 3), ([*papers, short], None)):
        exam = armed(outsider, named, room(["01", "02", "03"], place["site"]), kind="mock")
        shown = outsider.call("GET", f"/v1/batches/{exam.batch_id}/seats", scope="proctor", params=place)
        assert accepted(shown)["items"] == items


def test_a_paper_named_twice_is_refused(outsider: Outsider) -> None:
    """Two forms of one paper would be no two forms."""
    papers, _ = push_papers(outsider, "A")
    document = outsider.batch_document("", paper_id=NOTHING, papers=papers * 2)

    assert pointers(refused(outsider.put_batch(document), 422, "batch.invalid")) == ["/papers/1"]


def test_neighbours_have_different_papers_and_each_only_his_own_key(outsider: Outsider) -> None:
    """Adjacent in the order of the seats, whatever the order of the roster; one key opens one of the papers."""
    papers, _ = push_papers(outsider, "ABC")
    exam = armed(outsider, papers, room(["03", "01", "05", "02", "04", "06"]))

    sittings = {exam.roster[at]["seat"]: exam.enter(at) for at in range(6)}
    seen = [form_of(opened(outsider, sittings[seat])) for seat in sorted(sittings)]

    assert all(one != other for one, other in pairwise(seen)), seen
    assert {seen.count(form) for form in FORMS} == {2}
    keys = {accepted(sitting.key())["paper_key"] for sitting in sittings.values()}
    assert len(keys) == len({sitting.login["paper"]["digest"] for sitting in sittings.values()}) == 3
    other = accepted_bytes(outsider, sittings["02"].login["paper"]["digest"])
    with pytest.raises(InvalidTag):
        open_sealed(exam.batch_id, other, from_base64url(accepted(sittings["01"].key())["paper_key"]))


def test_saves_and_results_go_by_the_paper_of_the_sitting(outsider: Outsider) -> None:
    """Items of another form are refused, and a result names the paper that its candidate had, and its answer key."""
    papers, digests = push_papers(outsider)
    exam = armed(outsider, papers, room(["01", "02", "03"]))
    forms, keys = {}, set()
    for at in range(3):
        sitting = exam.enter(at)
        form = forms[sitting.sitting_id] = form_of(opened(outsider, sitting))
        other = "B" if form == "A" else "A"
        refused(sitting.save((f"{other}1", 1, "a")), 422, "autosave.invalid")
        accepted(sitting.save((f"{form}1", 1, form.lower()), (f"{form}2", 2, "c"), ("same", 3, "a")))
        assert accepted(sitting.submit(3))["items"] == 3

    results = outsider.all_results(exam.batch_id, 3)

    for result in results:
        form = forms[result["sitting_id"]]
        keys.add((form, result["answer_key_digest"]))
        assert result["paper_digest"] == digests[form]
        assert float(result["score"]) == {"A": 66.67, "B": 33.33}[form]
    assert sorted(forms.values()) in (["A", "A", "B"], ["A", "B", "B"]) and len(keys) == 2


async def test_a_key_of_each_form_is_pushed_at_the_start(outsider: Outsider) -> None:
    """Over the channel, at the start: to each candidate the key of his own paper and no other."""
    papers, _ = push_papers(outsider)
    exam = armed(outsider, papers, room(["01", "02"]), starts_ms=now_ms() + 2500)
    sittings = [exam.enter(at) for at in range(2)]

    async with open_channel(sittings[0]) as first, open_channel(sittings[1]) as second:
        frames = [await line.hear("paper_key") for line in (first, second)]

    for frame, sitting in zip(frames, sittings, strict=True):
        sealed = accepted_bytes(outsider, sitting.login["paper"]["digest"])
        assert open_sealed(exam.batch_id, sealed, from_base64url(frame["paper_key"]))[0]["batch_id"] == exam.batch_id
    assert frames[0]["paper_key"] != frames[1]["paper_key"]


def test_who_comes_late_differs_from_his_neighbours_and_nobody_changes_his_paper(outsider: Outsider) -> None:
    """Additions and changes of seats after arming: who has entered keeps his paper, others get one by their seat."""
    papers, _ = push_papers(outsider, "ABC")
    exam = armed(outsider, papers, room(["01", "02", "03", "06"]))
    entered = [exam.enter(at) for at in (0, 1, 2)]
    before = [form_of(opened(outsider, sitting)) for sitting in entered]
    site = exam.roster[0]["site"]
    exam.roster[0]["seat"] = "07"  # who has entered is given another machine
    exam.roster += room(["01"], site) + room(["04", "05"], site)

    accepted(outsider.put_roster(exam.batch_id, exam.roster))

    late = [exam.enter(at) for at in range(3, 7)]
    again = [exam.arrive(at) for at in range(3)]
    forms = {exam.roster[at]["seat"]: form_of(opened(outsider, late[at - 3])) for at in range(3, 7)}
    forms |= {exam.roster[at]["seat"]: form for at, form in zip(range(3), before, strict=True)}
    in_order = [forms[seat] for seat in sorted(forms)]
    assert [form_of(opened(outsider, sitting)) for sitting in again] == before
    assert all(one != other for one, other in pairwise(in_order[:-1])), in_order


def test_who_is_left_in_a_room_differs_as_well(outsider: Outsider) -> None:
    """A seat between two with the same paper becomes empty: now they are neighbours."""
    papers, _ = push_papers(outsider)
    roster = room(["01", "02", "03"])
    exam = armed(outsider, papers, roster, starts_ms=now_ms() + 600_000, rules={"check_in_before_s": 3600})
    exam.roster[1] = {**roster[1], "room": "102", "seat": "01"}
    accepted(outsider.put_roster(exam.batch_id, exam.roster))

    first, third = (exam.arrive(number).login["paper"]["digest"] for number in (0, 2))
    assert first != third


def test_a_paper_of_an_armed_batch_is_in_use(outsider: Outsider) -> None:
    """API.md: `paper.in_use`; whichever of the forms it is. The batch's papers stand."""
    papers, _ = push_papers(outsider)
    exam = armed(outsider, papers, room(["01", "02"]))

    for paper_id in papers:
        refused(outsider.put_paper(out.paper(out.single("other")), paper_id), 409, "paper.in_use")
    document = {**exam.document, "papers": papers[::-1]}
    refused(outsider.put_batch(document, exam.batch_id), 409, "batch.armed")
    accepted(outsider.put_batch(exam.document, exam.batch_id), 200)


def test_an_unready_paper_is_named(outsider: Outsider) -> None:
    """Preflight looks at every form, and arming is all or nothing."""
    papers, _ = push_papers(outsider)
    document = outsider.batch_document("", paper_id=NOTHING, papers=papers)
    batch_id = outsider.batch(document)
    accepted(outsider.put_roster(batch_id, [*room(["01"]), person(seat=NOTHING)]))

    refused(outsider.arm(batch_id), 409, "batch.not_ready")

    assert outsider.show_batch(batch_id)["state"] == "draft"


def test_drawn_papers_make_a_batch(outsider: Outsider, tmp_path: Path) -> None:
    """From the bank to the candidates: what `./run paper draw` writes is pushed as it is; nobody shares an item."""
    items = [{**out.single(f"Q{number}"), "topic": "劳动合同", "difficulty": number / 40} for number in range(40)]
    row = {"section": "A", "topic": "劳动合同", "difficulty": [0, 0.9], "count": 10, "points": 2}
    sections = [{"id": "A", "title": "单项选择题"}]
    (tmp_path / "bank.json").write_text(json.dumps({"items": items}))
    (tmp_path / "blueprint.json").write_text(json.dumps({"title": "试卷", "sections": sections, "rows": [row]}))
    words = ["--bank", tmp_path / "bank.json", "--blueprint", tmp_path / "blueprint.json", "--seed", "骰子 4 2 6"]
    words += ["--forms", 3, "--out", tmp_path / "drawn", "--exposure", tmp_path / "exposure.json"]
    assert command_line.main(["paper", "draw", *map(str, words)]) == 0
    record = json.loads((tmp_path / "drawn" / "draw.json").read_text("utf-8"))
    papers = []
    for paper in record["papers"]:
        papers.append(out.unique("P"))
        pushed = outsider.put_paper(json.loads((tmp_path / "drawn" / paper["file"]).read_text("utf-8")), papers[-1])
        assert accepted(pushed, 201)["digest"] == paper["digest"]

    exam = armed(outsider, papers, room(["01", "02", "03"]))
    seen = [opened(outsider, exam.enter(at)) for at in range(3)]

    shown = [{item["id"] for item in document["sections"][0]["items"]} for document in seen]
    assert len(set.union(*shown)) == 30 and all(len(each) == 10 for each in shown)


def test_a_batch_with_several_papers_is_disarmed_and_armed_anew(outsider: Outsider) -> None:
    """Other keys, other sealed papers, and still every sitting its own."""
    papers, _ = push_papers(outsider)
    exam = armed(outsider, papers, room(["01", "02"]), starts_ms=now_ms() + 3600_000, rules={"check_in_before_s": 7200})
    before = [exam.arrive(at).login["paper"]["digest"] for at in range(2)]
    body = {"approved_by": ["王五", "赵六"], "reason": "试卷次序有误"}
    accepted(outsider.call("POST", f"/v1/batches/{exam.batch_id}/disarm", scope="schedule", json=body))
    accepted(outsider.put_batch({**exam.document, "papers": papers[::-1]}, exam.batch_id))

    accepted(outsider.arm(exam.batch_id))

    after = [exam.arrive(at).login["paper"]["digest"] for at in range(2)]
    assert len({*before, *after}) == 4


def test_an_assessor_is_told_whose_item_it_is(outsider: Outsider) -> None:
    """The same id may stand for another item in each paper; of a batch with one paper nothing is said."""
    papers = [outsider.paper(out.paper({"id": "F1", "type": "text", "stem": stem, "points": 10})) for stem in "甲乙"]
    exam = armed(outsider, papers, room(["01", "02"]))
    had = {}
    for at in range(2):
        sitting = exam.enter(at)
        had[f"第 {at} 份"] = opened(outsider, sitting)["sections"][0]["items"][0]["stem"]
        accepted(sitting.save(("F1", 1, f"第 {at} 份")))
        accepted(sitting.submit(1))

    def waiting() -> list[dict[str, Any]]:
        path = f"/v1/batches/{exam.batch_id}/assessments"
        found = accepted(outsider.call("GET", path, scope="results", params={"assessor": "评"}))["tasks"]
        return list(found) if len(found) == 2 else []

    tasks = out.poll(waiting, 15, "two tasks")

    assert {task["value"]: "甲乙"[papers.index(task["paper_id"])] for task in tasks} == had
