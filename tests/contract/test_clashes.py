"""What arming tells of other batches at the same time: seats that two are to have, extra time that reaches into one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.outsider import Outsider, accepted, now_ms, person, unique

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def paper_id(outsider: Outsider) -> str:
    return outsider.paper()


def mock(outsider: Outsider, paper_id: str, starts_ms: int, rows: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """A draft of which no calendar warns."""
    document = outsider.batch_document(paper_id, kind="mock", starts_ms=starts_ms)
    batch_id = outsider.batch(document)
    accepted(outsider.put_roster(batch_id, rows))
    return batch_id, document


def warned(outsider: Outsider, batch_id: str) -> dict[str, str]:
    return {each["code"]: each["message"] for each in accepted(outsider.arm(batch_id)).get("warnings", ())}


def test_a_batch_that_was_moved_onto_others_seats_is_told_so_when_it_is_armed(
    outsider: Outsider, paper_id: str
) -> None:
    """Its seats were free when they were assigned; nobody is refused for it, and the other batch hears of it, too."""
    name, starts_ms = f"考点 {unique('T')}", now_ms() + 10 * HOUR_MS
    outsider.site(name, a=5)
    rows = [[person(site=name, room="", seat="") for _ in range(3)] for _ in range(2)]
    first, _ = mock(outsider, paper_id, starts_ms, rows[0])
    second, document = mock(outsider, paper_id, starts_ms + HOUR_MS, rows[1])
    for batch_id in (first, second):
        assert len(accepted(outsider.seat(batch_id))["assigned"]) == 3
    accepted(outsider.put_batch({**document, "starts_ms": starts_ms}, second))

    told = warned(outsider, second)
    assert list(told) == ["seat.shared"]
    assert told["seat.shared"].startswith("3 seats ") and first in told["seat.shared"] and name in told["seat.shared"]
    assert second in warned(outsider, first)["seat.shared"]


def test_seats_of_batches_one_after_the_other_are_nobody_elses(outsider: Outsider, paper_id: str) -> None:
    """From the end and its grace on a machine is free."""
    name, starts_ms = f"考点 {unique('T')}", now_ms() + 20 * HOUR_MS
    mock(outsider, paper_id, starts_ms, [person(site=name)])
    second, _ = mock(outsider, paper_id, starts_ms + 605_000, [person(site=name)])

    assert warned(outsider, second) == {}


@pytest.mark.parametrize("extra_time_s", [600, 601])
def test_extra_time_that_reaches_into_another_batch_is_told(
    outsider: Outsider, paper_id: str, extra_time_s: int
) -> None:
    """The windows of the two batches do not overlap, what this candidate has of them does."""
    starts_ms = now_ms() + (30 + extra_time_s) * HOUR_MS
    both, other = person(extra_time_s=extra_time_s), person()
    first, _ = mock(outsider, paper_id, starts_ms, [both, other])
    second, _ = mock(outsider, paper_id, starts_ms + 605_000 + 600_000, [{**both, "site": "别处"}])

    expected = extra_time_s > 600
    for batch_id, beside in ((first, second), (second, first)):
        told = warned(outsider, batch_id)
        assert list(told) == ["roster.extra_time"] * expected
        assert not expected or (
            both["candidate_id"] in told["roster.extra_time"] and beside in told["roster.extra_time"]
        )
