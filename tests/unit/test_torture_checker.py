"""The torture campaign's checker: a clean account passes, and every single thing that can be wrong is found."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from loadtest.receipts import responses_digest
from loadtest.torture.checker import KINDS, Verdict, check
from tests.servers import ROOT
from tests.unit.test_torture_deliveries import WEBHOOK_SECRET, delivered

STARTS_MS = 1_000_000
CLOSES_MS = STARTS_MS + 10_000 + 2_000
ITEMS = [
    {"id": "A1", "type": "single", "options": [{"id": "a"}, {"id": "b"}], "answer": "b", "points": 1},
    {"id": "E1", "type": "numeric", "answer": 21.75, "tolerance": 0.01, "points": 3},
]
PAPER = {"sections": [{"id": "A", "items": ITEMS}]}
BATCH = {"starts_ms": STARTS_MS, "duration_s": 10, "admission_code": "T1", "rules": {"grace_s": 2}}
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {"key-1": base64.b64encode(SIGNER.public_key().public_bytes_raw()).decode()}


def signed(document: dict[str, Any]) -> dict[str, Any]:
    """`document` signed afresh, as the engine would."""
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    signature = base64.urlsafe_b64encode(SIGNER.sign(rfc8785.dumps(unsigned))).rstrip(b"=").decode()
    return {**unsigned, "signature": signature}


def change(item: str, seq: int, value: Any) -> dict[str, Any]:
    return {"item": item, "seq": seq, "value": value}


@dataclass
class Account:
    """A campaign with one sitting handed in and one absentee, written down line by line."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    sitting: dict[str, Any] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    at_ms: int = STARTS_MS
    untrue: list[tuple[str, str, int]] = field(default_factory=list)
    spoil: Callable[[list[dict[str, Any]]], None] = lambda deliveries: None

    def note(self, kind: str, **members: Any) -> None:
        self.at_ms += 10
        self.lines.append({"k": kind, "ms": self.at_ms, "ns": self.at_ms * 1_000_000, **members})

    def log_in(self, token: str) -> None:
        self.note("call", call=f"login-{token}", path="login", person="T1/p1")
        reply = {"token": token, "sitting_id": "s1", "batch_id": "b1", "state": "checked_in"}
        self.note("answer", call=f"login-{token}", reply=reply)

    def save(self, call: str, position: int, *changes: dict[str, Any], token: str = "t1", committed: int = 0) -> None:
        """A save call and its acknowledgement in generation 1."""
        self.note("call", call=call, path="responses", token=token, changes=list(changes))
        highest = max(one["seq"] for one in changes)
        self.answer(call, {"saved": highest, "generation": 1, "position": position, "committed": committed})

    def answer(self, call: str, reply: dict[str, Any]) -> None:
        self.note("answer", call=call, reply=reply)

    def record(self, item: str, seq: int, value: Any, position: int, generation: int = 1) -> None:
        """A row of the history, and the response when it is the newest of its item."""
        row = [item, seq, value, self.at_ms, generation, position]
        self.sitting["recorded"].append(row)
        self.sitting["history"].append(dict(zip(("item", "seq", "value", "saved_ms"), row, strict=False)))
        known = self.sitting["responses"].get(item)
        if known is None or known["seq"] < seq:
            self.sitting["responses"][item] = {"seq": seq, "value": value}

    def hand_in(self) -> None:
        """The hand-in, its receipt fetched once more, the event and the result."""
        self.note("call", call="submit", path="submit", token="t1", seq=3)
        ended_ms = self.at_ms
        responses = self.sitting["responses"]
        head = {"sitting_id": "s1", "batch_id": "b1", "state": "submitted", "submitted_ms": ended_ms}
        receipt = signed({**head, "answered": 2, "items": 2, "digest": responses_digest(responses), "key_id": "key-1"})
        self.answer("submit", receipt)
        self.note("call", call="receipt", path="receipt", token="t1")
        self.answer("receipt", receipt)
        self.sitting["events"] = [["login", STARTS_MS, 1], ["submitted", ended_ms, 1]]
        self.results = [signed({"sitting_id": "s1", "state": "graded", "score": 100})]

    def verdict(self, folder: Path) -> Verdict:
        """Write everything down and have it checked."""
        absent = {"sitting_id": "s2", "batch_id": "b1", "person": "T1/p2", "state": "absent", "responses": {}}
        absent |= {"history": [], "recorded": [], "stored": [], "events": [["absent", STARTS_MS, 0]]}
        roster = [{"id_number": "p1"}, {"id_number": "p2"}]
        stored = [[item, one["seq"], one["value"]] for item, one in sorted(self.sitting["responses"].items())]
        sittings = {"s1": {"stored": stored, **self.sitting}, "s2": absent}
        results = [*self.results, signed({"sitting_id": "s2", "state": "absent", "score": None})]
        book = [{"k": "paper", "paper": PAPER}, {"k": "batch", "batch_id": "b1", "batch": BATCH, "roster": roster}]
        book += [{"k": "untrue", "sitting_id": name, "item": item, "seq": seq} for name, item, seq in self.untrue]
        book.append({"k": "webhook", "secret": WEBHOOK_SECRET})
        deliveries = [delivered(result, 1_000 + place) for place, result in enumerate(results)]
        self.spoil(deliveries)
        (folder / "deliveries.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in deliveries))
        evidence = {"keys": KEYS, "batches": {"b1": {}}, "results": {"b1": results}, "sittings": sittings}
        (folder / "ledger-0.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in self.lines))
        (folder / "book.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in book))
        (folder / "evidence.json").write_bytes(orjson.dumps(evidence))
        return check(folder)


def begun() -> Account:
    """Logged in, nothing saved yet."""
    account = Account()
    empty: dict[str, Any] = {"responses": {}, "history": [], "recorded": [], "events": []}
    account.sitting = {"sitting_id": "s1", "batch_id": "b1", "person": "T1/p1", "state": "submitted", **empty}
    account.log_in("t1")
    return account


def clean() -> Account:
    """Three changes in three calls, the first also sent twice, then the hand-in: everything is right."""
    account = begun()
    account.save("c1", 1, change("A1", 1, "a"))
    account.record("A1", 1, "a", 1)
    account.save("c2", 2, change("E1", 2, 21.74))
    account.record("E1", 2, 21.74, 2)
    account.save("c3", 3, change("A1", 3, "b"), committed=2)
    account.record("A1", 3, "b", 3)
    account.save("c4", 3, change("A1", 1, "a"), committed=3)
    account.hand_in()
    return account


def found(verdict: Verdict) -> set[str]:
    return {kind for kind, faults in verdict.faults.items() if faults}


# --- one fault each ---------------------------------------------------------------------------------------------


def lost(account: Account) -> None:
    del account.sitting["responses"]["E1"]


def lost_to_an_older_one(account: Account) -> None:
    account.sitting["responses"]["A1"] = {"seq": 1, "value": "a"}


def lost_what_was_shown(account: Account) -> None:
    account.note("call", call="look", path="sitting", token="t1")
    shown = {"A1": {"seq": 9, "value": "a"}}
    account.answer("look", {"generation": 1, "committed": 0, "responses": shown})


def lost_for_a_while(account: Account) -> None:
    account.sitting["recorded"][1][4:] = [2, 1]


def unrecorded(account: Account) -> None:
    del account.sitting["recorded"][1], account.sitting["history"][1]


def committed_without_rows(account: Account) -> None:
    unrecorded(account)  # c4 said committed 3, this change stood at 2


def committed_before_its_position(account: Account) -> None:
    account.sitting["recorded"][1][5] = 5


def accepted_after_the_end(account: Account) -> None:
    account.at_ms = CLOSES_MS
    account.save("late", 9, change("E1", 2, 21.74))


def recorded_after_the_end(account: Account) -> None:
    account.sitting["recorded"][2][3] = CLOSES_MS
    account.sitting["history"][2]["saved_ms"] = CLOSES_MS


def accepted_after_the_hand_in(account: Account) -> None:
    account.save("late", 9, change("E1", 2, 21.74))


def recorded_though_only_sent_late(account: Account) -> None:
    account.note("call", call="late", path="responses", token="t1", changes=[change("E1", 4, 5)])
    account.record("E1", 4, 5, 4)


def accepted_early(account: Account) -> None:
    account.sitting["recorded"][0][3] = STARTS_MS - 1
    account.sitting["history"][0]["saved_ms"] = STARTS_MS - 1


def acknowledged_to_an_older_machine(account: Account) -> None:
    account.log_in("t2")
    account.save("old", 9, change("E1", 2, 21.74))


def recorded_of_an_older_machine(account: Account) -> None:
    account.lines = [line for line in account.lines if line.get("call") != "c2"]
    account.log_in("t2")
    account.note("call", call="old", path="responses", token="t1", changes=[change("E1", 2, 21.74)])


def never_sent(account: Account) -> None:
    account.record("E1", 5, 7, 4)


def altered(account: Account) -> None:
    account.sitting["responses"]["A1"] = {"seq": 3, "value": "c"}


def recorded_twice(account: Account) -> None:
    account.record("E1", 2, 21.74, 4)


def ended_twice(account: Account) -> None:
    account.sitting["events"].append(["collected", STARTS_MS + 10_000, 1])


def graded_twice(account: Account) -> None:
    account.results *= 2


def not_graded(account: Account) -> None:
    account.results = []


def not_ended(account: Account) -> None:
    account.sitting["state"] = "pledged"
    account.sitting["events"].pop()


def collected_after_a_hand_in(account: Account) -> None:
    account.sitting["state"] = "collected"
    account.sitting["events"][-1][0] = "collected"


def receipt_of_other_responses(account: Account) -> None:
    receipt = account.lines[-1]["reply"]
    account.lines[-1]["reply"] = signed({**receipt, "digest": "0" * 64})


def receipt_with_a_wrong_signature(account: Account) -> None:
    account.lines[-1]["reply"]["signature"] = "AAAA"
    account.lines[-3]["reply"]["signature"] = "AAAA"


def wrong_score(account: Account) -> None:
    account.results = [signed({**account.results[0], "score": 99.99})]


def result_with_a_wrong_signature(account: Account) -> None:
    account.results[0]["signature"] = "AAAA"


def served_otherwise_than_stored(account: Account) -> None:
    account.sitting["stored"] = [["A1", 3, "b"], ["E1", 2, 21.75]]


def history_served_otherwise(account: Account) -> None:
    account.sitting["history"].reverse()


def told_before_it_was_there(account: Account) -> None:
    account.untrue.append(("s1", "E1", 2))


def heard_of_what_is_not_there(account: Account) -> None:
    unrecorded(account)
    account.lines = [line for line in account.lines if line.get("call") != "c4"]
    account.note("heard", token="t1", generation=1, committed=2)


def never_pushed(account: Account) -> None:
    account.spoil = list.pop


def pushed_with_a_wrong_signature(account: Account) -> None:
    account.spoil = lambda deliveries: deliveries[0].update(body=deliveries[0]["body"].replace("b1", "b2"))


def stuck(account: Account) -> None:
    account.note("stuck", person="T1/p1", why="Problem 418")


def sitting_gone(account: Account) -> None:
    account.lines[1]["reply"]["sitting_id"] = "s9"


BROKEN: list[tuple[str, Callable[[Account], None]]] = [
    ("lost", lost),
    ("lost", lost_to_an_older_one),
    ("lost", lost_what_was_shown),
    ("lost", altered),
    ("lost", sitting_gone),
    ("lost_for_a_while", lost_for_a_while),
    ("unrecorded", unrecorded),
    ("false_committed", committed_without_rows),
    ("false_committed", committed_before_its_position),
    ("false_committed", told_before_it_was_there),
    ("false_committed", heard_of_what_is_not_there),
    ("accepted_late", accepted_after_the_end),
    ("accepted_late", recorded_after_the_end),
    ("accepted_late", accepted_after_the_hand_in),
    ("accepted_late", recorded_though_only_sent_late),
    ("accepted_early", accepted_early),
    ("epoch_violated", acknowledged_to_an_older_machine),
    ("epoch_violated", recorded_of_an_older_machine),
    ("never_sent", never_sent),
    ("never_sent", altered),
    ("recorded_twice", recorded_twice),
    ("finalised_twice", ended_twice),
    ("finalised_twice", graded_twice),
    ("not_finalised", not_graded),
    ("not_finalised", not_ended),
    ("wrong_states", collected_after_a_hand_in),
    ("bad_receipts", receipt_of_other_responses),
    ("bad_receipts", receipt_with_a_wrong_signature),
    ("wrong_scores", wrong_score),
    ("wrong_scores", result_with_a_wrong_signature),
    ("undelivered", never_pushed),
    ("wrong_deliveries", pushed_with_a_wrong_signature),
    ("disagreeing", served_otherwise_than_stored),
    ("disagreeing", history_served_otherwise),
    ("stuck", stuck),
]


def test_a_clean_account_is_found_clean(tmp_path: Path) -> None:
    """A resent change counts once, and a duplicate is no fault."""
    verdict = clean().verdict(tmp_path)

    assert verdict.as_json()["faults"] == []
    assert (verdict.acknowledged, verdict.sittings, verdict.deliveries) == (3, 2, 2)


@pytest.mark.parametrize(("kind", "break_it"), BROKEN, ids=[f"{kind}-{how.__name__}" for kind, how in BROKEN])
def test_every_single_fault_is_found_by_its_kind(
    tmp_path: Path, kind: str, break_it: Callable[[Account], None]
) -> None:
    """Whatever else it shows as."""
    account = clean()
    break_it(account)

    assert kind in found(account.verdict(tmp_path))


def test_there_is_a_broken_account_for_every_kind() -> None:
    """A kind that nothing shows might as well not be there."""
    assert {kind for kind, _ in BROKEN} == set(KINDS)


# --- what is no fault -------------------------------------------------------------------------------------------


def test_an_older_change_that_arrived_behind_a_newer_one_is_no_loss(tmp_path: Path) -> None:
    """It was acknowledged as stale: only the newer one is recorded."""
    account = begun()
    account.save("c1", 1, change("A1", 3, "b"))
    account.record("A1", 3, "b", 1)
    account.save("c2", 2, change("A1", 1, "a"), change("E1", 2, 21.76))
    account.record("E1", 2, 21.76, 2)
    account.hand_in()

    assert account.verdict(tmp_path).as_json()["faults"] == []


def test_an_older_change_acknowledged_before_the_newer_was_sent_must_be_recorded(tmp_path: Path) -> None:
    """Being superseded later does not excuse the history."""
    account = clean()
    del account.sitting["recorded"][0], account.sitting["history"][0]
    account.lines = [line for line in account.lines if line.get("call") != "c4"]

    assert "unrecorded" in found(account.verdict(tmp_path))


def test_a_change_that_nobody_acknowledged_may_be_there_or_not(tmp_path: Path) -> None:
    """The answer was lost on the way; either is right."""
    account = begun()
    for seq in (1, 2):
        account.note("call", call=f"c{seq}", path="responses", token="t1", changes=[change("A1", seq, "b")])
    account.record("A1", 1, "b", 1)
    account.save("c3", 2, change("E1", 3, 21.75))
    account.record("E1", 3, 21.75, 2)
    account.hand_in()

    assert account.verdict(tmp_path).as_json()["faults"] == []


def test_a_save_under_way_while_another_machine_takes_over_is_lawful(tmp_path: Path) -> None:
    """It was sent before the takeover was answered: it may have been first."""
    account = begun()
    account.note("call", call="login-t2", path="login", person="T1/p1")
    account.note("call", call="c1", path="responses", token="t1", changes=[change("A1", 1, "b")])
    reply = {"token": "t2", "sitting_id": "s1", "batch_id": "b1", "state": "in_progress"}
    account.answer("login-t2", reply)
    account.answer("c1", {"saved": 1, "generation": 1, "position": 1, "committed": 0})
    account.record("A1", 1, "b", 1)
    account.save("c2", 2, change("E1", 2, 21.75), token="t2")
    account.record("E1", 2, 21.75, 2)
    account.hand_in()

    assert account.verdict(tmp_path).as_json()["faults"] == []


def test_the_checker_is_a_program_that_says_what_it_found(tmp_path: Path) -> None:
    """Exit 1 and the fault in words; 2 when there is nothing to judge."""
    account = clean()
    lost(account)
    account.verdict(tmp_path)
    command = [sys.executable, "-m", "loadtest.torture.checker"]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    nothing = subprocess.run([*command, str(tmp_path / "none")], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert (done.returncode, nothing.returncode) == (1, 2)
    assert orjson.loads(done.stdout)["lost"] == 1
    assert "E1" in orjson.loads(done.stdout)["faults"][0]
