"""`./run paper draw`: papers drawn from an item bank, on a machine that needs no server.

Promise: bank and papers are in this process and in the folder that the person names, nowhere else; what exists is never
written over. A draw counts in the exposure file before its papers can be used, and once: the same draw again, after
whatever ended this one, gives the same papers and counts nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from engine.ceremony import CeremonyFault
from engine.rules import exact_json
from engine.rules.bank import Bank, Blueprint, read_bank, read_blueprint, read_exposure, show_exposure
from engine.rules.drawing import Drawn, TooFew, draw, draw_id
from engine.rules.errors import ExamError, Invalid
from engine.rules.limits import DRAWN_FORMS_MAX, SEED_CHARACTERS_MAX
from engine.rules.question_set import QuestionSet, read_question_set
from engine.rules.shape import Faults

T = TypeVar("T")
_RECORD_FORMAT = "liankao-draw-1"


def draw_papers(
    bank_file: Path, blueprint_file: Path, seed: str, forms: int, folder: Path, exposure_file: Path | None
) -> list[str]:
    """The papers and the record of a draw, in a new folder. Raises CeremonyFault; then no folder is there."""
    if not 1 <= forms <= DRAWN_FORMS_MAX:
        raise CeremonyFault(f"--forms {forms}: expected 1 to {DRAWN_FORMS_MAX}")
    if not 1 <= len(seed) <= SEED_CHARACTERS_MAX or not seed.isprintable():
        raise CeremonyFault(f"--seed: expected 1 to {SEED_CHARACTERS_MAX} printable characters")
    if folder.exists():
        raise CeremonyFault(f"{folder} exists; nothing is written over")
    bank = _read(bank_file, read_bank)
    blueprint = _read(blueprint_file, read_blueprint)
    drawn_as = draw_id(bank, blueprint, seed, forms)
    with _held(exposure_file) as draws:
        known = [draw for draw, _ in draws]
        before = draws[: known.index(drawn_as)] if drawn_as in known else draws
        uses = Counter(item for _, items in before for item in set(items))
        try:
            drawn = draw(bank, blueprint, seed, forms, uses)
        except TooFew as fault:
            raise CeremonyFault(f"{blueprint_file}: {fault}") from None
        record = _record(bank, blueprint, seed, drawn_as, before, drawn)
        with _laid_out(folder, drawn, record) as part:
            if exposure_file is not None and drawn_as not in known:
                _replace(exposure_file, show_exposure([*draws, (drawn_as, drawn.items)]))
            part.rename(folder)
            _sync(folder.parent)
    return [
        *(f"paper    {folder / paper['file']} {paper['digest']}" for paper in record["papers"]),
        f"record   {folder / 'draw.json'}",
        f"shared   {drawn.shared} times an item by two forms",
        "these papers are readable: seal or push them, then destroy them",
    ]


def _record(
    bank: Bank, blueprint: Blueprint, seed: str, drawn_as: str, before: list[tuple[str, list[str]]], drawn: Drawn
) -> dict[str, Any]:
    """What it takes to draw the same once more, and to see that it is the same; ids of items, none of their words."""
    checked = [_checked(paper) for paper in drawn.papers]
    return {
        "format": _RECORD_FORMAT,
        "draw": drawn_as,
        "seed": seed,
        "forms": len(checked),
        "bank_digest": bank.digest,
        "blueprint_digest": blueprint.digest,
        "exposure_digest": exact_json.digest(show_exposure(before)),
        "shared": drawn.shared,
        "papers": [
            {
                "file": f"form-{number}.json",
                "digest": found.digest,
                "items": found.items,
                "points": float(found.points),
                "drawn": [item["id"] for section in found.public["sections"] for item in section["items"]],
            }
            for number, found in enumerate(checked, 1)
        ],
    }


def _checked(paper: dict[str, Any]) -> QuestionSet:
    """As `PUT /v1/papers` will read it: what only a whole paper can have too much of is found here."""
    try:
        return read_question_set(paper)
    except Invalid as fault:
        raise CeremonyFault(_listed("a drawn paper", fault.faults, len(fault.faults))) from None


# --- files -----------------------------------------------------------------------------------------------------
def _read(file: Path, reader: Callable[[Any, Faults], T]) -> T:
    faults = Faults()
    try:
        found = reader(exact_json.decode(file.read_bytes()), faults)
    except OSError as fault:
        raise CeremonyFault(f"{file}: {fault.strerror}") from None
    except ExamError as fault:
        raise CeremonyFault(f"{file}: {fault.detail}") from None
    if faults:
        raise CeremonyFault(_listed(str(file), faults.listed, faults.total))
    return found


def _listed(name: str, faults: Sequence[dict[str, Any]], total: int) -> str:
    return "\n".join([f"{name}: {total} faults", *(f"{each['pointer']}: {each['message']}" for each in faults)])


@contextlib.contextmanager
def _held(file: Path | None) -> Iterator[list[tuple[str, list[str]]]]:
    """The draws so far; who draws beside us waits, or would count from the same history."""
    if file is None:
        yield []
        return
    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as fault:
        raise CeremonyFault(f"{file.parent}: {fault.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield _read(file, read_exposure) if file.exists() else []
    finally:
        os.close(folder)


@contextlib.contextmanager
def _laid_out(folder: Path, drawn: Drawn, record: dict[str, Any]) -> Iterator[Path]:
    """Everything on the disk, under a name that nobody takes for the folder; what an earlier try left there goes.

    If the body fails it goes as well: readable papers lie nowhere but where they were wanted.
    """
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        for number, paper in enumerate(drawn.papers, 1):
            _write(part / f"form-{number}.json", paper)
        _write(part / "draw.json", record)
        _sync(part)
        yield part
    except OSError as fault:
        raise CeremonyFault(f"{part}: {fault.strerror}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)  # renamed it is not there


def _replace(file: Path, document: dict[str, Any]) -> None:
    """Whole or not at all."""
    part = file.with_name(f".{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        _write(part, document)
        part.replace(file)
        _sync(file.parent)
    except OSError as fault:
        raise CeremonyFault(f"{file}: {fault.strerror}; nothing was drawn") from None


def _write(file: Path, document: dict[str, Any]) -> None:
    """A new file for its owner alone, on the disk when this returns."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        written.write(orjson.dumps(document, default=float, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        written.flush()
        os.fsync(written.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
