"""Packages: a paper sealed at a desk, pushed, armed with shares, sat and graded; its text never reaches the engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from engine.sealing import shares
from engine.sealing.encoding import from_base64url
from engine.supervision import embedded
from tests.contract import outsider as out
from tests.contract.desk import Desk
from tests.contract.opener import open_sealed
from tests.contract.outsider import Outsider, accepted, person, refused, unique
from tests.servers import Engine


@pytest.fixture
def desk(tmp_path: Path, engine_up: Engine, outsider: Outsider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(shares, "_SCRYPT", (2, 8, 1))  # these tests are not about guessing
    yield Desk(tmp_path, engine_up, outsider, out.paper(out.single("A1", answer="b"), out.true_false("C1")))


def test_a_batch_armed_with_two_shares_runs_to_its_results(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Pushed, armed by the command, sat, opened, graded: as if the paper had been pushed readable."""
    batch_id, paper_id = unique("B"), unique("P")
    package = desk.seal(batch_id, capsys)
    pushed = accepted(desk.push(package, paper_id), 201)
    assert pushed == {"paper_id": paper_id, "digest": out.digest(desk.document), "items": 2, "points": pushed["points"]}
    assert accepted(desk.push(package, paper_id)) == pushed
    exam = desk.batch(paper_id, batch_id)
    assert desk.arm(batch_id, 3, 1) == 0
    assert f"batch {batch_id} is open" in capsys.readouterr().out
    assert desk.arm(batch_id, 1, 2) == 0, "again is as good as once"

    sitting = exam.enter()
    paper_key = out.from_base64url(accepted(sitting.key())["paper_key"])
    sealed = desk.outsider.call("GET", f"/v1/sealed/{sitting.login['paper']['digest']}").content
    opened, _ = open_sealed(batch_id, sealed, paper_key)
    assert [section["id"] for section in opened["sections"]] == [section["id"] for section in desk.document["sections"]]
    refused(sitting.save(("A1", 1, "z")), 422)
    accepted(sitting.save(("A1", 1, "b")))
    accepted(sitting.submit(1))
    (result,) = desk.outsider.all_results(batch_id, 1)
    assert (result["state"], result["paper_digest"]) == ("graded", out.digest(desk.document))
    assert result["score"] > 0


def test_a_batch_with_a_package_is_disarmed_and_armed_again(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Its sealed paper is the author's and stays; its key is put together from shares once more, and opens it."""
    batch_id, paper_id = unique("B"), unique("P")
    accepted(desk.push(desk.seal(batch_id, capsys), paper_id), 201)
    exam = desk.batch(paper_id, batch_id, starts_ms=out.now_ms() + 600_000)
    assert desk.arm(batch_id, 1, 2) == 0
    old = exam.arrive().login["paper"]
    approval = {"approved_by": ["王五", "赵六"], "reason": "改时间"}
    accepted(desk.outsider.call("POST", f"/v1/batches/{batch_id}/disarm", scope="schedule", json=approval))
    refused(desk.outsider.call("GET", f"/v1/sealed/{old['digest']}"), 404, "not_found")
    refused(desk.outsider.arm(batch_id), 409, "batch.not_ready")
    accepted(desk.outsider.put_batch({**exam.document, "starts_ms": out.now_ms() - 1000}, batch_id))
    assert desk.arm(batch_id, 2, 3) == 0

    sitting = exam.enter()
    assert sitting.login["paper"] == old
    sealed = desk.outsider.call("GET", f"/v1/sealed/{old['digest']}").content
    open_sealed(batch_id, sealed, out.from_base64url(accepted(sitting.key())["paper_key"]))
    accepted(sitting.save(("A1", 1, "b")))


def test_a_package_needs_its_shares_and_its_own_batch(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """409 lists what is missing, and names both batches when the package is another's."""
    batch_id, paper_id, other_id = unique("B"), unique("P"), unique("B")
    accepted(desk.push(desk.seal(batch_id, capsys), paper_id), 201)
    desk.batch(paper_id, batch_id)
    desk.batch(paper_id, other_id)
    codes = [entry["code"] for entry in refused(desk.outsider.arm(batch_id), 409, "batch.not_ready")["not_ready"]]
    wrong = refused(desk.outsider.arm(other_id, shares=desk.opened(batch_id, 1, 2)), 409, "batch.not_ready")

    assert codes == ["shares.missing"]
    assert [entry["code"] for entry in wrong["not_ready"]] == ["paper.batch"]
    assert batch_id in wrong["detail"] and other_id in wrong["detail"]
    assert desk.outsider.show_batch(batch_id)["state"] == "draft"


async def test_a_package_kept_since_an_earlier_release_is_not_armed(
    desk: Desk, engine_up: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Candidates' pages could not open it at the start; so it is said before, with what to do."""
    batch_id, paper_id = unique("B"), unique("P")
    accepted(desk.push(desk.seal(batch_id, capsys), paper_id), 201)
    desk.batch(paper_id, batch_id)
    sockets = embedded.postgres_socket_folder(engine_up.data / "sockets")
    connection = await asyncpg.connect(embedded.postgres_dsn(sockets))
    try:
        older = "UPDATE package SET sealed = overlay(sealed PLACING 'LKP1'::bytea FROM 1) WHERE paper_id = $1"
        assert await connection.execute(older, paper_id) == "UPDATE 1"
    finally:
        await connection.close()
    problem = refused(desk.outsider.arm(batch_id, shares=desk.opened(batch_id, 1, 2)), 409, "batch.not_ready")

    assert [entry["code"] for entry in problem["not_ready"]] == ["paper.content"]
    assert "seal it again" in problem["detail"]


def test_shares_that_do_not_give_the_key_arm_nothing(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """One too few, one twice, one of another paper, one made up; each says what is wrong, and none says a share."""
    batch_id, paper_id, other_id = unique("B"), unique("P"), unique("B")
    accepted(desk.push(desk.seal(batch_id, capsys), paper_id), 201)
    desk.seal(other_id, capsys)
    desk.batch(paper_id, batch_id)
    one, two = desk.opened(batch_id, 1, 2)
    (foreign,) = desk.opened(other_id, 2)
    made_up = {**two, "share": one["share"]}
    for given, told in (
        ([one], "1 shares are given, expected 2 of 3"),
        ([one, one], "share 1 is given twice"),
        ([one, foreign], "share 2 is of another paper"),
        ([one, made_up], "do not give the key of this paper"),
    ):
        problem = refused(desk.outsider.arm(batch_id, shares=given), 409, "batch.not_ready")
        assert told in problem["detail"]
        assert one["share"] not in json.dumps(problem)
    for broken in ([{**one, "index": 0}], [{**one, "more": 1}], "x", [{**one, "share": "x"}]):
        problem = refused(desk.outsider.arm(batch_id, shares=broken), 422, "request.invalid")
        assert problem["errors"][0]["pointer"] == "/shares"
    assert desk.arm(batch_id, 2) == 1
    assert "expected 2 of 3" in capsys.readouterr().err
    accepted(desk.outsider.arm(batch_id, shares=[one, two]))


def test_shares_for_a_readable_paper_are_refused(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody believes that it was sealed elsewhere, and it was not."""
    batch_id = unique("B")
    desk.seal(batch_id, capsys)
    desk.batch(desk.outsider.paper(), batch_id)
    problem = refused(desk.outsider.arm(batch_id, shares=desk.opened(batch_id, 1, 2)), 409, "batch.not_ready")

    assert [entry["code"] for entry in problem["not_ready"]] == ["shares.unexpected"]


def test_a_package_that_was_changed_or_is_for_another_grader_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """422 with the reason, and nothing is stored."""
    paper_id = unique("P")
    package = desk.seal(unique("B"), capsys)
    stranger = desk.folder / "stranger"
    assert desk.run("secrets", "create", "--dir", stranger) == 0
    desk.secrets = stranger
    foreign = desk.seal(unique("B"), capsys)
    for content, told in (
        (package[:-1], "envelope of the answers"),
        (package[:100], "cut off"),
        (b"{}", "expected a package"),
        (foreign, "sealed to grader"),
    ):
        assert told in refused(desk.push(content, paper_id), 422, "paper.invalid")["detail"]
    refused(desk.outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule"), 404)


def test_a_package_and_a_readable_paper_replace_one_another_until_armed(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newer counts, as with papers; an armed batch keeps what it has."""
    batch_id, paper_id = unique("B"), unique("P")
    package = desk.seal(batch_id, capsys)
    accepted(desk.push(package, paper_id), 201)
    accepted(desk.outsider.put_paper(out.paper(), paper_id))
    accepted(desk.push(package, paper_id))
    desk.batch(paper_id, batch_id)
    accepted(desk.outsider.arm(batch_id, shares=desk.opened(batch_id, 1, 3)))

    refused(desk.push(desk.seal(unique("B"), capsys), paper_id), 409, "paper.in_use")
    refused(desk.outsider.put_paper(out.paper(), paper_id), 409, "paper.in_use")
    assert accepted(desk.push(package, paper_id))["digest"] == out.digest(desk.document)


def test_several_packages_are_armed_with_the_shares_of_all(
    desk: Desk, outsider: Outsider, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch whose papers came sealed, beside one that did not: each opens with a key of its own."""
    batch_id = unique("B")
    papers = [outsider.paper(), unique("P"), unique("P")]
    handed = []
    for number, paper_id in enumerate(papers[1:]):
        desk.document["title"] = f"试卷 {number}"
        desk.file("paper.json", json.dumps(desk.document, ensure_ascii=False))
        accepted(desk.push(desk.seal(batch_id, capsys), paper_id), 201)
        handed.append(desk.opened(batch_id, 1, 3))
        shutil.rmtree(desk.folder / batch_id)
        (desk.folder / f"{batch_id}.sealed").unlink()
    site = unique("S")
    roster = [person(site=site, seat=f"{seat:02d}") for seat in (1, 2, 3)]
    document = outsider.batch_document("", paper_id=out.NOTHING, papers=papers)
    accepted(outsider.put_batch(document, batch_id), 201)
    accepted(outsider.put_roster(batch_id, roster))

    refused(outsider.arm(batch_id), 409, "batch.not_ready")
    problem = refused(outsider.arm(batch_id, shares=handed[0]), 409, "batch.not_ready")
    assert problem["errors"][0]["code"] == "shares.wrong"
    accepted(outsider.arm(batch_id, shares=handed[1] + handed[0]))

    exam = out.Exam(outsider, batch_id, document, roster)
    opened = set()
    for sitting in (exam.enter(at) for at in range(3)):
        sealed = outsider.call("GET", f"/v1/sealed/{sitting.login['paper']['digest']}").content
        paper_key = from_base64url(accepted(sitting.key())["paper_key"])
        opened.add(open_sealed(batch_id, sealed, paper_key)[0]["title"])
    assert len(opened) == 3 and opened > {"试卷 0", "试卷 1"}
