"""The repository as a whole: nothing too long, nothing forgotten, nothing that ties it to one place."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.servers import ROOT
from tests.tidy.repository import files, texts

LINES_MAX = 450
# Longer, with the reason; all but the generated ones are one subject told case by case.
LONG = {
    "requirements.lock": "generated",
    "requirements-load.lock": "generated",
    "requirements-dev.lock": "generated",
    "schema/openapi.json": "generated",
    "schema/schema.sql": "the whole data model, for reading",
    "ops/samples/ldgx3/paper.json": "a paper, item by item",
    "tests/integration/test_channel_watch.py": "everything that an open channel must hear of",
    "tests/contract/test_garbage.py": "every reader of a body, given everything that is none",
    "tests/unit/test_question_set.py": "every fault of a paper",
    "tests/unit/test_rostering.py": "every fault of a roster",
}
# Words that fit everything and therefore tell nothing; a file is named for what it is responsible for.
EMPTY_STEMS = {
    "utils",
    "util",
    "common",
    "helpers",
    "helper",
    "core",
    "manager",
    "base",
    "service",
    "repository",
    "misc",
}
MUST_RUN = [Path("run"), Path(".ci/run")]
LATER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
# A path of somebody's machine; `/tmp` and system folders are the same everywhere.
SOMEBODYS_PATH = re.compile(r"(?<![\w.:/-])/(?:home|Users|work|root|mnt)/\w")
FOREIGN_SOURCE = re.compile(
    r"://|\b(?:extra-)?index-url\b|\bfind-links\b|\bregistry\s*=|\btrusted-host\b", re.IGNORECASE
)
URL = re.compile(r"\b[a-z][a-z0-9+.-]*://")

TEXTS = texts()
CODE_SUFFIXES = {".py", ".js", ".mjs", ".lua", ".sql", ".css", ".html", ".sh"}
CODE = [(path, text) for path, text in TEXTS if path.suffix in CODE_SUFFIXES]
OURS = [(path, text) for path, text in TEXTS if path.suffix != ".lock" and path != Path("LICENSE")]


def names(found: list[Path]) -> list[str]:
    return [str(path) for path in found]


# --- size and names --------------------------------------------------------------------------------------------


def test_the_repository_was_found() -> None:
    """Else every test here would pass for nothing."""
    assert {Path("run"), Path("engine/app.py"), Path("tests/tidy/test_repository.py")} <= set(files())
    assert not any(part in path.parts for path in files() for part in (".venv", ".git", "__pycache__"))


def test_no_file_is_longer_than_one_noun_needs() -> None:
    """Past this, ask whether it holds two; the named ones were asked."""
    long = {str(path): text.count("\n") for path, text in TEXTS if text.count("\n") > LINES_MAX}

    assert {path: lines for path, lines in long.items() if path not in LONG} == {}


def test_the_named_long_files_are_there() -> None:
    """An exception whose file is gone would cover the next file of that name."""
    assert [path for path in LONG if path != "schema/openapi.json" and not (ROOT / path).exists()] == []


def test_no_file_is_named_for_nothing_in_particular() -> None:
    """`grep autosave` finds everything of autosave; `grep utils` finds nothing of anything."""
    ours = [path for path in files() if path.parts[0] in ("engine", "loadtest", "bench", "ops")]
    # Page widgets of the web folder are nouns of their own.
    assert names([path for path in ours if {path.stem, *path.parts[:-1]} & EMPTY_STEMS]) == []


# --- nothing left behind ---------------------------------------------------------------------------------------


def test_nothing_is_put_off_in_a_comment() -> None:
    """What is not done is in no release; what is left out is said in the documents."""
    assert names([path for path, text in OURS if LATER.search(text)]) == []


def test_every_text_file_ends_with_one_line_break_and_has_no_tabs_or_trailing_spaces_in_code() -> None:
    """So that a diff shows what somebody meant."""
    untidy = [path for path, text in CODE if text and (not text.endswith("\n") or text.endswith("\n\n"))]
    untidy += [path for path, text in CODE if re.search(r"[ \t]+$|\t", text, re.MULTILINE)]

    assert names(untidy) == []


@pytest.mark.parametrize("path", MUST_RUN, ids=str)
def test_a_script_for_people_and_machines_can_be_executed(path: Path) -> None:
    """`./run` is the first thing anybody types."""
    script = ROOT / path

    assert script.exists()
    assert os.access(script, os.X_OK)
    assert script.read_bytes().startswith(b"#!/")


# --- no ties ---------------------------------------------------------------------------------------------------


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    """It must run from any folder, for any user."""
    assert [f"{path}: {found.group()}" for path, text in OURS for found in SOMEBODYS_PATH.finditer(text)] == []


@pytest.mark.parametrize("path", [path for path, _ in TEXTS if path.suffix == ".lock"], ids=str)
def test_a_lock_file_holds_names_versions_and_hashes_only(path: Path) -> None:
    """Where packages come from is the installer's setting; what they are is fixed by their hashes."""
    text = (ROOT / path).read_text("utf-8")
    pinned = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==\S+", text, re.MULTILINE)

    assert "://" not in text
    assert len(pinned) > 10
    assert text.count("--hash=sha256:") >= len(pinned)


def test_all_lock_files_are_there() -> None:
    """For those who run it, those who size it, and those who change it; each includes the one before."""
    pins = [
        set(re.findall(r"^([a-z0-9-]+(?:\[[^]]*\])?==\S+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-load.lock", "requirements-dev.lock")
    ]

    assert pins[0] and pins[0] <= pins[1] <= pins[2]


@pytest.mark.parametrize(
    "path",
    [path for path, _ in TEXTS if path.name in ("pyproject.toml", ".npmrc") or path.name.startswith("Dockerfile")],
    ids=str,
)
def test_packaging_names_no_place_to_fetch_from(path: Path) -> None:
    """A mirror in the house must be enough."""
    text = (ROOT / path).read_text("utf-8")

    assert [line for line in text.splitlines() if FOREIGN_SOURCE.search(line)] == []


def test_the_page_loads_nothing_from_elsewhere() -> None:
    """Exam rooms have no internet; names of formats (w3.org) are not fetched."""
    web = [(path, text) for path, text in CODE if path.parts[:2] == ("engine", "web")]
    foreign = [f"{path}: {line.strip()}" for path, text in web for line in text.splitlines() if URL.search(line)]

    assert web
    assert [line for line in foreign if "http://www.w3.org/" not in line] == []
