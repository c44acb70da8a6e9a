"""Papers drawn from a bank: the blueprint is met whenever it can be, with as little in common as can be."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.bank import Bank, Blueprint, Row, Unit, read_bank, read_blueprint, read_exposure
from engine.rules.drawing import Drawn, TooFew, draw
from engine.rules.question_set import read_question_set
from engine.rules.shape import Faults


def item(item_id: str, topic: str = "t", difficulty: Any = Decimal("0.5"), **members: Any) -> dict[str, Any]:
    options = [{"id": name, "text": name} for name in "ab"]
    return {
        "id": item_id,
        "type": "single",
        "stem": f"? {item_id}",
        "options": options,
        "answer": "a",
        "topic": topic,
        "difficulty": difficulty,
        **members,
    }


def bank(*items: dict[str, Any], **members: Any) -> Bank:
    faults = Faults()
    found = read_bank({"items": list(items), **members}, faults)
    assert faults.listed == []
    return found


def blueprint(*rows: dict[str, Any], **members: Any) -> Blueprint:
    faults = Faults()
    sections = [{"id": name, "title": name} for name in sorted({row.get("section", "A") for row in rows})]
    whole = [{"section": "A", "points": 1, **row} for row in rows]
    found = read_blueprint({"title": "T", "sections": sections, "rows": whole, **members}, faults)
    assert faults.listed == []
    return found


def ids(paper: dict[str, Any]) -> list[str]:
    return [item["id"] for section in paper["sections"] for item in section["items"]]


def topics(count: int) -> list[dict[str, Any]]:
    return [item(f"Q{at}", topic="xy"[at % 2], difficulty=Decimal(at % 5) / 4) for at in range(count)]


class Chosen(Row, frozen=True):
    """A row that says by name which items it takes."""

    items: frozenset[str] = frozenset()

    def takes(self, unit: Unit) -> bool:
        return unit.id in self.items


@st.composite
def tasks(drawn: Any) -> tuple[list[list[int]], list[int], int]:
    """(per item the rows that take it, how many each row wants, forms)."""
    rows = drawn(st.integers(1, 3))
    fitting = drawn(st.lists(st.sets(st.integers(0, rows - 1), min_size=1), min_size=1, max_size=6))
    return [sorted(each) for each in fitting], [drawn(st.integers(1, 2)) for _ in range(rows)], drawn(st.integers(1, 3))


def possible(fitting: list[list[int]], counts: list[int]) -> list[frozenset[int]]:
    """Every set of items that makes one form, found by trying all."""
    slots = [row for row, count in enumerate(counts) for _ in range(count)]
    found = set()
    for chosen in itertools.permutations(range(len(fitting)), len(slots)):
        if all(row in fitting[at] for at, row in zip(chosen, slots, strict=True)):
            found.add(frozenset(chosen))
    return sorted(found, key=sorted)


def least_shared(forms: list[frozenset[int]], count: int) -> int | None:
    """Over every way to choose the forms."""
    if not forms:
        return None
    return min(
        sum(len(one & other) for one, other in itertools.combinations(chosen, 2))
        for chosen in itertools.combinations_with_replacement(forms, count)
    )


@settings(max_examples=120, deadline=None)
@given(tasks(), st.integers(0, 10**6))
def test_no_choice_of_papers_has_less_in_common(task: tuple[list[list[int]], list[int], int], seed: int) -> None:
    """Against every choice there is, on small banks whose rows ask for overlapping items; refused only if none is."""
    fitting, counts, forms = task
    made, asked = overlapping(fitting, counts)
    least = least_shared(possible(fitting, counts), forms)

    if least is None:
        with pytest.raises(TooFew, match="row"):
            draw(made, asked, str(seed), forms, {})
        return
    found = draw(made, asked, str(seed), forms, {})

    papers = [frozenset(ids(paper)) for paper in found.papers]
    assert sum(len(one & other) for one, other in itertools.combinations(papers, 2)) == found.shared == least
    for paper in found.papers:
        chosen = ids(paper)
        assert len(set(chosen)) == len(chosen) == sum(counts)
        for row, count in enumerate(counts):
            section = paper["sections"][row]["items"]
            assert len(section) == count
            assert all(row in fitting[int(each["id"][1:])] for each in section)


def overlapping(fitting: list[list[int]], counts: list[int]) -> tuple[Bank, Blueprint]:
    """Rows that take just these items, whatever overlaps that makes."""
    made = bank(*(item(f"Q{at}") for at in range(len(fitting))))
    asked = blueprint(*({"section": f"S{row}", "count": count} for row, count in enumerate(counts)))
    rows = [
        Chosen(
            **{name: getattr(row, name) for name in Row.__struct_fields__},
            items=frozenset(f"Q{at}" for at, rows in enumerate(fitting) if row.number - 1 in rows),
        )
        for row in asked.rows
    ]
    return made, Blueprint(
        digest=asked.digest, title="T", sections=asked.sections, rows=list(rows), max_uses=None, max_forms=None
    )


def test_the_same_draw_gives_the_same_papers_and_another_seed_others() -> None:
    """Whatever the order of the bank's items."""
    asked = blueprint({"topic": "x", "count": 5}, {"section": "B", "difficulty": [0, Decimal("0.5")], "count": 6})
    items = topics(80)

    first = draw(bank(*items), asked, "甲", 3, {})

    assert draw(bank(*items[::-1]), asked, "甲", 3, {}).papers == first.papers
    assert draw(bank(*items), asked, "乙", 3, {}).papers != first.papers


def test_one_paper_of_a_single_row_is_the_head_of_the_lottery() -> None:
    """By the rule of ops/forms.md, computed from it: ascending by SHA-256, for the choice and for the order."""
    items = topics(40)

    found = draw(bank(*items), blueprint({"count": 7}), "种子", 1, {})

    def lot(stage: str) -> Any:
        return lambda name: hashlib.sha256(f"liankao/draw-1|种子|{stage}|{name}".encode()).hexdigest()

    picked = sorted((each["id"] for each in items), key=lot("pick|1"))[:7]
    assert ids(found.papers[0]) == sorted(picked, key=lot("form|1"))


def test_every_item_has_the_same_chance() -> None:
    """Over many seeds: 20 of 40 each time, so each item in half of the draws, within five standard deviations."""
    made, asked, draws = bank(*topics(40)), blueprint({"count": 20}), 400

    counts = Counter(each for seed in range(draws) for each in draw(made, asked, str(seed), 1, {}).items)

    assert len(counts) == 40 and all(abs(count - draws / 2) < 50 for count in counts.values())


def test_forms_share_nothing_where_the_bank_is_large_enough() -> None:
    """Two thirds of the bank for two forms, in rows that compete for the same items."""
    asked = blueprint({"topic": "x", "count": 10}, {"count": 10})

    found = draw(bank(*topics(40)), asked, "s", 2, {})

    assert found.shared == 0 and len(found.items) == 40


def test_what_was_drawn_too_often_is_left_out() -> None:
    """`max_uses` counts earlier draws, and a group is as worn as its most used item."""
    groups = [{"id": "G", "stem": "材料", "items": ["Q0", "Q2"]}]
    made = bank(*topics(10), groups=groups)
    asked = blueprint({"count": 6}, max_uses=2)

    found = draw(made, asked, "s", 1, {"Q1": 2, "Q3": 3, "Q4": 1})

    assert found.items == ["Q4", "Q5", "Q6", "Q7", "Q8", "Q9"]
    with pytest.raises(TooFew, match=r"wants 1; available are 0 \(1 more were drawn too often\)"):
        draw(made, blueprint({"group_of": 2, "count": 1}, max_uses=1), "s", 1, {"Q2": 1})


def test_an_item_is_in_no_more_forms_than_it_may() -> None:
    """`max_forms`; refused where that cannot be, with what is wanted and what is there."""
    made = bank(*topics(10))
    found = draw(made, blueprint({"count": 5}, max_forms=2), "s", 4, {})
    assert set(Counter(each for paper in found.papers for each in ids(paper)).values()) == {2}

    with pytest.raises(TooFew) as refused:
        draw(made, blueprint({"count": 5}, max_forms=1), "s", 4, {})
    assert str(refused.value) == (
        "row 1 (section A, difficulty 0 to 1) wants 5 in each of 4 forms; available are 10, each for at most 1 of them"
    )


def test_rows_that_take_one_anothers_items_are_named_together() -> None:
    """Each could be filled alone; a row that has enough is not named."""
    asked = blueprint(
        {"topic": "x", "difficulty": [0, Decimal("0.25")], "count": 3},
        {"topic": "x", "difficulty": [0, Decimal("0.25")], "count": 3},
        {"topic": "y", "count": 2},
    )

    with pytest.raises(TooFew) as refused:
        draw(bank(*topics(20)), asked, "s", 1, {})

    told = str(refused.value)
    assert told.startswith("row 1 (section A, topic 'x'") and " and row 2 (" in told and "row 3" not in told
    assert told.endswith("together want 6; available are 4")


def test_a_group_is_drawn_whole_with_its_stem_and_its_media() -> None:
    """Its items stand together in its section, and only the media that a paper shows go into it."""
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
    made = bank(
        *topics(6),
        item("G1", difficulty=Decimal("0.2")),
        item("G2", difficulty=Decimal("0.8"), stem="![图](b.png)"),
        groups=[{"id": "G", "stem": "![图](a.png)", "items": ["G1", "G2"], "shuffle": True}],
        media={"a.png": png, "b.png": png, "c.png": png},
    )
    asked = blueprint(
        {"count": 2}, {"group_of": 2, "count": 1, "difficulty": [Decimal("0.5"), Decimal("0.5")], "points": 3}
    )

    (paper,) = draw(made, asked, "s", 1, {}).papers

    assert ids(paper)[2:] == ["G1", "G2"] and paper["media"].keys() == {"a.png", "b.png"}
    assert paper["sections"][0]["groups"][0]["id"] == "G"
    assert read_question_set(paper).points == 8


def pointers(reader: Any, document: Any) -> list[str]:
    faults = Faults()
    reader(document, faults)
    return sorted(fault["pointer"] for fault in faults.listed)


def test_every_fault_of_a_bank_is_named() -> None:
    """Of the bank's own members, and of items as in a paper."""
    good = item("Q1")
    document = {
        "items": [good, {**good, "difficulty": 2}, item("Q2", topic=5, answer="z"), item("Q3", other=1), 7],
        "groups": [{"id": "Q1", "stem": "", "items": []}],
        "more": 1,
    }

    assert pointers(read_bank, document) == [
        "/groups/0/id", "/groups/0/items", "/groups/0/stem", "/items/1/difficulty", "/items/1/id", "/items/2/answer",
        "/items/2/topic", "/items/3/other", "/items/4", "/items/4", "/more",
    ]  # fmt: skip
    groups = [{"id": "G", "stem": "s", "items": ["Q1", "Q2", "nobody"]}, {"id": "H", "stem": "s", "items": ["Q1"]}]
    document = {"items": [good, item("Q2", topic="u")], "groups": groups}
    assert pointers(read_bank, document) == ["/groups/0/items/1", "/groups/0/items/2", "/groups/1/items/0"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"count": 0}, "/rows/0/count"),
        ({"difficulty": [Decimal("0.6"), Decimal("0.5")]}, "/rows/0/difficulty"),
        ({"difficulty": Decimal("0.5")}, "/rows/0/difficulty"),
        ({"difficulty": [0, 1, 1]}, "/rows/0/difficulty"),
        ({"points": 0}, "/rows/0/points"),
        ({"points": Decimal("0.00001")}, "/rows/0/points"),
        ({"points": True}, "/rows/0/points"),
        ({"type": "essay"}, "/rows/0/type"),
        ({"section": "Z"}, "/rows/0/section"),
        ({"group_of": 0}, "/rows/0/group_of"),
        ({"topics": "x"}, "/rows/0/topics"),
    ],
)
def test_every_fault_of_a_blueprint_is_named(change: dict[str, Any], expected: str) -> None:
    """Row by row, member by member."""
    row = {"section": "A", "count": 1, **change}
    document = {"title": "T", "sections": [{"id": "A", "title": "A"}], "rows": [row]}

    assert expected in pointers(read_blueprint, document)


def test_a_section_without_rows_and_limits_that_are_none_are_faults() -> None:
    """An empty section could not be pushed."""
    sections = [{"id": "A", "title": "A"}, {"id": "B", "title": "B"}, {"id": "A", "title": "A"}]
    document = {
        "title": "T",
        "sections": sections,
        "rows": [{"section": "A", "count": 1}],
        "max_uses": 0,
        "max_forms": 65,
    }

    assert pointers(read_blueprint, document) == ["/max_forms", "/max_uses", "/sections/1", "/sections/2/id"]


def test_an_exposure_file_is_read_strictly() -> None:
    """Half a history would let worn items through."""
    draws = [{"draw": "x", "items": ["Q1"]}, {"draw": "a" * 64, "items": [1]}, {"draw": "a" * 64}]

    assert pointers(read_exposure, {"format": "other", "draws": draws}) == [
        "/draws/0/draw", "/draws/1/items", "/draws/2/items", "/format",
    ]  # fmt: skip


def test_a_row_without_points_takes_only_items_that_have_their_own() -> None:
    """What could not be pushed is not drawn."""
    asked = blueprint({"count": 1})
    rows = [
        type(row)(**{**{name: getattr(row, name) for name in row.__struct_fields__}, "points": None})
        for row in asked.rows
    ]
    own = Blueprint(digest="d", title="T", sections=asked.sections, rows=rows, max_uses=None, max_forms=None)

    found: Drawn = draw(bank(*topics(5), item("P", points=Decimal("2.5"))), own, "s", 1, {})

    assert found.items == ["P"] and read_question_set(found.papers[0]).points == Decimal("2.5")
