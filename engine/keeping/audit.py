"""`./run verify archive`: whether an archive is whole and its parts agree, without the engine's database.

Beside the published keys it believes nothing: not the manifest before its signature, no member before its digest, no
result before its own signature. With the grader's key, or an opened answer key, every score is made once more. Tables
of sittings are in one order and read side by side, so memory is bounded by one sitting. An archive of records, made
when the answers were erased, has neither responses nor receipts; its results are looked at as any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import orjson

from engine.keeping.bundle import BadArchive, BundleReader
from engine.keeping.recount import Recount
from engine.rules import exact_json
from engine.rules.errors import Refused
from engine.rules.limits import ARCHIVE_FAULTS_MAX
from engine.sealing import signature

_RESTORED = "restored"  # an event: history before it may be incomplete (schema/README.md)
_WITH_RECEIPT = ("submitted", "collected")
# Read in step with the table of sittings.
_BESIDE = (
    "response", "response_history", "sitting_event", "assessment_task", "assessment_mark", "result", "receipt",
)  # fmt: skip
Row = dict[str, Any]


def audit(path: Path, keys: Sequence[Mapping[str, Any]], secrets: Sequence[bytes] = ()) -> tuple[list[str], str]:
    """(faults, one line of what was checked); no faults: valid. `secrets`: grader's private keys or opened answer keys.

    At most ARCHIVE_FAULTS_MAX faults. Raises BadArchive for what is no archive that one of `keys` signed.
    """
    bundle = BundleReader(path, list(keys))
    try:
        faults = list(islice(bundle.faults(), ARCHIVE_FAULTS_MAX))
        if faults:  # what it says is not what was signed: nothing more is learnt from it
            return faults, ""
        checked = _Audit(bundle, list(keys), secrets)
        return list(islice(checked.faults(), ARCHIVE_FAULTS_MAX)), checked.told()
    except (KeyError, TypeError, ValueError, Refused) as fault:
        raise BadArchive(f"a table does not hold what schema/archive.md says: {type(fault).__name__} {fault}") from None
    finally:
        bundle.close()


class _Audit:
    """One archive's content, table against table."""

    def __init__(self, bundle: BundleReader, keys: list[Mapping[str, Any]], secrets: Sequence[bytes]) -> None:
        self._bundle = bundle
        self._keys = keys
        self._seals = list(bundle.rows("seal"))
        batches = list(bundle.rows("batch"))
        if [row.get("batch_id") for row in batches] != [bundle.batch_id]:
            raise BadArchive(f"table batch does not hold batch {bundle.batch_id!r} alone")
        self._recount = Recount(bundle, batches[0], secrets) if secrets and not bundle.answers_in else None
        self._sittings = self._results = 0

    def told(self) -> str:
        scores = "every score recomputed" if self._recount else "scores not recomputed (no key given)"
        if self._bundle.answers_in:
            scores = f"without the answers, which are in the archive of content {self._bundle.answers_in}"
        return (
            f"batch {self._bundle.batch_id}, {self._sittings} sittings, {self._results} signed results, {scores},"
            f" content {self._bundle.digest}"
        )

    def faults(self) -> Iterator[str]:
        for seal in self._seals:
            if seal["sealed"] != seal["sealed_digest"]:
                yield f"the sealed paper {seal['sealed_digest'][:16]}… has other bytes than its digest says"
        withdrawn = {row["sitting_id"] for row in self._bundle.rows("withdrawn_sitting")}
        sides = {table: _Side(self._bundle, table, withdrawn) for table in _BESIDE}
        for sitting in self._bundle.rows("sitting"):
            self._sittings += 1
            rows = {table: side.take(sitting["sitting_id"]) for table, side in sides.items()}
            for fault in self._faults_of(sitting, rows):
                yield f"sitting {sitting['sitting_id']}: {fault}"
        for table, side in sides.items():
            if strange := side.rest():
                yield f"table {table}: rows of a sitting that the archive does not hold, or out of order: {strange!r}"

    def _faults_of(self, sitting: Row, rows: dict[str, list[Row]]) -> Iterator[str]:
        responses = rows["response"]
        if not self._bundle.answers_in:
            yield from _receipt_faults(sitting, responses, rows["receipt"])
        if not any(event["kind"] == _RESTORED for event in rows["sitting_event"]):
            yield from _history_faults(responses, rows["response_history"])
        yield from self._result_faults(sitting, rows["result"])
        if self._recount and rows["result"]:
            yield from self._recount.differences(sitting, rows)

    def _result_faults(self, sitting: Row, results: Sequence[Row]) -> Iterator[str]:
        if not results:
            yield "it has no result"
        if [row["revision"] for row in results] != list(range(1, len(results) + 1)):
            yield f"its results are revisions {[row['revision'] for row in results]}, expected 1, 2, …"
        for row in results:
            self._results += 1
            what = f"result of revision {row['revision']}"
            try:
                document = exact_json.decode(row["document"].encode())
            except Refused as fault:
                yield f"{what}: {fault.detail}"
                continue
            if not signature.is_valid(document, self._keys):
                yield f"{what}: no published key signed it as it stands"
            expected = {
                "sitting_id": sitting["sitting_id"],
                "candidate_id": sitting["candidate_id"],
                "admission_ticket": sitting["admission_ticket"],
                "revision": row["revision"],
                "state": row["state"],
            }
            for name, value in expected.items():
                if document.get(name) != value:
                    yield f"{what}: its {name} is {document.get(name)!r}, expected {value!r}"
            if document.get("paper_digest") not in {seal["paper_digest"] for seal in self._seals}:
                yield f"{what}: its paper is none of this batch"


class _Side:
    """The rows of one table, a sitting's at a time, in step with the table of sittings; but for those `passed_over`."""

    def __init__(self, bundle: BundleReader, table: str, passed_over: Set[str]) -> None:
        rows = (row for row in bundle.rows(table) if row["sitting_id"] not in passed_over)
        self._groups = groupby(rows, key=lambda row: str(row["sitting_id"]))
        self._next: tuple[str, list[Row]] | None = None
        self._advance()

    def take(self, sitting_id: str) -> list[Row]:
        if self._next is None or self._next[0] != sitting_id:
            return []
        rows = self._next[1]
        self._advance()
        return rows

    def rest(self) -> str | None:
        """The sitting at which nothing fitted any more; None at the end."""
        return None if self._next is None else self._next[0]

    def _advance(self) -> None:
        found = next(self._groups, None)
        self._next = None if found is None else (found[0], list(found[1]))


def _receipt_faults(sitting: Row, responses: Sequence[Row], receipts: Sequence[Row]) -> Iterator[str]:
    """What its receipt says must be what its responses are."""
    if sitting["state"] not in _WITH_RECEIPT:
        if receipts:
            yield f"it is {sitting['state']} and has a receipt"
        return
    if len(receipts) != 1:
        yield f"it is {sitting['state']} and has {len(receipts)} receipts"
        return
    in_order = sorted(responses, key=lambda row: str(row["item"]))
    # The values are RFC 8785 JSON already: these are the bytes that the candidate's own receipt covers.
    listed = ",".join(f"[{orjson.dumps(row['item']).decode()},{row['seq']},{row['value']}]" for row in in_order)
    digest = hashlib.sha256(f"[{listed}]".encode()).hexdigest()
    answered = sum(row["value"] != "null" for row in responses)
    receipt = receipts[0]
    if (receipt["digest"], receipt["answered"]) != (digest, answered):
        yield (
            f"its receipt says {receipt['answered']} answered, digest {receipt['digest'][:16]}…;"
            f" its responses are {answered} answered, digest {digest[:16]}…"
        )


def _history_faults(responses: Sequence[Row], history: Sequence[Row]) -> Iterator[str]:
    """The newest change of each item, by `seq`, must be its response."""
    newest: dict[str, Row] = {}
    for change in history:
        if change["item"] not in newest or change["seq"] > newest[change["item"]]["seq"]:
            newest[change["item"]] = change
    known = {row["item"]: row for row in responses}
    for item in sorted(newest.keys() | known.keys()):
        in_history, response = newest.get(item), known.get(item)
        if in_history is None or response is None:
            where = "history" if in_history is None else "responses"
            yield f"item {item} is missing in its {where}"
        elif (in_history["seq"], in_history["value"]) != (response["seq"], response["value"]):
            yield (
                f"item {item}: its response has seq {response['seq']}, the newest change in its history"
                f" {in_history['seq']}, or another value"
            )
