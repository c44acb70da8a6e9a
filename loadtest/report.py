"""The outcome of a rehearsal: one JSON object for a program, a table for a person. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loadtest.judge import FAILURES, Verdict
from loadtest.tally import Tally, percentile

FAULTS_SHOWN_MAX = 10

# (title, [(name in the JSON, what it says)])
TABLE: list[tuple[str, list[tuple[str, str]]]] = [
    (
        "answers",
        [
            ("saves", "changes sent"),
            ("acknowledged", "changes acknowledged"),
            ("ack_p50_ms", "to the acknowledgement, median, ms"),
            ("ack_p99_ms", "to the acknowledgement, 99 of 100 within, ms"),
            ("login_p99_ms", "to the login's answer, 99 of 100 within, ms"),
            ("key_max_ms", "from the start to the last pushed paper key, ms"),
            ("channels", "channels opened"),
            ("over_http", "save calls that fell back to HTTP"),
            ("reconnects", "connections lost and taken up again"),
            ("retries", "calls sent again"),
        ],
    ),
    (
        "candidates",
        [
            ("candidates", "on the roster"),
            ("submitted", "handed in"),
            ("collected", "collected at the end"),
            ("absent", "never came"),
            ("graded", "results graded"),
        ],
    ),
    (
        "must all be 0",
        [
            ("lost", "acknowledged answers missing, older or altered"),
            ("foreign", "stored answers that nobody sent"),
            ("wrong_scores", "results with a wrong score, pass, section or paper"),
            ("wrong_marks", "marks of single items that differ"),
            ("wrong_states", "candidates or counts in a wrong final state"),
            ("bad_receipts", "receipts missing, unsigned, or of other answers"),
            ("bad_signatures", "results with a signature that does not hold"),
            ("disagreeing_results", "results that differ between pages and NDJSON"),
            ("failed_candidates", "candidates kept out or stopped"),
        ],
    ),
]


@dataclass(frozen=True)
class Outcome:
    """A judged rehearsal."""

    verdict: Verdict
    tally: Tally
    batch_id: str
    seed: int
    seconds: float

    @property
    def exit_code(self) -> int:
        return 0 if self.verdict.holds else 1

    def as_json(self) -> dict[str, Any]:
        """Everything, in the names operators' programs read."""
        tally, verdict = self.tally, self.verdict
        return {
            "candidates": verdict.candidates,
            "saves": tally.saves,
            "calls": tally.calls,
            "acknowledged": tally.acknowledged,
            "lost": verdict.lost,
            "wrong_scores": verdict.wrong_scores,
            "submitted": verdict.submitted,
            "collected": verdict.collected,
            "absent": verdict.absent,
            "graded": verdict.graded,
            "ack_p50_ms": percentile(tally.ack_ms, 0.5),
            "ack_p99_ms": percentile(tally.ack_ms, 0.99),
            "login_p99_ms": percentile(tally.login_ms, 0.99),
            "key_max_ms": percentile(tally.key_ms, 1.0),
            "channels": tally.channels,
            "over_http": tally.over_http,
            "reconnects": tally.reconnects,
            "retries": tally.retries,
            "try_later": tally.try_later,
            "unreachable": tally.unreachable,
            "server_errors": tally.server_errors,
            **{name: getattr(verdict, name) for name in FAILURES if name not in ("lost", "wrong_scores")},
            "seconds": round(self.seconds, 1),
            "batch_id": self.batch_id,
            "seed": self.seed,
            "verdict": "pass" if verdict.holds else "fail",
            "faults": verdict.faults,
        }

    def as_table(self) -> str:
        """The same for a person, the verdict last."""
        numbers = self.as_json()
        lines = []
        for title, rows in TABLE:
            lines.append(title)
            for name, meaning in rows:
                shown = "-" if numbers[name] is None else numbers[name]
                mark = "  <--" if title.startswith("must") and numbers[name] else ""
                lines.append(f"  {shown!s:>10}  {meaning}{mark}")
        lines += [f"  {fault}" for fault in self.verdict.faults[:FAULTS_SHOWN_MAX]]
        unnamed = len(self.verdict.faults) - FAULTS_SHOWN_MAX
        if unnamed > 0:
            lines.append(f"  ... and {unnamed} more: --json lists them")
        took = f"in {numbers['seconds']} s (batch {self.batch_id}, seed {self.seed})"
        lines.append(f"PASS: every answer and every score is right, {took}" if self.verdict.holds else f"FAIL {took}")
        return "\n".join(lines)
