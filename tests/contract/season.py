"""A small season of exams, played once to the end, for the tests of results: same time window, different papers.

Every candidate answers one VECTOR of values; beside it stands what each value earns, worked out by hand from the
contract.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, Sitting, accepted, person

THIRD = Fraction(1, 3)
HALF = Fraction(1, 2)
FOUR = [{"id": name, "text": f"选项 {name}"} for name in "abcd"]
SECTIONS: list[dict[str, Any]] = [
    {
        "id": "S1",
        "title": "选择与判断",
        "items": [
            out.single("A1", answer="b", points=1),
            out.multiple("B1", options=FOUR, answer=["a", "c"], points=2),
            out.multiple("B2", options=FOUR, answer=["a", "c", "d"], points=3, marking="subset_half"),
            out.multiple("B3", options=FOUR, answer=["a", "b", "c"], points=1, marking="per_option"),
            out.multiple("B4", options=FOUR, answer=["a", "c"], points=0.25, marking="exact"),
            out.true_false("C1", answer=True, points=0.5),
            out.true_false("C2", answer=False, points=0.5),
        ],
    },
    {
        "id": "S2",
        "title": "填空、计算与简答",
        "items": [
            out.fill("D1", answer=[["八小时", "8小时", "8"], ["ABC def"]], points=1),
            out.fill("D2", answer=[["第十九条,一"]], fold=["width", "space", "case", "punctuation"], points=1),
            out.fill("D3", answer=[["Abc"]], fold=[], points=1),
            out.fill("D4", answer=[["一"], ["二"], ["三"]], points=1),
            out.fill("D5", answer=[["caf\u00e9"], ["x-1"]], points=0.7),
            out.numeric("E1", answer=21.75, tolerance=0.01, points=2),
            out.numeric("E2", answer=0.3, tolerance=0, points=1),
            out.numeric("E3", answer=1.1, tolerance=0.1, points=1),
            out.numeric("E4", answer=-5, tolerance=0.5, points=1.5),
            {"id": "E5", "type": "numeric", "stem": "没有容差", "answer": 7, "points": 0.05},
            out.text("F1", points=3.5),
        ],
    },
]
POINTS = {item["id"]: Fraction(str(item["points"])) for section in SECTIONS for item in section["items"]}
FULL = sum(POINTS.values(), Fraction(0))

# name: ({item: value}, {item: share of its points})
VECTORS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "all nulls": (dict.fromkeys(POINTS), {}),
    "everything right": (
        {
            "A1": "b",
            "B1": ["a", "c"],
            "B2": ["a", "c", "d"],
            "B3": ["a", "b", "c"],
            "B4": ["a", "c"],
            "C1": True,
            "C2": False,
            "D1": ["8", "ABC def"],
            "D2": ["第十九条,一"],
            "D3": ["Abc"],
            "D4": ["一", "二", "三"],
            "D5": ["café", "x-1"],
            "E1": 21.75,
            "E2": 0.3,
            "E3": 1.1,
            "E4": -5,
            "E5": 7,
        },
        dict.fromkeys([name for name in POINTS if name != "F1"], 1),
    ),
    "exact in another order": ({"B1": ["c", "a"], "B4": ["c", "a"]}, {"B1": 1, "B4": 1}),
    "exact, one missing": ({"B1": ["a"], "A1": "a", "C1": False}, {}),
    "exact, one too many": ({"B1": ["a", "b", "c"], "A1": "b"}, {"A1": 1}),
    "exact, empty": ({"B1": [], "B2": [], "B3": []}, {}),
    "subset_half, one of three": ({"B2": ["a"]}, {"B2": HALF}),
    "subset_half, two of three": ({"B2": ["d", "a"]}, {"B2": HALF}),
    "subset_half, one wrong": ({"B2": ["a", "b"]}, {}),
    "subset_half, all and a wrong one": ({"B2": ["a", "b", "c", "d"]}, {}),
    "per_option, one of three": ({"B3": ["a"]}, {"B3": THIRD}),
    "per_option, two of three": ({"B3": ["a", "c"]}, {"B3": 2 * THIRD}),
    "per_option, all and the wrong one": ({"B3": ["a", "b", "c", "d"]}, {"B3": 2 * THIRD}),
    "per_option, one right one wrong": ({"B3": ["a", "d"]}, {}),
    "per_option, only wrong": ({"B3": ["d"]}, {}),
    "per_option, two right one wrong": ({"B3": ["d", "b", "a"]}, {"B3": THIRD}),
    "fill, full width": ({"D1": ["８", "ＡＢＣ　ｄｅｆ"]}, {"D1": 1}),
    "fill, case and spaces": ({"D1": [" 8 小 时 ", "abcDEF"]}, {"D1": 1}),
    "fill, one of two": ({"D1": ["8小时", "abd"]}, {"D1": HALF}),
    "fill, only the second": ({"D1": ["", "a b c d e f"]}, {"D1": HALF}),
    "fill, too short": ({"D1": ["八小时"]}, {"D1": HALF}),
    "fill, numerals are not converted": ({"D1": ["八", "x"], "D4": ["1", "2", "3"]}, {}),
    "fill, circled digits are no digits": ({"D1": ["⑧", "ABC def"]}, {"D1": HALF}),
    "fill, order of blanks counts": ({"D1": ["ABC def", "8"], "D4": ["二", "一", "三"]}, {"D4": THIRD}),
    "fill, two of three": ({"D4": ["一", "二", "四"]}, {"D4": 2 * THIRD}),
    "fill, punctuation declared": ({"D2": ["《第十九条》，一。"]}, {"D2": 1}),
    "fill, punctuation not declared": ({"D1": ["8。", "ABC-def"], "D5": ["cafe", "x1"]}, {}),
    "fill, no fold: exact": ({"D3": ["Abc"]}, {"D3": 1}),
    "fill, no fold: case differs": ({"D3": ["abc"]}, {}),
    "fill, no fold: space differs": ({"D3": ["Abc "]}, {}),
    "fill, no fold: width differs": ({"D3": ["Ａbc"]}, {}),
    "fill, NFC on both sides": ({"D5": ["cafe\u0301", "X－1"]}, {"D5": 1}),
    "numeric, lower edge": ({"E1": 21.74, "E3": 1.0, "E4": -5.5}, {"E1": 1, "E3": 1, "E4": 1}),
    "numeric, upper edge": ({"E1": 21.76, "E3": 1.2, "E4": -4.5}, {"E1": 1, "E3": 1, "E4": 1}),
    "numeric, just outside": ({"E1": 21.7600000001, "E3": 0.9999999999999, "E4": -4.49999999999999}, {}),
    "numeric, just outside below": ({"E1": 21.7399999999999, "E3": 1.20000000000001, "E2": 0.300000000000001}, {}),
    "numeric, no tolerance": ({"E2": 0.3, "E5": 7.0}, {"E2": 1, "E5": 1}),
    "numeric, far away": ({"E1": 1e300, "E2": -0.3, "E5": 7.00000000000001, "E4": 5}, {}),
    "true and false": ({"C1": True, "C2": False}, {"C1": 1, "C2": 1}),
    "false and true": ({"C1": False, "C2": True}, {}),
    "a third beside a half": ({"B3": ["a"], "B2": ["a"], "D4": ["一"]}, {"B3": THIRD, "B2": HALF, "D4": THIRD}),
    "blank text": ({"F1": "", "A1": "b"}, {"A1": 1}),
    "text of spaces": ({"F1": " \u3000\n\t", "A1": "b"}, {"A1": 1}),
}
CHANGED_MIND = "changed mind"  # answered right, then wrong, then right again
CLEARED = "cleared"  # answered right, then cleared
LOOKED = "looked"  # logged in and went no further
ABSENT = "absent"


@dataclass
class Played:
    """One exam that is over."""

    exam: Exam
    sittings: dict[str, Sitting] = field(default_factory=dict)
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: dict[str, list[tuple[str, int, Any]]] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Season:
    scoring: Played
    rounding: Played
    eighths: Played
    approved: Played
    pending: Played
    waiting: Played
    before: dict[str, Any] = field(default_factory=dict)  # what was answered while the exams still ran


def play(outsider: Outsider, duration_s: int) -> Season:
    """Play all exams at once; returns when every paper is in and what can be graded is graded."""
    scoring = outsider.paper({"title": "计分", "sections": SECTIONS})
    rounding = outsider.paper(out.paper(out.single("R1", points=1199.9), out.single("R2", points=800.1)))
    eighths = outsider.paper(out.paper(out.single("R1", points=1), out.single("R2", points=31)))
    essay = outsider.paper(out.paper(out.single("A1", points=1), out.text("F1", points=3)))
    plain = outsider.paper(out.paper(out.single("A1"), out.multiple("B1")))

    names = [*VECTORS, CHANGED_MIND, CLEARED, LOOKED, ABSENT]
    starts_ms = out.now_ms()

    def exam(paper_id: str, who: list[str], **rules: Any) -> Played:
        rows = {name: person() for name in who}
        rules = {"latest_entry_s": duration_s - 1, "warn_before_end_s": 2, "grace_s": 1, **rules}
        made = outsider.exam(
            paper_id=paper_id, rows=list(rows.values()), starts_ms=starts_ms, duration_s=duration_s, rules=rules
        )
        return Played(made, rows=rows)

    season = Season(
        scoring=exam(scoring, names),
        rounding=exam(rounding, ["R1", "R2", "both"]),
        eighths=exam(eighths, ["R1", "R2"], pass_mark=96.88),
        approved=exam(plain, ["right", "wrong", ABSENT], release="approved"),
        pending=exam(essay, ["essay", "blank", "spaces", "null", "untouched", ABSENT]),
        waiting=exam(essay, ["essay", "blank"], release="approved"),
    )

    def answer(played: Played, name: str, changes: list[tuple[str, Any]], *, submit: bool) -> None:
        sitting = played.exam.enter(list(played.rows).index(name))
        played.sittings[name] = sitting
        sent = [(item, seq, value) for seq, (item, value) in enumerate(changes, start=1)]
        played.sent[name] = sent
        if sent:
            accepted(sitting.save(*sent))
        if submit:
            played.receipts[name] = accepted(sitting.submit(len(sent)))

    for index, (name, (values, _)) in enumerate(VECTORS.items()):
        answer(season.scoring, name, list(values.items()), submit=index % 2 == 0)
    answer(season.scoring, CHANGED_MIND, [("A1", "b"), ("A1", "c"), ("A1", "b"), ("C1", True)], submit=False)
    answer(season.scoring, CLEARED, [("A1", "b"), ("E2", 0.3), ("A1", None)], submit=True)
    season.scoring.sittings[LOOKED] = season.scoring.exam.arrive(names.index(LOOKED))
    answer(season.rounding, "R1", [("R1", "b")], submit=True)
    answer(season.rounding, "R2", [("R2", "b")], submit=True)
    answer(season.rounding, "both", [("R2", "b"), ("R1", "b")], submit=True)
    answer(season.eighths, "R1", [("R1", "b")], submit=True)
    answer(season.eighths, "R2", [("R2", "b")], submit=True)
    answer(season.approved, "right", [("A1", "b"), ("B1", ["a", "c"])], submit=True)
    answer(season.approved, "wrong", [("A1", "a")], submit=False)
    answer(season.pending, "essay", [("A1", "b"), ("F1", "一篇文章")], submit=True)
    answer(season.pending, "blank", [("A1", "b"), ("F1", "")], submit=True)
    answer(season.pending, "spaces", [("F1", " \u3000\n")], submit=True)
    answer(season.pending, "null", [("F1", "草稿"), ("F1", None)], submit=True)
    answer(season.pending, "untouched", [("A1", "b")], submit=True)
    answer(season.waiting, "essay", [("F1", "文")], submit=True)
    answer(season.waiting, "blank", [("A1", "b")], submit=True)

    body = {"approved_by": ["王五", "赵六"]}
    path = f"/v1/batches/{season.approved.exam.batch_id}/release"
    season.before["release"] = outsider.call("POST", path, scope="schedule", json=body)
    season.before["now_ms"] = out.now_ms()
    assert season.before["now_ms"] < season.scoring.exam.ends_ms, "the machine was too slow to play the exams in time"

    out.sleep_until(season.scoring.exam.closes_ms)
    for played in (season.scoring, season.rounding, season.eighths, season.approved):
        out.poll(lambda: outsider.show_batch(played.exam.batch_id)["state"] == "graded", 15, "graded")  # noqa: B023
    outsider.all_results(season.pending.exam.batch_id, 6)
    return season
