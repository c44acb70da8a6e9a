"""Settles a campaign's account; `python -m loadtest.torture.checker FOLDER` is a program of its own.

It reads ledgers (`ledger-*.jsonl`), book, deliveries and evidence (`evidence.json`), prints a verdict as JSON and
exits 0 when nothing is wrong, else 1.

It shares no code with the engine, nor with the clients that wrote the ledgers. What it decides, exactly:

* A change is **acknowledged** when a save call holding it was answered 200. Per item the response at the end must be
  the highest acknowledged seq with the value sent under it, or a later one that was sent.
* An acknowledged change stands in the history, unless it was stale when it arrived: then a later change of its item
  stands there that was first sent before the acknowledgement came. It stands there in the generation of the
  acknowledgement or an earlier one: in a later one only, the engine had lost it and got it from the client again.
* A save is **lawful** when it was sent before end + grace, before the hand-in was answered, and before another login
  of its sitting was answered. What is acknowledged unlawfully, or recorded though it was only sent so, is a fault.
* Reaching `position <= committed` in one generation is a promise that PostgreSQL holds the change.
* Every published result was taken by the campaign's webhook at least once (`deliveries.py`).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from loadtest.marking import mark_paper
from loadtest.receipts import is_signed, responses_digest
from loadtest.torture.account import Account, Call, Login, Pushed, Unreadable, read_book, read_ledgers
from loadtest.torture.deliveries import settle_deliveries

KINDS = (
    "lost",  # acknowledged, and at the end missing, older or altered
    "lost_for_a_while",  # acknowledged, gone, and there again only because the client sent it again
    "unrecorded",  # acknowledged and not in the history
    "false_committed",  # told as committed and not in PostgreSQL, or told with a position before its own
    "accepted_late",  # after end + grace, or after the hand-in
    "accepted_early",  # before the start
    "epoch_violated",  # from a machine that another one had taken over from
    "never_sent",  # in the engine, but nobody sent it
    "recorded_twice",
    "finalised_twice",
    "not_finalised",
    "wrong_states",
    "bad_receipts",
    "wrong_scores",
    "undelivered",  # published, and never taken by the webhook
    "wrong_deliveries",  # pushed, and not as it was published, or not in its batch's order
    "disagreeing",  # what is served differs from what lies in PostgreSQL
    "stuck",  # a client got an answer it cannot go on from
)
FINAL_EVENTS = frozenset({"submitted", "collected", "absent"})
NAMED_MAX = 100


@dataclass
class Verdict:
    """Faults by kind: each fault is counted once however often it shows; the first ones are kept in words."""

    acknowledged: int = 0
    sittings: int = 0
    calls: int = 0
    deliveries: int = 0
    faults: dict[str, dict[Any, str]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def fault(self, kind: str, about: Any, text: str) -> None:
        self.faults[kind].setdefault(about, text)

    def as_json(self) -> dict[str, Any]:
        named = [f"{kind}: {text}" for kind in KINDS for text in self.faults[kind].values()]
        counts = {kind: len(self.faults[kind]) for kind in KINDS}
        names = ("acknowledged", "sittings", "calls", "deliveries")
        figures = {name: getattr(self, name) for name in names}
        return {**figures, **counts, "faults": named[:NAMED_MAX]}


def main(arguments: list[str] | None = None) -> int:
    """0: nothing is wrong; 1: something is; 2: the folder cannot be read."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1:
        print("usage: python -m loadtest.torture.checker FOLDER", file=sys.stderr)
        return 2
    try:
        verdict = check(Path(given[0]))
    except (OSError, Unreadable, orjson.JSONDecodeError) as fault:
        print(f"checker: {fault}", file=sys.stderr)
        return 2
    print(orjson.dumps(verdict.as_json()).decode())
    return int(any(verdict.faults.values()))


def check(folder: Path) -> Verdict:
    """Judge everything in `folder`. Raises Unreadable or OSError, never for what the engine delivered."""
    ledgers, pushed = read_ledgers(folder), read_book(folder / "book.jsonl")
    evidence = orjson.loads((folder / "evidence.json").read_bytes())
    verdict = Verdict()
    for person, why in ledgers.stuck:
        verdict.fault("stuck", person, f"{person}: {why}")
    for sitting_id, item, seq in pushed.untrue:
        text = f"{sitting_id}: item {item} seq {seq} was told as committed before it was in PostgreSQL"
        verdict.fault("false_committed", (sitting_id, (item, seq)), text)
    results = _results(evidence, verdict)
    for sitting_id in sorted(evidence["sittings"].keys() | ledgers.accounts.keys()):
        verdict.sittings += 1
        sitting = evidence["sittings"].get(sitting_id)
        account = ledgers.accounts.get(sitting_id)
        if sitting is None or sitting["batch_id"] not in pushed.batches:
            verdict.fault("lost", (sitting_id, ""), f"{sitting_id}: the whole sitting is not in PostgreSQL")
            continue
        settled = Settling(account or Account(sitting_id, sitting["person"]), sitting, pushed, verdict)
        settled.settle(sitting["person"] in ledgers.attempted, results.get(sitting_id, []), evidence["keys"])
    verdict.deliveries = settle_deliveries(folder, pushed.webhook_secret, evidence, verdict.fault)
    for batch_id, rows in pushed.persons.items():
        known = sum(sitting["batch_id"] == batch_id for sitting in evidence["sittings"].values())
        if known != len(rows):
            verdict.fault("wrong_states", batch_id, f"{batch_id}: {len(rows)} candidates pushed, {known} sittings")
    return verdict


def _results(evidence: Mapping[str, Any], verdict: Verdict) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for results in evidence["results"].values():
        for result in results:
            found[result["sitting_id"]].append(result)
            if not is_signed(result, evidence["keys"]):
                verdict.fault("wrong_scores", result["sitting_id"], f"{result['sitting_id']}: the signature is wrong")
    return found


@dataclass(frozen=True)
class Sent:
    """One change in one call, and why the call was unlawful (kinds), if it was."""

    value: str
    call: Call
    unlawful: tuple[str, ...]


class Settling:
    """One sitting: the clients' side (`account`) against the engine's (`sitting`)."""

    def __init__(self, account: Account, sitting: Mapping[str, Any], pushed: Pushed, verdict: Verdict) -> None:
        self.account = account
        self.sitting = sitting
        self.verdict = verdict
        self.name: str = account.sitting_id
        self.paper = pushed.paper
        self.batch_id: str = sitting["batch_id"]
        batch = pushed.batches[self.batch_id]
        row = pushed.persons[self.batch_id].get(sitting["person"], {})
        self.starts_ms: int = batch["starts_ms"]
        writing_s = batch["duration_s"] + row.get("extra_time_s", 0) + batch["rules"]["grace_s"]
        self.closes_ms = self.starts_ms + writing_s * 1000
        self.superseded_ns = _superseded(account.logins)
        self.handed_in = next((call for call in account.answered("submit")), None)
        self.sent = self._sent()

    def settle(self, attempted: bool, results: list[dict[str, Any]], keys: Mapping[str, str]) -> None:
        self.verdict.calls += len(self.account.calls)
        self._check_responses()
        self._check_history()
        self._check_recorded()
        self._check_served()
        self._check_final(attempted, results)
        self._check_receipts(keys)
        self._check_score(results)

    def fault(self, kind: str, about: Any, text: str) -> None:
        self.verdict.fault(kind, (self.name, about), f"{self.name}: {text}")

    # --- what was sent -------------------------------------------------------------------------------------------

    def _sent(self) -> dict[tuple[str, int], list[Sent]]:
        """Every sending of every change; what was acknowledged unlawfully is a fault already."""
        sent: dict[tuple[str, int], list[Sent]] = defaultdict(list)
        for call in self.account.calls:
            if call.path != "responses":
                continue
            unlawful = self._unlawful(call)
            for change in call.changes:
                item, seq = change["item"], change["seq"]
                sent[item, seq].append(Sent(canonical(change["value"]), call, unlawful))
                for kind in unlawful if call.reply is not None else ():
                    self.fault(kind, (item, seq), f"item {item} seq {seq} was acknowledged in call {call.number}")
        acknowledged = sum(any(one.call.reply is not None for one in ones) for ones in sent.values())
        self.verdict.acknowledged += acknowledged
        return sent

    def _unlawful(self, call: Call) -> tuple[str, ...]:
        is_after_hand_in = self.handed_in is not None and call.sent_ns > (self.handed_in.answered_ns or 0)
        is_late = call.sent_ms >= self.closes_ms or is_after_hand_in
        is_superseded = call.sent_ns > self.superseded_ns.get(call.token, call.sent_ns)
        reasons = (("accepted_late", is_late), ("epoch_violated", is_superseded))
        return tuple(kind for kind, holds in reasons if holds)

    def _acknowledged(self) -> dict[tuple[str, int], list[Sent]]:
        only = {name: [one for one in ones if one.call.reply is not None] for name, ones in self.sent.items()}
        return {name: ones for name, ones in only.items() if ones}

    # --- what became of it ---------------------------------------------------------------------------------------

    def _check_responses(self) -> None:
        """Per item nothing acknowledged, and nothing shown to a client, may be newer than the final response."""
        newest: dict[str, int] = {}
        for item, seq in self._acknowledged():
            newest[item] = max(seq, newest.get(item, 0))
        for call in self.account.answered("sitting"):
            for item, response in ((call.reply or {}).get("responses") or {}).items():
                newest[item] = max(response["seq"], newest.get(item, 0))
        responses = self.sitting["responses"]
        for item in newest.keys() | responses.keys():
            response, seq = responses.get(item), newest.get(item, 0)
            if response is None:
                self.fault("lost", item, f"item {item}: nothing is there, seq {seq} was acknowledged")
            elif response["seq"] < seq:
                self.fault("lost", item, f"item {item}: seq {response['seq']} is there, {seq} was acknowledged")
            else:
                self._check_value(item, response["seq"], canonical(response["value"]))

    def _check_value(self, item: str, seq: int, value: str) -> None:
        ones = self.sent.get((item, seq), [])
        if value not in {one.value for one in ones}:
            self.fault("never_sent", (item, seq), f"item {item} seq {seq} is {value}, which nobody sent")
            if ones:
                self.fault("lost", item, f"item {item} seq {seq} was altered to {value}")
        acknowledged = {one.value for one in ones if one.call.reply is not None}
        if acknowledged and value not in acknowledged:
            self.fault("lost", item, f"item {item} seq {seq} is {value}, acknowledged was {acknowledged}")

    def _check_history(self) -> None:
        """Each acknowledged change is recorded, or was stale; and no promise about it was false."""
        rows: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        by_item: dict[str, list[int]] = defaultdict(list)
        for item, seq, _, _, generation, position in self.sitting["recorded"]:
            rows[item, seq].append((generation, position))
            by_item[item].append(seq)
        claims = _claims(self.account)
        for (item, seq), ones in self._acknowledged().items():
            told_ns = min(one.call.answered_ns or 0 for one in ones)
            stale = any(
                later > seq and min(one.call.sent_ns for one in self.sent[item, later]) <= told_ns
                for later in by_item[item]
                if (item, later) in self.sent
            )
            places = rows.get((item, seq), [])
            if not places and not stale:
                self.fault("unrecorded", (item, seq), f"item {item} seq {seq} was acknowledged and is not recorded")
            for one in ones:
                self._check_promise(item, seq, one.call, places, stale, claims)

    def _check_promise(
        self,
        item: str,
        seq: int,
        call: Call,
        places: list[tuple[int, int]],
        stale: bool,
        claims: Mapping[int, int],
    ) -> None:
        """What one acknowledgement said of where the change stands, against where it does (`places`)."""
        reply = call.reply or {}
        told = reply["generation"], reply["position"]
        if not places:
            if not stale and claims.get(told[0], 0) >= told[1]:
                text = f"item {item} seq {seq}: told as committed at {told}, and not recorded"
                self.fault("false_committed", (item, seq), text)
            return
        first = min(places)
        if first <= told or stale:
            return
        if first[0] == told[0]:
            text = f"item {item} seq {seq}: acknowledged as standing at {told}, recorded at {first}"
            self.fault("false_committed", (item, seq), text)
        else:
            text = f"item {item} seq {seq}: acknowledged at {told}, recorded only at {first}"
            self.fault("lost_for_a_while", (item, seq), text)

    def _check_recorded(self) -> None:
        """Each recorded change was sent, lawfully at least once, in time, and is there once."""
        seen: set[tuple[str, int, int]] = set()
        final_ms = min((at_ms for kind, at_ms, _ in self.sitting["events"] if kind == "submitted"), default=None)
        for item, seq, value, saved_ms, generation, _ in self.sitting["recorded"]:
            about = (item, seq)
            if (item, seq, generation) in seen:
                self.fault("recorded_twice", about, f"item {item} seq {seq} stands twice in the history")
            seen.add((item, seq, generation))
            ones = [one for one in self.sent.get(about, []) if one.value == canonical(value)]
            if not ones:
                self.fault("never_sent", about, f"item {item} seq {seq} {value!r} is recorded, nobody sent it")
            elif all(one.unlawful for one in ones):
                for kind in ones[0].unlawful:
                    self.fault(
                        kind, about, f"item {item} seq {seq} is recorded, sent only in call {ones[0].call.number}"
                    )
            if saved_ms >= self.closes_ms:
                self.fault("accepted_late", about, f"item {item} seq {seq}: {saved_ms - self.closes_ms} ms late")
            elif final_ms is not None and saved_ms > final_ms:
                self.fault("accepted_late", about, f"item {item} seq {seq}: {saved_ms - final_ms} ms after the hand-in")
            elif saved_ms < self.starts_ms:
                self.fault("accepted_early", about, f"item {item} seq {seq}: {self.starts_ms - saved_ms} ms early")

    def _check_served(self) -> None:
        """What is served is what is stored, and the stored response is the newest recorded one."""
        served = sorted([item, one["seq"], canonical(one["value"])] for item, one in self.sitting["responses"].items())
        stored = sorted([item, seq, canonical(value)] for item, seq, value in self.sitting["stored"])
        if served != stored:
            self.fault("disagreeing", "responses", f"{len(served)} responses served differ from {len(stored)} stored")
        history = [[one["item"], one["seq"], one["value"], one["saved_ms"]] for one in self.sitting["history"]]
        if history != [row[:4] for row in self.sitting["recorded"]]:
            self.fault("disagreeing", "history", "the history served is not the one recorded")
        newest: dict[str, int] = {}
        for item, seq, *_ in self.sitting["recorded"]:
            newest[item] = max(seq, newest.get(item, 0))
        if newest != {item: seq for item, seq, _ in self.sitting["stored"]}:
            self.fault("disagreeing", "newest", "the responses stored are not the newest of the history")

    # --- the end -------------------------------------------------------------------------------------------------

    def _check_final(self, attempted: bool, results: list[dict[str, Any]]) -> None:
        """Ended once, in the right way, with one result."""
        ends = [kind for kind, *_ in self.sitting["events"] if kind in FINAL_EVENTS]
        state = self.sitting["state"]
        if len(ends) > 1 or len(results) > 1:
            self.fault("finalised_twice", "", f"ended as {ends}, {len(results)} results")
        if not ends or not results or state not in FINAL_EVENTS:
            self.fault("not_finalised", "", f"ended as {ends}, {len(results)} results, state {state}")
            return
        possible = self._possible_states(attempted)
        if state not in possible or ends[0] != state:
            self.fault("wrong_states", "", f"{state} after {ends}, expected {' or '.join(sorted(possible))}")
        expected = "absent" if state == "absent" else "graded"
        if results[0]["state"] != expected:
            self.fault("wrong_states", "result", f"the result of a {state} sitting is {results[0]['state']}")

    def _possible_states(self, attempted: bool) -> set[str]:
        if self.handed_in is not None:
            return {"submitted"}
        if any(call.path == "submit" for call in self.account.calls):
            return {"submitted", "collected"}
        if self.account.logins:
            return {"collected"}
        return {"collected", "absent"} if attempted else {"absent"}

    def _check_receipts(self, keys: Mapping[str, str]) -> None:
        """Every receipt is the same, signed, and fits the responses and the end."""
        receipts = [call.reply for call in self.account.answered("submit", "receipt") if call.reply is not None]
        if not receipts:
            return
        ended_ms = {kind: at_ms for kind, at_ms, _ in self.sitting["events"] if kind in FINAL_EVENTS}
        responses = self.sitting["responses"]
        expected = {
            "sitting_id": self.name,
            "batch_id": self.batch_id,
            "state": self.sitting["state"],
            "submitted_ms": ended_ms.get(self.sitting["state"]),
            "answered": sum(response["value"] is not None for response in responses.values()),
            "items": sum(len(section["items"]) for section in self.paper["sections"]),
            "digest": responses_digest(responses),
        }
        wrong = [
            f"{name} {receipts[0].get(name)}, not {own}"
            for name, own in expected.items()
            if receipts[0].get(name) != own
        ]
        if not is_signed(receipts[0], keys):
            wrong.append("the signature does not hold")
        if any(receipt != receipts[0] for receipt in receipts):
            wrong.append("a later receipt differs from the first")
        if wrong:
            self.fault("bad_receipts", "", "; ".join(wrong))

    def _check_score(self, results: list[dict[str, Any]]) -> None:
        """Each result's score is what the final responses earn."""
        values = {item: response["value"] for item, response in self.sitting["responses"].items()}
        marked = mark_paper(self.paper, values)
        for result in results:
            own = None if result["state"] == "absent" else marked.score
            found = None if result["score"] is None else Decimal(str(result["score"]))
            if found != own:
                self.fault("wrong_scores", "", f"scored {found}, the responses earn {own}")


def _superseded(logins: list[Login]) -> dict[str, int]:
    """Per token the instant from which it is certain that a later login had taken over."""
    return {
        login.token: min(later.answered_ns for later in logins if later.sent_ns > login.answered_ns)
        for login in logins
        if any(later.sent_ns > login.answered_ns for later in logins)
    }


def _claims(account: Account) -> dict[int, int]:
    """Per generation the highest position that the clients of the sitting were told to be committed."""
    claims: dict[int, int] = {}
    replies = [call.reply or {} for call in account.answered("responses", "sitting")]
    told = [(reply["generation"], reply["committed"]) for reply in replies]
    for generation, committed in [*told, *account.heard]:
        claims[generation] = max(committed, claims.get(generation, 0))
    return claims


def canonical(value: Any) -> str:
    """Equal JSON values as equal texts: 2 and 2.0 are the same number, true is not 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


if __name__ == "__main__":
    sys.exit(main())
