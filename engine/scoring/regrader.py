"""Regrades, in the grader's process: a proposal is tried over every result of its batch, and applied once approved.

Promises: a dry run writes no result. What is applied is what the dry run showed, or nothing: results that have changed
since, by whomever, put the regrade back to be tried again. All new revisions of a batch come in one transaction, so a
grader that is killed on the way has written none of them, and the next one begins anew; the primary key of `result`
and the state of the regrade keep it from being applied twice. Earlier revisions stay.
How: results are recomputed with the key in force first. One that cannot be reproduced fails the dry run: a regrade
must not cover up what a review has to explain. Assessors' marks are taken over as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from engine import batch_log, log
from engine.rules import exact_json
from engine.rules.assessing import assessors_needed
from engine.rules.errors import MISTAKES, Corrupt, TryLater
from engine.rules.limits import REGRADE_SITTINGS_MAX
from engine.rules.marking import AnswerKey, json_number, passed
from engine.rules.regrading import Outcome, changed_key, direction, pass_change
from engine.rules.terms import Rules
from engine.scoring.assessing import assessed_points, tasks_that_count
from engine.scoring.assessment_tasks import MarkedTask, marked_tasks
from engine.scoring.grader import read_responses
from engine.scoring.markbook import MarkBook
from engine.scoring.opening import open_changes, open_pinned
from engine.scoring.publication import take_publications
from engine.sealing.answer_key import public_key, seal_answer_key
from engine.sealing.signature import Signer, key_id
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Postgres, Record, UniqueViolation
from engine.stores.sql import Queries

_queries = Queries(__file__)
_DIRECTIONS = ("up", "down", "same", "unscored")


class Unworkable(Exception):
    """Why this regrade cannot be tried; it is failed with these words."""


class Stale(Exception):
    """Results are not what the dry run found."""


class FormKeys(Struct, frozen=True):
    """One form's answer key as it is and as it would be."""

    form: int
    paper_digest: str
    before_digest: str
    after_digest: str
    after: dict[str, Any]
    before_book: MarkBook
    after_book: MarkBook


class Regraded(Struct, frozen=True):
    """One result and what becomes of it."""

    sitting: Record
    before: Outcome
    after: Outcome
    marks: str
    keys: FormKeys

    @property
    def found(self) -> tuple[Any, ...]:
        """What the dry run keeps, and applying compares."""
        return (
            self.sitting["sitting_id"],
            self.sitting["revision"],
            self.before.score,
            self.after.score,
            self.before.passed,
            self.after.passed,
            direction(self.before, self.after),
            pass_change(self.before, self.after),
        )


class Regrader:
    """Holds the private keys of grading."""

    def __init__(self, database: Postgres, grader_key: bytes, signer: Signer) -> None:
        self._database = database
        self._grader_key = grader_key
        self._signer = signer

    async def turn(self) -> bool:
        """Try or apply the regrade that waits longest; False when none does. Raises TryLater."""
        try:
            async with self._database.transaction() as connection:
                row = await connection.fetchrow(_queries.take_regrade)
                if row is None:
                    return False
                step = self._try if row["state"] == "proposed" else self._apply
                try:
                    async with connection.transaction():
                        await step(connection, row)
                except (Unworkable, Corrupt) as fault:
                    await _fail(connection, row, str(fault))
                except MISTAKES as fault:  # whatever it is: the other regrades go on; its words might quote an answer
                    await _fail(connection, row, f"something on record cannot be read ({type(fault).__name__})")
                except Stale as fault:
                    await connection.execute(_queries.try_again, row["regrade_id"], str(fault))
                    log.logger().warning("regrade.stale", regrade_id=row["regrade_id"], detail=str(fault))
        except UniqueViolation as fault:  # somebody made a revision at the same moment: that one stands
            raise TryLater("a result changed while it was regraded; nothing of the regrade was written") from fault
        return True

    async def _try(self, connection: Connection, row: Record) -> None:
        regrade_id, batch_id = row["regrade_id"], row["batch_id"]
        keys = await self._keys(connection, row)
        counts: Counter[str] = Counter(dict.fromkeys((*_DIRECTIONS, "gained", "lost"), 0))
        await connection.execute(_queries.forget_sittings, regrade_id)
        async for chunk, _ in self._regraded(connection, row, keys):
            found = [regraded.found for regraded in chunk]
            await connection.execute(_queries.insert_sittings, regrade_id, *map(list, zip(*found, strict=True)))
            counts.update(each[6] for each in found)
            counts.update(each[7] for each in found if each[7])
        summary = {
            "sittings": sum(counts[name] for name in _DIRECTIONS),
            **{name: counts[name] for name in _DIRECTIONS},
            "passes_gained": counts["gained"],
            "passes_lost": counts["lost"],
            "answer_keys": [
                {"form": each.form, "before": each.before_digest, "after": each.after_digest} for each in keys.values()
            ],
        }
        await connection.execute(_queries.keep_summary, regrade_id, orjson.dumps(summary).decode(), now_ms())
        after = {"regrade_id": regrade_id, **summary}
        await batch_log.record(connection, batch_id, "regrade_tried", after=after)

    async def _apply(self, connection: Connection, row: Record) -> None:
        regrade_id, batch_id = row["regrade_id"], row["batch_id"]
        keys = await self._keys(connection, row)
        expected = {found[0]: tuple(found) for found in await connection.fetch(_queries.sittings_of, regrade_id)}
        applied_ms = now_ms()
        rows: list[tuple[str, int, str, str, str]] = []
        await connection.execute(_queries.lock_sittings, batch_id)
        async for chunk, tasks in self._regraded(connection, row, keys):
            await _renew_tasks(connection, chunk, tasks, _rules(row))
            for regraded in chunk:
                if expected.pop(regraded.sitting["sitting_id"], None) != regraded.found:
                    raise Stale(f"the result of sitting {regraded.sitting['sitting_id']!r} changed since the dry run")
                rows.append(self._revision(regraded, applied_ms))
        if expected:
            raise Stale(f"{len(expected)} results of the dry run are gone, the first of {min(expected)!r}")
        for each in keys.values():
            await self._put_in_force(connection, row, each)
        # From here on a release waits, and so do others for their numbers, until all of it is committed.
        is_public = await connection.fetchval(_queries.lock_release, batch_id)
        after = {"regrade_id": regrade_id, "revisions": len(rows), "published": bool(is_public)}
        await batch_log.record(connection, batch_id, "regrade_applied", people=row["decided_by"], after=after)
        numbers: Sequence[int | None] = [None] * len(rows)
        if is_public:
            numbers = list(await take_publications(connection, len(rows)))
        for at in range(0, len(rows), REGRADE_SITTINGS_MAX):
            columns = map(list, zip(*rows[at : at + REGRADE_SITTINGS_MAX], strict=True))
            some = numbers[at : at + REGRADE_SITTINGS_MAX]
            await connection.execute(_queries.insert_revisions, batch_id, applied_ms, some, *columns)
        await connection.execute(_queries.settle, regrade_id, applied_ms)
        log.logger().info("regrade.applied", regrade_id=regrade_id, batch_id=batch_id, revisions=len(rows))

    # --- keys ---------------------------------------------------------------------------------------------------
    async def _keys(self, connection: Connection, row: Record) -> dict[int, FormKeys]:
        """The forms that the regrade touches, with their keys before and after. Raises Unworkable, Corrupt."""
        if _rules(row).assessors:
            raise Unworkable("assessors score this batch's sittings as a whole: its answer key has no say")
        changes = open_changes(row["envelope"], row["regrade_id"], self._grader_key)
        found = {}
        for sealed in await connection.fetch(_queries.keys_in_force, row["batch_id"]):
            form = sealed["form"]
            mine = [(change["item"], change["members"]) for change in changes if change["form"] == form]
            if mine:
                found[form] = self._form_keys(sealed, mine)
        if missing := {change["form"] for change in changes} - found.keys():
            raise Unworkable(f"the batch has no form {min(missing)} any more")
        return found

    def _form_keys(self, sealed: Record, changes: Sequence[tuple[str, Mapping[str, Any]]]) -> FormKeys:
        paper_digest, before_digest = sealed["paper_digest"], sealed["answer_key_digest"]
        before = open_pinned(sealed["envelope"], paper_digest, before_digest, self._grader_key)
        after = changed_key(before, changes)
        after_digest = exact_json.digest(after)
        if after_digest == before_digest:
            raise Unworkable("it changes nothing: the answer key in force says all of this already")
        try:
            after_book = MarkBook(AnswerKey.load(after))
        except Corrupt:
            raise Unworkable("after it nothing is left in the paper that earns points") from None
        before_book = MarkBook(AnswerKey.load(before))
        return FormKeys(sealed["form"], paper_digest, before_digest, after_digest, after, before_book, after_book)

    async def _put_in_force(self, connection: Connection, row: Record, keys: FormKeys) -> None:
        recipient = public_key(self._grader_key)
        envelope = seal_answer_key(keys.after, keys.paper_digest, recipient)
        await connection.execute(
            _queries.insert_key,
            row["regrade_id"],
            row["number"],
            row["batch_id"],
            keys.form,
            keys.paper_digest,
            keys.after_digest,
            key_id(recipient),
            envelope,
        )

    # --- results ------------------------------------------------------------------------------------------------
    async def _regraded(
        self, connection: Connection, row: Record, keys: Mapping[int, FormKeys]
    ) -> AsyncIterator[tuple[list[Regraded], dict[str, list[MarkedTask]]]]:
        """Every result of the forms in `keys` and its assessors' tasks, chunk by chunk, in four queries each.

        Raises Unworkable.
        """
        rules, forms, after = _rules(row), list(keys), ""
        while True:
            page = await connection.fetch(_queries.page_of_results, row["batch_id"], after, forms, REGRADE_SITTINGS_MAX)
            if not page:
                return
            sitting_ids = [result["sitting_id"] for result in page]
            responses = await read_responses(connection, sitting_ids)
            tasks = await marked_tasks(connection, sitting_ids)
            yield (
                [
                    _regrade(result, responses.get(result["sitting_id"], {}), tasks, rules, keys[result["form"]])
                    for result in page
                ],
                tasks,
            )
            after = sitting_ids[-1]

    def _revision(self, regraded: Regraded, graded_ms: int) -> tuple[str, int, str, str, str]:
        """(sitting_id, revision, state, signed document, marks) of the new result."""
        old: dict[str, Any] = orjson.loads(regraded.sitting["document"])
        after = regraded.after
        revision = regraded.sitting["revision"] + 1
        document = self._signer.signed(
            {
                **old,
                "state": after.state,
                "score": None if after.score is None else json_number(after.score),
                "passed": after.passed,
                "sections": after.sections,
                "graded_ms": graded_ms,
                "revision": revision,
                "answer_key_digest": regraded.keys.after_digest,
            }
        )
        return (
            regraded.sitting["sitting_id"],
            revision,
            after.state,
            orjson.dumps(document).decode(),
            regraded.marks,
        )


async def _fail(connection: Connection, row: Record, why: str) -> None:
    await connection.execute(_queries.fail, row["regrade_id"], why, now_ms())
    log.logger().warning("regrade.failed", regrade_id=row["regrade_id"], detail=why)


def _rules(row: Record) -> Rules:
    return msgspec.json.decode(row["rules"], type=Rules)


def _regrade(
    row: Record, responses: Mapping[str, str], tasks: Mapping[str, list[MarkedTask]], rules: Rules, keys: FormKeys
) -> Regraded:
    document: dict[str, Any] = orjson.loads(row["document"])
    score = document["score"]
    before = Outcome(
        row["state"], None if score is None else Decimal(str(score)), document["passed"], document["sections"]
    )
    if row["state"] not in ("graded", "pending_assessor"):  # nobody sat: nothing was marked, nothing will be
        return Regraded(row, before, before, row["marks"], keys)
    mine = tasks[row["sitting_id"]]
    assessed = _assessed(keys.before_book, mine, rules) if row["state"] == "graded" else {}
    again, marks = _outcome(keys.before_book, responses, assessed, rules)
    if again != before or document["answer_key_digest"] != keys.before_digest or not _is_same(marks, row["marks"]):
        raise Unworkable(
            f"the result of sitting {row['sitting_id']!r} does not follow from its responses and the key in force:"
            " it is for a score review"
        )
    after, new_marks = _outcome(keys.after_book, responses, _assessed(keys.after_book, mine, rules), rules)
    return Regraded(row, before, after, new_marks, keys)


def _outcome(
    book: MarkBook, responses: Mapping[str, str], assessed: Mapping[str, Fraction], rules: Rules
) -> tuple[Outcome, str]:
    marked = book.mark(responses, assessed)
    if marked.score is None:
        return Outcome("pending_assessor", None, None, marked.sections), marked.marks
    return Outcome("graded", marked.score, passed(marked.score, rules.pass_mark), marked.sections), marked.marks


def _assessed(book: MarkBook, tasks: Sequence[MarkedTask], rules: Rules) -> dict[str, Fraction]:
    """What assessors gave to a sitting under this key; nothing while a mark is missing, as a pending result has it."""
    return assessed_points(tasks_that_count(tasks, book.answer_key), rules) or {}


async def _renew_tasks(
    connection: Connection, chunk: Sequence[Regraded], tasks: Mapping[str, list[MarkedTask]], rules: Rules
) -> None:
    """Nobody is asked to mark what does not count any more; what counts again is asked for again."""
    missing: dict[str, int] = {}
    for regraded in chunk:
        mine = tasks[regraded.sitting["sitting_id"]]
        counting = {task.task_id for task in tasks_that_count(mine, regraded.keys.after_book.answer_key)}
        for task in mine:
            needed = assessors_needed(task.marks, task.points, rules) if task.task_id in counting else 0
            missing[task.task_id] = max(0, needed - len(task.marks))
    await connection.execute(_queries.renew_tasks, list(missing), list(missing.values()))


def _is_same(marks: str, stored: str) -> bool:
    return marks == stored or bool(orjson.loads(marks) == orjson.loads(stored))
