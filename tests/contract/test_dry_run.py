"""`?dry_run=1`: every check and the same answer, and nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, now_ms, person, refused, unique
from tests.contract.test_batch_log import log_of

DRY = {"dry_run": "1"}
MOMENTS = ("armed_ms", "released_ms")


def put(outsider: Outsider, path: str, document: Any, **query: str) -> Any:
    return outsider.call("PUT", path, scope="schedule", json=document, params=query)


def post(outsider: Outsider, path: str, document: Any, **query: str) -> Any:
    return outsider.call("POST", path, scope="schedule", json=document, params=query)


def timeless(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name not in MOMENTS}


def test_dry_paper_answers_as_if_it_had_been_stored(outsider: Outsider) -> None:
    """201 with its digest, and afterwards there is no such paper."""
    paper_id = unique("P")
    dry = accepted(put(outsider, f"/v1/papers/{paper_id}", out.paper(), **DRY), 201)
    refused(outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule"), 404, "not_found")

    assert accepted(outsider.put_paper(out.paper(), paper_id), 201) == dry


def test_dry_version_of_a_paper_leaves_the_stored_one(outsider: Outsider) -> None:
    """200, as for any later version; the first one stays."""
    paper_id = outsider.paper()
    before = accepted(outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule"))
    dry = accepted(put(outsider, f"/v1/papers/{paper_id}", out.paper(out.single()), **DRY))

    assert dry["digest"] != before["digest"]
    assert accepted(outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule")) == before


def test_dry_paper_is_checked_like_any(outsider: Outsider) -> None:
    """All its faults are named."""
    broken = out.paper(out.single(answer="z"))
    problem = refused(put(outsider, f"/v1/papers/{unique('P')}", broken, **DRY), 422, "paper.invalid")

    assert out.pointers(problem) == ["/sections/0/items/0/answer"]


def test_dry_batch_answers_as_if_it_had_been_stored(outsider: Outsider) -> None:
    """A new one 201 and not there afterwards; another version 200 and the old one stays, without an event."""
    document = outsider.batch_document(outsider.paper())
    batch_id = unique("B")
    dry = accepted(put(outsider, f"/v1/batches/{batch_id}", document, **DRY), 201)
    refused(outsider.call("GET", f"/v1/batches/{batch_id}", scope="schedule"), 404, "not_found")
    assert accepted(outsider.put_batch(document, batch_id), 201) == dry

    before = (outsider.show_batch(batch_id), log_of(outsider, batch_id))
    other = accepted(put(outsider, f"/v1/batches/{batch_id}", {**document, "title": "改"}, **DRY))
    assert other["title"] == "改"
    assert (outsider.show_batch(batch_id), log_of(outsider, batch_id)) == before


def test_dry_change_of_an_armed_batch_is_refused_as_a_real_one(outsider: Outsider) -> None:
    """Every check runs."""
    exam = outsider.exam()
    changed = {**exam.document, "title": "改"}

    refused(put(outsider, f"/v1/batches/{exam.batch_id}", changed, **DRY), 409, "batch.armed")


def test_dry_arming_checks_and_shows_the_armed_batch_but_arms_nothing(outsider: Outsider) -> None:
    """Its answer is the real one's; nothing is sealed, nobody can log in, and the paper may still change."""
    paper_id = outsider.paper()
    document = outsider.batch_document(paper_id, starts_ms=now_ms() + 600_000)
    row = person()
    batch_id = outsider.batch(document)
    accepted(outsider.put_roster(batch_id, [row]))
    before = outsider.show_batch(batch_id)
    path, witnesses = f"/v1/batches/{batch_id}/arm", {"witnesses": ["王五", "赵六"]}

    dry = accepted(post(outsider, path, witnesses, **DRY))
    assert dry["state"] == "armed" and dry["armed_ms"] is not None
    assert outsider.show_batch(batch_id) == before
    refused(outsider.log_in(document["admission_code"], row["id_number"]), 401, "login.refused")
    accepted(outsider.put_paper(out.paper(out.single()), paper_id))
    assert timeless(accepted(post(outsider, path, witnesses))) == timeless(dry)


def test_dry_arming_lists_what_is_not_ready(outsider: Outsider) -> None:
    """The very thing it is for."""
    batch_id = outsider.batch()
    problem = refused(post(outsider, f"/v1/batches/{batch_id}/arm", {"witnesses": ["甲", "乙"]}, **DRY), 409)

    assert [fault["code"] for fault in problem["not_ready"]] == ["roster.missing"]


def test_dry_release_is_refused_as_a_real_one(outsider: Outsider) -> None:
    """Nobody's result is there yet."""
    exam = outsider.exam(rules={"release": "approved"})
    path = f"/v1/batches/{exam.batch_id}/release"

    refused(post(outsider, path, {"approved_by": ["王五", "赵六"]}, **DRY), 409, "batch.not_ready")


def test_dry_release_publishes_nothing(outsider: Outsider) -> None:
    """It says that the release would be done, and the results stay where they are."""
    rules = {"latest_entry_s": 1, "warn_before_end_s": 1, "grace_s": 0, "release": "approved"}
    exam = outsider.exam(starts_ms=now_ms() + 1500, duration_s=1, rules=rules)
    path, approval = f"/v1/batches/{exam.batch_id}/release", {"approved_by": ["王五", "赵六"]}

    out.poll(lambda: post(outsider, path, approval, **DRY).status_code == 200, 30, "all absent, and graded")
    assert accepted(post(outsider, path, approval, **DRY)) == {"batch_id": exam.batch_id, "released": True}
    assert outsider.show_batch(exam.batch_id)["released_ms"] is None
    assert outsider.results(exam.batch_id)["results"] == []
    accepted(post(outsider, path, approval))
    assert len(outsider.results(exam.batch_id)["results"]) == 1
    assert log_of(outsider, exam.batch_id)["events"][-1]["after"] == {"results": 1}


def test_dry_run_of_zero_is_meant(outsider: Outsider) -> None:
    """Only 1 asks."""
    paper_id = unique("P")
    accepted(put(outsider, f"/v1/papers/{paper_id}", out.paper(), dry_run="0"), 201)

    accepted(outsider.call("GET", f"/v1/papers/{paper_id}", scope="schedule"))


@pytest.mark.parametrize("said", ["true", "2", "yes", "01", ""])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/papers/{id}"),
        ("PUT", "/v1/sites/{id}"),
        ("PUT", "/v1/batches/{id}"),
        ("PUT", "/v1/batches/{id}/roster"),
        ("POST", "/v1/batches/{draft}/seating"),
        ("POST", "/v1/batches/{id}/arm"),
        ("POST", "/v1/batches/{id}/disarm"),
        ("POST", "/v1/batches/{id}/release"),
    ],
)
def test_unclear_dry_run_is_refused_and_does_nothing(outsider: Outsider, method: str, path: str, said: str) -> None:
    """Whoever means to ask must not find that it was done."""
    target = path.replace("{id}", unique("D"))
    if "{draft}" in target:  # its query's faults are listed with those of its body, once there is such a batch
        target = target.replace("{draft}", outsider.batch())
    answer = outsider.call(method, target, scope="schedule", json={}, params={"dry_run": said})
    problem = refused(answer, 422, "request.invalid")

    assert out.pointers(problem) == ["/dry_run"]
