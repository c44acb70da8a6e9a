"""Queries live in `.sql` files beside the module using them: each named, described, used, and with its parameters."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from msgspec import Struct

from engine.stores.sql import Queries
from tests.servers import ROOT

FILES = sorted((ROOT / "engine").rglob("*.sql"))
MODULES = sorted((ROOT / "engine").rglob("*.py"))
CARDINALITY = re.compile(r"none|one row|at most one row|any number of rows|one row (each|per .+)|up to \w+ rows")
STATEMENT = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|TRUNCATE|COPY|CREATE TABLE)\s", re.IGNORECASE)
# Bookkeeping of the schema itself, which works before any table of ours exists; what makes any row a line of JSON.
SQL_IN_PYTHON = {"engine/stores/migrations.py", "engine/keeping/archive.py"}


class Query(Struct, frozen=True):
    file: Path
    name: str
    parameters: list[str]
    cardinality: str
    sentence: str
    statement: str

    def __str__(self) -> str:
        return f"{self.file.stem}.{self.name}"


def read(file: Path) -> list[Query]:
    """The queries of one file; blocks are separated by a blank line before the next name."""
    found = []
    for block in re.split(r"\n\n(?=-- )", file.read_text("utf-8").strip()):
        head, sentence, statement = block.split("\n", 2)
        name, parameters, cardinality = re.fullmatch(r"-- (\w+)\((.*)\) -> (.+)", head).groups()  # type: ignore[union-attr]
        listed = [part.strip() for part in parameters.split(",") if part.strip()]
        found.append(Query(file, name, listed, cardinality, sentence, statement))
    return found


QUERIES = [query for file in FILES for query in read(file)]
each_query = pytest.mark.parametrize("query", QUERIES, ids=str)


def file_of(module: str) -> Path:
    return (ROOT / module.replace(".", "/")).with_suffix(".sql")


def uses_in(path: Path) -> set[tuple[Path, str]]:
    """(file, query name) of every query that the module at `path` takes from its own file or another's."""
    tree = ast.parse(path.read_text("utf-8"))
    bound: dict[str, Path] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            files = {alias.asname or alias.name: alias.name.strip("_") for alias in node.names}
            bound |= {name: file_of(node.module or "") for name, taken in files.items() if taken == "queries"}
        elif isinstance(node, ast.Assign) and ast.unparse(node.value) == "Queries(__file__)":
            bound |= {ast.unparse(target): path.with_suffix(".sql") for target in node.targets}
    return {
        (bound[node.value.id], node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound
    }


USES = {use for path in MODULES for use in uses_in(path)}


# --- the files -------------------------------------------------------------------------------------------------


def test_files_and_queries_were_found() -> None:
    """Else the tests below would prove nothing."""
    assert len(FILES) >= 8
    assert len(QUERIES) >= 30


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_lies_beside_the_module_of_its_stem(file: Path) -> None:
    """`ls` is the map."""
    assert file.with_suffix(".py").exists()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_loader_reads_what_stands_there(file: Path) -> None:
    """The same names as this test's own reading, each once, with its whole statement."""
    loaded = Queries(str(file.with_suffix(".py")))
    queries = read(file)

    assert len({query.name for query in queries}) == len(queries)
    assert {query.name: getattr(loaded, query.name).split("\n", 1)[1] for query in queries} == {
        query.name: query.statement for query in queries
    }


def test_an_unknown_query_is_refused_by_name() -> None:
    """A typing error fails where it is made."""
    with pytest.raises(AttributeError, match=r"api_keys\.sql has no query 'find_kye'"):
        _ = Queries(str(ROOT / "engine" / "stores" / "api_keys.py")).find_kye


# --- each query ------------------------------------------------------------------------------------------------


@each_query
def test_a_query_tells_its_cardinality_and_its_purpose(query: Query) -> None:
    """What a caller must know without reading the statement: how many rows, and one sentence."""
    assert CARDINALITY.fullmatch(query.cardinality), query.cardinality
    assert re.fullmatch(r"-- [A-Z].{10,}[.?]", query.sentence), query.sentence
    assert STATEMENT.match(query.statement)


@each_query
def test_a_query_names_its_parameters(query: Query) -> None:
    """As many as it has placeholders; a long row of columns is named together."""
    placeholders = {int(number) for number in re.findall(r"\$(\d+)", query.statement)}

    assert placeholders == set(range(1, len(placeholders) + 1))
    assert query.parameters == ["columns …"] or len(query.parameters) == len(placeholders)


@each_query
def test_a_query_returns_rows_only_where_it_says_so(query: Query) -> None:
    """`none` is for statements whose rows, if any, nobody reads."""
    reads = re.match(r"(SELECT|WITH)\b", query.statement) or "RETURNING" in query.statement

    assert bool(reads) or query.cardinality == "none"


@each_query
def test_a_query_is_used(query: Query) -> None:
    """By the module beside it, or by another that takes its queries from there."""
    assert (query.file, query.name) in USES


# --- the code --------------------------------------------------------------------------------------------------


def test_every_query_that_the_code_uses_exists() -> None:
    """Attributes of `Queries` are looked up at run time: this is the compiler."""
    known = {(query.file, query.name) for query in QUERIES}

    assert sorted(f"{file.name}: {name}" for file, name in USES - known) == []


def test_a_rooms_queries_are_used_in_that_room_only() -> None:
    """A table another room needs is reached through a query of its own."""
    strangers = [
        f"{path.relative_to(ROOT)} uses {file.relative_to(ROOT)}"
        for path in MODULES
        for file, _ in uses_in(path)
        if file.parent != path.parent
    ]

    assert strangers == []


def test_no_statement_stands_in_python() -> None:
    """SQL is read, reviewed and explained in its own files."""
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and re.match(r"\s*(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|WITH \w+ AS)\s", node.value):
                found.append(str(path.relative_to(ROOT)))

    assert set(found) == SQL_IN_PYTHON
