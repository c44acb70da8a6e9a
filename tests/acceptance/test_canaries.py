"""Sixty-four canaries in a paper and its key: before the start they are nowhere, afterwards where they belong.

A real engine takes the paper by a plain push, in every way that a body may come; two candidates wait for the start, one
of them on a channel. Searched are: every table, every file of the data folder (PostgreSQL's with its log, Redis's AOF
and a snapshot, logs, counters, keys), the memory of every process the engine consists of, and every byte that
candidates were sent.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis

from engine.sealing import shares
from engine.supervision import embedded
from tests.acceptance.canaries import Flock, Search, family
from tests.contract import line
from tests.contract import outsider as out
from tests.contract.desk import Desk
from tests.contract.opener import open_sealed
from tests.contract.outsider import Exam, Outsider, Sitting, accepted
from tests.servers import Engine, engine_up

IN_PAPER, IN_KEY = 48, 16
DRIBBLE_BYTES = 300  # below the size from which Python asks the C library for memory


def planted(flock: Flock) -> dict[str, Any]:
    """A paper with canaries in stems (a shared one too), options, titles, media and the accepted strings of blanks."""
    texts = [_text(flock.canary("paper"), number) for number in range(IN_PAPER)]
    stems, options, blanks, (shared, title, section, shown, hidden) = texts[:16], texts[16:32], texts[32:43], texts[43:]
    answers = [_text(flock.canary("key"), number) for number in range(IN_KEY)]
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><!-- {hidden} --><text>{shown}</text></svg>'
    items: list[dict[str, Any]] = [
        out.single(
            f"A{number}",
            stem=f"第 {number} 题 {stem} ![图](fig.svg)",
            options=[{"id": "a", "text": option}, {"id": "b", "text": f"选项 {option}"}],
            answer="b",
        )
        for number, (stem, option) in enumerate(zip(stems, options, strict=True))
    ]
    items += [
        out.fill(f"D{number}", stem=f"填空 {stem}", answer=[[answer]])
        for number, (stem, answer) in enumerate(zip(blanks, answers, strict=False))
    ]
    items.append(out.fill("E1", stem="多空", answer=[[answer] for answer in answers[len(blanks) :]]))
    groups = [{"id": "G1", "stem": f"阅读材料 {shared}", "items": ["A3", "A4"]}]
    document = {"title": f"试卷 {title}", "sections": [{"id": "S", "title": section, "items": items, "groups": groups}]}
    return {**document, "media": {"fig.svg": base64.b64encode(svg.encode()).decode()}}


def _text(canary: bytes, number: int) -> str:
    return canary.hex() if number % 2 else base64.b64encode(canary).decode()


def push_in_every_way(outsider: Outsider, engine: Engine, document: dict[str, Any]) -> str:
    """One paper: refused to strangers, whole, again, in chunks, and a few bytes at a time; its id."""
    paper_id = out.unique("P")
    path = f"/v1/papers/{paper_id}"
    plain = json.dumps(document, ensure_ascii=False).encode()
    escaped = json.dumps(document, indent=1).encode()
    out.refused(outsider.call("PUT", path, bearer="lk_schedule_none", content=plain), 401, "auth.missing")
    shown = accepted(outsider.call("PUT", path, scope="schedule", content=plain), 201)
    again = [
        outsider.call("PUT", path, scope="schedule", content=escaped),
        outsider.call("PUT", path, scope="schedule", content=_pieces(plain, 5_000)),
    ]
    assert [accepted(answer) for answer in again] == [shown, shown]
    head = f"PUT {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {engine.keys['schedule']}\r\nconnection: close\r\n"
    with socket.create_connection(("127.0.0.1", engine.port), timeout=30) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in _pieces(head.encode() + b"content-length: %d\r\n\r\n" % len(plain) + plain, DRIBBLE_BYTES):
            wire.sendall(piece)
        assert wire.makefile("rb").readline().split()[1] == b"200"
    large = {**document, "media": {**document["media"], "big.svg": _large_medium()}}
    accepted(outsider.put_paper(large), 201)
    return paper_id


def _pieces(content: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


def _large_medium() -> str:
    noise = os.urandom(600_000).hex()
    return base64.b64encode(f'<svg xmlns="http://www.w3.org/2000/svg"><desc>{noise}</desc></svg>'.encode()).decode()


class Hall:
    """One engine, the paper in it, and everything that candidates were sent."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.outsider = Outsider(engine.url, engine.keys)
        self.candidates = Outsider(engine.url, {})
        self.begin_anew()
        self.candidates.http.event_hooks = {"response": [self._record]}
        self.dsn = embedded.postgres_dsn(embedded.postgres_socket_folder(engine.data / "sockets"))

    def begin_anew(self) -> None:
        """Other canaries: the grader has seen the former ones' key, as it should."""
        self.flock = Flock("paper", "key")
        self.search = Search(self.flock)
        self.sent: list[bytes] = []

    def _record(self, answer: Any) -> None:
        self.sent.append(repr(answer.headers).encode() + answer.read())

    async def everywhere(self) -> dict[str, set[str]]:
        """Where anything of the paper or its key can be found; nothing but the engine's own parts is looked at."""
        hits = await self.search.found_in_tables(self.dsn)
        connection = await asyncpg.connect(self.dsn)
        await connection.execute("CHECKPOINT")
        await connection.close()
        with redis.Redis(unix_socket_path=str(self.engine.data / "sockets" / "redis.sock")) as client:
            client.config_set("rdbcompression", "no")
            client.save()
        hits |= self.search.found_in_files(self.engine.data)
        hits |= self.in_memory()
        hits |= {f"message {number}": self.search.found_in(sent) for number, sent in enumerate(self.sent)}
        return {place: kinds for place, kinds in hits.items() if kinds}

    def in_memory(self, *names: str) -> dict[str, set[str]]:
        """The same for the processes whose names begin so; all of them without names."""
        pids = family({**self.engine.processes, "supervisor": self.engine.supervisor.pid})
        assert any("/" in name for name in pids), "no process of PostgreSQL's but the first was found"
        return self.search.found_in_memory({name: pid for name, pid in pids.items() if name.startswith(names or "")})

    def exam(self, paper_id: str, starts_in_s: int) -> Exam:
        rows = [out.person(), out.person()]
        exam = self.outsider.exam(paper_id=paper_id, rows=rows, **_begins(starts_in_s))
        exam.outsider = self.candidates
        return exam

    def fetch(self, sitting: Sitting) -> bytes:
        """What a waiting candidate's page asks for; the sealed paper."""
        for path in ("/", "/v1/sitting", "/readyz", "/v1/keys"):
            accepted_bytes(sitting.call("GET", path))
        out.refused(sitting.key(), 425, "paper_key.too_early")
        return accepted_bytes(sitting.call("GET", f"/v1/sealed/{sitting.login['paper']['digest']}"))


def _begins(starts_in_s: int) -> dict[str, Any]:
    """For a batch whose candidates wait for the start."""
    return {"starts_ms": out.now_ms() + starts_in_s * 1000, "rules": {"check_in_before_s": 900}}


def accepted_bytes(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.text[:300]
    content: bytes = answer.content
    return content


@pytest.fixture(scope="module")
def hall() -> Iterator[Hall]:
    with engine_up("canaries", workers=2) as engine:
        yield Hall(engine)


async def test_a_paper_and_its_key_are_found_nowhere_before_the_start(hall: Hall) -> None:
    """And afterwards the paper only in candidates' hands, the key in no worker's memory and in nobody's mail."""
    paper_id = push_in_every_way(hall.outsider, hall.engine, planted(hall.flock))

    sealed, exam, sittings = await _wait_and_search(hall, lambda starts_in_s: hall.exam(paper_id, starts_in_s))

    paper_key = out.from_base64url(accepted(sittings[0].key())["paper_key"])
    _, opened = open_sealed(exam.batch_id, sealed, paper_key)
    assert hall.search.found_in(opened) == {"paper"}
    for sitting in sittings:
        accepted(sitting.save(("A1", 1, "a"), ("D0", 2, ["填"])))
        accepted(sitting.submit(2))
    hall.outsider.all_results(exam.batch_id, 2, timeout_s=60)
    assert hall.in_memory("worker", "recorder", "redis", "supervisor") == {}
    assert [found for sent in hall.sent if (found := hall.search.found_in(sent))] == []


async def test_what_a_regrade_makes_right_is_known_to_the_grader_alone(hall: Hall) -> None:
    """Proposed, tried and applied: no table, file, worker or answer has it readable; the grader's memory may."""
    hall.begin_anew()
    exam = hall.outsider.exam(out.fill("D1"), rows=1, duration_s=2, rules={"grace_s": 0})
    accepted(exam.enter().save(("D1", 1, ["七"])))
    hall.outsider.all_results(exam.batch_id, 1)
    out.sleep_until(exam.closes_ms)
    answers = [_text(hall.flock.canary("key"), number) for number in range(IN_KEY)]
    path = f"/v1/batches/{exam.batch_id}/regrades"
    change = {"item": "D1", "answer": [[*answers, "七"]]}
    body = json.dumps({"reason": "答案不全", "proposed_by": "王五", "changes": [change]}, ensure_ascii=False).encode()
    wrong = body.replace(b'"D1"', b'"D9"')
    refused = hall.outsider.call("POST", path, scope="results", content=_pieces(wrong, DRIBBLE_BYTES))
    assert refused.status_code == 422

    regrade_id = accepted(hall.outsider.call("POST", path, scope="results", content=body), 201)["regrade_id"]
    at = f"{path}/{regrade_id}"

    def state() -> str:
        answer = hall.outsider.call("GET", at, scope="results")
        hall.sent.append(answer.content)
        return str(accepted(answer)["state"])

    out.poll(lambda: state() == "ready", 15, "a dry run")
    accepted(hall.outsider.call("POST", f"{at}/apply", scope="results", json={"approved_by": ["甲", "乙"]}))
    out.poll(lambda: state() == "applied", 15, "an applied regrade")

    assert {result["score"] for result in hall.outsider.results(exam.batch_id)["results"]} == {100}
    everywhere = await hall.everywhere()
    assert {place for place in everywhere if not place.startswith("grader")} == set()


async def test_a_paper_sealed_elsewhere_is_readable_nowhere_on_the_engine(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package comes sealed and leaves sealed: not arming, nor the start, nor grading makes it plain in a worker."""
    monkeypatch.setattr(shares, "_SCRYPT", (2, 8, 1))  # this test is not about guessing
    hall.begin_anew()
    desk = Desk(tmp_path, hall.engine, hall.outsider, planted(hall.flock))

    def exam(starts_in_s: int) -> Exam:
        batch_id, paper_id = out.unique("B"), out.unique("P")
        accepted(desk.push(desk.seal(batch_id, capsys), paper_id), 201)
        armed = desk.batch(paper_id, batch_id, 2, **_begins(starts_in_s))
        assert desk.arm(batch_id, 1, 3) == 0
        armed.outsider = hall.candidates
        return armed

    sealed, armed, sittings = await _wait_and_search(hall, exam)

    paper_key = out.from_base64url(accepted(sittings[0].key())["paper_key"])
    _, opened = open_sealed(armed.batch_id, sealed, paper_key)
    assert hall.search.found_in(opened) == {"paper"}
    accepted(sittings[0].save(("A1", 1, "b")))
    for sitting in sittings:
        accepted(sitting.submit(0))
    hall.outsider.all_results(armed.batch_id, 2, timeout_s=60)
    assert hall.in_memory("worker", "recorder", "redis", "supervisor") == {}
    assert [found for sent in hall.sent if (found := hall.search.found_in(sent))] == []


async def _wait_and_search(hall: Hall, begin: Callable[[int], Exam]) -> tuple[bytes, Exam, list[Sitting]]:
    """Two candidates wait while everything is searched; on a slow machine once more, with more time for it."""
    for starts_in_s in (12, 60, 240):
        exam = begin(starts_in_s)
        sittings = [exam.enter(0), exam.enter(1)]
        async with line.open_channel(sittings[1]) as waiting:
            sealed = hall.fetch(sittings[0])
            places = await hall.everywhere()
            searched_ms = out.now_ms()

            assert places == {}
            if searched_ms < exam.starts_ms:
                await waiting.hear("paper_key")
                hall.sent.append(json.dumps(waiting.heard).encode())
                return sealed, exam, sittings
    raise AssertionError("the search took longer than four minutes")


async def test_what_is_planted_anywhere_is_found(hall: Hall) -> None:
    """Else finding nothing would prove nothing: a file, a row, a value in Redis, a message, the memory of a process."""
    canary = hall.flock.canary("paper").hex()
    stray = hall.engine.data / "logs" / "stray.log"
    stray.write_bytes(b"\0" * 5_000_000 + zlib.compress(f"考题 {canary}".encode()))
    connection = await asyncpg.connect(hall.dsn)
    await connection.execute("INSERT INTO api_key VALUES ('stray', 'ops', $1, 'stray', 0)", canary)
    client = redis.Redis(unix_socket_path=str(hall.engine.data / "sockets" / "redis.sock"))
    client.set("stray", canary)
    hall.sent.append(f"<p>{canary}".encode())
    try:
        places = await hall.everywhere()
    finally:
        client.delete("stray")
        client.close()
        await connection.execute("DELETE FROM api_key WHERE key_id = 'stray'")
        await connection.close()
        stray.unlink()
        hall.sent.pop()

    assert {str(stray), "api_key", f"message {len(hall.sent)}"} <= places.keys()
    assert any("/redis/" in place for place in places)
    assert any("/pg_wal/" in place for place in places)
    assert {place.split(" ")[0].split("/")[0] for place in places if "(" in place} >= {"postgres", "redis"}
    assert all("paper" in kinds for place, kinds in places.items() if "grader" not in place)


FORMS = {
    "bytes": "x = secret.encode()",
    "text": "x = secret",
    "Chinese text": "x = '题' + secret",
    "text with an emoji": "x = '\\U0001f600' + secret",
    "base64": "import base64; x = [base64.b64encode(b'.' * n + secret.encode()) for n in range(3)]",
    "packed": "import zlib; x = zlib.compress(('题' + secret).encode())",
    "a freed block": "x = secret.encode() * 100; del x",
}


@pytest.mark.parametrize("form", FORMS)
def test_memory_is_searched_in_every_form(form: str) -> None:
    """However Python keeps it, and after it was freed."""
    flock = Flock("planted")
    code = "import sys; n = sys.stdin.readline(); secret = bytes.fromhex(n[::-1]).hex(); " + FORMS[form]
    code += "; del secret, n; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        child.stdin.write(flock.canary("planted").hex()[::-1].encode() + b"\n")
        child.stdin.flush()
        child.stdout.readline()

        found = Search(flock).found_in_memory({"child": child.pid})

        child.kill()
    assert [*found.values()] == [{"planted"}]
