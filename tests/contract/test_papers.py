"""API.md, `PUT /v1/papers/{paper_id}`: what a question set may be, what every mistake gets, and what comes back."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, pointers, refused, unique


def broken(outsider: Outsider, document: Any) -> list[str]:
    """Where the faults of `document` are; nothing of it may have been stored."""
    paper_id = unique("P")
    problem = refused(outsider.put_paper(document, paper_id), 422, "paper.invalid")
    refused(outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule"), 404, "not_found")
    return pointers(problem)


ITEM = "/sections/0/items/0"


def test_paper_reply_has_id_digest_items_and_points(outsider: Outsider) -> None:
    """API.md: Reply 201/200: `{paper_id, digest, items, points}`."""
    paper_id = unique("P")
    reply = accepted(outsider.put_paper(out.paper(), paper_id), 201)
    assert reply.keys() == {"paper_id", "digest", "items", "points"}
    assert (reply["paper_id"], reply["items"], reply["points"]) == (paper_id, 6, 16.5)


def test_paper_digest_is_sha256_of_its_rfc8785_form(outsider: Outsider) -> None:
    """API.md: `digest` = hex SHA-256 of the RFC 8785 form of the question set."""
    document = out.paper(
        out.single(stem='ß é 𠮷\n\t"\\ \u2028', points=1e-3), out.numeric(answer=-1.5e-7, tolerance=1e-9)
    )
    document["media"] = {"z.png": out.PNG, "a.png": out.PNG}
    assert accepted(outsider.put_paper(document), 201)["digest"] == out.digest(document)


def test_paper_digest_ignores_how_the_json_was_written(outsider: Outsider) -> None:
    """API.md: the digest is of the RFC 8785 form: order, white space, escapes and 0.50 for 0.5 do not matter."""
    document = out.paper(out.true_false(points=0.5), out.single(points=1))
    paper_id = unique("P")
    reply = accepted(outsider.put_paper(document, paper_id), 201)
    section = document["sections"][0]
    other = {"sections": [dict(reversed(list(section.items())))], "title": document["title"]}
    body = json.dumps(other, indent=2, ensure_ascii=True).replace('"points": 0.5', '"points": 5.0e-1')
    answer = outsider.call("PUT", f"/v1/papers/{paper_id}", scope="schedule", content=body.encode())
    assert accepted(answer, 200) == reply


def test_paper_is_shown_without_its_content(outsider: Outsider) -> None:
    """API.md: `GET /v1/papers/{paper_id}`: the same, no content."""
    paper_id = unique("P")
    reply = accepted(outsider.put_paper(out.paper(), paper_id), 201)
    assert accepted(outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule")) == reply


def test_same_paper_again_is_200_and_the_same(outsider: Outsider) -> None:
    """API.md: writes are idempotent: PUT of the same content is 200 and changes nothing."""
    paper_id = unique("P")
    first = accepted(outsider.put_paper(out.paper(), paper_id), 201)
    assert accepted(outsider.put_paper(out.paper(), paper_id), 200) == first


def test_changed_paper_is_200_with_another_digest(outsider: Outsider) -> None:
    """API.md: reply 201/200; a paper that no armed batch uses may change."""
    paper_id = unique("P")
    first = accepted(outsider.put_paper(out.paper(), paper_id), 201)
    changed = accepted(outsider.put_paper(out.paper(title="另一份"), paper_id), 200)
    assert changed["digest"] != first["digest"]
    assert accepted(outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule")) == changed


def test_unknown_paper_is_not_found(outsider: Outsider) -> None:
    """API.md: `not_found` 404."""
    refused(outsider.call("GET", f"/v1/papers/{unique('P')}", scope="schedule"), 404, "not_found")


def test_paper_of_an_armed_batch_cannot_change(outsider: Outsider) -> None:
    """API.md: `paper.in_use` 409; a changed batch or paper is then 409."""
    document = out.paper()
    exam = outsider.exam(document=document)
    paper_id = exam.document["paper_id"]
    before = accepted(outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule"))
    document["sections"][0]["items"][0]["answer"] = "c"
    refused(outsider.put_paper(document, paper_id), 409, "paper.in_use")
    assert accepted(outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule")) == before


def test_paper_of_an_armed_batch_may_be_pushed_again_unchanged(outsider: Outsider) -> None:
    """API.md: PUT of the same content is 200 and changes nothing."""
    document = out.paper()
    exam = outsider.exam(document=document)
    accepted(outsider.put_paper(document, exam.document["paper_id"]), 200)


@pytest.mark.parametrize("paper_id", ["a", "Z9._-", "x" * 64])
def test_paper_ids_are_the_pushers_own(outsider: Outsider, paper_id: str) -> None:
    """API.md: ids are the pusher's own strings, 1-64 of `A-Za-z0-9._-`."""
    answer = outsider.put_paper(out.paper(), paper_id)
    assert answer.status_code in (200, 201)
    assert answer.json()["paper_id"] == paper_id


@pytest.mark.parametrize("paper_id", ["x" * 65, "a%20b", "%E8%AF%95", "a~b", "a%00b", "a:b"])
def test_paper_ids_outside_the_alphabet_are_refused(outsider: Outsider, paper_id: str) -> None:
    """API.md: ids are 1-64 of `A-Za-z0-9._-`."""
    refused(outsider.put_paper(out.paper(), paper_id), 422, "paper.invalid")


@pytest.mark.parametrize(
    ("item", "at"),
    [
        (out.single(answer="z"), f"{ITEM}/answer"),
        (out.single(answer=["b"]), f"{ITEM}/answer"),
        (out.single(answer=None), f"{ITEM}/answer"),
        (out.single(options=[{"id": "b", "text": "一"}, {"id": "b", "text": "二"}]), f"{ITEM}/options/1/id"),
        (out.single(options=[{"id": "b", "text": "一", "is_right": True}, {"id": "c", "text": "二"}]),
         f"{ITEM}/options/0/is_right"),
        (out.single(points=-1), f"{ITEM}/points"),
        (out.single(points="1"), f"{ITEM}/points"),
        (out.single(points=True), f"{ITEM}/points"),
        (out.single(points=1.0000000000000002), f"{ITEM}/points"),
        (out.single(id="a b"), f"{ITEM}/id"),
        (out.single(id=7), f"{ITEM}/id"),
        (out.single(type="choice"), f"{ITEM}/type"),
        (out.single(stem=7), f"{ITEM}/stem"),
        (out.single(stem="![图](none.png)"), f"{ITEM}/stem"),
        (out.single(stem="![x](https://example.org/a.png)"), f"{ITEM}/stem"),
        (out.single(stem="a\0b"), f"{ITEM}/stem"),
        (out.single(marking="exact"), f"{ITEM}/marking"),
        (out.single(tolerance=1), f"{ITEM}/tolerance"),
        (out.single(hint="乙"), f"{ITEM}/hint"),
        (out.multiple(answer=[]), f"{ITEM}/answer"),
        (out.multiple(answer=["a", "z"]), f"{ITEM}/answer/1"),
        (out.multiple(answer=["a", "a"]), f"{ITEM}/answer/1"),
        (out.multiple(answer="a"), f"{ITEM}/answer"),
        (out.multiple(marking="half"), f"{ITEM}/marking"),
        (out.true_false(answer="true"), f"{ITEM}/answer"),
        (out.true_false(answer=1), f"{ITEM}/answer"),
        (out.fill(answer=[]), f"{ITEM}/answer"),
        (out.fill(answer=[[]]), f"{ITEM}/answer/0"),
        (out.fill(answer=["8"]), f"{ITEM}/answer/0"),
        (out.fill(answer=[[8]]), f"{ITEM}/answer/0/0"),
        (out.fill(fold=["width", "pinyin"]), f"{ITEM}/fold"),
        (out.fill(fold="width"), f"{ITEM}/fold"),
        (out.numeric(answer="21.75"), f"{ITEM}/answer"),
        (out.numeric(answer=True), f"{ITEM}/answer"),
        (out.numeric(answer=1234567890123456), f"{ITEM}/answer"),
        (out.numeric(tolerance=-0.01), f"{ITEM}/tolerance"),
        (out.text(answer="x"), f"{ITEM}/answer"),
    ],
)  # fmt: skip
def test_faulty_item_is_named_by_its_pointer(outsider: Outsider, item: dict[str, Any], at: str) -> None:
    """API.md: `paper.invalid` 422 lists `{pointer, message, value}`; unknown JSON fields are 422 everywhere."""
    assert broken(outsider, out.paper(item, out.single("OK"))) == [at]


@pytest.mark.parametrize("name", ["id", "type", "stem", "options", "answer", "points"])
def test_missing_member_of_an_item_is_named(outsider: Outsider, name: str) -> None:
    """API.md: 422 lists every fault found."""
    item = out.single()
    del item[name]
    assert f"{ITEM}/{name}" in broken(outsider, out.paper(item, out.single("OK")))


@pytest.mark.parametrize(
    ("document", "at"),
    [
        ([], ""),
        ("paper", ""),
        ({}, "/sections"),
        ({"title": "空", "sections": []}, "/sections"),
        ({"title": "空", "sections": [{"id": "S", "title": "节", "items": []}]}, "/sections/0/items"),
        (out.paper(author="某人"), "/author"),
        (out.paper(out.single(points=0), out.text(points=0)), "/sections"),
        (out.paper(media={"fig.png": "???"}), "/media/fig.png"),
        (out.paper(media={"fig.png": base64.b64encode(b"<html>").decode()}), "/media/fig.png"),
        (out.paper(media=[]), "/media"),
    ],
)
def test_faulty_paper_is_named_by_its_pointer(outsider: Outsider, document: Any, at: str) -> None:
    """API.md: 422 lists every fault; points that sum to zero cannot scale to 100."""
    assert at in broken(outsider, document)


def test_all_faults_of_a_paper_are_listed_at_once(outsider: Outsider) -> None:
    """API.md: 422 lists **every** fault found, not the first."""
    document = out.paper(
        out.single("A1", answer="z"),
        out.single("A1"),
        out.multiple("B1", answer=["a", "q"], extra=1),
        out.numeric("E1", tolerance=-1, points="2"),
        out.fill("D1", answer=[["x"], []]),
    )
    document["subtitle"] = "多余"
    document["sections"].append({"id": "S1", "title": "同号", "items": [out.text("F1", points=-3)]})
    assert broken(outsider, document) == sorted(
        [
            "/sections/0/items/0/answer",
            "/sections/0/items/1/id",
            "/sections/0/items/2/answer/1",
            "/sections/0/items/2/extra",
            "/sections/0/items/3/points",
            "/sections/0/items/3/tolerance",
            "/sections/0/items/4/answer/1",
            "/sections/1/id",
            "/sections/1/items/0/points",
            "/subtitle",
        ]
    )


def test_item_ids_are_unique_across_sections(outsider: Outsider) -> None:
    """Duplicate ids in a paper are refused: an item id alone names an item everywhere in the contract."""
    document = out.paper(out.single("A1"))
    document["sections"].append({"id": "S2", "title": "二", "items": [out.single("A1")]})
    assert broken(outsider, document) == ["/sections/1/items/0/id"]


def test_media_are_taken_when_stems_and_options_show_them(outsider: Outsider) -> None:
    """API.md: stems and options are plain text with line breaks and Markdown images only."""
    options = [{"id": "a", "text": "![甲](fig1.png)"}, {"id": "b", "text": "第一行\n第二行"}]
    document = out.paper(out.single(stem="看图 ![图一](fig1.png)\n作答", options=options), media={"fig1.png": out.PNG})
    accepted(outsider.put_paper(document), 201)


def test_marking_and_fold_take_what_the_contract_names(outsider: Outsider) -> None:
    """API.md: `exact`, `subset_half`, `per_option`; SMALL_PRINT: fold width, space, case, punctuation."""
    markings = [out.multiple(f"B{name}", marking=name) for name in ("exact", "subset_half", "per_option")]
    folds = [out.fill("D1", fold=["width", "space", "case", "punctuation"]), out.fill("D2", fold=[])]
    assert accepted(outsider.put_paper(out.paper(*markings, *folds)), 201)["items"] == 5


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"title": NaN}', b'{"title": Infinity}', b'{"title": "\\ud800"}', b"\xff\xfe{}", b"[" * 100_000],
)
def test_unreadable_paper_is_malformed(outsider: Outsider, body: bytes) -> None:
    """API.md: `request.malformed` 400; NUL and lone surrogates are refused."""
    answer = outsider.call("PUT", f"/v1/papers/{unique('P')}", scope="schedule", content=body)
    refused(answer, 400, "request.malformed")


def test_nan_among_the_points_is_refused(outsider: Outsider) -> None:
    """API.md: JSON; NaN is none."""
    answer = outsider.put_paper(out.paper(out.single(points=float("nan"))))
    assert answer.status_code in (400, 422)
    refused(answer, answer.status_code)


def test_paper_over_64_mib_is_too_large(outsider: Outsider) -> None:
    """API.md: at most 64 MiB; `request.too_large` 413."""
    body = b'{"title":"' + b"x" * (64 * 2**20) + b'"}'
    answer = outsider.call("PUT", f"/v1/papers/{unique('P')}", scope="schedule", content=body)
    refused(answer, 413, "request.too_large")


def test_points_total_is_exact(outsider: Outsider) -> None:
    """SMALL_PRINT: all arithmetic exact: ten items of 0.1 are 1 point, and 0.1 + 0.2 is 0.3."""
    ten = out.paper(*(out.single(f"A{number}", points=0.1) for number in range(10)))
    assert accepted(outsider.put_paper(ten), 201)["points"] == 1
    two = out.paper(out.single("A1", points=0.1), out.single("A2", points=0.2))
    assert accepted(outsider.put_paper(two), 201)["points"] == 0.3
