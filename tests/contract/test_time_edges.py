"""SMALL_PRINT.md, Time: half-open intervals in server milliseconds; one exam is played past all its edges."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, Sitting, accepted, now_ms, person, refused

NORMAL, GRACE_SAVER, GRACE_SUBMITTER, EXTRA, NEVER, LATE_EXTRA, CONFIRMED, EARLY_BIRD, LATE_PLEDGER = range(9)
CROWD = 110  # who knocks around the latest entry, one after the other


@dataclass
class Probe:
    """One request: the server decided at some moment between `sent_ms` and `answered_ms`."""

    sent_ms: int
    answered_ms: int
    answer: httpx2.Response


@dataclass
class Timeline:
    exam: Exam
    unit_ms: int = 0
    seen: dict[str, Any] = field(default_factory=dict)
    probes: dict[str, list[Probe]] = field(default_factory=dict)

    def probe(self, name: str, call: Callable[[], httpx2.Response]) -> None:
        sent_ms = now_ms()
        answer = call()
        self.probes.setdefault(name, []).append(Probe(sent_ms, now_ms(), answer))

    def around(self, name: str, edge_ms: int, call: Callable[[], httpx2.Response]) -> None:
        """Probe from shortly before the edge to shortly after."""
        out.sleep_until(edge_ms - 100)
        while not self.probes.get(name) or self.probes[name][-1].sent_ms < edge_ms + 20:
            self.probe(name, call)
        assert self.probes[name][0].answered_ms < edge_ms, "the machine was too slow to probe the edge"


@pytest.fixture(scope="module")
def played(outsider: Outsider) -> Timeline:
    return out.unhurried(lambda unit_s: play(outsider, unit_s), (1, 3))


def play(outsider: Outsider, unit_s: int) -> Timeline:
    """Starts at 0, hand-in from 1 unit, entry until 2, end at 3, grace until 4; extra time until 6, closed at 7."""
    unit_ms = unit_s * 1000
    rows = [person() for _ in range(9 + CROWD)]
    rows[EXTRA]["extra_time_s"] = 3 * unit_s
    rows[LATE_EXTRA]["extra_time_s"] = 3 * unit_s
    starts_ms = now_ms() + 1500 * unit_s
    rules = {
        "latest_entry_s": 2 * unit_s,
        "earliest_submit_s": unit_s,
        "warn_before_end_s": unit_s,
        "grace_s": unit_s,
        "check_in_before_s": 600,
    }
    exam = outsider.exam(rows=rows, starts_ms=starts_ms, duration_s=3 * unit_s, rules=rules)
    line = Timeline(exam, unit_ms)
    seen = line.seen
    crowd = iter(range(9, 9 + CROWD))

    here = {index: exam.enter(index) for index in (NORMAL, GRACE_SAVER, GRACE_SUBMITTER, EXTRA, EARLY_BIRD)}
    here[CONFIRMED], here[LATE_PLEDGER] = exam.arrive(CONFIRMED), exam.arrive(LATE_PLEDGER)
    accepted(here[CONFIRMED].confirm())

    line.around("key", starts_ms, here[NORMAL].key)
    for sitting in (here[NORMAL], here[GRACE_SAVER], here[GRACE_SUBMITTER], here[EXTRA]):
        accepted(sitting.save(("A1", 1, "a")))
    line.around("submit", starts_ms + unit_ms, here[EARLY_BIRD].submit)
    seen["early extra"] = now_ms(), here[EXTRA].show()

    line.around("entry", starts_ms + 2 * unit_ms, lambda: exam.log_in(next(crowd)))
    seen["late extra"] = exam.log_in(LATE_EXTRA)
    seen["counts after entry"] = now_ms(), outsider.show_batch(exam.batch_id)
    accepted(here[LATE_PLEDGER].confirm())
    seen["back in"] = exam.log_in(LATE_PLEDGER)
    here[LATE_PLEDGER] = Sitting(outsider, accepted(seen["back in"]))
    seen["late pledge"] = here[LATE_PLEDGER].pledge()

    out.sleep_until(exam.ends_ms + 10)
    seen["grace sitting"] = here[GRACE_SAVER].show()
    seen["grace save"] = here[GRACE_SAVER].save(("A1", 2, "b"))
    seen["grace submit"] = here[GRACE_SUBMITTER].submit(1)
    seen["grace state"] = outsider.show_batch(exam.batch_id)["state"]
    assert now_ms() < exam.closes_ms - 100, "the machine was too slow to probe the grace"
    numbers = iter(range(10, 10_000))
    line.around("save", exam.closes_ms, lambda: here[NORMAL].save(("C1", next(numbers), True)))

    seen["closed save"] = here[GRACE_SAVER].save(("A1", 3, "c"))
    seen["closed submit"] = here[GRACE_SAVER].submit(2)
    seen["closed again"] = here[GRACE_SUBMITTER].submit(1)
    seen["closed receipt"] = here[GRACE_SAVER].receipt()
    seen["extra save"] = here[EXTRA].save(("A1", 2, "b"))
    seen["extra sitting"] = here[EXTRA].show()
    seen["state with extra"] = outsider.show_batch(exam.batch_id)["state"]
    assert now_ms() < exam.ends_ms + 3 * unit_ms, "the machine was too slow to probe the extra time"
    seen["login after the end"] = exam.log_in(GRACE_SAVER)
    seen["absent login"] = exam.log_in(NEVER)
    again = Sitting(outsider, accepted(seen["login after the end"]))
    seen["receipt after the end"] = again.receipt()
    seen["save after the end"] = again.save(("A1", 9, "c"))
    seen["confirmed receipt"] = here[CONFIRMED].receipt()

    out.sleep_until(exam.closes_ms + 3 * unit_ms)
    seen["extra closed"] = here[EXTRA].save(("A1", 3, "c"))
    seen["extra receipt"] = here[EXTRA].receipt()
    seen["final"] = out.poll(
        lambda: (shown := outsider.show_batch(exam.batch_id))["state"] == "graded" and shown, 15, "graded"
    )
    return line


def check_edge(probes: list[Probe], edge_ms: int, before: tuple[int, str], after: tuple[int, str | None]) -> None:
    """At the edge the later state holds: before it `before`, from it on `after` (status, code)."""
    early = [probe for probe in probes if probe.answered_ms < edge_ms]
    late = [probe for probe in probes if probe.sent_ms >= edge_ms]
    assert early and late, "no probe on one side of the edge"
    for probe in probes:
        expected = before if probe in early else after if probe in late else None
        if expected is None:
            assert probe.answer.status_code in (before[0], after[0])
        elif expected[0] >= 400:
            refused(probe.answer, *expected)
        else:
            accepted(probe.answer)


def test_key_comes_at_the_start_and_not_before(played: Timeline) -> None:
    """API.md: 425 `{starts_ms}` before the start; SMALL_PRINT: at an edge the later state holds."""
    check_edge(played.probes["key"], played.exam.starts_ms, (425, None), (200, None))  # type: ignore[arg-type]


def test_hand_in_is_allowed_from_its_instant(played: Timeline) -> None:
    """SMALL_PRINT: intervals are half-open; `submit.too_early` before."""
    check_edge(played.probes["submit"], played.exam.starts_ms + played.unit_ms, (409, "submit.too_early"), (200, None))


def test_entry_ends_at_its_instant(played: Timeline) -> None:
    """SMALL_PRINT: half-open; "entered" = first successful login; later: `login.too_late` 403."""
    check_edge(played.probes["entry"], played.exam.starts_ms + 2 * played.unit_ms, (200, ""), (403, "login.too_late"))


def test_saves_end_with_the_grace(played: Timeline) -> None:
    """SMALL_PRINT: after end + grace nothing changes: `autosave.closed`."""
    check_edge(played.probes["save"], played.exam.closes_ms, (200, ""), (409, "autosave.closed"))


def test_extra_time_does_not_move_the_latest_entry(played: Timeline) -> None:
    """SMALL_PRINT: extra time moves the end and the warning; never check-in, latest entry or earliest hand-in."""
    refused(played.seen["late extra"], 403, "login.too_late")


def test_who_entered_may_come_back_after_the_latest_entry(played: Timeline) -> None:
    """SMALL_PRINT: "entered" = first successful login."""
    assert accepted(played.seen["back in"])["state"] == "confirmed"
    assert accepted(played.seen["late pledge"]) == {"state": "in_progress"}


def test_who_has_not_entered_counts_as_absent_from_that_instant(played: Timeline) -> None:
    """SMALL_PRINT: half-open; API.md: each sitting in exactly one state."""
    _, shown = played.seen["counts after entry"]
    counts = shown["counts"]
    entered = sum(probe.answer.status_code == 200 for probe in played.probes["entry"])
    assert counts["expected"] == 0
    assert counts["rostered"] == 9 + CROWD
    assert counts["absent"] >= 2 + CROWD - entered
    states = ("expected", "checked_in", "in_progress", "submitted", "collected", "absent", "void")
    assert sum(counts[name] for name in states) == 9 + CROWD


def test_changes_in_grace_are_taken(played: Timeline) -> None:
    """SMALL_PRINT: in grace: changes with a `seq` are still taken."""
    assert accepted(played.seen["grace save"])["saved"] == 2
    shown = accepted(played.seen["grace sitting"])
    assert (shown["state"], shown["remaining_ms"]) == ("in_progress", 0)
    assert played.seen["grace state"] == "open"


def test_hand_in_in_grace_is_a_hand_in(played: Timeline) -> None:
    """SMALL_PRINT: in grace a hand-in is a hand-in; a second one returns the first receipt, also after the end."""
    receipt = accepted(played.seen["grace submit"])
    assert receipt["state"] == "submitted"
    assert played.exam.ends_ms <= receipt["submitted_ms"] < played.exam.closes_ms
    assert accepted(played.seen["closed again"]) == receipt


def test_nothing_changes_after_the_grace(played: Timeline) -> None:
    """SMALL_PRINT: after end + grace nothing changes: `autosave.closed`, `submit.closed`."""
    refused(played.seen["closed save"], 409, "autosave.closed")
    refused(played.seen["closed submit"], 409, "submit.closed")
    refused(played.seen["save after the end"], 409, "autosave.closed")


def test_collected_receipt_holds_the_change_of_the_grace(outsider: Outsider, played: Timeline) -> None:
    """API.md: `GET /v1/sitting/receipt`: the receipt of a collected sitting, from the instant it closed."""
    receipt = accepted(played.seen["closed receipt"])
    assert (receipt["state"], receipt["answered"]) == ("collected", 1)
    assert receipt["digest"] == out.responses_digest([("A1", 2, "b")])
    assert out.signed_by(receipt, outsider.public_keys()) == [receipt["key_id"]]
    assert accepted(played.seen["receipt after the end"]) == receipt


def test_who_had_entered_may_log_in_after_the_end(played: Timeline) -> None:
    """SMALL_PRINT: who had entered may still log in to see the receipt; who had not may not."""
    assert accepted(played.seen["login after the end"])["state"] == "collected"
    refused(played.seen["absent login"], 403, "login.too_late")


def test_extra_time_moves_the_end_of_that_candidate_only(played: Timeline) -> None:
    """SMALL_PRINT: extra time moves the end; the batch stays open for it."""
    assert accepted(played.seen["extra save"])["saved"] == 2
    shown = accepted(played.seen["extra sitting"])
    assert shown["ends_ms"] == played.exam.ends_ms + 3 * played.unit_ms
    assert shown["remaining_ms"] == shown["ends_ms"] - shown["server_ms"]
    assert played.seen["state with extra"] == "open"
    refused(played.seen["extra closed"], 409, "autosave.closed")
    receipt = accepted(played.seen["extra receipt"])
    assert receipt["digest"] == out.responses_digest([("A1", 2, "b")])


def test_who_only_confirmed_is_collected(played: Timeline) -> None:
    """API.md: every sitting ends in exactly one state: who entered is collected."""
    receipt = accepted(played.seen["confirmed receipt"])
    assert (receipt["state"], receipt["answered"]) == ("collected", 0)


def test_final_counts(played: Timeline) -> None:
    """API.md: `counts`: each sitting in exactly one."""
    counts = played.seen["final"]["counts"]
    entered = sum(probe.answer.status_code == 200 for probe in played.probes["entry"])
    assert counts["submitted"] == 2
    assert counts["collected"] == 5 + entered
    assert counts["absent"] == 2 + CROWD - entered
    assert counts["expected"] == counts["checked_in"] == counts["in_progress"] == counts["void"] == 0


def test_check_in_opens_at_its_instant(outsider: Outsider) -> None:
    """API.md: `login.too_early`; SMALL_PRINT: at an edge the later state holds."""
    starts_ms = now_ms() + 2500
    exam = outsider.exam(rows=60, starts_ms=starts_ms, rules={"check_in_before_s": 2})
    line = Timeline(exam)
    people = itertools.cycle(range(60))
    line.around("check in", starts_ms - 2000, lambda: exam.log_in(next(people)))
    check_edge(line.probes["check in"], starts_ms - 2000, (403, "login.too_early"), (200, None))
    too_early = [probe for probe in line.probes["check in"] if probe.answer.status_code == 403]
    assert accepted(exam.log_in(0))["state"] == "checked_in", f"{len(too_early)} came too early and may come again"


def test_latest_entry_never_lies_after_the_end(outsider: Outsider) -> None:
    """EXAM_RULES: a candidate not yet in may not enter: least of all after the end."""
    exam = outsider.exam(rows=2, duration_s=1, rules={"latest_entry_s": 300, "grace_s": 2})
    out.sleep_until(exam.ends_ms)
    refused(exam.log_in(), 403, "login.too_late")
