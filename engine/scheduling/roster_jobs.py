"""What is done with a pushed roster away from the worker: read, checked, and cut into pieces that are cheap to take.

The same with what a seating call sends, which may be as long as a roster.

A roster of 50,000 candidates takes seconds to read. Where candidates' saves are served nobody may hold the interpreter
that long, so it is done by a process of its own (`roster_process.py`), and what comes back is taken piece by piece.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from engine.rules import exact_json
from engine.rules.errors import ExamError, Invalid
from engine.rules.limits import FAULTS_LISTED_MAX, ROSTER_CHUNK_ROWS, ROSTER_FAULTS_MARKED_MAX
from engine.rules.roster_row import FIELDS
from engine.rules.rostering import check_rows, id_numbers_of
from engine.rules.seating_call import SeatingCall, read_seating
from engine.rules.shape import Faults
from engine.rules.terms import Candidate
from engine.scheduling.roster_decoding import decode_roster, marked_workbook
from engine.scheduling.workshop import Failed, TimeIsUp


class ReadRoster(Struct, frozen=True, tag=True):
    """Read the job's bytes: the msgpack of `overlaps` (see `check_rows`), so many bytes long, then the body.

    `is_marked`: faulty, it is wanted back as a workbook.
    """

    content_type: str
    today: datetime.date
    overlaps_bytes: int = 0
    is_marked: bool = False


class ReadSeating(Struct, frozen=True, tag=True):
    """Read the job's bytes as a seating call of this batch."""

    batch_id: str


Job = ReadRoster | ReadSeating


class Chunk(Struct, frozen=True, array_like=True):
    """Candidates by columns, all of one length."""

    candidate_id: list[str]
    name: list[str]
    id_number: list[str]
    admission_ticket: list[str]
    site: list[str]
    room: list[str]
    seat: list[str]
    extra_time_s: list[int]


class TakenRoster(Struct, frozen=True, tag=True):
    """Without a fault. `chunks`: each the msgpack of a Chunk."""

    count: int
    chunks: list[bytes]
    warnings: list[dict[str, Any]]


class FaultyRoster(Struct, frozen=True, tag=True):
    """`members`: JSON, of the problem. `id_numbers`: the valid ones, each the msgpack of a list, for the overlaps."""

    detail: str
    members: bytes
    id_numbers: list[bytes]
    workbook: bytes = b""


class TakenSeating(Struct, frozen=True, tag=True):
    """What is asked for, of use only without `faults`."""

    call: SeatingCall
    faults: list[dict[str, Any]]
    faults_total: int


Outcome = TakenRoster | FaultyRoster | TakenSeating | Failed


def do(job: Job, content: bytes) -> Outcome:
    """Never raises."""
    what = "roster" if isinstance(job, ReadRoster) else "seating call"
    try:
        return _read(job, content) if isinstance(job, ReadRoster) else _read_seating(job, content)
    except (MemoryError, RecursionError):
        return Failed("request.too_large", f"the {what} takes more memory than may be used for one")
    except TimeIsUp:
        return Failed("request.too_large", f"the {what} takes more time than may be used for one")
    except ExamError as fault:
        return Failed(fault.code, fault.detail, orjson.dumps(fault.members, default=float))
    except Exception as fault:  # its message may quote people's data
        return Failed("internal", f"{type(fault).__name__} while a {what} was read; nothing was stored")


def _read(job: ReadRoster, content: bytes) -> TakenRoster | FaultyRoster:
    reasons, body = content[: job.overlaps_bytes], content[job.overlaps_bytes :]
    overlaps = msgspec.msgpack.decode(reasons, type=dict[str, str]) if reasons else {}
    sent = decode_roster(body, job.content_type)
    decoded = sent.decoded
    faults_max = ROSTER_FAULTS_MARKED_MAX if job.is_marked else FAULTS_LISTED_MAX
    try:
        candidates = check_rows(decoded.rows, job.today, overlaps, decoded.unread, faults_max)
    except Invalid as invalid:
        workbook = marked_workbook(sent, invalid) if job.is_marked else b""
        members = {**invalid.members, "errors": invalid.faults[:FAULTS_LISTED_MAX]}
        known = [] if reasons else id_numbers_of(decoded.rows, job.today)
        pieces = [msgspec.msgpack.encode(piece) for piece in _pieces(known)]
        return FaultyRoster(invalid.detail, orjson.dumps(members, default=float), pieces, workbook)
    chunks = [msgspec.msgpack.encode(_chunk(piece)) for piece in _pieces(candidates)]
    return TakenRoster(len(candidates), chunks, decoded.warnings)


def _read_seating(job: ReadSeating, content: bytes) -> TakenSeating:
    faults = Faults()
    call = read_seating(exact_json.decode(content) if content.strip() else {}, job.batch_id, faults)
    return TakenSeating(call, faults.listed, faults.total)


def _pieces(entries: Sequence[Any]) -> list[Sequence[Any]]:
    return [entries[place : place + ROSTER_CHUNK_ROWS] for place in range(0, len(entries), ROSTER_CHUNK_ROWS)]


def _chunk(candidates: Sequence[Candidate]) -> Chunk:
    return Chunk(*([getattr(candidate, field) for candidate in candidates] for field in FIELDS))
