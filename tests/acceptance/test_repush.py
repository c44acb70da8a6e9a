"""From the release to the receiver and on to a regrade: each revision is pushed once, to the example receiver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, accepted
from tests.servers import ROOT, Engine, engine_up, free_port, stop

PEOPLE = {"approved_by": ["王五", "赵六"]}
SETTINGS = {"LIANKAO_COURIER_NETWORKS": "127.0.0.0/8", "LIANKAO_COURIER_RETRY_FIRST_S": "0.1"}
WITHIN_S = 60


@contextmanager
def receiving(port: int, inbox: Path, secret: str) -> Iterator[None]:
    """`ops/examples/receiver.py` as it is."""
    environ = {**os.environ, "EXAM_WEBHOOK_SECRET": secret}
    command = [sys.executable, str(ROOT / "ops" / "examples" / "receiver.py"), str(port), str(inbox)]
    child = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline().startswith(b"listening")
        yield
    finally:
        stop(child, signal.SIGTERM)


def events(inbox: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in inbox.read_bytes().splitlines()] if inbox.exists() else []


def test_a_release_and_a_regrade_reach_the_receiver_once_each(tmp_path: Path) -> None:
    """Nothing before the release; then every result, and after a regrade every new revision, though the receiver was
    away when it was applied."""
    inbox = tmp_path / "inbox.ndjson"
    with engine_up("repush", settings=SETTINGS) as engine:
        port = free_port()
        outsider = Outsider(engine.url, engine.keys)
        body = {"url": f"http://127.0.0.1:{port}/results"}
        secret = accepted(outsider.call("PUT", "/v1/webhooks/evaluation", scope="results", json=body), 201)["secret"]
        with receiving(port, inbox, secret):
            exam = play(outsider)
            before = events(inbox)
            release = f"/v1/batches/{exam.batch_id}/release"
            accepted(outsider.call("POST", release, scope="schedule", json=PEOPLE))
            out.poll(lambda: len(events(inbox)) == 3, WITHIN_S, "three results pushed")
        regrade(outsider, exam)
        with receiving(port, inbox, secret):
            out.poll(lambda: len(events(inbox)) == 6, WITHIN_S, "three new revisions pushed")
        settled(engine, outsider)
        keys = outsider.public_keys()
        served = outsider.results_answer(exam.batch_id, limit=1000).json()["results"]

    assert before == []
    pushed = [event["event"] for event in events(inbox)]
    results = [event["data"] for event in pushed]
    assert len({event["webhook_id"] for event in events(inbox)}) == 6
    assert [result["revision"] for result in results] == [1, 1, 1, 2, 2, 2]
    assert results[3:] == served
    assert all(len(out.signed_by(result, keys)) == 1 for result in results)
    assert {event["batch_id"] for event in pushed} == {exam.batch_id}
    assert [int(event["cursor"]) for event in pushed] == sorted(int(event["cursor"]) for event in pushed)


def play(outsider: Outsider) -> Exam:
    """A batch that is over and waits for its release: one right, one wrong, one who never came."""
    rules = {"grace_s": 0, "release": "approved"}
    exam = outsider.exam(out.single("A1", points=2), out.multiple("B1"), rows=3, duration_s=4, rules=rules)
    for index, option in ((0, "b"), (1, "c")):
        accepted(exam.enter(index).save(("A1", 1, option)))
    out.sleep_until(exam.closes_ms)
    out.poll(lambda: outsider.show_batch(exam.batch_id)["state"] == "graded", WITHIN_S, "graded")
    assert outsider.results(exam.batch_id)["results"] == []
    return exam


def regrade(outsider: Outsider, exam: Exam) -> None:
    path = f"/v1/batches/{exam.batch_id}/regrades"
    changes = [{"item": "A1", "answer": "c"}]
    body = {"reason": "答案有误", "proposed_by": "王五", "changes": changes}
    regrade_id = accepted(outsider.call("POST", path, scope="results", json=body), 201)["regrade_id"]

    def state() -> Any:
        return accepted(outsider.call("GET", f"{path}/{regrade_id}", scope="results"))["state"]

    out.poll(lambda: state() == "ready", WITHIN_S, "the regrade's dry run")
    accepted(outsider.call("POST", f"{path}/{regrade_id}/apply", scope="results", json=PEOPLE))
    out.poll(lambda: state() == "applied", WITHIN_S, "the regrade applied")


def settled(engine: Engine, outsider: Outsider) -> None:
    """What was delivered is soon shown so (the receiver knows before the engine does), and nothing waits any more."""

    def states() -> set[str]:
        page = accepted(outsider.call("GET", "/v1/webhooks/evaluation/deliveries", scope="results"))
        return {delivery["state"] for delivery in page["deliveries"]}

    out.poll(lambda: states() == {"delivered"}, WITHIN_S, "every delivery shown as delivered")
    shown = accepted(outsider.call("GET", "/v1/webhooks/evaluation", scope="results"))
    assert (shown["waiting"], shown["dead"], shown["state"]) == (0, 0, "enabled")
    assert engine.is_ready()
