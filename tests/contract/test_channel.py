"""API.md, the channel: what goes up, what comes down, and in which order."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from engine import openapi
from tests.contract import outsider as out
from tests.contract.description import faults
from tests.contract.line import Line, channel, open_channel
from tests.contract.opener import open_sealed
from tests.contract.outsider import Outsider, accepted, now_ms, refused

_next = count()


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> out.Exam:
    return outsider.exam(rows=40)


@pytest.fixture
def sitting(exam: out.Exam) -> out.Sitting:
    """A candidate in progress, of this test alone."""
    return exam.enter(next(_next))


def as_documented(line: Line) -> bool:
    """Every message that came is one the description knows."""
    document = openapi.document()
    assert [fault for message in line.heard for fault in faults(document, "ChannelTold", message)] == []
    return bool(line.heard)


# --- hello -----------------------------------------------------------------------------------------------------
async def test_hello_is_answered_with_time_and_then_the_key(sitting: out.Sitting) -> None:
    """API.md: `time` answers `hello`; who has started has the key in hand at once, the same as over HTTP."""
    async with open_channel(sitting) as line:
        key = await line.hear()
        shown, told = accepted(sitting.show()), line.heard[0]

        assert key == {"type": "paper_key", **accepted(sitting.key())}
        assert told.keys() == {"type", "server_ms", "starts_ms", "ends_ms", "remaining_ms", "state"}
        assert {name: told[name] for name in ("starts_ms", "ends_ms", "state")} == {
            name: shown[name] for name in ("starts_ms", "ends_ms", "state")
        }
        assert told["server_ms"] <= shown["server_ms"]
        assert told["remaining_ms"] == told["ends_ms"] - told["server_ms"]
        assert as_documented(line)


@pytest.mark.parametrize("token", ["", "nothing", "a~b~1~c", "\u00e4~b~1~c"])
async def test_a_token_that_is_none_ends_the_channel(outsider: Outsider, token: str) -> None:
    """401 `auth.missing` in words, then the close."""
    async with channel(outsider.url) as line:
        await line.say("hello", token=token)
        await line.refused(401, "auth.missing")

        assert await line.ended() == 1008


async def test_a_token_taken_over_opens_nothing(exam: out.Exam) -> None:
    """The newer login has the sitting."""
    index = next(_next)
    older = exam.enter(index)
    exam.arrive(index)
    async with channel(exam.outsider.url) as line:
        await line.say("hello", token=older.token)
        await line.refused(409, "sitting.superseded")

        assert await line.ended() == 1008


@pytest.mark.parametrize(
    "message",
    ['{"type":"save","changes":[{"item":"A1","seq":1,"value":"a"}]}', '{"type":"hi"}', "{", '{"type":"hello"}'],
)
async def test_nothing_comes_before_hello(outsider: Outsider, message: str) -> None:
    """Whoever does not say who they are is told so and goes."""
    async with channel(outsider.url) as line:
        await line.socket.send_str(message)
        error = await line.hear()

        assert (error["type"], error["status"] in (400, 422)) == ("error", True)
        assert await line.ended() == 1008


# --- saves -----------------------------------------------------------------------------------------------------
async def test_a_save_is_acknowledged_and_stored_as_over_http(sitting: out.Sitting) -> None:
    """API.md: `{type: "saved", saved, generation, position, committed}`; the same sitting, the same counters."""
    async with open_channel(sitting) as line:
        await line.save(("A1", 1, "a"), ("B1", 7, ["a"]), ("C1", 3, True))
        saved = await line.hear("saved", "error")

        assert saved.keys() == {"type", "saved", "generation", "position", "committed"}
        assert saved["saved"] == 7
        assert sitting.stored() == {"A1": (1, "a"), "B1": (7, ["a"]), "C1": (3, True)}
        over_http = accepted(sitting.save(("A1", 8, "b")))
        assert over_http["position"] > saved["position"] or over_http["generation"] > saved["generation"]


async def test_answers_come_in_the_order_of_the_frames(sitting: out.Sitting) -> None:
    """A refused frame is answered in its turn, between the saves before and behind it."""
    async with open_channel(sitting) as line:
        for seq in range(1, 41):
            await line.save(("E1", seq, seq if seq % 5 else "no number"))
        answers = [await line.hear("saved", "error") for _ in range(40)]

        assert [answer.get("saved", answer.get("code")) for answer in answers] == [
            seq if seq % 5 else "autosave.invalid" for seq in range(1, 41)
        ]
        positions = [answer["position"] for answer in answers if answer["type"] == "saved"]
        assert positions == sorted(positions)
        assert as_documented(line)


async def test_one_bad_change_refuses_its_whole_frame(sitting: out.Sitting) -> None:
    """API.md: 422 naming it, nothing written; and the channel goes on."""
    async with open_channel(sitting) as line:
        await line.save(("A1", 1, "a"), ("A1", 2, "zz"), ("nothing", 3, 1))
        error = await line.refused(422, "autosave.invalid")
        assert [fault["pointer"] for fault in error["errors"]] == ["/changes/1/value", "/changes/2/item"]
        assert sitting.stored() == {}

        await line.save(("A1", 4, "b"))
        assert (await line.hear("saved", "error"))["saved"] == 4
        assert as_documented(line)


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ("{", 400, "request.malformed"),
        ("", 400, "request.malformed"),
        ('{"type":"save","type":"save","changes":[{"item":"A1","seq":1,"value":"a"}]}', 400, "request.malformed"),
        ('{"type":"save","changes":[{"item":"A1","seq":1,"seq":2,"value":"a"}]}', 400, "request.malformed"),
        ('{"type":"save","changes":[{"item":"F1","seq":1,"value":"\\ud800"}]}', 400, "request.malformed"),
        ("[" * 5000, 400, "request.malformed"),
        ("[]", 422, "request.invalid"),
        ('"save"', 422, "request.invalid"),
        ("{}", 422, "request.invalid"),
        ('{"type":null}', 422, "request.invalid"),
        ('{"type":["save"]}', 422, "request.invalid"),
        ('{"type":"submit","seq":1}', 422, "request.invalid"),
        ('{"type":"hello","token":"again"}', 422, "request.invalid"),
        ('{"type":"hello","token":1}', 422, "request.invalid"),
        ('{"type":"save"}', 422, "autosave.invalid"),
        ('{"type":"save","changes":[]}', 422, "autosave.invalid"),
        ('{"type":"save","changes":[{"item":"A1","seq":1,"value":"a"}],"id":1}', 422, "autosave.invalid"),
        ('{"type":"save","changes":[{"item":"A1","seq":1,"value":"a","at":1}]}', 422, "autosave.invalid"),
        ('{"type":"save","changes":[{"item":"A1","seq":0,"value":"a"}]}', 422, "autosave.invalid"),
        ('{"type":"save","changes":[{"item":"A1","seq":1.0,"value":"a"}]}', 422, "autosave.invalid"),
        ('{"type":"save","changes":{"item":"A1","seq":1,"value":"a"}}', 422, "autosave.invalid"),
    ],
)  # fmt: skip
async def test_a_message_that_is_none_is_refused_and_the_channel_goes_on(
    steady: out.Sitting, message: str, status: int, code: str
) -> None:
    """Unknown members are refused as everywhere; nothing of it is stored."""
    async with open_channel(steady) as line:
        await line.socket.send_str(message)
        await line.refused(status, code)
        await line.save(("A1", 5, "c"))

        assert (await line.hear("saved", "error"))["type"] == "saved"
        assert steady.stored() == {"A1": (5, "c")}
        assert as_documented(line)


@pytest.fixture(scope="module")
def steady(exam: out.Exam) -> out.Sitting:
    """One candidate for messages that must be refused."""
    return exam.enter(next(_next))


@pytest.mark.parametrize("value", ["type", '"type"', '\\"type\\":'])
async def test_a_value_may_look_like_a_name(sitting: out.Sitting, value: str) -> None:
    """Only names given twice are refused, not what a candidate has written."""
    async with open_channel(sitting) as line:
        await line.save(("F1", 1, value))

        assert (await line.hear("saved", "error"))["type"] == "saved"
        assert sitting.stored() == {"F1": (1, value)}


async def test_committed_comes_without_asking(sitting: out.Sitting) -> None:
    """API.md: `{type: "committed", generation, committed}`, up to which PostgreSQL holds everything."""
    async with open_channel(sitting) as line:
        await line.save(("A1", 1, "a"))
        saved = await line.hear("saved")
        while True:
            told = await line.hear("committed")
            assert told["generation"] == saved["generation"]
            if told["committed"] >= saved["position"]:
                break
        assert sitting.outsider.responses(sitting.sitting_id)["A1"]["value"] == "a"


async def test_who_connects_again_hears_how_far_earlier_saves_are_committed(sitting: out.Sitting) -> None:
    """A journal that was saved through another connection is forgotten without saving anything new."""
    saved = accepted(sitting.save(("A1", 1, "a")))
    async with open_channel(sitting) as line:
        while True:
            told = await line.hear("committed")
            if told["generation"] == saved["generation"] and told["committed"] >= saved["position"]:
                break

    assert told["type"] == "committed"


async def test_two_channels_of_one_token_are_both_served(sitting: out.Sitting) -> None:
    """A second tab, or a connection that does not know yet that it is dead."""
    async with open_channel(sitting) as one, open_channel(sitting) as two:
        await one.save(("A1", 1, "a"))
        await two.save(("A1", 2, "b"))

        assert (await one.hear("saved"))["saved"] == 1
        assert (await two.hear("saved"))["saved"] == 2
        accepted(sitting.submit(2))
        assert await one.hear("closed") == await two.hear("closed") == {"type": "closed", "state": "submitted"}


# --- what comes by itself ----------------------------------------------------------------------------------------
async def test_the_key_comes_at_the_start_to_those_who_have_pledged(outsider: Outsider) -> None:
    """API.md: `paper_key` at the start; before it to nobody, without the pledge not at all."""
    exam = outsider.exam(rows=3, starts_ms=now_ms() + 5000)
    early, late, absent = exam.enter(0), exam.arrive(1), exam.arrive(2)
    async with open_channel(early) as one, open_channel(late) as two, open_channel(absent) as three:
        accepted(late.confirm())
        accepted(late.pledge())
        for line, sitting in ((one, early), (two, late)):
            key = await line.hear("paper_key")
            assert now_ms() >= exam.starts_ms
            assert key == {"type": "paper_key", **accepted(sitting.key())}
        sealed = outsider.call("GET", f"/v1/sealed/{early.login['paper']['digest']}").content
        paper_key = out.from_base64url(one.heard[-1]["paper_key"])
        assert open_sealed(exam.batch_id, sealed, paper_key)[0]["title"] == "试卷"
        assert one.heard[-1]["seed"] != two.heard[-1]["seed"]

        accepted(absent.confirm())
        accepted(absent.pledge())  # late, and in time: the key follows the pledge
        assert (await three.hear("paper_key"))["paper_key"] == one.heard[-1]["paper_key"]
        assert [message["type"] for message in three.heard] == ["time", "paper_key"]


async def test_nothing_is_saved_before_the_start(outsider: Outsider) -> None:
    """409 `autosave.not_open`, as over HTTP."""
    exam = outsider.exam(starts_ms=now_ms() + 600_000)
    async with open_channel(exam.enter()) as line:
        await line.save(("A1", 1, "a"))

        await line.refused(409, "autosave.not_open")


async def test_a_takeover_closes_the_older_channel(exam: out.Exam) -> None:
    """API.md: the older token gets 409 `sitting.superseded`, its channel closes; the newer one goes on."""
    index = next(_next)
    older = exam.enter(index)
    async with open_channel(older) as one:
        newer = exam.arrive(index)
        async with open_channel(newer) as two:
            await one.refused(409, "sitting.superseded")
            assert await one.ended() == 1008

            await two.save(("A1", 1, "a"))
            assert (await two.hear("saved", "error"))["type"] == "saved"
            assert "error" not in {message["type"] for message in two.heard}


async def test_a_hand_in_is_told_and_ends_the_saving(sitting: out.Sitting) -> None:
    """`closed` names the state; later saves are refused, but what was saved is still told to be committed."""
    async with open_channel(sitting) as line:
        await line.save(("A1", 1, "a"))
        saved = await line.hear("saved")
        accepted(sitting.submit(1))
        assert await line.hear("closed") == {"type": "closed", "state": "submitted"}
        await line.save(("A1", 2, "b"))
        await line.refused(409, "autosave.closed")

        known = max((told["committed"] for told in line.heard if told["type"] == "committed"), default=0)
        while known < saved["position"]:
            known = (await line.hear("committed"))["committed"]
    async with open_channel(sitting) as again:
        assert again.heard[0]["state"] == "submitted"
        assert (await again.hear("closed", "paper_key"))["type"] == "closed"


async def test_the_end_is_told_when_the_grace_is_over(outsider: Outsider) -> None:
    """`closed` with `collected`, and not a moment too early."""
    exam = outsider.exam(starts_ms=now_ms() - 1000, duration_s=8, rules={"grace_s": 1, "latest_entry_s": 7})
    async with open_channel(exam.enter()) as line:
        assert await line.hear("closed") == {"type": "closed", "state": "collected"}
        assert now_ms() >= exam.closes_ms


async def test_new_time_is_told_when_it_is_given(outsider: Outsider) -> None:
    """`time` whenever time changes: here by a roster pushed again with more of it."""
    exam = outsider.exam()
    async with open_channel(exam.enter()) as line:
        accepted(outsider.put_roster(exam.batch_id, [{**exam.roster[0], "extra_time_s": 600}]))
        told = await line.hear("time")

        assert told["ends_ms"] == exam.ends_ms + 600_000
        assert told["remaining_ms"] == told["ends_ms"] - told["server_ms"]
        assert as_documented(line)


async def test_an_open_channel_keeps_a_silent_machine_in_use(outsider: Outsider) -> None:
    """Rule `silent`: a machine whose channel is open has not been silent."""
    exam = outsider.exam(rules={"takeover": "silent"})
    async with open_channel(exam.enter()) as line:
        refused(exam.log_in(), 409, "login.elsewhere")
        await line.save(("A1", 1, "a"))

        assert (await line.hear("saved", "error"))["type"] == "saved"


def test_the_description_knows_what_goes_up() -> None:
    """Both messages, closed as every body that is sent."""
    document: dict[str, Any] = openapi.document()
    change = {"item": "A1", "seq": 1, "value": "a"}
    good = [{"type": "hello", "token": "t"}, {"type": "save", "changes": [change]}]
    bad = [{"type": "hello"}, {"type": "save", "changes": []}, {"type": "save", "changes": [change], "more": 1}]

    assert [fault for message in good for fault in faults(document, "ChannelSent", message)] == []
    assert all(faults(document, "ChannelSent", message) for message in bad), json.dumps(bad)
