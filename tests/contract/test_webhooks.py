"""Webhooks as scorers manage them: pushed, shown without their secrets, disabled, replayed, deleted."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.contract.outsider import Outsider, accepted, refused

URL = "https://receiver.example/results"
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
_numbers = itertools.count(1)


@pytest.fixture
def webhook_id(outsider: Outsider) -> Any:
    """An id that nobody has used; what is there in the end is deleted, so that the engine is not held up by it."""
    name = f"hook-{next(_numbers)}"
    yield name
    outsider.call("DELETE", f"/v1/webhooks/{name}", scope="results")


def put(outsider: Outsider, webhook_id: str, **members: Any) -> Any:
    return outsider.call("PUT", f"/v1/webhooks/{webhook_id}", scope="results", json={"url": URL, **members})


def test_a_new_webhook_shows_the_secret_we_made_once(outsider: Outsider, webhook_id: str) -> None:
    """And never again, neither by pushing it again nor by looking."""
    made = accepted(put(outsider, webhook_id), 201)
    again = accepted(put(outsider, webhook_id))
    shown = accepted(outsider.call("GET", f"/v1/webhooks/{webhook_id}", scope="results"))
    listed = accepted(outsider.call("GET", "/v1/webhooks", scope="results"))["webhooks"]

    assert made["secret"].startswith("whsec_")
    assert {name: value for name, value in made.items() if name != "secret"} == again == shown
    assert (shown["url"], shown["batches"], shown["state"], shown["waiting"]) == (URL, None, "enabled", 0)
    assert shown in listed
    assert not any("secret" in each for each in listed)


def test_a_secret_that_was_pushed_is_not_repeated(outsider: Outsider, webhook_id: str) -> None:
    """Who pushed it has it."""
    assert "secret" not in accepted(put(outsider, webhook_id, secret=SECRET), 201)
    assert "secret" not in accepted(put(outsider, webhook_id, secret=SECRET))
    assert "secret" not in accepted(put(outsider, webhook_id, secret="whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"))


def test_pushing_again_changes_what_differs(outsider: Outsider, webhook_id: str) -> None:
    """The URL, and of which batches; the rest stays."""
    made = accepted(put(outsider, webhook_id), 201)
    changed = accepted(put(outsider, webhook_id, url="http://other.example:8080/x", batches=["b", "a"]))

    assert (changed["url"], changed["batches"]) == ("http://other.example:8080/x", ["a", "b"])
    assert changed["created_ms"] == made["created_ms"]


def test_every_fault_of_a_webhook_is_told(outsider: Outsider, webhook_id: str) -> None:
    """422 lists all; nothing is stored."""
    body = {"url": "https://10.0.0.1/", "secret": "x", "batches": [], "events": ["all"]}
    answer = outsider.call("PUT", f"/v1/webhooks/{webhook_id}", scope="results", json=body)
    problem = refused(answer, 422, "webhook.invalid")

    assert {fault["pointer"] for fault in problem["errors"]} == {"/url", "/secret", "/batches", "/events"}
    assert next(fault["value"] for fault in problem["errors"] if fault["pointer"] == "/batches") == "[]"
    refused(outsider.call("GET", f"/v1/webhooks/{webhook_id}", scope="results"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/enable"),
        ("GET", "/deliveries"),
        ("POST", "/replay"),
    ],
)
def test_a_webhook_that_is_not_there_is_not_found(outsider: Outsider, method: str, path: str) -> None:
    """Also one whose id cannot be one."""
    body = {"json": {"state": "dead"}} if path == "/replay" else {}
    for name in ("nobody", "no body"):
        answer = outsider.call(method, f"/v1/webhooks/{name}{path}", scope="results", **body)
        refused(answer, 404, "not_found")


def test_a_deleted_webhook_is_gone(outsider: Outsider, webhook_id: str) -> None:
    """With everything of it; pushed again it is a new one with a secret of its own."""
    first = accepted(put(outsider, webhook_id), 201)["secret"]
    assert accepted(outsider.call("DELETE", f"/v1/webhooks/{webhook_id}", scope="results"))["deleted"] is True
    refused(outsider.call("DELETE", f"/v1/webhooks/{webhook_id}", scope="results"), 404, "not_found")
    assert accepted(put(outsider, webhook_id), 201)["secret"] != first


@pytest.mark.parametrize("scope", ["schedule", "proctor", "ops"])
def test_webhooks_are_for_the_scope_of_results(outsider: Outsider, scope: str) -> None:
    """Scopes do not include one another."""
    refused(outsider.call("GET", "/v1/webhooks", scope=scope), 403, "auth.scope")
    refused(outsider.call("PUT", "/v1/webhooks/x", scope=scope, json={"url": URL}), 403, "auth.scope")


@pytest.mark.parametrize("query", [{"state": "lost"}, {"batch_id": "no batch"}, {"after": "x"}, {"limit": "0"}])
def test_deliveries_name_what_cannot_be_asked(outsider: Outsider, webhook_id: str, query: dict[str, str]) -> None:
    """By the parameter."""
    accepted(put(outsider, webhook_id), 201)
    answer = outsider.call("GET", f"/v1/webhooks/{webhook_id}/deliveries", scope="results", params=query)
    problem = refused(answer, 422, "request.invalid")

    assert [fault["pointer"] for fault in problem["errors"]] == [f"/{name}" for name in query]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": "delivered"},
        {"message_ids": []},
        {"message_ids": ["x"]},
        {"message_ids": ["msg_" + "0" * 40]},
        {"message_ids": ["msg_" + "0" * 40], "state": "dead"},
        {"state": "dead", "more": 1},
        [],
    ],
)
def test_a_replay_names_what_is_to_be_sent_again(outsider: Outsider, webhook_id: str, body: Any) -> None:
    """Everything dead, or messages that are the webhook's."""
    accepted(put(outsider, webhook_id), 201)
    answer = outsider.call("POST", f"/v1/webhooks/{webhook_id}/replay", scope="results", json=body)
    refused(answer, 422, "request.invalid")


def test_replaying_nothing_is_no_fault(outsider: Outsider, webhook_id: str) -> None:
    """There was nothing dead."""
    accepted(put(outsider, webhook_id), 201)
    answer = outsider.call("POST", f"/v1/webhooks/{webhook_id}/replay", scope="results", json={"state": "dead"})
    assert accepted(answer) == {"replayed": 0}
    assert accepted(outsider.call("GET", f"/v1/webhooks/{webhook_id}/deliveries", scope="results")) == {
        "deliveries": [],
        "next": None,
    }


def test_an_id_that_cannot_be_one_is_named_when_it_is_to_be_made(outsider: Outsider) -> None:
    """As for papers, batches and sites: not that there is none."""
    problem = refused(put(outsider, "x" * 65), 422, "webhook.invalid")

    assert [fault["pointer"] for fault in problem["errors"]] == ["/webhook_id"]
