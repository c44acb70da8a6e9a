"""One batch all the way: pushed, sat, released, reviewed, regraded, pushed on, archived, recomputed elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from engine.rules.webhook import shown_secret
from engine.supervision import embedded
from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, accepted, refused
from tests.receiver import Receiver
from tests.servers import ROOT, Engine, engine_up

SECRET = shown_secret(b"a secret of the receiver's own 32")
SETTINGS = {"LIANKAO_COURIER_NETWORKS": "127.0.0.0/8"}
PEOPLE = ["王五", "赵六"]
HEADER = "姓名,身份证号,准考证号,考点,考场,机位"
WITHIN_S = 60


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver in a thread of its own, so that the rest reads as it happens."""
    receiver = Receiver(SECRET)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(receiver.start(), loop).result(WITHIN_S)
    try:
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(receiver.stop(), loop).result(WITHIN_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def pushed(outsider: Outsider, duration_s: int) -> Exam:
    """As the scheduling system does it: the roster comes as a table with Chinese headers."""
    paper_id = outsider.paper(out.paper(out.single("A1", points=2), out.fill("D1", points=1), out.text("F1", points=2)))
    rules = {"release": "approved", "grace_s": 0, "latest_entry_s": duration_s - 1, "warn_before_end_s": 1}
    document = outsider.batch_document(paper_id, duration_s=duration_s, rules=rules)
    batch_id = outsider.batch(document)
    roster = [out.person() for _ in range(4)]
    fields = ("name", "id_number", "admission_ticket", "site", "room", "seat")
    table = "\r\n".join([HEADER, *(",".join(row[field] for field in fields) for row in roster)])
    headers = {"content-type": "text/csv"}
    path = f"/v1/batches/{batch_id}/roster"
    answer = outsider.call("PUT", path, scope="schedule", content=table.encode("gb18030"), headers=headers)
    assert accepted(answer)["accepted"] == len(roster)
    accepted(outsider.arm(batch_id))
    return Exam(outsider, batch_id, document, roster)


def sat(exam: Exam) -> dict[str, Any]:
    """One right, one wrong, one with an essay, one who never comes; the receipt of the first."""
    right, wrong, essay = (exam.enter(index) for index in range(3))
    accepted(wrong.save(("A1", 1, "c")))
    accepted(essay.save(("A1", 1, "b"), ("F1", 2, "一篇文章")))
    accepted(right.save(("A1", 1, "c"), ("D1", 2, ["８ 小时"]), ("A1", 3, "b")))
    receipt: dict[str, Any] = accepted(right.submit(3))
    out.sleep_until(exam.closes_ms)
    return receipt


def marked(outsider: Outsider, batch_id: str) -> None:
    """The one essay, by an assessor who is not told whose it is."""
    path = f"/v1/batches/{batch_id}/assessments"

    def tasks() -> Any:
        query = {"assessor": "钱七"}
        return accepted(outsider.call("GET", path, scope="results", params=query))["tasks"]

    [task] = out.poll(tasks, WITHIN_S, "a task for the assessor")
    body = {"assessor": "钱七", "marks": [{"task_id": task["task_id"], "mark": 1.5}]}
    accepted(outsider.call("POST", path, scope="results", json=body))


def released(outsider: Outsider, batch_id: str) -> None:
    def done() -> bool:
        body = {"approved_by": PEOPLE}
        answer = outsider.call("POST", f"/v1/batches/{batch_id}/release", scope="schedule", json=body)
        return bool(answer.status_code == 200)

    out.poll(done, WITHIN_S, "a batch whose results can be released")


def reviewed(outsider: Outsider, sitting_id: str, receipt: dict[str, Any]) -> Any:
    body = {"grounds": ["tally", "missed_marks"], "receipt": receipt}
    path = f"/v1/sittings/{sitting_id}/review"
    accepted(outsider.call("POST", path, scope="results", json=body), 201)

    def checked() -> Any:
        shown = accepted(outsider.call("GET", path, scope="results"))
        return shown if shown["state"] == "checked" else None

    return out.poll(checked, WITHIN_S, "a recheck")


def regraded(outsider: Outsider, batch_id: str, change: dict[str, Any]) -> Any:
    """Proposed, tried, applied by two people; the difference that was shown before."""
    path = f"/v1/batches/{batch_id}/regrades"

    def call(method: str, rest: str = "", **options: Any) -> Any:
        return accepted(outsider.call(method, path + rest, scope="results", **options), options.pop("status", 200))

    body = {"reason": "答案有误", "proposed_by": "王五", "changes": [change]}
    made = outsider.call("POST", path, scope="results", json=body)
    regrade_id = accepted(made, 201)["regrade_id"]
    out.poll(lambda: call("GET", f"/{regrade_id}")["state"] == "ready", WITHIN_S, "a dry run")
    shown = call("GET", f"/{regrade_id}")
    call("POST", f"/{regrade_id}/apply", json={"approved_by": PEOPLE})
    out.poll(lambda: call("GET", f"/{regrade_id}")["state"] == "applied", WITHIN_S, "an applied regrade")
    return shown["summary"]


def command(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    line = [sys.executable, "-m", "engine", *arguments]
    return subprocess.run(line, cwd=folder, env=settings, capture_output=True, text=True, timeout=120)


def archived(engine: Engine, outsider: Outsider, batch_id: str, folder: Path) -> str:
    """What somebody without a server says of the bundle."""
    made = command(
        folder,
        "archive",
        batch_id,
        LIANKAO_POSTGRES_DSN=embedded.postgres_dsn(engine.data / "sockets" / "pg"),
        LIANKAO_SECRETS_DIR=str(engine.data / "secrets"),
    )
    assert (made.returncode, made.stderr) == (0, "")
    (folder / "keys.json").write_text(json.dumps({"keys": outsider.public_keys()}), "utf-8")
    grader_key = str(engine.data / "secrets" / "grader.key")
    file = f"{batch_id}.archive.zip"
    checked = command(folder, "verify", "archive", file, "--keys", "keys.json", "--grader-key", grader_key)
    assert checked.returncode == 0, checked.stderr
    return checked.stderr


def played(outsider: Outsider, duration_s: int) -> tuple[Exam, dict[str, Any]]:
    exam = pushed(outsider, duration_s)
    return exam, sat(exam)


def test_a_batch_goes_all_the_way_from_its_push_to_scores_recomputed_elsewhere(tmp_path: Path) -> None:
    """Every score that a receiver was pushed is the one an archive recomputes without the engine's database."""
    with engine_up("season", settings=SETTINGS) as engine, receiving() as receiver:
        outsider = Outsider(engine.url, engine.keys)
        hook = {"url": receiver.url, "secret": SECRET}
        accepted(outsider.call("PUT", "/v1/webhooks/evaluation", scope="results", json=hook), 201)
        exam, receipt = out.unhurried(lambda duration_s: played(outsider, duration_s), (6, 20, 60))
        batch_id, sitting_id = exam.batch_id, receipt["sitting_id"]

        marked(outsider, batch_id)
        out.poll(lambda: outsider.show_batch(batch_id)["state"] == "graded", WITHIN_S, "a graded batch")
        refused(
            outsider.call("POST", f"/v1/sittings/{sitting_id}/review", scope="results", json={"grounds": ["tally"]}),
            409,
        )
        assert outsider.results(batch_id)["results"] == [] and receiver.attempts == []
        released(outsider, batch_id)
        first = outsider.all_results(batch_id, 4, WITHIN_S)
        out.poll(lambda: len({message.id for message in receiver.accepted}) == 4, WITHIN_S, "four pushed results")
        review = reviewed(outsider, sitting_id, receipt)
        difference = regraded(outsider, batch_id, {"item": "A1", "answer": "c"})
        second = outsider.all_results(batch_id, 4, WITHIN_S)
        out.poll(lambda: len({message.id for message in receiver.accepted}) == 8, WITHIN_S, "four pushed revisions")
        said = archived(engine, outsider, batch_id, tmp_path)

    by_sitting = {result["sitting_id"]: result for result in first}
    assert sorted(str(result["score"]) for result in first) == ["0", "60", "70", "None"]
    assert review["ok"] is True and review["result"]["score"] == by_sitting[sitting_id]["score"] == 60
    assert (difference["up"], difference["down"], difference["passes_gained"], difference["passes_lost"]) == (
        1,
        2,
        0,
        2,
    )
    assert sorted(str(result["score"]) for result in second) == ["20", "30", "40", "None"]
    assert all(result["revision"] == by_sitting[result["sitting_id"]]["revision"] + 1 for result in second)
    ids = [message.id for message in receiver.accepted]
    assert len(ids) == len(set(ids)) == 8
    assert {json.dumps(message.result, sort_keys=True) for message in receiver.accepted} == {
        json.dumps(json.loads(json.dumps(result, default=float)), sort_keys=True) for result in [*first, *second]
    }
    assert all(Webhook(SECRET).verify(message.body, message.headers) for message in receiver.accepted)
    assert "every score recomputed" in said
    assert f"archive of batch {batch_id}, 4 sittings" in said
