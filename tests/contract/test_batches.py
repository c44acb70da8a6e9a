"""API.md, batches: what may be pushed, what is shown, and the scopes of every machine route."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import NOTHING, Outsider, accepted, now_ms, pointers, refused, unique

DEFAULTS = {
    "latest_entry_s": 1800,
    "earliest_submit_s": 1800,
    "warn_before_end_s": 900,
    "check_in_before_s": 900,
    "grace_s": 5,
    "pass_mark": 60,
    "shuffle_items": True,
    "shuffle_options": True,
    "release": "graded",
    "takeover": "free",
    "allow_copy": False,
    "photo": "none",
    "assessors": 0,
    "second_marking": False,
    "second_marking_tolerance": 0.2,
    "publication_days": 5,
    "review_answer_days": 5,
}
COUNTS = ("expected", "checked_in", "in_progress", "submitted", "collected", "absent", "void")


@pytest.fixture(scope="module")
def paper_id(outsider: Outsider) -> str:
    return outsider.paper()


def broken(outsider: Outsider, document: Any) -> list[str]:
    """Where the faults are; the batch must not exist afterwards."""
    batch_id = unique("B")
    problem = refused(outsider.put_batch(document, batch_id), 422, "batch.invalid")
    refused(outsider.call("GET", f"/v1/batches/{batch_id}", scope="schedule"), 404, "not_found")
    return pointers(problem)


def test_every_rule_has_its_default(outsider: Outsider, paper_id: str) -> None:
    """API.md: every rule has the default of EXAM_RULES.md; `release` graded, `takeover` free; grace_s 5."""
    document = outsider.batch_document(paper_id, duration_s=5400)
    del document["rules"]
    batch_id = unique("B")
    accepted(outsider.put_batch(document, batch_id), 201)
    assert outsider.show_batch(batch_id)["rules"] == DEFAULTS


def test_batch_is_shown_as_it_was_pushed(outsider: Outsider, paper_id: str) -> None:
    """API.md: `GET /v1/batches/{batch_id}`: the batch, its `state` and `counts`."""
    document = outsider.batch_document(paper_id, kind="formal", starts_ms=now_ms() + 86_400_000)
    document["rules"] = {
        **DEFAULTS,
        "earliest_submit_s": 12,
        "pass_mark": 59.5,
        "release": "approved",
        "takeover": "silent",
    }
    batch_id = unique("B")
    accepted(outsider.put_batch(document, batch_id), 201)
    shown = outsider.show_batch(batch_id)
    assert {name: shown[name] for name in document} == document
    assert (shown["batch_id"], shown["state"]) == (batch_id, "draft")
    assert {name: shown["counts"][name] for name in ("rostered", *COUNTS)} == dict.fromkeys(("rostered", *COUNTS), 0)


def test_same_batch_again_is_200_and_changes_nothing(outsider: Outsider, paper_id: str) -> None:
    """API.md: PUT of the same content is 200 and changes nothing."""
    document = outsider.batch_document(paper_id)
    batch_id = unique("B")
    accepted(outsider.put_batch(document, batch_id), 201)
    before = outsider.show_batch(batch_id)
    accepted(outsider.put_batch(document, batch_id), 200)
    assert outsider.show_batch(batch_id) == before


def test_draft_may_change(outsider: Outsider, paper_id: str) -> None:
    """API.md: only arming fixes a batch."""
    document = outsider.batch_document(paper_id)
    batch_id = outsider.batch(document)
    document["title"] = "改名"
    accepted(outsider.put_batch(document, batch_id), 200)
    assert outsider.show_batch(batch_id)["title"] == "改名"


@pytest.mark.parametrize(
    "change",
    [{"title": "改"}, {"duration_s": 601}, {"admission_code": "OTHER1"}, {"starts_ms": 1}, {"rules": {"grace_s": 6}}],
)
def test_armed_batch_cannot_change(outsider: Outsider, change: dict[str, Any]) -> None:
    """API.md: `batch.armed` 409: a changed batch is 409 after arming."""
    exam = outsider.exam()
    before = outsider.show_batch(exam.batch_id)
    changed = {**exam.document, **change}
    if "rules" in change:
        changed["rules"] = {**exam.document["rules"], **change["rules"]}
    if "starts_ms" in change:
        changed["starts_ms"] = exam.document["starts_ms"] + change["starts_ms"]
    refused(outsider.put_batch(changed, exam.batch_id), 409, "batch.armed")
    assert outsider.show_batch(exam.batch_id) == before


def test_armed_batch_may_be_pushed_again_unchanged(outsider: Outsider) -> None:
    """API.md: PUT of the same content is 200 and changes nothing, armed or not."""
    exam = outsider.exam()
    accepted(outsider.put_batch(exam.document, exam.batch_id), 200)


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"title": NOTHING}, "/title"),
        ({"occupation": NOTHING}, "/occupation"),
        ({"level": NOTHING}, "/level"),
        ({"level": "3"}, "/level"),
        ({"level": 0}, "/level"),
        ({"level": 6}, "/level"),
        ({"subject": "driving"}, "/subject"),
        ({"kind": "rehearsal"}, "/kind"),
        ({"kind": NOTHING}, "/kind"),
        ({"paper_id": "nowhere-to-be-found"}, "/paper_id"),
        ({"paper_id": 5}, "/paper_id"),
        ({"admission_code": ""}, "/admission_code"),
        ({"admission_code": "A" * 33}, "/admission_code"),
        ({"admission_code": "AB-12"}, "/admission_code"),
        ({"admission_code": "口令"}, "/admission_code"),
        ({"admission_code": 12345}, "/admission_code"),
        ({"starts_ms": "1763773200000"}, "/starts_ms"),
        ({"starts_ms": -1}, "/starts_ms"),
        ({"starts_ms": 1.5}, "/starts_ms"),
        ({"starts_ms": 1_000_000}, "/starts_ms"),
        ({"duration_s": 0}, "/duration_s"),
        ({"duration_s": 43_201}, "/duration_s"),
        ({"duration_s": True}, "/duration_s"),
        ({"room": "101"}, "/room"),
        ({"rules": []}, "/rules"),
        ({"rules": {"earliest_submit_s": 600}}, "/rules/earliest_submit_s"),
        ({"rules": {"earliest_submit_s": NOTHING}}, "/rules/earliest_submit_s"),
        ({"rules": {"latest_entry_s": -1}}, "/rules/latest_entry_s"),
        ({"rules": {"grace_s": 0.5}}, "/rules/grace_s"),
        ({"rules": {"pass_mark": 101}}, "/rules/pass_mark"),
        ({"rules": {"pass_mark": "60"}}, "/rules/pass_mark"),
        ({"rules": {"shuffle_items": 1}}, "/rules/shuffle_items"),
        ({"rules": {"release": "now"}}, "/rules/release"),
        ({"rules": {"takeover": "never"}}, "/rules/takeover"),
        ({"rules": {"breaks_s": 60}}, "/rules/breaks_s"),
    ],
)  # fmt: skip
def test_faulty_batch_is_named_by_its_pointer(
    outsider: Outsider, paper_id: str, change: dict[str, Any], at: str
) -> None:
    """API.md: `batch.invalid` 422, unknown fields 422; SMALL_PRINT: earliest_submit_s < duration_s."""
    change = dict(change)
    rules = change.pop("rules", {})
    document = outsider.batch_document(paper_id, **change, **({"rules": rules} if isinstance(rules, dict) else {}))
    if not isinstance(rules, dict):
        document["rules"] = rules
    assert broken(outsider, document) == [at]


@pytest.mark.parametrize("duration_s", [1, 43_200])
def test_durations_reach_from_one_second_to_twelve_hours(outsider: Outsider, paper_id: str, duration_s: int) -> None:
    """API.md: `duration_s` 1-43,200."""
    accepted(outsider.put_batch(outsider.batch_document(paper_id, duration_s=duration_s, starts_ms=now_ms())), 201)


def test_all_faults_of_a_batch_are_listed_at_once(outsider: Outsider, paper_id: str) -> None:
    """API.md: 422 lists **every** fault found, not the first."""
    document = outsider.batch_document(paper_id, level=9, kind="x", color="red", duration_s=-1)
    document["rules"] = {"pass_mark": -1, "takeover": 5, "pause_s": 1}
    del document["title"]
    found = broken(outsider, document)
    names = ("title", "level", "kind", "color", "duration_s", "rules/pass_mark", "rules/takeover", "rules/pause_s")
    assert found == sorted(f"/{name}" for name in names)


def test_faults_between_members_are_listed_with_the_others(outsider: Outsider, paper_id: str) -> None:
    """API.md: **every** fault: an unknown paper, a past window, no time to hand in do not wait for the others."""
    document = outsider.batch_document("no-such-paper", level=9, starts_ms=1000, rules={"earliest_submit_s": 600})
    assert broken(outsider, document) == ["/level", "/paper_id", "/rules/earliest_submit_s", "/starts_ms"]


def test_batch_whose_window_is_past_is_refused(outsider: Outsider, paper_id: str) -> None:
    """A batch whose window is in the past is a fault: nobody could sit it."""
    document = outsider.batch_document(paper_id, starts_ms=now_ms() - 700_000)
    assert broken(outsider, document) == ["/starts_ms"]


def test_mock_opens_half_an_hour_before(outsider: Outsider, paper_id: str) -> None:
    """SMALL_PRINT: `kind` changes no rule; a mock's `check_in_before_s` defaults to 1800."""
    shown = {}
    for kind in ("formal", "mock", "device_check"):
        document = outsider.batch_document(paper_id, kind=kind, duration_s=5400)
        document["rules"] = {}
        shown[kind] = outsider.show_batch(outsider.batch(document))["rules"]
    assert shown["formal"] == shown["device_check"] == DEFAULTS
    assert shown["mock"] == {**DEFAULTS, "check_in_before_s": 1800}


def test_batches_may_share_a_code(outsider: Outsider, paper_id: str) -> None:
    """API.md: batches may share one code."""
    document = outsider.batch_document(paper_id)
    accepted(outsider.put_batch(document), 201)
    accepted(outsider.put_batch(document), 201)


def test_batches_are_listed_by_their_start(outsider: Outsider, paper_id: str) -> None:
    """API.md: `GET /v1/batches?from_ms=&to_ms=`: `{batches: [...]}`; intervals are half-open."""
    starts_ms = now_ms() + 10_000_000_000 + out.next_number() * 1000
    first = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms))
    second = outsider.batch(outsider.batch_document(paper_id, starts_ms=starts_ms + 500))

    def listed(from_ms: int, to_ms: int) -> list[str]:
        query = {"from_ms": from_ms, "to_ms": to_ms}
        answer = accepted(outsider.call("GET", "/v1/batches", scope="schedule", params=query))
        return [batch["batch_id"] for batch in answer["batches"]]

    assert listed(starts_ms, starts_ms + 501) == [first, second]
    assert listed(starts_ms, starts_ms + 500) == [first]
    assert listed(starts_ms + 1, starts_ms + 501) == [second]
    everything = accepted(outsider.call("GET", "/v1/batches", scope="schedule"))["batches"]
    assert {first, second} <= {batch["batch_id"] for batch in everything}
    shown = next(batch for batch in everything if batch["batch_id"] == first)
    assert shown == outsider.show_batch(first)


def test_listing_refuses_what_is_no_instant(outsider: Outsider) -> None:
    """API.md: instants are integer Unix milliseconds."""
    refused(outsider.call("GET", "/v1/batches", scope="schedule", params={"from_ms": "yesterday"}), 422)


@pytest.mark.parametrize("batch_id", ["x" * 65, "a%20b", "a%00b"])
def test_batch_ids_outside_the_alphabet_are_refused(outsider: Outsider, paper_id: str, batch_id: str) -> None:
    """API.md: ids are 1-64 of `A-Za-z0-9._-`."""
    refused(outsider.put_batch(outsider.batch_document(paper_id), batch_id), 422, "batch.invalid")


@pytest.mark.parametrize("batch_id", ["nobody", "x" * 200, "a%00b", "%F0%9F%98%80", "%ff"])
@pytest.mark.parametrize(
    ("method", "path", "scope", "body"),
    [
        ("GET", "/v1/batches/{}", "schedule", None),
        ("PUT", "/v1/batches/{}/roster", "schedule", b"[]"),
        ("POST", "/v1/batches/{}/arm", "schedule", b'{"witnesses": ["a", "b"]}'),
        ("POST", "/v1/batches/{}/release", "schedule", b'{"approved_by": ["a", "b"]}'),
        ("GET", "/v1/batches/{}/results", "results", None),
        ("GET", "/v1/sittings/{}/responses", "results", None),
        ("GET", "/v1/sittings/{}/history", "results", None),
        ("GET", "/v1/papers/{}", "schedule", None),
        ("GET", "/v1/sealed/{}", None, None),
    ],
)
def test_what_does_not_exist_is_not_found(
    outsider: Outsider, method: str, path: str, scope: str | None, body: bytes | None, batch_id: str
) -> None:
    """API.md: `not_found` 404, whatever stands in the path."""
    refused(outsider.call(method, path.format(batch_id), scope=scope, content=body), 404, "not_found")


MACHINE_ROUTES = [
    ("PUT", "/v1/papers/P", "schedule"),
    ("GET", "/v1/papers/P", "schedule"),
    ("PUT", "/v1/batches/B", "schedule"),
    ("GET", "/v1/batches/B", "schedule"),
    ("GET", "/v1/batches", "schedule"),
    ("PUT", "/v1/batches/B/roster", "schedule"),
    ("POST", "/v1/batches/B/seating", "schedule"),
    ("GET", "/v1/batches/B/lists/door", "schedule"),
    ("PUT", "/v1/sites/S", "schedule"),
    ("GET", "/v1/sites/S", "schedule"),
    ("GET", "/v1/sites", "schedule"),
    ("DELETE", "/v1/sites/S", "schedule"),
    ("POST", "/v1/batches/B/arm", "schedule"),
    ("POST", "/v1/batches/B/release", "schedule"),
    ("GET", "/v1/batches/B/results", "results"),
    ("GET", "/v1/results", "results"),
    ("GET", "/v1/sittings/S/responses", "results"),
    ("GET", "/v1/sittings/S/history", "results"),
]


@pytest.mark.parametrize(("method", "path", "scope"), MACHINE_ROUTES)
def test_machine_routes_ask_for_a_key(outsider: Outsider, method: str, path: str, scope: str) -> None:
    """API.md: no or bad key 401 `auth.missing`."""
    content = b"{" if method != "GET" else None  # the key comes first, whatever the body
    refused(outsider.call(method, path, content=content), 401, "auth.missing")
    for bad in ("é", "nonsense", outsider.keys[scope] + "x", outsider.keys[scope][:-1], "lk_" + scope):
        refused(outsider.call(method, path, bearer=bad, content=content), 401, "auth.missing")
    headers = {"authorization": f"Basic {outsider.keys[scope]}"}
    refused(outsider.call(method, path, headers=headers, content=content), 401, "auth.missing")


@pytest.mark.parametrize(("method", "path", "scope"), MACHINE_ROUTES)
def test_machine_routes_refuse_other_scopes(outsider: Outsider, method: str, path: str, scope: str) -> None:
    """API.md: scopes do not include one another; wrong scope 403 `auth.scope`."""
    content = b"{" if method != "GET" else None
    for other in {"schedule", "results", "proctor", "ops"} - {scope}:
        refused(outsider.call(method, path, scope=other, content=content), 403, "auth.scope")


@pytest.mark.parametrize("path", ["", "/paper-key", "/receipt", "/responses", "/submit", "/confirm", "/pledge"])
def test_candidate_routes_ask_for_a_token(outsider: Outsider, path: str) -> None:
    """API.md: `auth.missing` 401; an API key is no candidate's token."""
    method = "GET" if path in ("", "/paper-key", "/receipt") else "POST"
    path = f"/v1/sitting{path}"
    content = b"{}" if method == "POST" else None
    refused(outsider.call(method, path, content=content), 401, "auth.missing")
    for bad in ("x", "a~b~c", "é", "~~~", *outsider.keys.values()):
        refused(outsider.call(method, path, bearer=bad, content=content), 401, "auth.missing")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/keys"])
def test_public_routes_need_no_key(outsider: Outsider, path: str) -> None:
    """API.md: public without a key."""
    assert outsider.call("GET", path).status_code == 200


def test_candidates_token_is_no_api_key(outsider: Outsider) -> None:
    """API.md: no or bad key 401 `auth.missing`."""
    sitting = outsider.exam().arrive()
    for method, path, _ in MACHINE_ROUTES:
        refused(sitting.call(method, path, content=b"{" if method != "GET" else None), 401, "auth.missing")


def test_unknown_path_is_a_problem(outsider: Outsider) -> None:
    """API.md: errors are `application/problem+json` with a code."""
    refused(outsider.call("GET", "/v2/nothing"), 404, "not_found")
    refused(outsider.call("DELETE", "/v1/batches/B", scope="schedule"), 405)
