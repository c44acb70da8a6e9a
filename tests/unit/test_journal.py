"""The candidate's journal: nothing is forgotten before it is safe."""

from __future__ import annotations

from loadtest.journal import CALL_BYTES_MAX, CHANGES_PER_CALL_MAX, Journal, encode_call


def _reply(saved: int, generation: int, position: int, committed: int) -> dict[str, int]:
    return {"saved": saved, "generation": generation, "position": position, "committed": committed}


def test_change_is_forgotten_only_when_committed() -> None:
    """Saved is not enough: PostgreSQL must hold the position."""
    journal = Journal()
    journal.note("A1", "a")
    journal.acknowledge(journal.next_call(), _reply(1, 1, 10, 9))
    assert (journal.unsaved, journal.uncommitted) == (0, 1)

    journal.observe(1, 10)

    assert (journal.unsaved, journal.uncommitted) == (0, 0)


def test_risen_generation_sends_everything_not_forgotten_again_in_order() -> None:
    """Positions of an older generation prove nothing any more."""
    journal = Journal()
    for value in "abc":
        journal.note("A1", value)
    journal.acknowledge(journal.next_call(), _reply(3, 1, 10, 9))
    journal.note("A2", "d")

    journal.observe(2, 500)

    assert [change.seq for change in journal.next_call()] == [1, 2, 3, 4]
    assert journal.uncommitted == 0


def test_reply_in_a_new_generation_saves_its_own_call_and_reopens_the_others() -> None:
    """The call that brings the news is itself saved in the new generation."""
    journal = Journal()
    journal.note("A1", "a")
    journal.acknowledge(journal.next_call(), _reply(1, 1, 10, 0))
    journal.note("A2", "b")

    journal.acknowledge(journal.next_call(), _reply(2, 2, 1, 0))

    assert [change.seq for change in journal.next_call()] == [1]
    assert journal.uncommitted == 1


def test_reply_of_an_old_generation_acknowledges_but_saves_nothing() -> None:
    """A late answer is still a promise, but the change goes out again in the present generation."""
    journal = Journal()
    change = journal.note("A1", "a")
    call = journal.next_call()
    journal.observe(5, 0)

    fresh = journal.acknowledge(call, _reply(1, 4, 10, 10))

    assert fresh == [change] and change.acknowledged
    assert journal.next_call() == [change]


def test_acknowledgement_counts_once() -> None:
    """Sending again after a risen generation does not acknowledge twice."""
    journal = Journal()
    journal.note("A1", "a")
    assert len(journal.acknowledge(journal.next_call(), _reply(1, 1, 1, 0))) == 1
    journal.observe(2, 0)

    assert journal.acknowledge(journal.next_call(), _reply(1, 2, 1, 0)) == []


def test_stale_resend_at_a_committed_position_is_forgotten_at_once() -> None:
    """A reply whose position is already committed leaves nothing to wait for."""
    journal = Journal()
    journal.observe(1, 50)
    journal.note("A1", "a")

    journal.acknowledge(journal.next_call(), _reply(1, 1, 40, 50))

    assert (journal.unsaved, journal.uncommitted) == (0, 0)


def test_call_keeps_the_contracts_bounds() -> None:
    """At most 200 changes and less than 256 KiB, but always at least one change."""
    journal = Journal()
    for _ in range(300):
        journal.note("A1", "a")
    assert len(journal.next_call()) == CHANGES_PER_CALL_MAX

    journal = Journal()
    for _ in range(20):
        journal.note("F1", "字" * 20_000)

    call = journal.next_call()
    assert 1 < len(call) < 20
    assert len(encode_call(call)) <= CALL_BYTES_MAX + 100


def test_seq_continues_where_another_machine_left_off() -> None:
    """Each change is one more than the last."""
    journal = Journal(41)

    assert [journal.note("A1", value).seq for value in "ab"] == [42, 43]
    assert encode_call(journal.next_call()).startswith(b'{"changes":[{"item":"A1","seq":42,"value":"a"},')
