"""What the tidy tests read: the repository's own files, and what its modules import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

from tests.servers import ROOT

# Beside everything whose name begins with a dot: what tools and people leave here, never what is released.
NOT_OURS = {"__pycache__", "node_modules", "screenshots", "venv", "build", "dist"}
HIDDEN_BUT_OURS = {".ci", ".github", ".gitignore", ".gitattributes", ".dockerignore", ".npmrc"}
TEXT_SUFFIXES = {
    ".py", ".sql", ".lua", ".js", ".mjs", ".css", ".html", ".svg", ".md", ".toml", ".json", ".yml", ".yaml", ".sh",
    ".conf", ".service", ".lock", ".txt", ".cfg", ".ini", "",
}  # fmt: skip


class Import(Struct, frozen=True):
    """`module` is what is imported, as `engine.rules.timing`; `name` what is taken from it, if anything is."""

    importer: str
    module: str
    name: str = ""
    line: int = 0

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.module}{'.' if self.name else ''}{self.name}"


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository, as a path relative to its root."""
    return tuple(sorted(path.relative_to(ROOT) for path in _walk(ROOT)))


def texts() -> list[tuple[Path, str]]:
    """Every text file with its content."""
    return [(path, text_of(path)) for path in files() if path.suffix in TEXT_SUFFIXES]


@cache
def text_of(path: Path) -> str:
    return (ROOT / path).read_text("utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path), str(path))


def python_files(*folder: str) -> list[Path]:
    """The modules below a folder, given part by part."""
    return [path for path in files() if path.suffix == ".py" and path.parts[: len(folder)] == folder]


def imports_of(path: Path) -> list[Import]:
    """All imports of a module, also those inside functions; `from engine import log` counts as `engine.log`."""
    found = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [Import(str(path), alias.name, line=node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are written in full here"
            found += [_taken(path, node, alias.name) for alias in node.names]
    return [each for each in found if each.module != "__future__"]


def _taken(path: Path, node: ast.ImportFrom, name: str) -> Import:
    module = node.module or ""
    below = ROOT.joinpath(*module.split("."), name)
    if below.is_dir() or below.with_suffix(".py").exists():
        return Import(str(path), f"{module}.{name}", line=node.lineno)
    return Import(str(path), module, name, node.lineno)


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in NOT_OURS or (path.name.startswith(".") and path.name not in HIDDEN_BUT_OURS):
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file() and path.suffix != ".pyc":
            yield path
