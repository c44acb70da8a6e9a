"""The lists that hang on doors, lie on desks and are signed, over the API."""

from __future__ import annotations

import io
from typing import Any

import openpyxl
import pytest

from tests.contract.outsider import NOTHING, Outsider, accepted, person, pointers, refused, unique

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Hung:
    """A draft with two rooms at one site and one at another."""

    def __init__(self, outsider: Outsider) -> None:
        self.outsider = outsider
        self.site, other = unique("考点"), unique("考点")
        places = [(self.site, "101", "01"), (self.site, "101", "02"), (self.site, "102", "01"), (other, "101", "01")]
        self.rows = [
            person(name=f"考生{at}", site=site, room=room, seat=seat) for at, (site, room, seat) in enumerate(places)
        ]
        self.rows.append(person(name="无座者", site=self.site, room=NOTHING, seat=NOTHING))
        self.batch_id = outsider.batch(outsider.batch_document(outsider.paper()))
        accepted(outsider.put_roster(self.batch_id, self.rows))

    def call(self, kind: str, **query: Any) -> Any:
        path = f"/v1/batches/{self.batch_id}/lists/{kind}"
        return self.outsider.call("GET", path, scope="schedule", params=query)


@pytest.fixture(scope="module")
def hung(outsider: Outsider) -> Hung:
    return Hung(outsider)


@pytest.mark.parametrize("kind", ["door", "labels", "sign-in"])
def test_a_page_shows_the_rooms_asked_for(hung: Hung, kind: str) -> None:
    """All, a site's, or one; self-contained, under a policy that lets nothing in."""
    whole, of_site, of_room = (
        hung.call(kind),
        hung.call(kind, site=hung.site),
        hung.call(kind, site=hung.site, room="101"),
    )

    assert {answer.status_code for answer in (whole, of_site, of_room)} == {200}
    assert whole.headers["content-type"].startswith("text/html")
    policy = whole.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src" not in policy
    assert whole.headers["cache-control"] == "no-store" and whole.headers["x-content-type-options"] == "nosniff"
    named = [[row["name"] in answer.text for row in hung.rows] for answer in (whole, of_site, of_room)]
    assert named == [[True] * 5, [True, True, True, False, True], [True, True, False, False, False]]
    numbers = [row["id_number"] in whole.text for row in hung.rows[:4]]
    assert numbers == [kind == "sign-in"] * 4


@pytest.mark.parametrize("kind", ["door", "labels", "sign-in"])
def test_a_workbook_has_the_same(hung: Hung, kind: str) -> None:
    answer = hung.call(kind, site=hung.site, room="101", format="xlsx")

    assert answer.status_code == 200 and answer.headers["content-type"] == XLSX
    assert f"{kind}-{hung.batch_id}.xlsx" in answer.headers["content-disposition"]
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    values = {cell.value for sheet in book for row in sheet.iter_rows() for cell in row}
    assert {hung.rows[0]["name"], hung.rows[1]["admission_ticket"]} <= values
    assert hung.rows[2]["name"] not in values


def test_seats_that_were_assigned_are_on_the_lists(outsider: Outsider) -> None:
    """From open seats to what hangs on the door."""
    name = unique("考点")
    outsider.site(name, **{"301": 5})
    batch_id = outsider.batch(outsider.batch_document(outsider.paper()))
    rows = [person(site=name, room=NOTHING, seat=NOTHING) for _ in range(5)]
    accepted(outsider.put_roster(batch_id, rows))
    accepted(outsider.seat(batch_id))

    answer = outsider.call("GET", f"/v1/batches/{batch_id}/lists/door", scope="schedule")

    assert all(row["admission_ticket"] in answer.text for row in rows)
    assert ">05<" in answer.text and "尚未编排座位" not in answer.text


def test_what_there_is_not_is_refused(hung: Hung) -> None:
    """An unknown list, batch, site or room; and every fault of a query."""
    refused(hung.call("window"), 404, "not_found")
    refused(hung.call("door", site="别处"), 404, "not_found")
    refused(hung.call("door", site=hung.site, room="999"), 404, "not_found")
    path = "/v1/batches/no-such-batch/lists/door"
    refused(hung.outsider.call("GET", path, scope="schedule"), 404, "not_found")
    problem = refused(hung.call("door", room="101", format="pdf"), 422, "request.invalid")
    assert pointers(problem) == ["/format", "/site"]
    problem = refused(hung.call("door", site="x" * 101), 422, "request.invalid")
    assert pointers(problem) == ["/site"]
