"""API.md, `POST /v1/batches/{batch_id}/arm`: what must be ready, what stands afterwards, and whose key opens what."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from tests.contract import outsider as out
from tests.contract.opener import open_sealed, read_manifest
from tests.contract.outsider import NOTHING, Outsider, accepted, now_ms, person, refused


@pytest.fixture(scope="module")
def paper_id(outsider: Outsider) -> str:
    return outsider.paper()


def draft(outsider: Outsider, paper_id: str, rows: Any, **members: Any) -> str:
    batch_id = outsider.batch(outsider.batch_document(paper_id, **members))
    if rows is not None:
        accepted(outsider.put_roster(batch_id, rows))
    return batch_id


@pytest.mark.parametrize("rows", [None, []])
def test_batch_without_a_roster_cannot_be_armed(outsider: Outsider, paper_id: str, rows: Any) -> None:
    """API.md: `batch.not_ready` 409 lists what is not ready."""
    batch_id = draft(outsider, paper_id, rows)
    problem = refused(outsider.arm(batch_id), 409, "batch.not_ready")
    assert "roster" in str(problem)
    assert outsider.show_batch(batch_id)["state"] == "draft"


@pytest.mark.parametrize("change", [{"seat": NOTHING}, {"room": NOTHING}, {"room": "", "seat": "01"}])
def test_seats_must_be_known_for_arming(outsider: Outsider, paper_id: str, change: dict[str, Any]) -> None:
    """SMALL_PRINT: `room` and `seat` may be empty until arming."""
    row = person(**change)
    batch_id = draft(outsider, paper_id, [person(), row])
    problem = refused(outsider.arm(batch_id), 409, "batch.not_ready")
    assert row["candidate_id"] in str(problem)
    assert outsider.show_batch(batch_id)["state"] == "draft"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"witnesses": []},
        {"witnesses": "甲乙"},
        {"witnesses": ["一人"]},
        {"witnesses": ["甲", 5]},
        {"witnesses": ["甲", "乙"], "x": 1},
    ],
)
def test_arming_needs_two_witnesses(outsider: Outsider, paper_id: str, body: Any) -> None:
    """API.md: `{"witnesses": ["…", "…"]}`; unknown JSON fields are 422 everywhere."""
    batch_id = draft(outsider, paper_id, [person()])
    answer = outsider.call("POST", f"/v1/batches/{batch_id}/arm", scope="schedule", json=body)
    assert refused(answer, 422)["errors"]
    assert outsider.show_batch(batch_id)["state"] == "draft"


def test_arming_again_is_200(outsider: Outsider, paper_id: str) -> None:
    """API.md: arming again is 200."""
    batch_id = draft(outsider, paper_id, [person()])
    accepted(outsider.arm(batch_id))
    before = outsider.show_batch(batch_id)
    accepted(outsider.arm(batch_id))
    assert outsider.show_batch(batch_id) == before


def test_arming_again_does_not_change_the_seal(outsider: Outsider) -> None:
    """API.md: arming again is 200; sealed once."""
    exam = outsider.exam()
    before = accepted(exam.log_in())["paper"]
    accepted(outsider.arm(exam.batch_id))
    assert accepted(exam.log_in())["paper"] == before


def test_nobody_logs_in_before_arming(outsider: Outsider, paper_id: str) -> None:
    """A draft has no way in: `login.refused` 401."""
    document = outsider.batch_document(paper_id)
    row = person()
    batch_id = outsider.batch(document)
    accepted(outsider.put_roster(batch_id, [row]))
    refused(outsider.log_in(document["admission_code"], row["id_number"]), 401, "login.refused")


def test_armed_batch_is_armed_then_open(outsider: Outsider, paper_id: str) -> None:
    """API.md: `state` draft, armed, open; SMALL_PRINT: at an edge the later state holds."""
    starts_ms = now_ms() + 1500
    batch_id = draft(outsider, paper_id, [person()], starts_ms=starts_ms)
    assert outsider.show_batch(batch_id)["state"] == "draft"
    accepted(outsider.arm(batch_id))
    assert outsider.show_batch(batch_id)["state"] == "armed"
    out.sleep_until(starts_ms)
    assert outsider.show_batch(batch_id)["state"] == "open"


def test_batch_nobody_could_enter_cannot_be_armed(outsider: Outsider, paper_id: str) -> None:
    """API.md: preflight; after the latest entry everyone would be absent."""
    batch_id = draft(outsider, paper_id, [person()], rules={"latest_entry_s": 0}, starts_ms=now_ms() - 1000)
    refused(outsider.arm(batch_id), 409, "batch.not_ready")


def test_overlap_that_came_by_moving_a_draft_cannot_be_armed(outsider: Outsider, paper_id: str) -> None:
    """SMALL_PRINT: same person in two batches whose windows overlap: preflight names the other."""
    starts_ms = now_ms() + 400_000_000
    same = person()
    first = draft(outsider, paper_id, [same], starts_ms=starts_ms)
    row = person(id_number=same["id_number"])
    document = outsider.batch_document(paper_id, starts_ms=starts_ms + 10_000_000)
    second = outsider.batch(document)
    accepted(outsider.put_roster(second, [row]))
    accepted(outsider.put_batch({**document, "starts_ms": starts_ms}, second))
    problem = refused(outsider.arm(second), 409, "batch.not_ready")
    assert first in str(problem) and row["candidate_id"] in str(problem)


def test_sealed_paper_is_public_immutable_and_has_its_digest(outsider: Outsider) -> None:
    """API.md: `GET /v1/sealed/{digest}`: immutable, publicly cacheable; `digest` = hex SHA-256 of the body."""
    exam = outsider.exam(starts_ms=now_ms() + 600_000)
    paper = accepted(exam.log_in())["paper"]
    answer = outsider.call("GET", f"/v1/sealed/{paper['digest']}")
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == paper["digest"]
    assert len(answer.content) == paper["bytes"]
    caching = answer.headers["cache-control"]
    assert "public" in caching and "immutable" in caching


def test_sealed_paper_is_the_same_for_every_candidate(outsider: Outsider) -> None:
    """API.md: one object, same for every candidate of the batch."""
    exam = outsider.exam(rows=3)
    papers = [accepted(exam.log_in(index))["paper"] for index in range(3)]
    assert papers[0] == papers[1] == papers[2]


def test_every_batch_has_its_own_paper_key(outsider: Outsider, paper_id: str) -> None:
    """API.md: sealing per batch: its own paper key and sealed digest: Saturday's key never opens Sunday's paper."""
    saturday, sunday = (outsider.exam(paper_id=paper_id) for _ in range(2))
    sittings = [saturday.enter(), sunday.enter()]
    keys = [out.from_base64url(accepted(sitting.key())["paper_key"]) for sitting in sittings]
    assert keys[0] != keys[1]
    digests = [sitting.login["paper"]["digest"] for sitting in sittings]
    assert digests[0] != digests[1]
    sealed = [outsider.call("GET", f"/v1/sealed/{found}").content for found in digests]
    for exam, body, paper_key in zip((saturday, sunday), sealed, keys, strict=True):
        assert open_sealed(exam.batch_id, body, paper_key)[0]["sections"]
    with pytest.raises(InvalidTag):
        open_sealed(sunday.batch_id, sealed[1], keys[0])
    with pytest.raises(InvalidTag):
        open_sealed(saturday.batch_id, sealed[0], keys[1])


def test_paper_pushed_after_arming_another_batch_keeps_the_first(outsider: Outsider) -> None:
    """API.md: a changed paper is then 409; another id is free."""
    document = out.paper()
    exam = outsider.exam(document=document)
    document["title"] = "改"
    refused(outsider.put_paper(document, exam.document["paper_id"]), 409, "paper.in_use")
    accepted(outsider.put_paper(document), 201)


CANARY = "金丝雀7391"


def canary_paper() -> dict[str, Any]:
    options = [{"id": "a", "text": "甲"}, {"id": "b", "text": "乙"}]
    return out.paper(
        out.single("A1", options=options, answer="a"),
        out.fill("D1", answer=[[f"{CANARY}一", f"{CANARY}二"], [f"{CANARY}三"]], fold=["width"]),
        out.numeric("E1", answer=739173917.25, tolerance=0.739173),
        out.true_false("C1"),
        out.multiple("B1", marking="subset_half"),
        out.text("F1"),
    )


def test_answers_never_reach_candidates(outsider: Outsider) -> None:
    """FAILURES: answer keys live only where grading runs; canaries are searched for in all candidate-bound bytes."""
    exam = outsider.exam(document=canary_paper())
    login = exam.log_in()
    sitting = out.Sitting(outsider, accepted(login))
    seen = [login, sitting.confirm(), sitting.pledge(), sitting.show(), sitting.key()]
    seen.append(outsider.call("GET", f"/v1/sealed/{sitting.login['paper']['digest']}"))
    for value in ("0", '"x"', "[]", '["x"]', "1e400", "12345678901234567", "{}"):
        for item in ("A1", "B1", "C1", "D1", "E1", "F1", "Z9"):
            seen.append(sitting.save_value(item, 1, value))
    seen += [sitting.save(("E1", 2, 1), ("D1", 3, ["x"])), sitting.show(), sitting.submit(4), sitting.submit(3)]
    seen += [sitting.receipt(), sitting.show(), outsider.call("GET", "/metrics"), outsider.call("GET", "/v1/keys")]
    paper_key = out.from_base64url(accepted(seen[4])["paper_key"])
    document, plain = open_sealed(exam.batch_id, seen[5].content, paper_key)
    bodies = [answer.content + repr(answer.headers).encode() for answer in seen] + [plain]
    for body in bodies:
        text = body.decode("utf-8", "replace")
        for planted in (CANARY, "\\u91d1\\u4e1d", "739173917", "0.739173"):
            assert planted not in text, text[:500]
    items = {item["id"]: item for section in document["sections"] for item in section["items"]}
    assert items.keys() == {"A1", "B1", "C1", "D1", "E1", "F1"}
    for item in items.values():
        assert not {"answer", "answers", "tolerance", "fold", "accepted"} & item.keys(), item


def test_sealed_paper_is_signed_by_a_published_key(outsider: Outsider) -> None:
    """Its manifest, before anybody has its paper key: which batch, by whom, and the digest of every part."""
    exam = outsider.exam(document=out.paper(media={"fig1.png": out.PNG}))
    sealed = outsider.call("GET", f"/v1/sealed/{exam.arrive().login['paper']['digest']}").content
    manifest, envelopes = read_manifest(sealed)

    assert (manifest["batch_id"], list(envelopes)) == (exam.batch_id, ["index", "s0", "m0.0"])
    assert out.signed_by(manifest, outsider.public_keys()) == [manifest["key_id"]]


def test_opened_paper_holds_what_was_pushed_for_candidates(outsider: Outsider) -> None:
    """API.md: the sealed paper carries titles, stems, options, points and media."""
    document = out.paper(media={"fig1.png": out.PNG})
    document["sections"][0]["items"][0]["stem"] = "![图](fig1.png)\n第二行"
    exam = outsider.exam(document=document)
    sitting = exam.enter()
    sealed = outsider.call("GET", f"/v1/sealed/{sitting.login['paper']['digest']}").content
    paper_key = out.from_base64url(accepted(sitting.key())["paper_key"])
    opened, _ = open_sealed(exam.batch_id, sealed, paper_key)
    assert opened["title"] == document["title"]
    assert opened["media"] == document["media"]
    for pushed, shown in zip(document["sections"], opened["sections"], strict=True):
        assert (shown["id"], shown["title"]) == (pushed["id"], pushed["title"])
        for item, public in zip(pushed["items"], shown["items"], strict=True):
            for name in ("id", "type", "stem", "points", "options"):
                assert public.get(name) == item.get(name)
