"""The other programs of a Saturday, beside the candidates: a scheduling system that pushes batches (`push`), a scorer
that pulls results (`pull`). Exponential pauses at the plan's rates, from the first candidate to the last.
"""

from __future__ import annotations

import random
import secrets
import time
from typing import Any

import orjson

from loadtest import people, samples
from loadtest.swarm.play import Play
from loadtest.swarm.saving import OUR_OWN
from loadtest.swarm.wire import Http, Problem, Reply, Unreachable

SAMPLE = "ldgx3"
CALL_S = 60.0
PAGE_RESULTS = 100
# Nobody comes to the pushed exams. They begin behind everything that is measured, and are over soon after: what a load
# test leaves in an engine that goes on must not begin on somebody's exam day, nor be counted the evening before.
STARTS_AFTER_MS = 15 * 60 * 1000  # the end of the exam under load
DURATION_S = 60
RULES = {"latest_entry_s": 30, "earliest_submit_s": 30, "warn_before_end_s": 10}
KINDS = ("application/json", "application/x-ndjson", "text/csv")
WITNESSES = ["演练见证人甲", "演练见证人乙"]


class MachineClient:
    """One program with one API key and one connection."""

    def __init__(self, play: Play, operation: str, api_key: str, dice: random.Random) -> None:
        self.play, self.dice = play, dice
        self._operation, self._api_key = operation, api_key
        self._http = Http(play.origin)

    def wait(self, times_per_min: float) -> bool:
        """Pause as long as it takes until the next time; False when the exam is over."""
        if times_per_min <= 0:
            return False
        return not self.play.over.wait(self.dice.expovariate(times_per_min / 60))

    def call(self, method: str, path: str, content: Any = None, accept: str = KINDS[0]) -> Reply | None:
        """One call, noted; None where it failed."""
        body = b"" if content is None else orjson.dumps(content)
        kind = "content-type: application/json\r\n" if body else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.play.origin.heads.host}\r\n"
            f"authorization: Bearer {self._api_key}\r\naccept: {accept}\r\n{kind}content-length: {len(body)}\r\n\r\n"
        )
        began = time.monotonic()
        try:
            reply = self._http.call(head.encode(), body, CALL_S)
        except (Problem, Unreachable) as fault:
            if fault.kind not in OUR_OWN:
                self.play.notes.fail(self._operation, fault.kind)
            return None
        self.play.notes.note(self._operation, time.monotonic() - began, len(reply.body))
        return reply


class Pusher(MachineClient):
    """Paper, batch, roster, arming: each a call of its own in the figures."""

    def __init__(self, play: Play, dice: random.Random) -> None:
        super().__init__(play, "push", play.plan.schedule_key, dice)
        self._paper = samples.load(SAMPLE).paper

    def push(self) -> bool:
        """One batch; whether all of it was taken."""
        tag = secrets.token_hex(6)
        roster = people.roster(
            max(1, self.play.plan.background.pushed_candidates), f"{self.dice.randrange(10**6):06d}", self.dice
        )
        batch = {
            "title": f"演练 {tag}",
            "occupation": "演练",
            "level": 3,
            "subject": "theory",
            "kind": "mock",
            "paper_id": f"sizing-beside-paper-{tag}",
            "admission_code": f"B{tag.upper()}",
            "starts_ms": self.play.plan.ends_ms + STARTS_AFTER_MS,
            "duration_s": DURATION_S,
            "rules": RULES,
        }
        calls = [
            ("PUT", f"/v1/papers/sizing-beside-paper-{tag}", self._paper),
            ("PUT", f"/v1/batches/sizing-beside-{tag}", batch),
            ("PUT", f"/v1/batches/sizing-beside-{tag}/roster", roster),
            ("POST", f"/v1/batches/sizing-beside-{tag}/arm", {"witnesses": WITNESSES}),
        ]
        return all(self.call(*each) is not None for each in calls)


class Puller(MachineClient):
    """All results of one batch, each time in another form."""

    def __init__(self, play: Play, dice: random.Random) -> None:
        super().__init__(play, "pull", play.plan.results_key, dice)
        self._turn = 0

    def pull(self) -> int:
        """One batch's results in the form whose turn it is; how many answers that took."""
        plan = self.play.plan
        path = f"/v1/batches/{plan.background.pulled_batch or plan.batch_id}/results"
        accept = KINDS[self._turn % len(KINDS)]
        self._turn += 1
        if accept != KINDS[0]:
            return int(self.call("GET", path, accept=accept) is not None)
        pages, after = 0, ""
        while (reply := self.call("GET", f"{path}?limit={PAGE_RESULTS}{after}")) is not None:
            pages += 1
            following = reply.json()["next"]
            if following is None:
                break
            after = f"&after={following}"
        return pages
