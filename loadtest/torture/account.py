"""Reads a campaign's folder: the ledgers' lines joined to one account per sitting, and what the book says was pushed.

Knows the files' format and nothing else: no code of the engine, none of the clients that wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


class Unreadable(Exception):
    """A file that cannot be judged from; the message names it and the line."""


@dataclass
class Login:
    """One answered login: from then on its `token` is the sitting's."""

    token: str
    sitting_id: str
    person: str
    sent_ns: int
    answered_ns: int


@dataclass
class Call:
    """One call with a token. `answered_ns` and `reply` are None when no answer, or a refusal, came."""

    number: str
    path: str
    token: str
    sent_ms: int
    sent_ns: int
    changes: list[dict[str, Any]]
    answered_ns: int | None = None
    reply: dict[str, Any] | None = None


@dataclass
class Account:
    """What the clients of one sitting did and were told, in order of sending."""

    sitting_id: str
    person: str = ""
    logins: list[Login] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    heard: list[tuple[int, int]] = field(default_factory=list)  # generation, committed, as channels told them

    def answered(self, *paths: str) -> Iterator[Call]:
        """The answered calls of these paths."""
        return (call for call in self.calls if call.path in paths and call.reply is not None)


@dataclass
class Ledgers:
    """All ledgers of a campaign. `attempted`: persons who tried to log in, answered or not."""

    accounts: dict[str, Account] = field(default_factory=dict)
    attempted: set[str] = field(default_factory=set)
    stuck: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Pushed:
    """What the campaign pushed: the paper, and each batch with the extra time of its persons."""

    paper: dict[str, Any]
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    persons: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # batch -> person -> roster row
    untrue: list[tuple[str, str, int]] = field(default_factory=list)  # told as committed before they were
    webhook_secret: str = ""  # of the campaign's own webhook


def read_ledgers(folder: Path) -> Ledgers:
    """Every `ledger-*.jsonl` in `folder`. Raises Unreadable."""
    found = Ledgers()
    for path in sorted(folder.glob("ledger-*.jsonl")):
        _read_ledger(path, found)
    return found


def read_book(path: Path) -> Pushed:
    """The campaign's own record. Raises Unreadable."""
    pushed = Pushed(paper={})
    for line in lines_of(path):
        if line["k"] == "paper":
            pushed.paper = line["paper"]
        elif line["k"] == "batch":
            batch = line["batch"]
            pushed.batches[line["batch_id"]] = batch
            rows = {f"{batch['admission_code']}/{row['id_number']}": row for row in line["roster"]}
            pushed.persons[line["batch_id"]] = rows
        elif line["k"] == "webhook":
            pushed.webhook_secret = line["secret"]
        elif line["k"] == "untrue":
            pushed.untrue.append((line["sitting_id"], line["item"], line["seq"]))
    return pushed


def _read_ledger(path: Path, found: Ledgers) -> None:
    calls: dict[str, Call] = {}
    logins: dict[str, tuple[str, int]] = {}  # call -> person, sent
    sitting_of: dict[str, str] = {}  # token -> sitting
    for line in lines_of(path):
        kind = line["k"]
        if kind == "stuck":
            found.stuck.append((line["person"], line["why"]))
        elif kind == "heard":
            found.accounts[sitting_of[line["token"]]].heard.append((line["generation"], line["committed"]))
        elif kind == "call" and line["path"] == "login":
            found.attempted.add(line["person"])
            logins[line["call"]] = (line["person"], line["ns"])
        elif kind == "call":
            call = Call(line["call"], line["path"], line["token"], line["ms"], line["ns"], line.get("changes", []))
            calls[line["call"]] = call
            found.accounts[sitting_of[call.token]].calls.append(call)
        elif kind == "answer" and line["call"] in logins:
            person, sent_ns = logins.pop(line["call"])
            reply = line["reply"]
            sitting_of[reply["token"]] = reply["sitting_id"]
            account = found.accounts.setdefault(reply["sitting_id"], Account(reply["sitting_id"], person))
            account.logins.append(Login(reply["token"], reply["sitting_id"], person, sent_ns, line["ns"]))
        elif kind == "answer":
            calls[line["call"]].reply = line["reply"]
            calls[line["call"]].answered_ns = line["ns"]


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The file's lines. The last one may be torn: its writer was killed before it acted on it."""
    with open(path, "rb") as held:
        for number, line in enumerate(held, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as fault:
                raise Unreadable(f"{path}, line {number}: {fault}") from None
