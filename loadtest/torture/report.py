"""What a campaign says at its end: figures for a person and for a program, and whether anything was wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

FIGURES = ("acknowledged", "sittings", "calls", "deliveries")
FAULTS_SHOWN = 30


@dataclass
class Outcome:
    """Filled by the campaign; `verdict` is the checker's. `struck` counts by name (`kill redis`), `by_kind` by kind."""

    seed: int
    struck: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    given_up: int = 0
    looked_for: int = 0  # changes that the auditor looked for in PostgreSQL as they were told to be committed
    seconds: float = 0.0
    ended_early: list[str] = field(default_factory=list)
    verdict: dict[str, Any] | None = None

    def judged(self, verdict: dict[str, Any] | None) -> None:
        self.verdict = verdict
        if verdict is not None and not verdict["acknowledged"]:
            self.ended_early.append("nothing was acknowledged at all: this proves nothing")

    @property
    def violations(self) -> dict[str, int]:
        """Kind -> number, the kinds without any included."""
        verdict = self.verdict or {}
        return {name: count for name, count in verdict.items() if name not in (*FIGURES, "faults")}

    @property
    def exit_code(self) -> int:
        return int(self.verdict is None or bool(self.ended_early) or any(self.violations.values()))

    def as_json(self) -> dict[str, Any]:
        """One flat object: what was done, what was found, the first faults in words."""
        verdict = self.verdict or {}
        return {
            "seed": self.seed,
            "kills": self.by_kind["kills"],
            "stops": self.by_kind["stops"],
            **{kind: count for kind, count in sorted(self.by_kind.items())},
            "struck": dict(sorted(self.struck.items())),
            "batches": self.batches,
            "given_up": self.given_up,
            "looked_for": self.looked_for,
            **verdict,
            "ended_early": self.ended_early,
            "holds": self.exit_code == 0,
            "seconds": self.seconds,
        }

    def as_table(self) -> str:
        """For a person."""
        verdict = self.verdict or {}
        lines = [f"seed {self.seed}, {self.seconds:.0f} s"]
        lines += [f"  {count:>7}  {name}" for name, count in sorted(self.struck.items())]
        lines += [f"  {self.batches:>7}  exams held, {self.given_up} could not be pushed in time"]
        lines.append(f"  {self.looked_for:>7}  looked for when told as committed")
        lines += [f"  {verdict[name]:>7}  {name}" for name in FIGURES if name in verdict]
        lines += [f"  {count:>7}  {kind}{'  <--' if count else ''}" for kind, count in self.violations.items()]
        lines += [f"  {text}" for text in [*self.ended_early, *verdict.get("faults", [])][:FAULTS_SHOWN]]
        lines.append("nothing acknowledged was lost, nothing is wrong" if self.exit_code == 0 else "SOMETHING IS WRONG")
        return "\n".join(lines)
