"""The witness of the browser tests notices what is missing: otherwise its silence would mean nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, WebSocketRoute

from tests.browser.hall import Exam, Seat, call, until
from tests.browser.witness import Witness


def change(item: str, seq: int, value: Any) -> dict[str, Any]:
    return {"item": item, "seq": seq, "value": value, "saved_ms": 0}


@pytest.fixture
def witness() -> Witness:
    """One that stood beside no tab."""
    witness = Witness.__new__(Witness)
    witness.acknowledged, witness.seen, witness.tokens = set(), [], []
    return witness


def test_acknowledged_change_must_be_recorded_or_overtaken(witness: Witness) -> None:
    witness.acknowledged = {("A1", 3), ("A2", 4)}

    assert witness.missing([change("A1", 2, "b"), change("A2", 5, "c")]) == ["acknowledged: A1 3"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("b", ["b"]),
        (["a", "c"], ["c", "a"]),
        (True, ["true"]),
        (["八", "一"], ["八", "一"]),
        (8.66, ["８．６６０"]),
        (-240, ["-0240."]),
        (None, []),
        (None, [""]),
    ],
)
def test_answer_shown_as_recorded_must_be_what_was_recorded(witness: Witness, value: Any, shown: list[str]) -> None:
    witness.seen = [("A1", shown)]

    assert witness.missing([change("A1", 1, value)]) == []
    assert witness.missing([change("A1", 1, "other")]) == [f"shown: A1 {shown}"]
    assert witness.missing([change("A2", 1, value)]) == [f"shown: A1 {shown}"]


def test_engine_that_acknowledges_what_it_never_got_is_found_out(exam: Exam, machine: BrowserContext) -> None:
    """A proxy answers in the engine's place; the page believes it, and shows the answer as recorded."""

    def lying(channel: WebSocketRoute) -> None:
        server = channel.connect_to_server()

        def take(frame: str | bytes) -> None:
            if '"changes"' in str(frame):
                channel.send(json.dumps({"type": "saved", "saved": 1, "position": 1, **recorded}))
            else:
                server.send(frame)

        channel.on_message(take)

    recorded: dict[str, int] = {}
    machine.route_web_socket("**/v1/channel", lying)
    seat = Seat(machine, exam).enter()
    generation = call(exam.url, "GET", "/v1/sitting", seat.witness.tokens[0])["generation"]
    recorded.update(generation=generation, committed=1)
    seat.choose("A1", "b").item_state("recorded")

    found = until(lambda: seat.witness.missing(exam.history(seat.sitting_id)), 60, "what the page shows and nobody has")
    assert "shown: A1 ['b']" in found
    seat.witness.acknowledged.clear()
    seat.witness.seen.clear()
