"""Sites with their rooms and machines: pushed, shown, listed, taken away; rosters only name them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.outsider import Outsider, accepted, pointers, refused, unique


def document(**members: Any) -> dict[str, Any]:
    layout = {"rows": 5, "columns": 6, "numbering": "by_row_snake"}
    room = {"name": "101", "machines": 30, "spares": 2, "layout": layout}
    return {"name": unique("考点"), "address": "中山四路1号", "tier": 200, "rooms": [room], **members}


def show(outsider: Outsider, site_id: str) -> Any:
    return accepted(outsider.call("GET", f"/v1/sites/{site_id}", scope="schedule"))


def test_a_site_is_shown_as_it_was_pushed(outsider: Outsider) -> None:
    """201 when new, 200 when the same or another version comes; the same content changes nothing."""
    site_id, pushed = unique("S"), document()
    stored = accepted(outsider.put_site(pushed, site_id), 201)

    assert stored == show(outsider, site_id) == {"site_id": site_id, **pushed, "capacity": 30}
    assert accepted(outsider.put_site(pushed, site_id), 200) == stored
    rooms = [{"name": "102", "machines": 40, "spares": 0, "layout": None}, *pushed["rooms"]]
    changed = accepted(outsider.put_site({**pushed, "tier": None, "rooms": rooms}, site_id), 200)
    assert changed == show(outsider, site_id) == {**stored, "tier": None, "rooms": rooms, "capacity": 70}


def test_a_dry_run_stores_nothing(outsider: Outsider) -> None:
    """`?dry_run=1`: the same answer and the same faults."""
    site_id, pushed = unique("S"), document()
    path = f"/v1/sites/{site_id}"
    told = accepted(outsider.call("PUT", path, scope="schedule", params={"dry_run": 1}, json=pushed), 201)

    assert told["capacity"] == 30
    refused(outsider.call("GET", path, scope="schedule"), 404, "not_found")
    problem = refused(outsider.call("PUT", path, scope="schedule", params={"dry_run": 1}, json={}), 422, "site.invalid")
    assert pointers(problem) == ["/name", "/rooms"]


def test_all_faults_of_a_site_are_listed_and_nothing_is_taken(outsider: Outsider) -> None:
    site_id = unique("S")
    room = {"name": "101", "machines": 0, "spares": "2", "chairs": 3}
    problem = refused(outsider.put_site(document(colour=1, tier=7, rooms=[room]), site_id), 422, "site.invalid")

    assert pointers(problem) == ["/colour", "/rooms/0/chairs", "/rooms/0/machines", "/rooms/0/spares", "/tier"]
    refused(outsider.call("GET", f"/v1/sites/{site_id}", scope="schedule"), 404, "not_found")


def test_two_sites_cannot_have_one_name(outsider: Outsider) -> None:
    """A roster names a site by its name: it must be told apart."""
    first, pushed = unique("S"), document()
    accepted(outsider.put_site(pushed, first), 201)

    problem = refused(outsider.put_site(pushed, unique("S")), 422, "site.invalid")

    assert pointers(problem) == ["/name"] and first in problem["detail"]


@pytest.mark.parametrize("site_id", ["a b", "x" * 65, "考点"])
def test_an_id_is_the_pushers_own_but_well_formed(outsider: Outsider, site_id: str) -> None:
    refused(outsider.put_site(document(), site_id), 422, "site.invalid")
    refused(outsider.call("GET", f"/v1/sites/{site_id}", scope="schedule"), 404, "not_found")


def test_sites_are_listed_by_page(outsider: Outsider) -> None:
    """In the order of their ids; `next` is null at the end."""
    site_ids = sorted(outsider.site() for _ in range(3))
    found: list[str] = []
    after: str | None = site_ids[0][:-1] if len(site_ids[0]) > 1 else ""
    while after is not None:
        page = accepted(outsider.call("GET", "/v1/sites", scope="schedule", params={"after": after, "limit": 1}))
        assert len(page["sites"]) <= 1
        found += [site["site_id"] for site in page["sites"]]
        after = page["next"]

    assert [site_id for site_id in found if site_id in site_ids] == site_ids
    assert found == sorted(found)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": "all"}, {"after": "a b"}])
def test_a_page_that_cannot_be_is_refused(outsider: Outsider, query: dict[str, Any]) -> None:
    problem = refused(outsider.call("GET", "/v1/sites", scope="schedule", params=query), 422, "request.invalid")

    assert pointers(problem) == [f"/{name}" for name in query]


def test_a_site_is_taken_away_once(outsider: Outsider) -> None:
    site_id = outsider.site()
    path = f"/v1/sites/{site_id}"

    assert accepted(outsider.call("DELETE", path, scope="schedule")) == {"site_id": site_id, "removed": True}
    refused(outsider.call("DELETE", path, scope="schedule"), 404, "not_found")
    refused(outsider.call("GET", path, scope="schedule"), 404, "not_found")
