"""Changes of an armed roster until the latest entry: who is logged in goes on, and sees them."""

from __future__ import annotations

import pytest

from tests.contract import outsider as out
from tests.contract.line import open_channel
from tests.contract.outsider import Outsider, accepted, now_ms, person, refused
from tests.contract.test_batch_log import log_of


def test_changed_seat_is_shown_to_who_is_logged_in(outsider: Outsider) -> None:
    """The same login goes on with its answers; only the place is another."""
    exam = outsider.exam()
    sitting = exam.enter()
    accepted(sitting.save(("A1", 1, "b")))
    moved = {**exam.roster[0], "room": "202", "seat": "备用1"}
    assert accepted(outsider.put_roster(exam.batch_id, [moved]))["changed"] == 1

    shown = accepted(sitting.show())
    assert (shown["candidate"]["room"], shown["candidate"]["seat"]) == ("202", "备用1")
    assert (shown["state"], shown["responses"]["A1"]["value"]) == ("in_progress", "b")
    accepted(sitting.save(("A1", 2, "c")))
    accepted(sitting.submit(2))


def test_two_who_are_logged_in_swap_their_seats(outsider: Outsider) -> None:
    """One push; neither is thrown out."""
    first, second = person(site="考点", seat="01"), person(site="考点", seat="02")
    exam = outsider.exam(rows=[first, second])
    sittings = [exam.enter(0), exam.enter(1)]
    swapped = [{**first, "seat": "02"}, {**second, "seat": "01"}]
    assert accepted(outsider.put_roster(exam.batch_id, swapped))["changed"] == 2

    assert [accepted(sitting.show())["candidate"]["seat"] for sitting in sittings] == ["02", "01"]
    changed = log_of(outsider, exam.batch_id)["events"][-1]
    assert changed["before"]["candidates"] == {row["candidate_id"]: {"seat": row["seat"]} for row in (first, second)}


@pytest.mark.anyio
async def test_extra_time_is_told_at_once(outsider: Outsider) -> None:
    """An open channel hears of the new end; saves and hand-in know it, too."""
    exam = outsider.exam()
    sitting = exam.enter()
    async with open_channel(sitting) as line:
        accepted(outsider.put_roster(exam.batch_id, [{**exam.roster[0], "extra_time_s": 300}]))

        assert (await line.hear("time"))["ends_ms"] == exam.ends_ms + 300_000
    assert accepted(sitting.show())["ends_ms"] == exam.ends_ms + 300_000


def test_late_addition_enters_after_the_start(outsider: Outsider) -> None:
    """Until the latest entry; with a paper key, saves and a receipt like everybody."""
    exam = outsider.exam(starts_ms=now_ms() - 2000)
    late = person()
    assert accepted(outsider.put_roster(exam.batch_id, [*exam.roster, late]))["added"] == 1
    exam.roster.append(late)

    sitting = exam.enter(1)
    accepted(sitting.key())
    accepted(sitting.save(("A1", 1, "b")))
    assert accepted(sitting.submit(1))["answered"] == 1


def test_after_the_latest_entry_nothing_goes_in(outsider: Outsider) -> None:
    """Not a seat, not a person; the same roster again is still 200."""
    rules = {"latest_entry_s": 2}
    exam = outsider.exam(starts_ms=now_ms(), rules=rules)
    out.sleep_until(exam.starts_ms + 2000)

    refused(outsider.put_roster(exam.batch_id, [{**exam.roster[0], "seat": "09"}]), 409, "batch.armed")
    refused(outsider.put_roster(exam.batch_id, [*exam.roster, person()]), 409, "batch.armed")
    assert accepted(outsider.put_roster(exam.batch_id, exam.roster))["unchanged"] == 1


@pytest.mark.parametrize("change", [{"title": "改"}, {"duration_s": 900}, {"rules": {"grace_s": 9}}])
def test_paper_time_and_rules_need_disarming(outsider: Outsider, change: dict[str, object]) -> None:
    """`batch.armed` before, taken afterwards."""
    exam = outsider.exam(starts_ms=now_ms() + 600_000)
    changed = {**exam.document, **change}
    changed["rules"] = {**exam.document["rules"], **changed["rules"]}
    refused(outsider.put_batch(changed, exam.batch_id), 409, "batch.armed")
    act = {"approved_by": ["王五", "赵六"], "reason": "改"}
    accepted(outsider.call("POST", f"/v1/batches/{exam.batch_id}/disarm", scope="schedule", json=act))

    accepted(outsider.put_batch(changed, exam.batch_id))
