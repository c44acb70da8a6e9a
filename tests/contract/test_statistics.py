"""Item statistics over HTTP: counted when asked for, flags explained by a named person."""

from __future__ import annotations

from typing import Any

import pytest

from engine import openapi
from engine.rules.limits import FLAG_SITTINGS_MIN
from tests.contract import outsider as out
from tests.contract.description import closed, faults
from tests.contract.outsider import Exam, Outsider, accepted, pointers, refused, unhurried
from tests.contract.season import POINTS, Season


def show(outsider: Outsider, batch_id: str, **query: Any) -> Any:
    return outsider.call("GET", f"/v1/batches/{batch_id}/statistics", scope="results", params=query)


def test_statistics_are_of_the_results_as_they_stand(outsider: Outsider, finished: Season) -> None:
    """Every item of the paper, and the published scores."""
    batch_id = finished.scoring.exam.batch_id
    shown = accepted(show(outsider, batch_id))
    graded = [row for row in outsider.results(batch_id, limit=1000)["results"] if row["state"] == "graded"]
    (paper,) = shown["papers"]

    assert faults(closed(openapi.document()), "Statistics", shown) == []
    assert [item["item"] for item in paper["items"]] == list(POINTS)
    assert paper["sittings"] == shown["scores"]["graded"] == len(graded)
    assert shown["scores"]["passed"] == sum(row["passed"] for row in graded)
    assert shown["scores"]["highest"] == float(max(row["score"] for row in graded))
    assert sum(band["count"] for band in shown["scores"]["bands"]) == len(graded)
    assert shown["results"]["absent"] == 1
    assert accepted(show(outsider, batch_id)) == shown


def test_statistics_wait_until_everything_is_graded(outsider: Outsider, finished: Season) -> None:
    refused(show(outsider, finished.pending.exam.batch_id), 409, "batch.not_ready")
    refused(show(outsider, outsider.batch()), 409, "batch.not_ready")
    refused(show(outsider, out.unique("B")), 404, "not_found")


@pytest.mark.parametrize(
    ("shape", "media_type", "begin"),
    [
        ("html", "text/html", b"<!doctype html>"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK"),
    ],
)
def test_statistics_come_as_a_page_and_as_a_workbook(
    outsider: Outsider, finished: Season, shape: str, media_type: str, begin: bytes
) -> None:
    for language in ("zh", "en"):
        answer = show(outsider, finished.scoring.exam.batch_id, format=shape, lang=language)
        assert answer.status_code == 200 and answer.content.startswith(begin)
        assert answer.headers["content-type"].partition(";")[0] == media_type
        assert answer.headers["cache-control"] == "no-store"
    problem = refused(show(outsider, finished.scoring.exam.batch_id, format="pdf", lang="fr"), 422, "request.invalid")
    assert pointers(problem) == ["/format", "/lang"]


def explain(outsider: Outsider, batch_id: str, *given: dict[str, Any], **members: Any) -> Any:
    query = "?dry_run=1" if members.pop("dry_run", False) else ""
    body = {"explained_by": "王主任", "explanations": list(given), **members}
    return outsider.call("POST", f"/v1/batches/{batch_id}/statistics/flags{query}", scope="results", json=body)


def play_miskeyed(outsider: Outsider, duration_s: int) -> Exam:
    """Over: as many candidates as flags need, and all of them chose a wrong option of A1."""
    exam = outsider.exam(
        out.single("A1", points=2),
        out.single("A2"),
        rows=FLAG_SITTINGS_MIN,
        duration_s=duration_s,
        rules={"latest_entry_s": duration_s - 1, "warn_before_end_s": 1, "grace_s": 0, "release": "approved"},
    )
    for index in range(FLAG_SITTINGS_MIN):
        sitting = exam.enter(index)
        accepted(sitting.save(("A1", 1, "a"), ("A2", 2, "b" if index % 2 else "c")))
        accepted(sitting.submit(2))
    assert out.now_ms() < exam.ends_ms, "the machine was too slow to play the exam in time"
    out.sleep_until(exam.closes_ms)
    out.poll(lambda: outsider.show_batch(exam.batch_id)["state"] == "graded", 15, "graded")
    return exam


def test_a_release_waits_until_a_named_person_has_explained(outsider: Outsider) -> None:
    """Refused at once and naming the flags; explained, on record in the batch's log, it goes through."""
    batch_id = unhurried(lambda duration_s: play_miskeyed(outsider, duration_s), (10, 30, 90)).batch_id
    path, approved = f"/v1/batches/{batch_id}/release", {"approved_by": ["王五", "赵六"]}
    problem = refused(outsider.call("POST", path, scope="schedule", json=approved), 409, "batch.not_ready")
    flags = accepted(show(outsider, batch_id))["flags"]
    given = [
        {"item": flag["item"], "flag": flag["flag"], "explanation": "教材改版，两处答案均可"}
        for flag in flags
        if flag["severity"] == "explain"
    ]

    assert accepted(explain(outsider, batch_id, *given, dry_run=True))["unexplained"] == 0
    refused(outsider.call("POST", path, scope="schedule", json=approved), 409, "batch.not_ready")
    first, again = accepted(explain(outsider, batch_id, *given)), accepted(explain(outsider, batch_id, *given))
    accepted(outsider.call("POST", path, scope="schedule", json=approved))

    assert {each["code"] for each in problem["not_ready"]} == {f"statistics.{each['flag']}" for each in given}
    assert {(each["item"], each["flag"]) for each in given} == {("A1", "nobody_right"), ("A1", "distractor_over_key")}
    assert first == again and first["unexplained"] == 0
    assert {flag["explanation"]["explained_by"] for flag in first["flags"] if flag["explanation"]} == {"王主任"}
    log = accepted(outsider.call("GET", f"/v1/batches/{batch_id}/log", scope="schedule"))
    events = [event for event in log["events"] if event["kind"] == "flags_explained"]
    assert [(event["people"], event["after"]) for event in events] == [(["王主任"], given)]
    assert len(outsider.all_results(batch_id, FLAG_SITTINGS_MIN)) == FLAG_SITTINGS_MIN


def test_every_fault_of_an_explanation_is_listed(outsider: Outsider, finished: Season) -> None:
    batch_id = finished.scoring.exam.batch_id
    problem = refused(
        explain(
            outsider,
            batch_id,
            {"item": "A1", "flag": "nothing", "explanation": "x"},
            {"item": "Z9", "flag": "nobody_right", "explanation": "x"},
            {"item": "A1", "flag": "nobody_right", "explanation": " ", "more": 1},
            explained_by="",
        ),
        422,
        "request.invalid",
    )

    assert {"/explained_by", "/explanations/0/flag", "/explanations/1", "/explanations/2/explanation"} <= set(
        pointers(problem)
    )


@pytest.mark.parametrize("body", [None, [], {}, {"explained_by": "x", "explanations": []}])
def test_an_empty_explanation_says_nothing(outsider: Outsider, finished: Season, body: Any) -> None:
    path = f"/v1/batches/{finished.scoring.exam.batch_id}/statistics/flags"

    assert refused(outsider.call("POST", path, scope="results", json=body), 422, "request.invalid")["errors"]
