"""What a script answers first: one enum for Lua and Python; a test compares it with `stores/partition.lua`."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

from engine.rules.errors import Corrupt, ExamError, Refused, TryLater


class Outcome(IntEnum):
    OK = 0
    LOST = 1  # the partition's marker is missing: Redis lost its data and is being rebuilt
    UNKNOWN = 2  # no such sitting in Redis
    SUPERSEDED = 3  # a later login raised the epoch
    ORDER = 4  # a step of the candidate's path is missing
    NOT_OPEN = 5  # before the start
    CLOSED = 6  # after end + grace, or handed in
    TOO_EARLY = 7  # before check-in opens, or before hand-in is allowed
    TOO_LATE = 8  # after the latest entry
    ELSEWHERE = 9  # the takeover rule keeps the sitting with the other machine
    BEHIND = 10  # the hand-in names changes that have not arrived
    CORRUPT = 11  # what is stored cannot be what a script wrote: nothing was changed, a person has to look


def refuse(outcome: Outcome, verb: str, detail: str = "") -> NoReturn:
    """Raise what `outcome` means for a candidate's call; `verb` is `autosave`, `submit` or `login`."""
    raise refusal(outcome, verb, detail)


def refusal(outcome: Outcome, verb: str, detail: str = "") -> ExamError:
    """What `outcome` means for a candidate's call, as the error to answer."""
    match outcome:
        case Outcome.LOST:
            return TryLater("this part of the memory store is being rebuilt; nothing was changed")
        case Outcome.UNKNOWN:
            return TryLater("the sitting is not prepared at this moment; nothing was changed")
        case Outcome.SUPERSEDED:
            return Refused("sitting.superseded", "a later login, perhaps on another machine, took this sitting over")
        case Outcome.ORDER:
            return Refused("sitting.order", detail or "the pledge comes before the paper; log in, confirm, pledge")
        case Outcome.NOT_OPEN:
            return Refused("autosave.not_open", "the sitting has not started; nothing was saved")
        case Outcome.CLOSED:
            return Refused(f"{verb}.closed", detail or "the sitting is closed; nothing was changed")
        case Outcome.TOO_EARLY:
            return Refused(f"{verb}.too_early", detail)
        case Outcome.TOO_LATE:
            return Refused("login.too_late", detail)
        case Outcome.ELSEWHERE:
            return Refused("login.elsewhere", "the sitting is in use on another machine; ask the proctor")
        case Outcome.CORRUPT:
            return Corrupt("what is stored of this sitting or its partition contradicts itself; nothing was changed")
        case _:
            raise AssertionError(f"{outcome!r} is no refusal")
