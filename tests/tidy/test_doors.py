"""One door each: drivers, time, chance and the environment are reached in one place, so that it can be watched."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tidy.repository import imports_of, python_files, tree_of

ENGINE = python_files("engine")

# module: where it may be imported
IMPORT_DOORS: dict[str, set[str]] = {
    "asyncpg": {"engine/stores/postgres.py"},
    "redis": {"engine/stores/address.py"},
    "aiohttp": {"engine/courier/post.py"},
    "hiredis": {"engine/stores/pipe.py"},
    "time": {
        "engine/stores/clock.py",
        # The supervisor measures how long processes of its own live; no candidate's time is decided there.
        "engine/supervision/data_folder.py",
        "engine/supervision/demo.py",
        "engine/supervision/rolling.py",
        "engine/supervision/supervisor.py",
        "engine/supervision/up.py",
    },
    "secrets": {"engine/sealing/secrets.py"},
    "random": set(),
    "uuid": set(),
    "sqlite3": set(),
}
# dotted name: where it may be used
USE_DOORS: dict[str, set[str]] = {
    "datetime.now": {"engine/stores/clock.py"},
    "datetime.utcnow": set(),
    "datetime.today": set(),
    "date.today": set(),
    "os.urandom": set(),
    "os.getenv": set(),
    "os.environ": {
        "engine/settings.py",
        "engine/metrics.py",  # its library reads a variable of its own, once, at import
        "engine/notify.py",  # systemd's own variable, which is no setting
        "engine/supervision/binaries.py",  # searches server programs, as `run` searches Python
        "engine/supervision/embedded.py",  # hands a part of the environment on to the servers it starts
        "engine/supervision/up.py",  # and to the engine's own processes
    },
}


def uses(dotted: str) -> set[str]:
    """The modules in which `dotted`, or anything longer ending so, is written."""
    return {
        str(path)
        for path in ENGINE
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and f".{ast.unparse(node)}".endswith(f".{dotted}")
    }


@pytest.mark.parametrize("module", IMPORT_DOORS)
def test_a_module_with_a_door_is_imported_there_only(module: str) -> None:
    """And the door is in use: an exception that nobody needs is taken away."""
    importers = {each.importer for path in ENGINE for each in imports_of(path) if each.top == module}

    assert importers == IMPORT_DOORS[module]


@pytest.mark.parametrize("dotted", USE_DOORS)
def test_a_name_with_a_door_is_used_there_only(dotted: str) -> None:
    """The same for what lies inside a module that is otherwise harmless."""
    assert uses(dotted) == USE_DOORS[dotted]


def test_the_environment_and_chance_are_not_fetched_past_the_doors() -> None:
    """`from os import environ` would be the back door."""
    fetched = {"environ", "getenv", "urandom", "now", "utcnow", "today"}
    found = [
        str(each)
        for path in ENGINE
        for each in imports_of(path)
        if each.top in ("os", "datetime", "time") and each.name in fetched
    ]

    assert found == []


def test_keys_and_ids_get_their_chance_from_one_function() -> None:
    """`sealing.secrets.random_bytes`; an X25519 pair is made by its library."""
    sources = uses("secrets.token_bytes") | uses("secrets.token_hex") | uses("secrets.token_urlsafe")
    generated = uses("X25519PrivateKey.generate") | uses("Ed25519PrivateKey.generate") | uses("AESGCM.generate_key")

    assert (sources, generated) == ({"engine/sealing/secrets.py"}, {"engine/sealing/answer_key.py"})


def test_nothing_but_the_command_line_prints() -> None:
    """A worker's words are log lines with fields."""
    printing = {
        str(path)
        for path in ENGINE
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    speakers = {"engine/__main__.py", "engine/sealing/verify.py"}

    assert {path for path in printing if Path(path).parts[1] != "supervision"} == speakers
