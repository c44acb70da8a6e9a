"""Who may import whom. Rooms do not know one another; what they share lies on the ground below them."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy.repository import Import, imports_of, python_files, text_of, tree_of

# Each part of the engine and the other parts it may import. A part is a folder, or a module at the top.
MAY_IMPORT: dict[str, set[str]] = {
    # ground: pure rules, bytes, stores, and how requests, logs and figures look
    "rules": set(),
    "sealing": {"rules", "settings"},
    "stores": {"rules", "sealing"},
    "settings": set(),
    "log": set(),
    "metrics": set(),
    "notify": set(),
    "listening": {"rules"},
    "pauses": {"rules"},
    "precedence": {"rules"},
    "wire": {"rules"},
    "vault": {"rules"},
    "tables": {"rules"},
    "access": {"rules", "stores", "wire"},
    "batch_log": {"stores"},
    "candidates": {"rules", "sealing", "stores", "wire"},
    # rooms
    "delivery": {"rules", "sealing", "stores", "log", "metrics", "wire", "candidates"},
    "scheduling": {
        "rules", "sealing", "stores", "log", "metrics", "wire", "vault", "access", "settings", "batch_log", "tables",
    },
    "scoring": {"rules", "sealing", "stores", "log", "metrics", "wire", "access", "settings", "notify", "batch_log"},
    "courier": {"rules", "sealing", "stores", "log", "metrics", "settings", "notify", "pauses"},
    "recording": {"rules", "sealing", "stores", "log", "metrics", "settings", "notify", "pauses"},
    "invigilation": {"rules", "sealing", "stores", "log", "metrics", "wire", "access", "candidates"},
    "keeping": {"rules", "sealing", "stores"},
    "web": {"rules", "wire"},
    "readiness": {"rules", "sealing", "stores", "metrics", "wire"},
    "attestation": {"rules", "sealing", "stores", "settings", "access", "readiness", "web", "wire"},
    "preflight": {"rules", "sealing", "stores", "settings", "attestation", "web"},
    "openapi": {"rules", "sealing", "wire", "tables"},
    # who starts whom
    "supervision": {"settings", "sealing", "stores", "notify", "precedence"},
    "patience": {"rules", "stores", "log"},
    "protocol": {"rules", "sealing", "log", "vault", "wire", "delivery", "patience"},
    "app": {
        "protocol", "patience", "rules", "sealing", "stores", "settings", "log", "metrics", "wire", "access",
        "delivery", "scheduling", "scoring", "invigilation", "web", "readiness", "attestation", "openapi",
    },
    "ceremony": {"rules", "sealing"},
    "draw": {"ceremony", "rules"},
    "paper_command": {"ceremony", "draw"},
    "keeping_command": {"keeping", "sealing", "settings", "stores"},
    "argument_types": set(),
    "load_command": {"argument_types"},
    "preflight_command": {"argument_types", "preflight", "sealing", "settings", "stores", "supervision"},
    "serve": {"app", "protocol", "settings", "log", "listening", "notify", "pauses", "precedence"},
    "__main__": {
        "serve", "ceremony", "argument_types", "paper_command", "keeping_command", "load_command", "preflight_command",
        "openapi", "keeping", "recording", "scoring", "courier", "sealing", "settings", "stores", "supervision",
    },
    "__init__": set(),
}  # fmt: skip
# A finer line than the parts: these modules exist, but not for these importers.
FORBIDDEN = {
    "delivery": {
        "engine.stores.postgres": "no candidate's call waits for PostgreSQL",
        "engine.stores.sql": "no candidate's call waits for PostgreSQL",
        "engine.stores.api_keys": "candidates have tokens",
        "engine.sealing.answer_key": "answer keys never enter a process that talks to candidates",
        "engine.rules.marking": "answer keys never enter a process that talks to candidates",
    },
    "scoring": {"engine.stores.memory": "a score is a function of what is committed"},
    "courier": {
        "engine.sealing.answer_key": "who talks to strangers knows published results only",
        "engine.sealing.signature": "a courier signs for a webhook, never for the engine",
        "engine.stores.memory": "no candidate is in its reach",
    },
}
# Libraries that take values and give values: all that the rules may use beside the pure part of Python's own.
PURE_LIBRARIES = {"msgspec", "orjson", "rfc8785", "chinese_calendar"}
IMPURE_MODULES = {
    "asyncio", "http", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "selectors", "shutil",
    "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
# Beyond engine's own packages: the simulated crowd, started by those who show or rehearse an exam.
LOADTEST_IMPORTERS = {"engine/load_command.py", "engine/preflight_command.py", "engine/supervision/demo.py"}

ENGINE = python_files("engine")
each_module = pytest.mark.parametrize("path", ENGINE, ids=str)


def part_of(path: Path) -> str:
    return path.parts[1] if len(path.parts) > 2 else path.stem


def engine_imports(path: Path) -> list[Import]:
    """Imports of other parts of the engine; `engine` itself holds only the version."""
    return [each for each in imports_of(path) if each.top == "engine" and each.module != "engine"]


def imported_part(each: Import) -> str:
    return each.module.split(".")[1]


# --- parts -----------------------------------------------------------------------------------------------------


@each_module
def test_a_module_belongs_to_a_known_part(path: Path) -> None:
    """A new room is a decision: it is entered above with what it may see."""
    assert part_of(path) in MAY_IMPORT


@each_module
def test_a_module_imports_only_what_its_part_may(path: Path) -> None:
    """Downwards, never across: rooms meet in `app`, and in the stores."""
    allowed = {part_of(path), *MAY_IMPORT[part_of(path)]}

    assert [str(each) for each in engine_imports(path) if imported_part(each) not in allowed] == []


def test_the_parts_have_no_circle() -> None:
    """Else `downwards` would mean nothing."""
    left = {part: set(below) for part, below in MAY_IMPORT.items()}
    while lowest := {part for part, below in left.items() if not below}:
        left = {part: below - lowest for part, below in left.items() if part not in lowest}

    assert left == {}


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_room_keeps_away_from_what_is_not_for_it(part: str) -> None:
    """With the promise that it would break."""
    modules = [path for path in ENGINE if part_of(path) == part]
    found = [each for path in modules for each in imports_of(path) if each.module in FORBIDDEN[part]]

    assert modules
    assert [f"{each}: {FORBIDDEN[part][each.module]}" for each in found] == []


def test_only_the_grader_opens_answer_keys() -> None:
    """Sealing them is anybody's; opening them is one process's."""
    users = {
        str(path)
        for path in ENGINE
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.alias | ast.FunctionDef) and node.name == "open_answer_key")
        or (isinstance(node, ast.Attribute) and node.attr == "open_answer_key")
    }

    offline = "engine/keeping/recount.py"  # an auditor who was given a key, without any server
    assert users == {"engine/sealing/answer_key.py", "engine/scoring/opening.py", offline}


# --- rules are pure --------------------------------------------------------------------------------------------

RULES = [path for path in ENGINE if part_of(path) == "rules"]


@pytest.mark.parametrize("path", RULES, ids=str)
def test_a_rule_imports_nothing_that_acts(path: Path) -> None:
    """Values in, values out: no clock, no file, no network, no chance."""
    strangers = [
        str(each)
        for each in imports_of(path)
        if each.top in IMPURE_MODULES
        or (each.top not in sys.stdlib_module_names and each.top not in PURE_LIBRARIES and each.top != "engine")
    ]

    assert strangers == []


@pytest.mark.parametrize("path", [*RULES, *(path for path in ENGINE if part_of(path) == "sealing")], ids=str)
def test_rules_and_seals_never_wait(path: Path) -> None:
    """No await: they may be called anywhere."""
    waiting = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]

    assert waiting == []


# --- the load generator ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", python_files("loadtest"), ids=str)
def test_the_load_generator_shares_no_code_with_the_engine(path: Path) -> None:
    """A candidate that reads the contract as the engine does would confirm the engine's mistakes."""
    assert [str(each) for each in imports_of(path) if each.top in ("engine", "tests")] == []


def test_only_who_shows_an_exam_starts_a_crowd() -> None:
    """A worker has no use for it."""
    importers = {each.importer for path in ENGINE for each in imports_of(path) if each.top == "loadtest"}

    assert importers <= LOADTEST_IMPORTERS


# --- libraries -------------------------------------------------------------------------------------------------


def declared(*extras: str) -> set[str]:
    """The import names of the packages that pyproject.toml asks for."""
    project = tomllib.loads(text_of(Path("pyproject.toml")))["project"]
    wanted = [*project["dependencies"], *(name for extra in extras for name in project["optional-dependencies"][extra])]
    return {wish.split("[")[0].split(">")[0].split("=")[0].strip().replace("-", "_") for wish in wanted}


SIZING = ("sizing", "swarm", "openloop", "capacity")  # rooms of loadtest/ with an extra of their own


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("engine", ("hsm",)),
        ("loadtest", ("load",)),
        *((f"loadtest/{room}", ("load", "sizing")) for room in SIZING),
        ("loadtest/torture", ("load", "dev")),
        ("tests", ("load", "sizing", "dev", "hsm")),
        ("bench", ("load", "sizing", "dev")),
    ],
)
def test_every_library_in_use_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    """What comes along with another package today may stay away tomorrow."""
    # Neither is an operator's rehearsal: it has no FUSE and no Locust.
    others = {path for room in ("torture", *SIZING) for path in python_files("loadtest", room)}
    files = set(python_files(*folder.split("/"))) - (others if folder == "loadtest" else set())
    ours = {"engine", "loadtest", "tests", "bench"}
    through_another = {
        "chinese_calendar": "chinesecalendar",
        "yarl": "aiohttp",
        "requests": "schemathesis",
        "Crypto": "pycryptodome",
        "pkcs11": "python_pkcs11",
        "hdrh": "hdrhistogram",
        "gevent": "locust",
        "geventhttpclient": "locust",
        "websocket": "websocket_client",
    }  # or imported so
    used = {each.top for path in files for each in imports_of(path)} - sys.stdlib_module_names - ours

    assert {through_another.get(name, name) for name in used} <= declared(*extras)
