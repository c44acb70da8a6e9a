"""`demo`: an engine, two sample exams pushed through the public scheduling API, a crowd, and a guide on the screen.

A later start within a batch's time goes on with that batch; otherwise it pushes a new one. Nothing here has a
way in that other programs lack: API keys and HTTP.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from engine.supervision import embedded
from engine.supervision.supervisor import CannotStart, Program, run_until_signal
from engine.supervision.up import FAULTS, Options, Running, child_environ, chosen_settings, running, say

SAMPLES = ("ldgx3", "aixl4")
WITNESSES = ["甲见证人", "乙见证人"]
STARTS_IN_S = 60
DURATION_S = 1800
# Short enough to see everything in half an hour: enter at any time, hand in after a minute.
RULES = {"latest_entry_s": 1800, "earliest_submit_s": 60, "warn_before_end_s": 600, "check_in_before_s": 900}
GRACE_S = 5  # the default rule: until then the sittings of an ended batch still count as running
FOR_PEOPLE = 10  # the first rows of each roster are left to whoever tries the page
SHOWN_PEOPLE = 3
API_TIMEOUT_S = 30
STATUS_EVERY_S = 30
CROWD_SEED = 1


class Exam(Struct, frozen=True):
    """One armed batch of a sample."""

    sample: str
    batch_id: str
    code: str
    starts_ms: int
    ends_ms: int
    people: list[dict[str, Any]]
    is_resumed: bool


def main(data: Path, port: int | None, candidates: int, minutes: float) -> int:
    """`./run demo`: run until a signal; returns the exit code."""
    options = Options(data=data.absolute(), settings=chosen_settings(port, None))
    try:
        return run_until_signal(lambda: _demo(options, candidates, minutes))
    except FAULTS as fault:
        say(str(fault))
        return 1


async def _demo(options: Options, candidates: int, minutes: float) -> int:
    async with running(options) as engine:
        exams = await asyncio.to_thread(lambda: [push(engine, name) for name in SAMPLES])
        for number, exam in enumerate(exams):
            share = candidates // len(exams) + (number < candidates % len(exams))
            if share:
                await engine.supervisor.start(_crowd(engine, exam, share, minutes), 0)
        sys.stdout.write(guide(engine, exams, candidates, minutes))
        sys.stdout.flush()
        await _tell_what_changes(engine, exams)
    return 0


# --- pushing ---------------------------------------------------------------------------------------------------


def push(engine: Running, name: str) -> Exam:
    """The sample's batch that still runs, else a new one: paper, batch, roster, arming. Raises CannotStart."""
    from loadtest import samples

    sample = samples.load(name)
    now_ms = time.time_ns() // 1_000_000
    window = f"from_ms={now_ms - 86_400_000}&to_ms={now_ms + 86_400_000}"
    batches = call(engine, "schedule", "GET", f"/v1/batches?{window}")["batches"]
    ours = [batch for batch in batches if batch["paper_id"] == sample.batch["paper_id"]]
    armed = [batch for batch in ours if batch["state"] in ("armed", "open") and ends_ms(batch) > now_ms]
    if armed:
        latest = max(armed, key=lambda batch: int(batch["starts_ms"]))
        return _exam(name, latest["batch_id"], latest, sample.roster, is_resumed=True)
    # Nobody may sit two exams at once: a batch in its last seconds of grace is waited for.
    free_ms = max([ends_ms(batch) + GRACE_S * 1000 for batch in ours], default=0)
    starts_ms = max(now_ms + STARTS_IN_S * 1000, free_ms)
    batch = {**sample.batch, "starts_ms": starts_ms, "duration_s": DURATION_S, "rules": RULES}
    batch_id = f"{sample.batch['admission_code']}-{time.strftime('%Y%m%d-%H%M%S')}"
    call(engine, "schedule", "PUT", f"/v1/papers/{sample.batch['paper_id']}", sample.paper)
    call(engine, "schedule", "PUT", f"/v1/batches/{batch_id}", batch)
    call(engine, "schedule", "PUT", f"/v1/batches/{batch_id}/roster", sample.roster)
    call(engine, "schedule", "POST", f"/v1/batches/{batch_id}/arm", {"witnesses": WITNESSES})
    return _exam(name, batch_id, batch, sample.roster, is_resumed=False)


def ends_ms(batch: dict[str, Any]) -> int:
    return int(batch["starts_ms"]) + int(batch["duration_s"]) * 1000


def _exam(sample: str, batch_id: str, batch: dict[str, Any], roster: list[dict[str, Any]], *, is_resumed: bool) -> Exam:
    return Exam(
        sample=sample,
        batch_id=batch_id,
        code=str(batch["admission_code"]),
        starts_ms=int(batch["starts_ms"]),
        ends_ms=ends_ms(batch),
        people=roster[:SHOWN_PEOPLE],
        is_resumed=is_resumed,
    )


def call(engine: Running, scope: str, method: str, path: str, body: Any = None) -> Any:
    """One request with the key of `scope`; the decoded reply. Raises CannotStart with the problem's detail."""
    line = http.client.HTTPConnection(urlsplit(engine.url).netloc, timeout=API_TIMEOUT_S)
    headers = {"authorization": f"Bearer {engine.keys[scope]}", "content-type": "application/json"}
    try:
        line.request(method, path, None if body is None else json.dumps(body), headers)
        reply = line.getresponse()
        found = json.loads(reply.read())
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise CannotStart(f"{method} {path}: {fault}") from None
    finally:
        line.close()
    if reply.status >= 400:
        raise CannotStart(f"{method} {path} was answered {reply.status}: {found.get('detail', found)}")
    return found


# --- life ------------------------------------------------------------------------------------------------------


def _crowd(engine: Running, exam: Exam, candidates: int, minutes: float) -> Program:
    from loadtest import samples

    name = f"crowd-{exam.sample}"
    roster = samples.SAMPLES / exam.sample / "roster.json"
    told = {
        "--url": engine.url,
        "--batch": exam.batch_id,
        "--code": exam.code,
        "--roster": roster,
        "--candidates": candidates,
        "--skip": FOR_PEOPLE,
        "--minutes": minutes,
        "--seed": CROWD_SEED,
    }
    arguments = [part for option, value in told.items() for part in (option, str(value))]
    return Program(
        name=name,
        command=[*embedded.dies_with_parent(embedded.ENGINE_STOP), sys.executable, "-m", "loadtest.crowd", *arguments],
        environ=child_environ(engine.settings, None),
        log=engine.logs / f"{name}.log" if engine.logs else None,
        is_kept=False,
    )


async def _tell_what_changes(engine: Running, exams: list[Exam]) -> None:
    """One line per batch whenever its figures changed, every half minute at most. Runs until cancelled."""
    told: dict[str, str] = {}
    while True:
        for exam in exams:
            try:
                batch = await asyncio.to_thread(call, engine, "schedule", "GET", f"/v1/batches/{exam.batch_id}")
            except CannotStart:  # a part of the engine is away, and the supervisor has said so
                continue
            line = status(batch)
            if told.get(exam.batch_id) != line:
                told[exam.batch_id] = line
                say(f"{exam.batch_id}: {line}")
        await asyncio.sleep(STATUS_EVERY_S)


def status(batch: dict[str, Any]) -> str:
    """A batch in one line: its state and every count that is not zero."""
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in batch["counts"].items() if count)
    return f"{batch['state']}; {counts}"


# --- the guide -------------------------------------------------------------------------------------------------


def guide(engine: Running, exams: list[Exam], candidates: int, minutes: float) -> str:
    """What a person needs to try it; every curl line works as it stands."""
    lines = ["", f"  Candidate's page (考生页面)   {engine.url}/"]
    lines += [f"  Room's page (考场页面)        {engine.url}/room      with the API key of scope proctor, below", ""]
    for exam in exams:
        when = f"{_clock(exam.starts_ms)} to {_clock(exam.ends_ms)} (Beijing time)"
        lines.append(f"  {exam.batch_id}  {'goes on' if exam.is_resumed else 'starts'}: {when}")
        lines.append(
            f"    admission code (考试口令)  {exam.code}      log in with the code and one of these ID numbers:"
        )
        lines += [f"      {row['id_number']}  {row['name']}  {row['room']} {row['seat']}" for row in exam.people]
        lines.append("")
    lines += ["  API keys"] + [f"    {scope:<9} {key}" for scope, key in engine.keys.items()]
    lines += ["", "  To try", *_curl_lines(engine, exams[0]), ""]
    if candidates:
        lines.append(f"  {candidates} simulated candidates answer for {minutes:g} minutes (logs: crowd-*.log).")
    lines += [f"  Logs: {engine.logs}", "  Ctrl-C stops everything; the next start goes on with all data.", "", ""]
    return "\n".join(lines)


def _curl_lines(engine: Running, exam: Exam) -> list[str]:
    def with_key(scope: str) -> str:
        return f"curl -s -H 'Authorization: Bearer {engine.keys[scope]}' "

    login = json.dumps({"admission_code": exam.code, "id_number": exam.people[0]["id_number"]})
    batch = f"{engine.url}/v1/batches/{exam.batch_id}"
    return [
        "    how the batch stands",
        f"      {with_key('schedule')}{batch}",
        "    log a candidate in, as the page does",
        f"      curl -s -H 'Content-Type: application/json' -d '{login}' {engine.url}/v1/login",
        f"    results, once graded (hand one in, or wait until {_clock(exam.ends_ms)})",
        f"      {with_key('results')}'{batch}/results?limit=5'",
        "    the keys that check its signatures; figures; the API's description",
        f"      curl -s {engine.url}/v1/keys",
        f"      curl -s {engine.url}/metrics",
        f"      curl -s {engine.url}/openapi.json",
    ]


def _clock(at_ms: int) -> str:
    # The page shows Beijing time, wherever it runs.
    return time.strftime("%H:%M:%S", time.gmtime(at_ms / 1000 + 8 * 3600))
