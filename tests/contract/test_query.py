"""What a query may say: a call that changes something is not done when its query says what nobody understands."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.outsider import Outsider, accepted, pointers, refused, unique

CHANGING = ("put", "post", "delete")
# A query that says what the description has is looked at; what it is looked at for may be refused.
WELL_SAID = {"dry_run": "1", "format": "json", "seating": "1", "site": "一", "room": "1", "revision": "1"}


def changing_calls(outsider: Outsider) -> list[tuple[str, str, str, list[str]]]:
    """(method, path, scope, names of its query) of every machine client's call that changes something."""
    found = []
    for path, calls in accepted(outsider.call("GET", "/openapi.json"))["paths"].items():
        for method, call in calls.items():
            scopes = [scope for each in call.get("security", ()) for scope in each.get("apiKey", ())]
            if method in CHANGING and scopes:
                names = [each["name"] for each in call.get("parameters", ()) if each["in"] == "query"]
                found.append((method.upper(), path, scopes[0], names))
    return found


def said(outsider: Outsider, call: tuple[str, str, str, list[str]], query: dict[str, str]) -> Any:
    method, path, scope, _ = call
    for name in ("paper", "batch", "site", "sitting", "webhook", "regrade"):
        path = path.replace(f"{{{name}_id}}", unique("Q"))
    return outsider.call(method, path, scope=scope, params=query, content=b"{}")


def test_a_call_that_changes_something_refuses_a_query_it_does_not_know(outsider: Outsider) -> None:
    """A misspelt `dry_run` must not be done: 422 naming it, whatever else is wrong with the call."""
    calls = changing_calls(outsider)
    assert len(calls) > 20

    for call in calls:
        problem = refused(said(outsider, call, {"dryrun": "1"}), 422, "request.invalid")
        assert pointers(problem) == ["/dryrun"], call
        assert problem["errors"][0]["value"] == "1"


def test_what_the_description_says_of_a_query_is_known(outsider: Outsider) -> None:
    """No name that stands there is refused for being unknown."""
    for call in changing_calls(outsider):
        answer = said(outsider, call, {name: WELL_SAID[name] for name in call[3]})
        assert "is not a known name" not in answer.text, call


def test_a_dry_run_of_a_removal_is_refused(outsider: Outsider) -> None:
    """It has none, and the site is still there."""
    site_id = outsider.site()
    path = f"/v1/sites/{site_id}"
    refused(outsider.call("DELETE", path, scope="schedule", params={"dry_run": "1"}), 422, "request.invalid")

    accepted(outsider.call("GET", path, scope="schedule"))


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/sites"])
def test_a_call_that_only_looks_ignores_what_it_does_not_know(outsider: Outsider, path: str) -> None:
    """Nothing can go wrong, and caches are passed by with such names; an empty value is the default."""
    accepted(outsider.call("GET", path, scope="schedule", params={"_": "17", "limit": "", "to_ms": "0"}))
