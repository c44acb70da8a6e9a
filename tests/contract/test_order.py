"""The order in which candidates see a paper: pins and groups as pushed, computed by anyone from the seed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import order
from tests.contract import outsider as out
from tests.contract.opener import open_sealed
from tests.contract.outsider import Outsider, accepted, unique

CANDIDATES = 6


def grouped_paper() -> dict[str, Any]:
    """A1 comes first, an "all of these" is last, A4 to A6 share a stem with a figure; B1 stands alone."""
    items: list[dict[str, Any]] = [out.single(f"A{n}") for n in range(1, 11)]
    items[0]["fixed"] = True
    items[2]["options"] = [*items[2]["options"], {"id": "all", "text": "以上都对", "fixed": True}]
    document = out.paper(*items, media={"fig.png": out.PNG})
    document["sections"][0]["groups"] = [
        {"id": "G1", "stem": "阅读材料\n![图](fig.png)", "items": ["A4", "A5", "A6"]},
        {"id": "G2", "stem": "另一则材料", "items": ["A8", "A9"], "shuffle": True},
    ]
    document["sections"].append({"id": "S2", "title": "第二部分", "items": [out.multiple("B1")]})
    return document


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> out.Exam:
    return outsider.exam(document=grouped_paper(), rows=CANDIDATES)


def opened(exam: out.Exam, sitting: out.Sitting) -> tuple[dict[str, Any], bytes]:
    """The paper and the seed, as this sitting gets them."""
    keys = accepted(sitting.key())
    sealed = exam.outsider.call("GET", f"/v1/sealed/{sitting.login['paper']['digest']}").content
    paper, _ = open_sealed(exam.batch_id, sealed, out.from_base64url(keys["paper_key"]))
    return paper, out.from_base64url(keys["seed"])


def test_groups_and_pins_reach_the_candidate_as_pushed(exam: out.Exam) -> None:
    """Whatever the order is made of lies in the sealed paper, and no answer with it."""
    pushed = grouped_paper()["sections"]
    paper, _ = opened(exam, exam.enter())
    first = paper["sections"][0]

    assert first["groups"] == pushed[0]["groups"]
    assert "groups" not in paper["sections"][1]
    assert [item["id"] for item in first["items"]] == [item["id"] for item in pushed[0]["items"]]
    assert [item["id"] for item in first["items"] if item.get("fixed")] == ["A1"]
    assert first["items"][2]["options"] == pushed[0]["items"][2]["options"]
    assert not any("answer" in item for section in paper["sections"] for item in section["items"])


def test_order_differs_between_neighbours_and_keeps_what_was_asked(exam: out.Exam) -> None:
    """Everybody has an order of one's own; in each, groups are whole and pins where they were pushed."""
    shown = [order.shown_paper(seed, paper) for paper, seed in (opened(exam, exam.enter(n)) for n in range(CANDIDATES))]
    items = [[item for item, _ in each] for each in shown]

    assert len({str(each) for each in shown}) == CANDIDATES
    for each, with_options in zip(items, shown, strict=True):
        at, other = each.index("A4"), min(each.index("A8"), each.index("A9"))
        assert (each[0], each[-1]) == ("A1", "B1")
        assert each[at : at + 3] == ["A4", "A5", "A6"]
        assert set(each[other : other + 2]) == {"A8", "A9"}
        assert dict(with_options)["A3"][-1] == "all"


def test_order_is_the_same_on_another_machine(exam: out.Exam) -> None:
    """A second login takes the sitting over, and everything stands where it stood."""
    paper, seed = opened(exam, exam.enter(1))

    again, same = opened(exam, exam.arrive(1))

    assert seed == same
    assert order.shown_paper(same, again) == order.shown_paper(seed, paper)


def test_answers_to_items_of_a_group_are_saved_and_marked_by_item(outsider: Outsider) -> None:
    """Saving, marking and results know items only: a paper in groups earns what the same items earn without."""
    document = grouped_paper()
    exam = outsider.exam(document=document)
    sitting = exam.enter()
    accepted(sitting.save(("A4", 1, "b"), ("A3", 2, "all"), ("B1", 3, ["a", "c"])))
    out.refused(sitting.save(("G1", 4, "b")), 422, "autosave.invalid")
    accepted(sitting.submit(3))

    result = outsider.all_results(exam.batch_id, 1)[0]
    assert [section["score"] for section in result["sections"]] == [1, 2]
    assert float(result["score"]) == 25


def test_group_and_pin_faults_are_named(outsider: Outsider) -> None:
    """API.md: 422 lists **every** fault found, at its pointer."""
    document = grouped_paper()
    section = document["sections"][0]
    section["items"][1]["fixed"] = "yes"
    section["items"][4]["fixed"] = True  # inside G1, which keeps its order
    section["groups"].append({"id": "A7", "stem": "", "items": ["A9", "B1"], "title": "材料"})

    problem = out.refused(outsider.put_paper(document), 422, "paper.invalid")

    assert out.pointers(problem) == [
        "/sections/0/groups/2/id",
        "/sections/0/groups/2/items/0",
        "/sections/0/groups/2/items/1",
        "/sections/0/groups/2/stem",
        "/sections/0/groups/2/title",
        "/sections/0/items/1/fixed",
        "/sections/0/items/4/fixed",
    ]


def test_paper_with_groups_is_counted_and_digested_like_any(outsider: Outsider) -> None:
    """API.md: `digest` is of the whole question set, groups and pins included; items and points count as ever."""
    document, paper_id = grouped_paper(), unique("P")
    reply = accepted(outsider.put_paper(document, paper_id), 201)
    assert (reply["items"], reply["points"], reply["digest"]) == (11, 12, out.digest(document))

    document["sections"][0]["groups"][0]["stem"] = "改过的材料"
    assert accepted(outsider.put_paper(document, paper_id), 200)["digest"] == out.digest(document) != reply["digest"]
