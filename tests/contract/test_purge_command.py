"""`./run purge` beside a running engine, as an operator types it three and five years after an exam."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from engine.stores.postgres import connect
from engine.supervision import embedded
from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, Sitting, accepted, refused
from tests.contract.test_archive_command import Done, run

YEARS_MS = 366 * 24 * 3600 * 1000


class Operator:
    """Who has the owner's settings, a folder of archives, and years that pass at once."""

    def __init__(self, folder: Path, data: Path, batch_id: str) -> None:
        self._folder = folder
        self._batch_id = batch_id
        self._dsn = embedded.postgres_dsn(data / "sockets" / "pg")
        self._environ = {
            "LIANKAO_POSTGRES_DSN": self._dsn,
            "LIANKAO_REDIS_URL": embedded.redis_url(data / "sockets"),
            "LIANKAO_SECRETS_DIR": str(data / "secrets"),
        }

    def wait(self, years: int) -> None:
        async def age() -> None:
            connection = await connect(self._dsn)
            aged = "UPDATE batch SET starts_ms = starts_ms - $2 WHERE batch_id = $1"
            await connection.execute(aged, self._batch_id, years * YEARS_MS)
            await connection.close()

        asyncio.run(age())

    def archive(self, file: str) -> Done:
        return self._run("archive", "--out", file)

    def purge(self, file: str, *more: str) -> Done:
        return self._run("purge", "--archive", file, "--keys", "keys.json", *more)

    def _run(self, command: str, *more: str) -> Done:
        return run(self._folder, command, self._batch_id, *more, **self._environ)


def sat(outsider: Outsider, duration_s: int) -> tuple[Exam, Sitting]:
    """A graded batch of one candidate, who handed in and has the token still."""
    rules = {"latest_entry_s": max(duration_s - 1, 1), "grace_s": 0, "warn_before_end_s": 1}
    exam = outsider.exam(out.single("A1"), duration_s=duration_s, rules=rules)
    sitting = exam.enter()
    accepted(sitting.save(("A1", 1, "b")))
    accepted(sitting.submit(1))
    outsider.all_results(exam.batch_id, 1, timeout_s=duration_s + 30)
    out.sleep_until(exam.document["starts_ms"] + duration_s * 1000)
    return exam, sitting


def test_answers_go_first_and_the_records_by_an_archive_of_what_was_left(
    outsider: Outsider, engine_up: Any, tmp_path: Path
) -> None:
    """Results are served meanwhile; a late release changes them, and nothing goes that no archive has."""
    exam, sitting = out.unhurried(lambda duration_s: sat(outsider, duration_s), (4, 20, 60))
    operator = Operator(tmp_path, engine_up.data, exam.batch_id)
    operator.wait(4)
    assert operator.archive("a.zip").returncode == 0
    (tmp_path / "keys.json").write_text(json.dumps({"keys": outsider.public_keys()}), "utf-8")

    first = operator.purge("a.zip")

    assert (first.returncode, json.loads(first.stdout.splitlines()[-1])["kind"]) == (0, "answers")
    refused(sitting.show(), 401, "auth.missing")
    refused(exam.log_in(), 401, "login.refused")
    refused(outsider.call("GET", f"/v1/sittings/{sitting.sitting_id}/responses", scope="results"), 410, "batch.erased")
    assert len(outsider.results(exam.batch_id)["results"]) == 1

    release = {"approved_by": ["甲", "乙"]}
    accepted(outsider.call("POST", f"/v1/batches/{exam.batch_id}/release", scope="schedule", json=release))
    operator.wait(2)
    late = operator.purge("a.zip")
    assert (late.returncode, late.stdout) == (1, "")
    assert "tables/batch_event.ndjson" in late.stderr and "archive what is left" in late.stderr
    assert "without the answers" in operator.archive("rest.zip").stdout
    second = operator.purge("rest.zip")

    assert (second.returncode, json.loads(second.stdout.splitlines()[-1])["kind"]) == (0, "records")
    refused(outsider.call("GET", f"/v1/batches/{exam.batch_id}/results", scope="results"), 404, "not_found")
    refused(sitting.show(), 401, "auth.missing")
