"""The tests themselves: each says what it promises, and each can fail."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tidy.repository import imports_of, python_files, tree_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
TESTS = python_files("tests")
MODULES = [path for path in TESTS if path.name.startswith("test_")]
FOLDERS = {"unit", "integration", "acceptance", "browser", "contract", "anomaly", "tidy"}
WORDS_MIN = 4  # `test` and three more
# What fails by itself: pytest's own, Playwright's `expect(...)`, and Schemathesis's check of a whole contract.
FAILING_CALLS = {"raises", "fail", "warns", "expect", "validate_response", "call_and_validate"}


def functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, Function)]


def promises(path: Path) -> list[Function]:
    return [node for node in functions(path) if node.name.startswith("test_")]


def called(function: Function) -> set[str]:
    """The last names of everything that `function` calls: `page.expect(…)` counts as `expect`."""
    targets = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {target.attr if isinstance(target, ast.Attribute) else ast.unparse(target) for target in targets}


def failing_functions() -> set[str]:
    """Names of functions in the test folder that assert something, by themselves or through others."""
    everything = [function for path in TESTS for function in functions(path)]
    found = {each.name for each in everything if any(isinstance(node, ast.Assert) for node in ast.walk(each))}
    found |= FAILING_CALLS
    while more := {each.name for each in everything if each.name not in found and called(each) & found}:
        found |= more
    return found


FAILING = failing_functions()


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_test_can_fail(path: Path) -> None:
    """A test that cannot fail is a defect: it asserts, or calls what does."""
    assert [test.name for test in promises(path) if test.name not in FAILING] == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_test_says_what_it_promises(path: Path) -> None:
    """The name is a sentence, or a docstring is; a number says nothing."""
    silent = [
        test.name for test in promises(path) if len(test.name.split("_")) < WORDS_MIN and not ast.get_docstring(test)
    ]

    assert silent == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_test_hides_another(path: Path) -> None:
    """A second function of one name replaces the first without a word."""
    top = [node.name for node in tree_of(path).body if isinstance(node, Function | ast.ClassDef)]

    assert [name for name in set(top) if top.count(name) > 1] == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_test_lies_in_a_known_folder(path: Path) -> None:
    """Which says what it needs: nothing, servers, processes, a browser."""
    assert path.parts[1] in FOLDERS


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[1] == "unit"], ids=str)
def test_a_unit_test_talks_to_no_server(path: Path) -> None:
    """Unit tests are for pure functions: drivers and servers belong to the other folders."""
    drivers = {"asyncpg", "redis", "playwright"}

    assert [str(each) for each in imports_of(path) if each.top in drivers] == []


@pytest.mark.parametrize("path", TESTS, ids=str)
def test_nobody_fakes_our_own_sql_or_scripts(path: Path) -> None:
    """Real PostgreSQL and Redis always; a fake would confirm what its author believed."""
    fakes = {"fakeredis", "mock", "unittest", "pytest_mock", "asynctest"}

    assert [str(each) for each in imports_of(path) if each.top in fakes] == []
