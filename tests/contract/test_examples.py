"""The example clients of `ops/examples/`, as they are, against a real engine: an exam from the push to its results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, accepted, person
from tests.contract.test_verify_elsewhere import node
from tests.servers import ROOT

EXAMPLES = ROOT / "ops" / "examples"
PEOPLE = 3


@dataclass
class Desk:
    """A folder of what a scheduling system sends, and the clients to send it with."""

    outsider: Outsider
    folder: Path
    paper_id: str
    batch_id: str
    rows: list[dict[str, Any]]

    def run(self, scope: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One client, in that folder, with the key of `scope`, as somebody has it who has nothing of the engine."""
        path = str(EXAMPLES / program)
        by_suffix = {".py": [sys.executable], ".mjs": [node()] if program.endswith(".mjs") else []}
        command = [*by_suffix.get(Path(program).suffix, []), path]
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environ = {**own, "EXAM_URL": self.outsider.url, "EXAM_KEY": self.outsider.keys[scope]}
        return subprocess.run(
            [*command, *arguments], cwd=self.folder, env=environ, capture_output=True, text=True, timeout=120
        )

    def told(self, scope: str, program: str, *arguments: str) -> str:
        """The same where all must go well: what it says."""
        done = self.run(scope, program, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @property
    def exam(self) -> Exam:
        document = json.loads((self.folder / "batch.json").read_text("utf-8"))
        return Exam(self.outsider, self.batch_id, document, self.rows)


def new_desk(outsider: Outsider, folder: Path, duration_s: int = 600) -> Desk:
    """An exam that has just begun, as files; nothing of it is pushed."""
    rows = [person(seat=f"{seat:02d}", site="第一考点") for seat in range(1, PEOPLE + 1)]
    desk = Desk(outsider, folder, out.unique("P"), out.unique("B"), rows)
    rules = {"latest_entry_s": max(duration_s - 1, 1), "grace_s": 0, "warn_before_end_s": 1}
    batch = outsider.batch_document(desk.paper_id, duration_s=duration_s, rules=rules)
    paper = out.paper(out.single("A1"), out.numeric("E1"))
    (folder / "paper.json").write_text(json.dumps(paper, ensure_ascii=False), "utf-8")
    (folder / "batch.json").write_text(json.dumps(batch, ensure_ascii=False), "utf-8")
    (folder / "roster.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return desk


def sit(exam: Exam, index: int, *changes: tuple[str, int, Any]) -> None:
    """One candidate who answers and hands in."""
    sitting = exam.enter(index)
    accepted(sitting.save(*changes))
    accepted(sitting.submit(len(changes)))


def play(outsider: Outsider, folder: Path, duration_s: int) -> Desk:
    """Push, arm, sit; one hands in a right answer, one a wrong, one never comes; watched until graded."""
    desk = new_desk(outsider, folder, duration_s)
    files = (desk.paper_id, "paper.json", desk.batch_id, "batch.json", "roster.ndjson")
    pushed = desk.told("schedule", "scheduling.py", "push", *files)
    assert f"{PEOPLE} accepted, {PEOPLE} new, 0 removed" in pushed
    desk.told("schedule", "scheduling.py", "arm", desk.batch_id, "王五", "赵六")
    sit(desk.exam, 0, ("A1", 1, "b"), ("E1", 2, 21.75))
    sit(desk.exam, 1, ("A1", 1, "a"), ("A1", 2, "b"))
    watched = desk.told("schedule", "scheduling.py", "watch", desk.batch_id)
    assert watched.splitlines()[-1].startswith(f"{desk.batch_id} graded: rostered={PEOPLE}")
    return desk


@pytest.fixture(scope="module")
def graded(outsider: Outsider, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """An exam that the scheduling client saw through to its end."""
    return out.unhurried(lambda duration_s: play(outsider, tmp_path_factory.mktemp("desk"), duration_s), (6, 20, 60))


def test_results_come_by_page_and_check_out_elsewhere(graded: Desk) -> None:
    """Python's pages, curl's lines and the verifier in another language: the same three results."""
    by_page, by_line = (
        [json.loads(line) for line in graded.told("results", client, "results", graded.batch_id).splitlines()]
        for client in ("evaluation.py", "evaluation.sh")
    )
    keys = graded.told("results", "evaluation.py", "keys")
    (graded.folder / "keys.json").write_text(keys, "utf-8")
    files = []
    for number, result in enumerate(by_page):
        files.append(f"result-{number}.json")
        (graded.folder / files[-1]).write_text(json.dumps(result, ensure_ascii=False), "utf-8")
    command = [node(), str(EXAMPLES / "verify.mjs"), "result", *files, "--keys", "keys.json"]
    verified = subprocess.run(command, cwd=graded.folder, capture_output=True, text=True, timeout=60)

    assert by_page == by_line
    assert sorted((result["state"], result["score"]) for result in by_page) == [
        ("absent", None),
        ("graded", 33.33),
        ("graded", 100),
    ]
    assert (verified.returncode, verified.stdout.splitlines()) == (0, [f"{file}: valid" for file in files])
    assert json.loads(graded.told("results", "evaluation.sh", "keys")) == json.loads(keys)


@pytest.mark.parametrize("client", ["python", "curl"])
def test_the_feed_goes_on_from_its_cursor(graded: Desk, client: str) -> None:
    """A second run begins where the first stopped; what was published before comes once."""

    def take() -> list[dict[str, Any]]:
        if client == "python":
            graded.told("results", "evaluation.py", "follow", "cursor-python", "inbox.ndjson", "--once")
            inbox = graded.folder / "inbox.ndjson"
            found = [json.loads(line) for line in inbox.read_text("utf-8").splitlines()]
            inbox.unlink(missing_ok=True)
            return found
        pages: list[dict[str, Any]] = []
        while page := json.loads(graded.told("results", "evaluation.sh", "feed", "cursor-curl"))["results"]:
            pages += page
        return pages

    (graded.folder / "inbox.ndjson").touch()
    first = take()
    (graded.folder / "inbox.ndjson").touch()
    known = {(result["sitting_id"], result["revision"]) for result in first}
    again = [result for result in take() if (result["sitting_id"], result["revision"]) in known]

    assert {row["candidate_id"] for row in graded.rows} <= {result["candidate_id"] for result in first}
    assert len(known) == len(first)
    assert again == []


def test_what_lies_behind_a_score_can_be_fetched(graded: Desk) -> None:
    """Newest responses with their marks, and every change in its order; curl sees what Python sees."""
    sitting_id = graded.exam.outsider.results(graded.batch_id)["results"][0]["sitting_id"]
    shown = json.loads(graded.told("results", "evaluation.sh", "responses", sitting_id))["responses"]
    responses = graded.told("results", "evaluation.py", "responses", sitting_id).splitlines()
    history = graded.told("results", "evaluation.py", "history", sitting_id).splitlines()
    changes = json.loads(graded.told("results", "evaluation.sh", "history", sitting_id))["history"]

    assert {line.partition(" ")[0]: json.loads(line.partition(" ")[2]) for line in responses} == shown
    assert [json.loads(line) for line in history] == changes
    assert len(changes) == 2


@pytest.mark.parametrize(("client", "index"), [("reviews.py", 0), ("reviews.mjs", 1)])
def test_a_score_review_is_filed_and_followed_to_its_answer(graded: Desk, client: str, index: int) -> None:
    """With the candidate's own receipt; each step may be repeated, and what is open is told until it is answered."""
    sitting = graded.exam.arrive(index)
    sitting_id = sitting.sitting_id
    receipt = sitting.receipt()
    (graded.folder / "receipt.json").write_bytes(receipt.content)
    filing = ("file", sitting_id, "missed_marks,tally", "总分与估算不一致", "receipt.json")

    filed = [graded.told("results", client, *filing) for _ in range(2)]
    out.poll(
        lambda: f"{sitting_id} checked" in graded.told("results", client, "open", graded.batch_id), 20, "a recheck"
    )
    answered = graded.told("results", client, "answer", sitting_id, "李四", "经核查,成绩无误")
    followed = graded.told("results", client, "follow", sitting_id).splitlines()
    page = graded.told("results", client, "report", sitting_id)
    refused = graded.run("results", client, "answer", sitting_id, "李四", "另一答复")

    assert filed[0] == filed[1] and filed[0].startswith(f"filed: revision 1 of {sitting_id}, to be answered before 20")
    assert answered.startswith(f"answered: {sitting_id} at 20")
    assert followed[0].startswith("answered: revision 1, score ") and len(followed) == 10
    assert all(line.startswith("  ok ") for line in followed[1:9])
    assert followed[9] == "answered by 李四: 经核查,成绩无误"
    assert "成绩复核报告" in page and "经核查" in page
    assert sitting_id not in graded.told("results", client, "open", graded.batch_id)
    assert (refused.returncode, "409 score_review.answered" in refused.stderr) == (1, True)


def test_curl_pushes_and_arms_a_batch(outsider: Outsider, tmp_path: Path) -> None:
    """Every call of the script may be repeated: a second run of the whole changes nothing."""
    desk = new_desk(outsider, tmp_path)
    arguments = (desk.paper_id, "paper.json", desk.batch_id, "batch.json", "roster.ndjson", "王五", "赵六")

    first = desk.told("schedule", "scheduling.sh", *arguments).splitlines()
    second = desk.told("schedule", "scheduling.sh", *arguments).splitlines()

    assert json.loads(first[-1])["state"] == "open"
    assert json.loads(first[2])["added"] == PEOPLE
    assert json.loads(second[2])["unchanged"] == PEOPLE


@pytest.mark.parametrize("program", ["scheduling.py", "scheduling.sh"])
def test_a_refusal_is_told_with_every_fault(outsider: Outsider, tmp_path: Path, program: str) -> None:
    """Whoever has to mend the roster sees all of it, and the shell sees exit 1."""
    desk = new_desk(outsider, tmp_path)
    broken = [{**row, "id_number": "1"} for row in desk.rows]
    (tmp_path / "roster.ndjson").write_text("".join(json.dumps(row) + "\n" for row in broken), "utf-8")
    files = (desk.paper_id, "paper.json", desk.batch_id, "batch.json", "roster.ndjson")

    done = desk.run("schedule", program, *(("push",) if program.endswith(".py") else ()), *files, *(
        () if program.endswith(".py") else ("王五", "赵六")
    ))  # fmt: skip

    assert done.returncode == 1
    assert "roster.invalid" in done.stderr
    assert done.stderr.count("id_number") >= PEOPLE


@pytest.mark.parametrize(
    "program", ["scheduling.py", "scheduling.sh", "evaluation.py", "evaluation.sh", "reviews.py", "reviews.mjs"]
)
def test_a_client_called_wrongly_shows_how(outsider: Outsider, tmp_path: Path, program: str) -> None:
    """Its own first lines."""
    done = new_desk(outsider, tmp_path).run("schedule", program, "nonsense")

    assert done.returncode in (1, 2)
    assert "EXAM_URL" in done.stderr
