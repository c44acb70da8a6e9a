"""`./run archive` and `./run verify archive` beside a running engine, as an operator and an auditor type them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from engine.supervision import embedded
from tests import servers
from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted

Done = subprocess.CompletedProcess[str]


def run(folder: Path, *arguments: str, **environ: str) -> Done:
    """One command, in that folder; only `environ` leads to an engine."""
    command = [sys.executable, "-m", "engine", *arguments]
    settings = {**os.environ, "PYTHONPATH": str(servers.ROOT), **environ}
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=120)


def sat(outsider: Outsider, duration_s: int) -> tuple[str, dict[str, Any]]:
    """A graded batch, and the receipt of one who handed in; another was collected, a third never came."""
    items = (out.single("A1"), out.fill("D1"), out.numeric("E1"))
    rules = {"latest_entry_s": max(duration_s - 1, 1), "grace_s": 0, "warn_before_end_s": 1}
    exam = outsider.exam(*items, rows=3, duration_s=duration_s, rules=rules)
    first, second = exam.enter(0), exam.enter(1)
    accepted(first.save(("A1", 1, "b"), ("D1", 2, ["８小时 "]), ("E1", 3, 21.76), ("A1", 4, "a")))
    accepted(second.save(("D1", 1, ["九小时"]), ("E1", 2, None)))
    receipt = accepted(first.submit(4))
    outsider.all_results(exam.batch_id, 3, timeout_s=duration_s + 30)
    return exam.batch_id, receipt


@pytest.fixture(scope="module")
def archived(
    outsider: Outsider, engine_up: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, Any, Done]:
    """(folder with the archive and keys.json, batch, a receipt, what making it said)."""
    batch_id, receipt = out.unhurried(lambda duration_s: sat(outsider, duration_s), (5, 20, 60))
    folder = tmp_path_factory.mktemp("archives")
    made = run(
        folder, "archive", batch_id,
        LIANKAO_POSTGRES_DSN=embedded.postgres_dsn(engine_up.data / "sockets" / "pg"),
        LIANKAO_SECRETS_DIR=str(engine_up.data / "secrets"),
    )  # fmt: skip
    (folder / "keys.json").write_text(json.dumps({"keys": outsider.public_keys()}), "utf-8")
    return folder, batch_id, receipt, made


def test_an_archive_is_made_and_recomputed_elsewhere(archived: Any, engine_up: Any) -> None:
    """Made with the owner's right, checked by somebody without any server: every score comes out as published."""
    folder, batch_id, _, made = archived
    file = f"{batch_id}.archive.zip"
    grader_key = str(engine_up.data / "secrets" / "grader.key")

    checked = run(folder, "verify", "archive", file, "--keys", "keys.json", "--grader-key", grader_key)

    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith(f"{file}: ")
    assert (checked.returncode, checked.stdout) == (0, "")
    content = made.stdout.split()[-1]
    assert checked.stderr == (
        f"valid: archive of batch {batch_id}, 3 sittings, 3 signed results, every score recomputed, content {content}\n"
    )


def test_a_candidates_receipt_is_in_the_archive(archived: Any) -> None:
    """What they hold in their hands says what the archive says."""
    folder, batch_id, receipt, _ = archived
    with zipfile.ZipFile(folder / f"{batch_id}.archive.zip") as bundle:
        rows = [json.loads(line) for line in bundle.read("tables/receipt.ndjson").splitlines()]

    unsigned = {name: value for name, value in receipt.items() if name not in ("signature", "key_id")}
    assert unsigned in rows
    assert sorted(row["state"] for row in rows) == ["collected", "submitted"]


def test_an_archive_that_was_changed_is_not_valid(archived: Any) -> None:
    """One digit of one response; one line says where, and the exit code is 1."""
    folder, batch_id, _, _ = archived
    with zipfile.ZipFile(folder / f"{batch_id}.archive.zip") as source, zipfile.ZipFile(folder / "c.zip", "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            copy.writestr(name, content.replace(b"21.76", b"21.75") if name == "tables/response.ndjson" else content)

    checked = run(folder, "verify", "archive", "c.zip", "--keys", "keys.json")

    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr == "not valid: tables/response.ndjson: its bytes are not those the manifest names\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("verify", "archive", "missing.zip", "--keys", "keys.json"), 1, "not valid: missing.zip is no archive"),
        (("verify", "archive", "keys.json", "--keys", "missing.json"), 1, "not valid: [Errno 2]"),
        (("verify", "archive", "keys.json", "--keys", "keys.json"), 1, "not valid: keys.json is no archive"),
        (("verify", "result", "x", "--keys", "keys.json", "--grader-key", "x"), 2, "--grader-key is for archives"),
        (("archive", "nobody"), 2, "archive.key"),
    ],
)
def test_what_cannot_be_done_is_one_line(archived: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    """Never a traceback."""
    done = run(archived[0], *arguments)

    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_running_exam_is_not_archived(outsider: Outsider, engine_up: Any, tmp_path: Path) -> None:
    """Nor one of another name; nothing is left behind."""
    settings = {
        "LIANKAO_POSTGRES_DSN": embedded.postgres_dsn(engine_up.data / "sockets" / "pg"),
        "LIANKAO_SECRETS_DIR": str(engine_up.data / "secrets"),
    }
    running = outsider.exam().batch_id

    told = [run(tmp_path, "archive", batch_id, **settings) for batch_id in (running, "nobody")]

    assert [done.returncode for done in told] == [1, 1]
    assert f"batch {running!r} closes at" in told[0].stderr
    assert told[1].stderr == "run: there is no batch 'nobody'\n"
    assert list(tmp_path.iterdir()) == []
