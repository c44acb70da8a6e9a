"""An archive holds all that is known of a batch, and proves its scores without the engine's database."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.delivery.submit import responses_digest
from engine.keeping import archive as archive_module
from engine.keeping.archive import LEFT_OUT, TABLES, Made, archive
from engine.keeping.audit import audit
from engine.keeping.bundle import MANIFEST, BadArchive, KeepingFault
from engine.rules import exact_json
from engine.scoring.assessing import grade_assessed
from engine.scoring.grader import Grader
from engine.sealing import secrets
from engine.sealing.signature import Signer, shown_key
from engine.settings import Settings
from engine.stores.sql import Queries
from tests.integration.exam import DOCUMENT, GRADER_KEY, Exam, batch, question_set
from tests.integration.test_assessing import mark
from tests.integration.test_grader import SIGNER, finish
from tests.integration.test_regrader import approve, propose, regrader

pytestmark = pytest.mark.anyio
ARCHIVER = Signer(b"a" * 32)
KEYS = [shown_key(ARCHIVER.public_key), shown_key(SIGNER.public_key)]
# What no archive holds of a table that it holds, and why.
COLUMNS_LEFT_OUT = {
    "regrade": {"fingerprint"},  # keyed, to know a repeated call by; nobody can check it
    "paper": {"content", "content_key_wrapped"},  # the sealed paper holds it, under the key that candidates got
}


@pytest.fixture
async def over(exam: Exam) -> Exam:
    """An exam that is closed and graded: `one` has half of it right, `two` never came."""
    await finish(exam)
    await Grader(exam.grader_database, GRADER_KEY, SIGNER).grade()
    past = "UPDATE batch SET starts_ms = starts_ms - 86400000 RETURNING 1"
    await exam.query(past)
    return exam


async def archived(exam: Exam, path: Path) -> Made:
    return await archive(exam.owner_database._dsn, exam.batch.batch_id, ARCHIVER, path)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows_of(path: Path, table: str) -> list[dict[str, Any]]:
    """By the written format alone."""
    with zipfile.ZipFile(path) as bundle:
        return [json.loads(line) for line in bundle.read(f"tables/{table}.ndjson").decode().splitlines()]


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None], signer: Signer | None = None) -> Path:
    """A copy whose members `change` has changed; with `signer`, under a manifest that fits them."""
    with zipfile.ZipFile(path) as bundle:
        members = {name: bundle.read(name) for name in bundle.namelist()}
    change(members)
    if signer is not None:
        manifest = json.loads(members[MANIFEST])
        for member in manifest["members"]:
            content = members.get(member["name"], b"")
            member.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            if "rows" in member:
                member["rows"] = content.count(b"\n")
        members[MANIFEST] = exact_json.canonical(signer.signed({**manifest, "key_id": signer.key_id}))
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w") as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    return changed


def replaced(member: str, before: bytes, after: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        assert before in members[member]
        members[member] = members[member].replace(before, after, 1)

    return change


# --- making ----------------------------------------------------------------------------------------------------


async def test_an_archive_is_valid_and_its_scores_come_out_again(over: Exam, tmp_path: Path) -> None:
    """By the published keys, and with the grader's key: every score is what the responses earn."""
    made = await archived(over, tmp_path / "B.zip")

    faults, told = audit(made.path, KEYS, [GRADER_KEY])

    assert faults == []
    assert f"2 sittings, 2 signed results, every score recomputed, content {made.digest}" in told
    assert audit(made.path, KEYS)[0] == []


async def test_an_opened_answer_key_serves_as_well(over: Exam, tmp_path: Path) -> None:
    """An auditor need not be given the grader's private key: the digest in the seal says which answers were pinned."""
    made = await archived(over, tmp_path / "B.zip")
    others = {"sections": []}

    assert audit(made.path, KEYS, [orjson.dumps(question_set().answer_key)])[0] == []
    with pytest.raises(KeepingFault, match="no key given opens the answer key"):
        audit(made.path, KEYS, [orjson.dumps(others)])
    with pytest.raises(KeepingFault, match="no key given opens the answer key"):
        audit(made.path, KEYS, [b"x" * 32])
    with pytest.raises(KeepingFault, match="neither"):
        audit(made.path, KEYS, [b"short"])


async def test_the_same_content_is_the_same_bytes(over: Exam, tmp_path: Path) -> None:
    """Whenever it is made: so whoever has two archives of one batch sees at once whether they differ."""
    first = await archived(over, tmp_path / "1.zip")
    second = await archived(over, tmp_path / "2.zip")

    assert first.path.read_bytes() == second.path.read_bytes()
    assert await over.query("SELECT batch_id, digest, bytes, key_id FROM archive") == [
        ("B", first.digest, first.path.stat().st_size, ARCHIVER.key_id)
    ]


async def test_everything_is_in_it_as_it_is_stored(over: Exam, tmp_path: Path) -> None:
    """Responses, history, events, the roster, results byte for byte, the sealed paper and its answers' envelope."""
    made = await archived(over, tmp_path / "B.zip")

    for table in ("response", "response_history", "sitting_event", "sitting", "result"):
        stored = [json.loads(line) for (line,) in await over.query(f"SELECT row_to_json({table})::text FROM {table}")]
        assert sorted(map(json.dumps, rows_of(made.path, table))) == sorted(map(json.dumps, stored)), table
    blobs = await over.query("SELECT sealed, envelope FROM seal, answer_key")
    with zipfile.ZipFile(made.path) as bundle:
        for blob in blobs[0]:
            assert bundle.read(f"blobs/{hashlib.sha256(blob).hexdigest()}") == blob


async def test_a_receipt_in_it_is_what_the_candidate_was_given(over: Exam, tmp_path: Path) -> None:
    """The same digest, from the same responses, worked out in another place."""
    made = await archived(over, tmp_path / "B.zip")
    responses = [("A1", 1, b'"a"'), ("A2", 2, b'"a"'), ("A3", 3, b'"b"')]
    closed = (await over.query("SELECT closed_ms FROM sitting WHERE sitting_id = 'one'"))[0][0]

    assert rows_of(made.path, "receipt") == [
        {
            "sitting_id": "one",
            "batch_id": "B",
            "state": "submitted",
            "submitted_ms": closed,
            "answered": 3,
            "items": len(DOCUMENT["sections"][0]["items"]),
            "digest": responses_digest(responses),
        }
    ]


async def test_many_sittings_come_in_order_and_few_at_a_time(
    over: Exam, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is that of bytes, and no row is lost where one query ends and the next begins."""
    monkeypatch.setattr(archive_module, "ARCHIVE_SITTINGS_AT_ONCE", 2)
    monkeypatch.setattr(archive_module, "ARCHIVE_ROWS_AT_ONCE", 2)
    other = Exam.beside(over, "many")
    await other.arm("a", "B", "c-1", "c.1", "c_1", "10", "9")
    await over.query("UPDATE sitting SET state = 'absent', closed_ms = 1 WHERE batch_id = 'many' RETURNING 1")
    await over.query("UPDATE batch SET starts_ms = 0 WHERE batch_id = 'many' RETURNING 1")
    await Grader(over.grader_database, GRADER_KEY, SIGNER).grade()
    made = await archived(other, tmp_path / "many.zip")

    found = [row["sitting_id"] for row in rows_of(made.path, "sitting")]

    assert found == sorted(found) == ["10", "9", "B", "a", "c-1", "c.1", "c_1"]
    assert [row["sitting_id"] for row in rows_of(made.path, "result")] == found
    assert audit(made.path, KEYS, [GRADER_KEY])[0] == []


async def test_only_what_is_over_and_graded_is_archived(exam: Exam, tmp_path: Path) -> None:
    """The refusal says what is missing; nothing is left of the file."""
    path = tmp_path / "B.zip"
    with pytest.raises(KeepingFault, match="closes at"):
        await archived(exam, path)
    await exam.query("UPDATE batch SET starts_ms = starts_ms - 86400000 RETURNING 1")
    with pytest.raises(KeepingFault, match="2 not closed, 2 not graded"):
        await archived(exam, path)
    with pytest.raises(KeepingFault, match="no batch 'nobody'"):
        await archive(exam.owner_database._dsn, "nobody", ARCHIVER, path)
    await exam.query("UPDATE batch SET armed_ms = NULL RETURNING 1")
    with pytest.raises(KeepingFault, match="never armed"):
        await archived(exam, path)

    assert files_in(tmp_path) == []


async def test_nothing_is_written_over(over: Exam, tmp_path: Path) -> None:
    """Whatever lies there under that name stays."""
    (tmp_path / "B.zip").write_text("mine")

    with pytest.raises(KeepingFault, match="nothing is written over"):
        await archived(over, tmp_path / "B.zip")

    assert (tmp_path / "B.zip").read_text() == "mine"


async def test_a_panels_marks_come_to_the_same_score_again(redis_url: str, postgres_dsn: str, tmp_path: Path) -> None:
    """Every mark is kept, an assessor's newest counts, and mean and two thirds are worked out once more."""
    exam = Exam(redis_url, postgres_dsn, batch(assessors=3))
    await exam.hold()
    await exam.arm("one", "two")
    await exam.query("UPDATE sitting SET state = 'submitted', closed_ms = 1 RETURNING 1")
    grader = Grader(exam.grader_database, GRADER_KEY, SIGNER)
    await grader.grade()
    await mark(exam, "one", a=90, b=61)
    await mark(exam, "one", a=59.5, c=60)
    await mark(exam, "two", a=100, b=59, c=59)
    while await grade_assessed(exam.grader_database, grader):
        pass
    await exam.query("UPDATE batch SET starts_ms = 0 RETURNING 1")
    made = await archived(exam, tmp_path / "B.zip")
    lower = replaced("tables/assessment_mark.ndjson", b'"mark":59.5', b'"mark":59.4')

    assert [(row["revision"], row["state"]) for row in rows_of(made.path, "result")] == [
        (1, "pending_assessor"), (2, "graded"), (1, "pending_assessor"), (2, "graded"),
    ]  # fmt: skip
    assert [json.loads(row["document"])["score"] for row in rows_of(made.path, "result")] == [None, 60.17, None, 72.67]
    assert audit(made.path, KEYS, [GRADER_KEY])[0] == []
    assert audit(rewritten(made.path, lower, ARCHIVER), KEYS, [GRADER_KEY])[0] == [
        "sitting one: recomputed, its score is 60.13; the result of revision 2 says Decimal('60.17')"
    ]
    await exam.close()


async def test_every_paper_of_a_batch_is_in_it(redis_url: str, postgres_dsn: str, tmp_path: Path) -> None:
    """A sitting is marked by the answer key of its own form; records of an arming that was undone are kept as well."""
    exam = Exam(redis_url, postgres_dsn, batch(papers=("P", "Q")))
    await exam.hold()
    await exam.arm("one", "two")
    await exam.query("INSERT INTO disarming VALUES ('B', 1, '{B}', '{}') RETURNING 1")
    await exam.query("INSERT INTO withdrawn_sitting VALUES ('gone', 'B', 1, 0, 'one') RETURNING 1")
    await exam.query("INSERT INTO sitting_event VALUES ('gone', 'checked_in', 1, 1, 1, 1) RETURNING 1")
    await exam.query("UPDATE sitting SET state = 'submitted', closed_ms = 1 RETURNING 1")
    await Grader(exam.grader_database, GRADER_KEY, SIGNER).grade()
    await exam.query("UPDATE batch SET starts_ms = 0 RETURNING 1")
    made = await archived(exam, tmp_path / "B.zip")
    other_form = replaced("tables/seal.ndjson", b'"form":1', b'"form":2')

    assert [row["form"] for row in rows_of(made.path, "seal")] == [0, 1]
    assert [row["items"] for row in rows_of(made.path, "receipt")] == [4, 4]
    assert [row["sitting_id"] for row in rows_of(made.path, "sitting_event")] == ["gone"]
    assert audit(made.path, KEYS, [GRADER_KEY])[0] == []
    (fault,) = audit(rewritten(made.path, other_form, ARCHIVER), KEYS, [GRADER_KEY])[0]
    assert fault.startswith("sitting two: the result of revision 1 was made by answer key")
    await exam.close()


async def test_a_regraded_batch_is_recomputed_by_the_key_in_force(over: Exam, tmp_path: Path) -> None:
    """Both revisions are kept; the newest follows from the regrade's key, and without that key it does not."""
    settings = Settings(secrets_dir=str(tmp_path))
    secrets.create(tmp_path)
    await propose(over, settings, {"item": "A3", "answer": "b"}, {"item": "A4", "voided": True})
    await regrader(over).turn()
    await approve(over)
    await regrader(over).turn()
    made = await archived(over, tmp_path / "B.zip")
    kept = rows_of(made.path, "regrade_key")

    assert [json.loads(row["document"])["score"] for row in rows_of(made.path, "result")] == [50, 100, None, None]
    assert audit(made.path, KEYS, [GRADER_KEY])[0] == []
    faults = audit(
        rewritten(made.path, lambda members: members.update({"tables/regrade_key.ndjson": b""}), ARCHIVER),
        KEYS,
        [GRADER_KEY],
    )[0]
    assert [fault for fault in faults if f"was made by answer key {kept[0]['answer_key_digest']!r}" in fault] != []


# --- every table -----------------------------------------------------------------------------------------------


async def test_every_table_is_archived_or_left_out_for_a_reason(exam: Exam) -> None:
    """A table that comes to the schema is decided upon: it gets a query in `archive.sql`, or a line in LEFT_OUT."""
    listed = await exam.query(
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    tables = {name for (name,) in listed if not name.startswith("schema_")}
    months = {name for name in tables if re.search(r"_[0-9]{4}_[0-9]{2}$", name)}
    kept = {table.name for table in TABLES} - {"receipt"}

    assert tables - months == kept | LEFT_OUT.keys()
    assert kept & LEFT_OUT.keys() == set()


async def test_every_column_of_an_archived_table_is_in_the_archive(exam: Exam) -> None:
    """But for those named here."""
    queries = Queries(archive_module.__file__)
    async with exam.owner_database.connection() as connection:
        for table in TABLES:
            if table.name == "receipt":
                continue
            prepared = await connection.prepare(getattr(queries, table.name))
            found = {attribute.name for attribute in prepared.get_attributes()}
            columns = await exam.query(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
                " AND NOT attisdropped",
                table.name,
            )
            assert {name for (name,) in columns} - found == COLUMNS_LEFT_OUT.get(table.name, set()), table.name


# --- what is not as it was -------------------------------------------------------------------------------------


async def test_another_key_signed_nothing(over: Exam, tmp_path: Path) -> None:
    """Without a key that is trusted, not even the manifest is believed."""
    made = await archived(over, tmp_path / "B.zip")

    with pytest.raises(BadArchive, match="no published key signed the manifest"):
        audit(made.path, [shown_key(SIGNER.public_key)])
    with pytest.raises(BadArchive, match="no published key"):
        audit(rewritten(made.path, lambda members: None, Signer(b"z" * 32)), KEYS)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (replaced("tables/response.ndjson", b"A1", b"A2"), "tables/response.ndjson: its bytes are not those"),
        (lambda members: members.pop("tables/photo.ndjson"), "tables/photo.ndjson is missing"),
        (lambda members: members.update(more=b"x"), "more is not in the manifest"),
        (replaced("tables/batch.ndjson", b"\n", b"\n\n"), "tables/batch.ndjson: its bytes are not those"),
    ],
)
async def test_a_member_that_is_not_as_it_was_signed_is_named(
    over: Exam, tmp_path: Path, change: Callable[[dict[str, bytes]], None], told: str
) -> None:
    """Changed, gone or slipped in."""
    made = await archived(over, tmp_path / "B.zip")

    faults, _ = audit(rewritten(made.path, change), KEYS)

    assert [fault for fault in faults if told in fault] != []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            replaced("tables/response.ndjson", rb'"value":"\"a\""', rb'"value":"\"b\""'),
            ["its receipt says 3 answered", "item A1: its response has seq 1", "recomputed, its score is 25"],
        ),
        (replaced("tables/response_history.ndjson", b'"seq":3', b'"seq":4'), ["item A3: its response has seq 3"]),
        (replaced("tables/result.ndjson", rb"\"score\":50", rb"\"score\":60"), ["no published key signed it as it"]),
        (
            replaced("tables/result.ndjson", rb"\"mark\":0,\"points\":1", rb"\"mark\":1,\"points\":1"),
            ["recomputed, item A3 earns {'mark': 0, 'points': 1}"],
        ),
        (
            replaced("tables/result.ndjson", b'"sitting_id":"one"', b'"sitting_id":"ooo"'),
            ["it has no result", "rows of"],
        ),
        (replaced("tables/result.ndjson", b'"revision":1', b'"revision":2'), ["its results are revisions [2]"]),
        (replaced("tables/sitting.ndjson", b'"candidate_id":"one"', b'"candidate_id":"eno"'), ["its candidate_id is"]),
        (replaced("tables/batch.ndjson", b'"pass_mark": "60"', b'"pass_mark": "50"'), ["recomputed, its passed is"]),
        (lambda members: members.update({"tables/receipt.ndjson": b""}), ["it is submitted and has 0 receipts"]),
    ],
)
async def test_parts_that_contradict_each_other_are_named_whoever_signed(
    over: Exam, tmp_path: Path, change: Callable[[dict[str, bytes]], None], told: list[str]
) -> None:
    """Also where the archive's own key signed the forgery: results have signatures of their own."""
    made = await archived(over, tmp_path / "B.zip")

    faults, _ = audit(rewritten(made.path, change, ARCHIVER), KEYS, [GRADER_KEY])

    assert [expected for expected in told if not any(expected in fault for fault in faults)] == []


async def test_a_restored_sitting_may_lack_history(over: Exam, tmp_path: Path) -> None:
    """PostgreSQL once put back has newest values, not history; the event says so and the audit knows."""
    await over.query("DELETE FROM response_history WHERE seq = 2 RETURNING 1")
    before = await archived(over, tmp_path / "1.zip")
    await over.query("INSERT INTO sitting_event VALUES ('one', 'restored', 1, 1, 1, 1) RETURNING 1")
    after = await archived(over, tmp_path / "2.zip")

    assert audit(before.path, KEYS)[0] == ["sitting one: item A2 is missing in its history"]
    assert audit(after.path, KEYS)[0] == []


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip"])
async def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    """One line and no traceback."""
    (tmp_path / "x.zip").write_bytes(content)

    with pytest.raises(BadArchive, match="is no archive"):
        audit(tmp_path / "x.zip", KEYS)
