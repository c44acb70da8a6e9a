"""Disarming: two people make a draft of an armed batch again, and nobody keeps anything of what was armed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.line import open_channel
from tests.contract.outsider import Exam, Outsider, Sitting, accepted, now_ms, person, refused
from tests.contract.test_batch_log import log_of

APPROVAL = {"approved_by": ["王五", "赵六"], "reason": "试卷第三题有误"}
AHEAD_MS = 600_000


def disarm(outsider: Outsider, batch_id: str, body: Any = None, **query: str) -> Any:
    path = f"/v1/batches/{batch_id}/disarm"
    return outsider.call("POST", path, scope="schedule", json=body or APPROVAL, params=query)


def early(outsider: Outsider, rows: Any = 1, **members: Any) -> Exam:
    """An armed exam that begins in ten minutes, its check-in open."""
    return outsider.exam(rows=rows, starts_ms=now_ms() + AHEAD_MS, **members)


def test_disarmed_batch_is_a_draft_that_may_change(outsider: Outsider) -> None:
    """Paper, time and rules, and people may be taken off the roster."""
    exam = early(outsider, rows=2)
    draft = accepted(disarm(outsider, exam.batch_id))

    assert (draft["state"], draft["armed_ms"], draft["counts"]["expected"]) == ("draft", None, 2)
    assert outsider.show_batch(exam.batch_id) == draft
    other = {**exam.document, "paper_id": outsider.paper(), "duration_s": 700, "starts_ms": exam.starts_ms + 5000}
    accepted(outsider.put_batch(other, exam.batch_id))
    accepted(outsider.put_roster(exam.batch_id, exam.roster[:1]))
    accepted(outsider.put_paper(out.paper(out.single()), exam.document["paper_id"]))


def test_nothing_of_the_old_arming_is_left(outsider: Outsider) -> None:
    """No login, no sealed paper, and who was logged in is told to log in again."""
    exam = early(outsider)
    sitting = exam.enter()
    digest = sitting.login["paper"]["digest"]
    assert outsider.call("GET", f"/v1/sealed/{digest}").status_code == 200
    accepted(disarm(outsider, exam.batch_id))

    refused(exam.log_in(), 401, "login.refused")
    refused(outsider.call("GET", f"/v1/sealed/{digest}"), 404, "not_found")
    refused(sitting.show(), 409, "sitting.superseded")
    refused(sitting.key(), 409, "sitting.superseded")
    refused(sitting.save(("A1", 1, "b")), 409, "sitting.superseded")
    assert outsider.show_batch(exam.batch_id)["counts"]["checked_in"] == 0


@pytest.mark.anyio
async def test_open_channel_hears_of_it(outsider: Outsider) -> None:
    """Whoever waits in front of a machine is told at once, and not at the start."""
    exam = early(outsider)
    async with open_channel(exam.enter()) as line:
        accepted(disarm(outsider, exam.batch_id))

        await line.refused(409, "sitting.superseded")


def test_next_arming_makes_everything_anew(outsider: Outsider) -> None:
    """Another sealed paper, another sitting, another time; the old token stays dead, the new login does the exam."""
    exam = early(outsider)
    old = exam.enter()
    accepted(disarm(outsider, exam.batch_id))
    document = out.paper(out.single("Z9", answer="c"))
    paper_id = outsider.paper(document)
    changed = {**exam.document, "paper_id": paper_id, "starts_ms": now_ms() - 1000}
    accepted(outsider.put_batch(changed, exam.batch_id))
    accepted(outsider.arm(exam.batch_id))

    new = exam.enter()
    assert new.sitting_id != old.sitting_id
    assert new.login["paper"]["digest"] != old.login["paper"]["digest"]
    assert new.login["starts_ms"] == changed["starts_ms"]
    refused(old.show(), 409, "sitting.superseded")
    refused(old.save(("A1", 1, "b")), 409, "sitting.superseded")
    assert accepted(new.save(("Z9", 1, "c")))["saved"] == 1
    refused(new.save(("A1", 2, "b")), 422, "autosave.invalid")
    assert len(out.from_base64url(accepted(new.key())["paper_key"])) == 32
    assert accepted(new.submit(1))["answered"] == 1


def test_every_paper_of_a_batch_is_withdrawn(outsider: Outsider) -> None:
    """Of several papers none is given out any more, and each is sealed anew."""
    papers = [outsider.paper(out.paper(out.single("A1"))), outsider.paper(out.paper(out.single("B1")))]
    rows = [person(site="考点", room="101", seat=f"{seat:02d}") for seat in range(1, 5)]
    document = outsider.batch_document(papers[0], starts_ms=now_ms() + AHEAD_MS)
    del document["paper_id"]
    document["papers"] = papers
    batch_id = outsider.batch(document)
    accepted(outsider.put_roster(batch_id, rows))
    seen: list[set[str]] = []
    for _ in range(2):
        accepted(outsider.arm(batch_id))
        logins = [accepted(outsider.log_in(document["admission_code"], row["id_number"])) for row in rows]
        seen.append({login["paper"]["digest"] for login in logins})
        assert all(outsider.call("GET", f"/v1/sealed/{digest}").status_code == 200 for digest in seen[-1])
        accepted(disarm(outsider, batch_id))
        for digest in seen[-1]:
            refused(outsider.call("GET", f"/v1/sealed/{digest}"), 404, "not_found")

    assert [len(digests) for digests in seen] == [2, 2]
    assert not seen[0] & seen[1]


def test_roster_of_a_batch_armed_again_finds_its_people(outsider: Outsider) -> None:
    """A late addition, a changed seat, and the same roster again, as if it had never been disarmed."""
    exam = early(outsider, rows=2)
    accepted(disarm(outsider, exam.batch_id))
    accepted(outsider.arm(exam.batch_id))
    assert accepted(outsider.put_roster(exam.batch_id, exam.roster))["unchanged"] == 2
    late = person()
    rows = [{**exam.roster[0], "seat": "17"}, exam.roster[1], late]
    reply = accepted(outsider.put_roster(exam.batch_id, rows))

    assert (reply["added"], reply["changed"], reply["unchanged"]) == (1, 1, 1)
    assert accepted(exam.log_in(0))["candidate"]["seat"] == "17"
    accepted(exam.log_in(1))
    accepted(outsider.log_in(exam.code, late["id_number"]))


def test_batch_may_be_disarmed_again_and_again(outsider: Outsider) -> None:
    """Each arming is another; only the last one's login works."""
    exam = early(outsider)
    sittings: list[Sitting] = []
    for _ in range(3):
        sittings.append(exam.arrive())
        accepted(disarm(outsider, exam.batch_id))
        accepted(outsider.arm(exam.batch_id))
    last = exam.arrive()

    assert len({sitting.sitting_id for sitting in [*sittings, last]}) == 4
    assert len({sitting.login["paper"]["digest"] for sitting in [*sittings, last]}) == 4
    for sitting in sittings:
        refused(sitting.show(), 409, "sitting.superseded")
    accepted(last.show())


def test_disarming_again_changes_nothing(outsider: Outsider) -> None:
    """As arming again; and there is one event of it, with the people, the reason and what there was."""
    exam = early(outsider)
    exam.arrive()
    out.poll(lambda: outsider.show_batch(exam.batch_id)["counts"]["checked_in"], 10, "the login recorded")
    first = accepted(disarm(outsider, exam.batch_id))
    assert accepted(disarm(outsider, exam.batch_id)) == first

    [event] = [each for each in log_of(outsider, exam.batch_id)["events"] if each["kind"] == "disarmed"]
    assert event["people"] == APPROVAL["approved_by"]
    assert event["after"] == {"sittings": 1, "had_come": 1, "reason": APPROVAL["reason"]}
    assert len(event["before"]["sealed_digests"]) == 1 and event["before"]["armed_ms"] > 0


@pytest.mark.parametrize("starts_in_ms", [-1000, 30_000])
def test_batch_that_starts_or_has_started_cannot_be_disarmed(outsider: Outsider, starts_in_ms: int) -> None:
    """Its key may be on the way: within a minute of the start it stands."""
    exam = outsider.exam(starts_ms=now_ms() + starts_in_ms)
    sitting = exam.arrive()
    problem = refused(disarm(outsider, exam.batch_id), 409, "batch.begun")

    assert problem["starts_ms"] == exam.starts_ms
    assert outsider.show_batch(exam.batch_id)["armed_ms"] is not None
    accepted(sitting.show())


def test_draft_cannot_be_disarmed(outsider: Outsider) -> None:
    """There is nothing to undo."""
    refused(disarm(outsider, outsider.batch()), 409, "batch.not_armed")


def test_unknown_batch_cannot_be_disarmed(outsider: Outsider) -> None:
    """404 as everywhere."""
    refused(disarm(outsider, "no-such"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"approved_by": ["甲", "乙"]}, "/reason"),
        ({"approved_by": ["甲", "乙"], "reason": "  "}, "/reason"),
        ({"approved_by": ["甲", "乙"], "reason": 5}, "/reason"),
        ({"approved_by": ["甲", "乙"], "reason": "x" * 501}, "/reason"),
        ({"approved_by": ["甲"], "reason": "r"}, "/approved_by"),
        ({"approved_by": ["甲", "甲"], "reason": "r"}, "/approved_by/1"),
        ({"witnesses": ["甲", "乙"], "approved_by": ["甲", "乙"], "reason": "r"}, "/witnesses"),
    ],
)
def test_disarming_needs_two_people_and_a_reason(outsider: Outsider, body: Any, at: str) -> None:
    """422 names what is missing, and the batch stays armed."""
    exam = early(outsider)

    assert at in out.pointers(refused(disarm(outsider, exam.batch_id, body), 422, "request.invalid"))
    assert outsider.show_batch(exam.batch_id)["state"] == "armed"


def test_dry_disarming_checks_and_changes_nothing(outsider: Outsider) -> None:
    """The draft is shown; the login works on, the sealed paper is given out."""
    exam = early(outsider)
    sitting = exam.arrive()
    before = log_of(outsider, exam.batch_id)

    assert accepted(disarm(outsider, exam.batch_id, dry_run="1"))["state"] == "draft"
    assert (outsider.show_batch(exam.batch_id)["state"], log_of(outsider, exam.batch_id)) == ("armed", before)
    accepted(sitting.show())
    assert outsider.call("GET", f"/v1/sealed/{sitting.login['paper']['digest']}").status_code == 200


@pytest.mark.parametrize("scope", ["results", "proctor", "ops"])
def test_disarming_needs_scope_schedule(outsider: Outsider, scope: str) -> None:
    """API.md: scopes do not include one another."""
    answer = outsider.call("POST", f"/v1/batches/{outsider.batch()}/disarm", scope=scope, json=APPROVAL)

    refused(answer, 403, "auth.scope")
