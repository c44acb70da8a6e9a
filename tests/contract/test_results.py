"""API.md and SMALL_PRINT.md, results: exact scores, pages, lines, feed, release, and the responses behind."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, pointers, refused
from tests.contract.season import ABSENT, CHANGED_MIND, CLEARED, FULL, LOOKED, POINTS, SECTIONS, VECTORS, Played, Season

FIELDS = {
    "sitting_id", "candidate_id", "admission_ticket", "state", "score", "passed", "sections", "graded_ms", "revision",
    "paper_digest", "answer_key_digest", "signature",
}  # fmt: skip


def result_of(outsider: Outsider, played: Played, name: str) -> dict[str, Any]:
    shown = outsider.results(played.exam.batch_id, limit=1000)["results"]
    found = [result for result in shown if result["candidate_id"] == played.rows[name]["candidate_id"]]
    assert len(found) == 1, found
    return dict(found[0])


@pytest.fixture(scope="module")
def scored(outsider: Outsider, finished: Season) -> dict[str, dict[str, Any]]:
    """candidate_id -> result of the scoring exam."""
    shown = outsider.results(finished.scoring.exam.batch_id, limit=1000)["results"]
    return {result["candidate_id"]: result for result in shown}


def four_decimals(points: Fraction) -> Decimal:
    return Decimal((points * 10_000 + Fraction(1, 2)).__floor__()) / 10_000


@pytest.mark.parametrize("name", VECTORS)
def test_score_is_exact(finished: Season, scored: dict[str, Any], name: str) -> None:
    """API.md `marking`; SMALL_PRINT: raw / total x 100, once half up to two decimals; sections to four."""
    _, shares = VECTORS[name]
    earned = {item: POINTS[item] * share for item, share in shares.items()}
    result = scored[finished.scoring.rows[name]["candidate_id"]]
    assert result["state"] == "graded"
    assert Decimal(result["score"]) == out.published_score(sum(earned.values(), Fraction(0)), FULL)
    assert result["passed"] is (Decimal(result["score"]) >= 60)
    for section, shown in zip(SECTIONS, result["sections"], strict=True):
        items = [item["id"] for item in section["items"]]
        assert shown["id"] == section["id"]
        assert Decimal(shown["score"]) == four_decimals(
            sum((earned.get(item, Fraction(0)) for item in items), Fraction(0))
        )
        assert Fraction(shown["points"]) == sum((POINTS[item] for item in items), Fraction(0))


@pytest.mark.parametrize("name", VECTORS)
def test_responses_carry_their_marks(outsider: Outsider, finished: Season, name: str) -> None:
    """API.md: `GET /v1/sittings/{sitting_id}/responses`: `{responses: {item: {seq, value, mark, points}}}`."""
    values, shares = VECTORS[name]
    responses = outsider.responses(finished.scoring.sittings[name].sitting_id)
    assert responses.keys() == values.keys()
    for item, seq, value in finished.scoring.sent[name]:
        shown = responses[item]
        assert shown["seq"] == seq
        assert json.loads(json.dumps(shown["value"], default=float)) == value
        assert Decimal(shown["mark"]) == four_decimals(POINTS[item] * shares.get(item, 0))
        assert Fraction(shown["points"]) == POINTS[item]


def test_newest_value_counts(finished: Season, scored: dict[str, Any]) -> None:
    """API.md: per item the highest `seq` wins; `null` is cleared."""
    changed = scored[finished.scoring.rows[CHANGED_MIND]["candidate_id"]]
    assert Decimal(changed["score"]) == out.published_score(POINTS["A1"] + POINTS["C1"], FULL)
    cleared = scored[finished.scoring.rows[CLEARED]["candidate_id"]]
    assert Decimal(cleared["score"]) == out.published_score(POINTS["E2"], FULL)


def test_result_has_what_the_contract_names(finished: Season, scored: dict[str, Any], outsider: Outsider) -> None:
    """API.md: one result `{sitting_id, candidate_id, admission_ticket, state, score, passed, sections, …}`."""
    rows = {row["candidate_id"]: row for row in finished.scoring.rows.values()}
    assert scored.keys() == rows.keys()
    digests = {result["paper_digest"] for result in scored.values()}
    assert digests == {out.digest({"title": "计分", "sections": SECTIONS})}
    assert len({result["answer_key_digest"] for result in scored.values()}) == 1
    for candidate_id, result in scored.items():
        assert result.keys() >= FIELDS
        assert result["admission_ticket"] == rows[candidate_id]["admission_ticket"]
        assert result["revision"] == 1
        assert result["graded_ms"] <= out.now_ms()
        for section in result["sections"]:
            assert section.keys() == {"id", "score", "points"}
    sitting = finished.scoring.sittings["nothing"]
    assert scored[finished.scoring.rows["nothing"]["candidate_id"]]["sitting_id"] == sitting.sitting_id


def test_results_are_signed(outsider: Outsider, finished: Season) -> None:
    """API.md: results are signed the same way as receipts: Ed25519 over the RFC 8785 form without `signature`."""
    keys = outsider.public_keys()
    for played in (finished.scoring, finished.pending):
        for result in outsider.results_answer(played.exam.batch_id, limit=1000).json()["results"]:
            assert len(out.signed_by(result, keys)) == 1
            assert out.signed_by({**result, "score": 100 if result["score"] != 100 else 99}, keys) == []


def test_scores_round_half_up(outsider: Outsider, finished: Season) -> None:
    """SMALL_PRINT: rounded once, half up, to two decimals; `passed` compares that published score with `pass_mark`."""
    shown = {name: result_of(outsider, finished.rounding, name) for name in finished.rounding.rows}
    assert (Decimal(shown["R1"]["score"]), shown["R1"]["passed"]) == (Decimal(60), True)  # 59.995
    assert (Decimal(shown["R2"]["score"]), shown["R2"]["passed"]) == (Decimal("40.01"), False)  # 40.005
    assert (Decimal(shown["both"]["score"]), shown["both"]["passed"]) == (Decimal(100), True)
    shown = {name: result_of(outsider, finished.eighths, name) for name in finished.eighths.rows}
    assert (Decimal(shown["R1"]["score"]), shown["R1"]["passed"]) == (Decimal("3.13"), False)  # 3.125
    assert (Decimal(shown["R2"]["score"]), shown["R2"]["passed"]) == (Decimal("96.88"), True)  # 96.875


def test_scores_are_json_numbers(outsider: Outsider, finished: Season) -> None:
    """SMALL_PRINT: sent as a JSON number of at most two decimals."""
    for result in outsider.results(finished.scoring.exam.batch_id, limit=1000)["results"]:
        score = result["score"]
        if result["state"] == "graded":
            assert isinstance(score, int | Decimal) and not isinstance(score, bool)
            assert Decimal(score) == round(Decimal(score), 2)


def test_who_never_came_is_absent(outsider: Outsider, finished: Season) -> None:
    """API.md: result `state`: `absent`; the sitting has no score."""
    result = result_of(outsider, finished.scoring, ABSENT)
    assert (result["state"], result["score"]) == ("absent", None)
    assert not result["passed"]
    row = finished.scoring.rows[ABSENT]
    refused(outsider.log_in(finished.scoring.exam.code, row["id_number"]), 403, "login.too_late")


def test_who_only_logged_in_is_collected_with_nothing(outsider: Outsider, finished: Season) -> None:
    """SMALL_PRINT: "entered" = first successful login; what was entered is collected and graded."""
    result = result_of(outsider, finished.scoring, LOOKED)
    assert (result["state"], Decimal(result["score"]), result["passed"]) == ("graded", 0, False)


def test_counts_at_the_end(outsider: Outsider, finished: Season) -> None:
    """API.md: each sitting in exactly one state, and `graded`."""
    shown = outsider.show_batch(finished.scoring.exam.batch_id)
    counts = shown["counts"]
    rostered = len(finished.scoring.rows)
    submitted = len(finished.scoring.receipts)
    assert counts["rostered"] == rostered
    states = {
        name: counts[name]
        for name in ("expected", "checked_in", "in_progress", "submitted", "collected", "absent", "void")
    }
    assert states == {
        "expected": 0, "checked_in": 0, "in_progress": 0, "submitted": submitted,
        "collected": rostered - submitted - 1, "absent": 1, "void": 0,
    }  # fmt: skip
    assert counts.get("graded", shown.get("graded")) in (rostered - 1, rostered)


def test_collected_receipts_hold_what_was_saved(outsider: Outsider, finished: Season) -> None:
    """API.md: `GET /v1/sitting/receipt`: the receipt of a submitted or collected sitting."""
    keys = outsider.public_keys()
    for name, sent in finished.scoring.sent.items():
        receipt = accepted(finished.scoring.sittings[name].receipt())
        newest = {item: (item, seq, value) for item, seq, value in sent}
        assert receipt["digest"] == out.responses_digest(newest.values()), name
        assert receipt["answered"] == sum(value is not None for _, _, value in newest.values())
        assert receipt["items"] == len(POINTS)
        assert out.signed_by(receipt, keys) == [receipt["key_id"]]
        if name in finished.scoring.receipts:
            assert receipt == finished.scoring.receipts[name]
        else:
            assert receipt["state"] == "collected"
            assert receipt["submitted_ms"] in range(
                finished.scoring.exam.ends_ms, finished.scoring.exam.closes_ms + 5001
            )
            refused(finished.scoring.sittings[name].submit(0), 409, "submit.closed")


# --- pages, lines, feed ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("limit", [1, 7, 24, 1000])
def test_pages_add_up_to_the_whole(outsider: Outsider, finished: Season, limit: int) -> None:
    """API.md: `?after=&limit=`: `{results: [...], next}`, `next` null at the end."""
    batch_id = finished.scoring.exam.batch_id
    whole = outsider.results(batch_id, limit=1000)
    assert whole["next"] is None
    seen: list[Any] = []
    page = outsider.results(batch_id, limit=limit)
    while True:
        assert page.keys() == {"results", "next"}
        assert len(page["results"]) <= limit
        seen += page["results"]
        if page["next"] is None:
            break
        assert len(page["results"]) == limit
        page = outsider.results(batch_id, limit=limit, after=page["next"])
    assert seen == whole["results"]


def test_exactly_full_page_is_the_last(outsider: Outsider, finished: Season) -> None:
    """API.md: `next` null at the end, also when the last page is full."""
    batch_id = finished.scoring.exam.batch_id
    assert outsider.results(batch_id, limit=len(finished.scoring.rows))["next"] is None
    assert outsider.results(batch_id, limit=len(finished.scoring.rows) - 1)["next"] is not None


def test_page_holds_a_hundred_by_default(outsider: Outsider, finished: Season) -> None:
    """API.md: `limit` 1-1000, default 100."""
    whole = outsider.results(finished.scoring.exam.batch_id, limit=1000)
    assert outsider.results(finished.scoring.exam.batch_id) == whole


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "１"])
def test_limit_out_of_range_is_refused(outsider: Outsider, finished: Season, limit: str) -> None:
    """API.md: `limit` 1-1000."""
    path = f"/v1/batches/{finished.scoring.exam.batch_id}/results"
    refused(outsider.call("GET", path, scope="results", params={"limit": limit}), 422)
    refused(outsider.call("GET", "/v1/results", scope="results", params={"limit": limit}), 422)


@pytest.mark.parametrize("after", ["x", "-1", "99999999999999999999999", "1 OR 1=1", "\0"])
def test_cursor_that_is_none_of_ours_is_refused(outsider: Outsider, finished: Season, after: str) -> None:
    """API.md: `after` is what `next` said."""
    path = f"/v1/batches/{finished.scoring.exam.batch_id}/results"
    refused(outsider.call("GET", path, scope="results", params={"after": after}), 422)
    refused(outsider.call("GET", "/v1/results", scope="results", params={"after": after}), 422)


def test_lines_equal_the_pages(outsider: Outsider, finished: Season) -> None:
    """API.md: whole batch as `application/x-ndjson` by `Accept`."""
    batch_id = finished.scoring.exam.batch_id
    headers = {"accept": "application/x-ndjson"}
    answer = outsider.call("GET", f"/v1/batches/{batch_id}/results", scope="results", headers=headers)
    accepted_lines = answer.content.decode().splitlines()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line, parse_float=Decimal) for line in accepted_lines]
    assert lines == outsider.results(batch_id, limit=1000)["results"]
    assert answer.content.endswith(b"\n")


def test_feed_holds_every_result_in_publication_order(outsider: Outsider, finished: Season) -> None:
    """API.md: `GET /v1/results?after=` is the feed over all batches, with a durable cursor, always returned."""

    def pages(after: str | None, limit: int) -> tuple[list[Any], str]:
        seen: list[Any] = []
        while True:
            query = {"limit": limit, **({"after": after} if after is not None else {})}
            page = out.exact(outsider.call("GET", "/v1/results", scope="results", params=query))
            assert page["next"] is not None
            after = str(page["next"])
            if not page["results"]:
                return seen, after
            seen += page["results"]

    feed, cursor = pages(None, 37)
    assert pages(cursor, 10)[0] == [] and pages(cursor, 10)[1] == cursor
    assert pages(None, 1000)[0][: len(feed)] == feed
    assert len({(result["sitting_id"], result["revision"]) for result in feed}) == len(feed)
    for played in (finished.scoring, finished.rounding, finished.pending):
        whole = outsider.results(played.exam.batch_id, limit=1000)["results"]
        sitting_ids = {result["sitting_id"] for result in whole}
        assert [result for result in feed if result["sitting_id"] in sitting_ids] == whole


# --- text items ------------------------------------------------------------------------------------------------
def test_text_waits_for_an_assessor(outsider: Outsider, finished: Season) -> None:
    """API.md: `text` waits for an assessor: `pending_assessor`; no score is told before."""
    result = result_of(outsider, finished.pending, "essay")
    assert (result["state"], result["score"]) == ("pending_assessor", None)
    assert not result["passed"]
    responses = outsider.responses(finished.pending.sittings["essay"].sitting_id)
    assert responses["F1"]["mark"] is None
    assert (responses["A1"]["mark"], responses["A1"]["points"]) == (1, 1)


@pytest.mark.parametrize(("name", "score"), [("blank", 25), ("spaces", 0), ("null", 0), ("untouched", 25)])
def test_blank_text_waits_for_nobody(outsider: Outsider, finished: Season, name: str, score: int) -> None:
    """SMALL_PRINT: `text`: null or blank earns 0 and waits for nobody."""
    result = result_of(outsider, finished.pending, name)
    assert (result["state"], result["score"]) == ("graded", score)


def test_batch_with_a_pending_result_is_closed_but_not_graded(outsider: Outsider, finished: Season) -> None:
    """API.md: batch `state` `closed`, `graded`."""
    assert outsider.show_batch(finished.pending.exam.batch_id)["state"] == "closed"


# --- release ---------------------------------------------------------------------------------------------------
def test_release_before_everything_is_graded_is_not_ready(finished: Season) -> None:
    """API.md: `batch.not_ready` 409."""
    refused(finished.before["release"], 409, "batch.not_ready")


def test_pending_results_hold_the_release_back(outsider: Outsider, finished: Season) -> None:
    """API.md: `release` `approved` shows results that are final."""
    path = f"/v1/batches/{finished.waiting.exam.batch_id}/release"
    body = {"approved_by": ["王五", "赵六"]}
    refused(outsider.call("POST", path, scope="schedule", json=body), 409, "batch.not_ready")
    assert outsider.results(finished.waiting.exam.batch_id) == {"results": [], "next": None}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"approved_by": []},
        {"approved_by": ["一人"]},
        {"approved_by": ["甲", "乙"], "x": 1},
        {"approved_by": "甲乙"},
    ],
)
def test_release_needs_two_people(outsider: Outsider, finished: Season, body: Any) -> None:
    """API.md: `{"approved_by": ["…", "…"]}`; unknown fields are 422 everywhere."""
    path = f"/v1/batches/{finished.waiting.exam.batch_id}/release"
    assert refused(outsider.call("POST", path, scope="schedule", json=body), 422)["errors"]


def test_approved_results_show_only_after_their_release(outsider: Outsider, finished: Season) -> None:
    """API.md: `release`: `approved` (after `POST …/release` `{"approved_by": ["…", "…"]}`)."""
    played = finished.approved
    batch_id = played.exam.batch_id
    assert outsider.show_batch(batch_id)["state"] == "graded"
    assert outsider.results(batch_id) == {"results": [], "next": None}
    headers = {"accept": "application/x-ndjson"}
    path = f"/v1/batches/{batch_id}/results"
    assert outsider.call("GET", path, scope="results", headers=headers).content == b""
    sitting_ids = {sitting.sitting_id for sitting in played.sittings.values()}

    def in_feed() -> list[str]:
        feed = accepted(outsider.call("GET", "/v1/results", scope="results", params={"limit": 1000}))["results"]
        return [result["sitting_id"] for result in feed if result["sitting_id"] in sitting_ids]

    assert in_feed() == []
    marks = {entry["mark"] for entry in outsider.responses(played.sittings["right"].sitting_id).values()}

    release = f"/v1/batches/{batch_id}/release"
    body = {"approved_by": ["王五", "赵六"]}
    accepted(outsider.call("POST", release, scope="schedule", json=body))
    accepted(outsider.call("POST", release, scope="schedule", json=body))
    shown = {result["candidate_id"]: result for result in outsider.results(batch_id)["results"]}
    assert {name: shown[row["candidate_id"]]["state"] for name, row in played.rows.items()} == {
        "right": "graded", "wrong": "graded", ABSENT: "absent",
    }  # fmt: skip
    assert shown[played.rows["right"]["candidate_id"]]["score"] == 100
    assert sorted(in_feed()) == sorted(sitting_ids)
    assert marks == {None}, "the marks of a result that is not released were told already"


def test_results_of_a_running_batch_are_empty(outsider: Outsider) -> None:
    """API.md: results show once graded."""
    exam = outsider.exam()
    assert outsider.results(exam.batch_id) == {"results": [], "next": None}


def test_a_query_that_says_a_thing_twice_is_refused(outsider: Outsider, finished: Season) -> None:
    """Of two values one would be passed over in silence; without the right key nothing is said of the query."""
    path = f"/v1/batches/{finished.scoring.exam.batch_id}/results?after=0&limit=1&limit=2"

    problem = refused(outsider.call("GET", path, scope="results"), 422, "request.invalid")

    assert pointers(problem) == ["/limit"]
    refused(outsider.call("GET", path, scope="schedule"), 403, "auth.scope")
