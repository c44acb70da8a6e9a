"""What the engine is to reach, as data: a row of the same name is compared with it."""

from __future__ import annotations

from msgspec import Struct


class Goal(Struct, frozen=True):
    """`bound` is the least good value; `how` says in one sentence what is measured."""

    name: str
    unit: str
    bound: float
    at_least: bool
    how: str

    def holds(self, value: float | None) -> bool:
        """What could not be measured does not hold."""
        if value is None:
            return False
        return value >= self.bound if self.at_least else value <= self.bound


def _least(name: str, unit: str, bound: float, how: str) -> Goal:
    return Goal(name, unit, bound, True, how)


def _most(name: str, unit: str, bound: float, how: str) -> Goal:
    return Goal(name, unit, bound, False, how)


_ALL = (
    _least("http_save_ratio", "x", 0.75, "durable HTTP saves per second over empty ASGI POSTs, alternating, medians"),
    _most("http_save_cpu_us", "us", 90, "CPU of engine, Redis, recorder, PostgreSQL, grader from the first save until "
          "the last one is in PostgreSQL, per save"),
    _most("ack_p99_half_load_ms", "ms", 20, "from the instant a save was due to its answer, open loop over HTTP at "
          "half of what the closed loop reached"),
    _least("channel_save_ratio", "x", 0.55, "durable saves over channels per second over the faster WebSocket echo"),
    _most("channel_save_cpu_us", "us", 70, "as http_save_cpu_us, over channels"),
    _most("channel_ack_p99_half_load_ms", "ms", 20, "as ack_p99_half_load_ms, over channels"),
    _most("save_cpu_growth", "x", 1.15, "the engine's own CPU per save with 50,000 sittings over that with 200"),
    _least("recorder_drain", "changes/s", 50_000, "a backlog of single changes, recorder started on it"),
    _most("recorder_lag_p99_s", "s", 1, "from `saved` to `committed` per partition, at 5,000 saves per second"),
    _least("login_per_core", "logins/s", 1_500, "logins in a closed loop over the engine's CPU seconds they cost"),
    _most("login_p99_ms", "ms", 500, "5,000 logins spread over 30 s, open loop"),
    _most("start_key_last_s", "s", 1, "from the start to the last of 5,000 open channels having its paper key"),
    _most("submit_p99_ms", "ms", 500, "5,000 hand-ins spread over 10 s, open loop, every receipt's signature checked"),
    _most("idle_channel_kib", "KiB", 24, "growth of the engine's resident memory per idle channel"),
    _most("channels_50000_errors", "errors", 0, "50,000 channels held, 2,500 saves per second: what was refused, "
          "broken or not answered"),
    _most("page_start_question_p99_s", "s", 1, "5,000 candidates behind 50 Mbit/s: from the start to the first "
          "question, a real browser among them"),
    _most("page_start_skew_s", "s", 1, "the same: from the first candidate's first question to the last one's"),
    _most("page_exam_down_kb", "kB", 60, "wire bytes to one candidate for a whole text exam, the page cached"),
    _most("page_exam_up_kb", "kB", 80, "the same from the candidate"),
    _most("page_heap_mb", "MB", 40, "JavaScript heap of the page after garbage collection, carried on to two hours"),
    _most("page_input_p99_ms", "ms", 50, "from an event to the frame that shows it, CPU four times slower"),
    _most("closing_collected_s", "s", 5, "5,000 sittings closed at one instant, until all are recorded as collected"),
    _most("closing_graded_s", "s", 30, "the same 5,000, until all are graded; a grader is killed in the middle"),
    _most("grading_50000_s", "s", 300, "50,000 handed-in sittings of 100 items, until all are graded and published"),
    _least("pulling_lines_per_s", "results/s", 20_000, "100,000 results of a batch as lines of JSON, to one reader"),
    _least("pulling_csv_per_s", "results/s", 20_000, "the same as CSV"),
    _most("roster_xlsx_50000_s", "s", 10, "a roster of 50,000 candidates as XLSX, from the call to its answer"),
    _most("roster_csv_50000_s", "s", 10, "the same as CSV in GB 18030"),
    _most("push_load_s", "s", 60, "200 batches with 50,000 candidates pushed, batch and roster, while an exam runs"),
    _most("push_load_p99_ratio", "x", 1.2, "p99 of that exam's saves with the pushes over without, taking turns"),
)  # fmt: skip

GOALS = {goal.name: goal for goal in _ALL}
