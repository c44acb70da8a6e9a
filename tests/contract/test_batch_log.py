"""A batch's log: who did what to it, when, by which key, and what changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, now_ms, person, refused


def log_of(outsider: Outsider, batch_id: str, **query: Any) -> dict[str, Any]:
    answer = outsider.call("GET", f"/v1/batches/{batch_id}/log", scope="schedule", params=query)
    return dict(accepted(answer))


def kinds_of(outsider: Outsider, batch_id: str) -> list[str]:
    return [event["kind"] for event in log_of(outsider, batch_id)["events"]]


def test_log_tells_who_did_what_and_what_changed(outsider: Outsider) -> None:
    """Created whole, changed by its members and rules, counts of a draft's roster, and the witnesses of the arming."""
    before_ms = now_ms()
    document = outsider.batch_document(outsider.paper(), starts_ms=now_ms() + 600_000)
    batch_id = outsider.batch(document)
    changed = {**document, "title": "改名", "rules": {**document["rules"], "grace_s": 7}}
    accepted(outsider.put_batch(changed, batch_id))
    accepted(outsider.put_roster(batch_id, [person(), person()]))
    accepted(outsider.arm(batch_id, witnesses=["王五", "赵六"]))

    created, renamed, roster, armed = log_of(outsider, batch_id)["events"]
    assert [event["kind"] for event in (created, renamed, roster, armed)] == ["created", "changed", "roster", "armed"]
    assert created["before"] is None and created["after"]["duration_s"] == document["duration_s"]
    assert renamed["before"] == {"title": "批次", "rules.grace_s": 5}
    assert renamed["after"] == {"title": "改名", "rules.grace_s": 7}
    assert (roster["before"], roster["after"]["added"]) == (None, 2)
    assert (armed["people"], armed["after"]["sittings"]) == (["王五", "赵六"], 2)
    assert len({event["key_id"] for event in (created, renamed, roster, armed)}) == 1
    assert before_ms <= created["at_ms"] <= armed["at_ms"] <= now_ms()


def test_what_changes_nothing_is_not_logged(outsider: Outsider) -> None:
    """API.md: PUT of the same content changes nothing, arming again is 200: neither is an event."""
    exam = outsider.exam()
    before = log_of(outsider, exam.batch_id)
    accepted(outsider.put_batch(exam.document, exam.batch_id))
    accepted(outsider.put_roster(exam.batch_id, exam.roster))
    accepted(outsider.arm(exam.batch_id))

    assert log_of(outsider, exam.batch_id) == before


def test_refused_push_is_not_logged(outsider: Outsider) -> None:
    """The log tells what was done."""
    exam = outsider.exam()
    before = log_of(outsider, exam.batch_id)
    refused(outsider.put_batch({**exam.document, "title": "改"}, exam.batch_id), 409, "batch.armed")

    assert log_of(outsider, exam.batch_id) == before


def test_change_of_an_armed_roster_is_logged_by_candidate(outsider: Outsider) -> None:
    """Before and after of who was changed, everything of who was added; of ID numbers only the end."""
    first, second = person(), person()
    exam = outsider.exam(rows=[first])
    moved = {**first, "seat": "09", "id_number": out.resident()}
    accepted(outsider.put_roster(exam.batch_id, [moved, second]))

    event = log_of(outsider, exam.batch_id)["events"][-1]
    assert event["kind"] == "roster"
    assert event["before"]["candidates"] == {
        first["candidate_id"]: {"id_number": "*" * 14 + first["id_number"][-4:], "seat": "01"}
    }
    after = event["after"]["candidates"]
    assert after[first["candidate_id"]] == {"id_number": "*" * 14 + moved["id_number"][-4:], "seat": "09"}
    assert after[second["candidate_id"]]["name"] == "张三"
    assert second["id_number"] not in str(event) and second["id_number"][-4:] in str(event)
    assert (event["after"]["added"], event["after"]["changed"]) == (1, 1)


def test_log_is_read_by_pages(outsider: Outsider) -> None:
    """`next` leads on and is null at the end; after it there is nothing yet."""
    exam = outsider.exam()
    whole = log_of(outsider, exam.batch_id)["events"]
    paged: list[Any] = []
    cursor: Any = 0
    while cursor is not None:
        page = log_of(outsider, exam.batch_id, after=cursor, limit=1)
        paged += page["events"]
        cursor = page["next"]

    assert paged == whole and len(whole) == 3
    assert log_of(outsider, exam.batch_id, after=whole[-1]["number"]) == {"events": [], "next": None}


@pytest.mark.parametrize("query", [{"after": "x"}, {"after": "-1"}, {"limit": "0"}, {"limit": "1001"}])
def test_unusable_page_of_the_log_is_refused(outsider: Outsider, query: dict[str, str]) -> None:
    """422 names what was expected."""
    batch_id = outsider.batch()
    answer = outsider.call("GET", f"/v1/batches/{batch_id}/log", scope="schedule", params=query)
    problem = refused(answer, 422, "request.invalid")

    assert out.pointers(problem) == [f"/{next(iter(query))}"]


def test_log_of_an_unknown_batch_is_404(outsider: Outsider) -> None:
    """As everything of a batch that does not exist."""
    refused(outsider.call("GET", "/v1/batches/no-such/log", scope="schedule"), 404, "not_found")


@pytest.mark.parametrize("scope", ["results", "proctor", "ops"])
def test_log_needs_scope_schedule(outsider: Outsider, scope: str) -> None:
    """API.md: scopes do not include one another."""
    refused(outsider.call("GET", f"/v1/batches/{outsider.batch()}/log", scope=scope), 403, "auth.scope")


def test_two_versions_of_a_new_batch_at_one_moment_are_made_and_changed(outsider: Outsider) -> None:
    """One of them makes it, the other is its next version: 201 and 200, and the log says the same."""
    clients = [Outsider(outsider.url, outsider.keys) for _ in range(2)]
    document = outsider.batch_document(outsider.paper())
    with ThreadPoolExecutor(2) as threads:
        for _ in range(6):
            batch_id = out.unique("B")
            versions = [{**document, "title": title} for title in ("甲", "乙")]
            answers = list(threads.map(Outsider.put_batch, clients, versions, [batch_id] * 2))

            assert sorted(answer.status_code for answer in answers) == [200, 201]
            second = "甲" if answers[0].status_code == 200 else "乙"
            created, changed = log_of(outsider, batch_id)["events"]
            assert (created["kind"], changed["kind"], changed["after"]) == ("created", "changed", {"title": second})
            assert outsider.show_batch(batch_id)["title"] == second
