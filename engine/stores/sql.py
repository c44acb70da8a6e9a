"""Loads named queries from the `.sql` files that lie beside the modules using them."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"^-- ([a-z_]+)\((.*)\) -> (.+)$", re.MULTILINE)


class Queries:
    """The queries of one file as attributes: `queries.insert_batch`.

    Each begins with `-- name(parameters) -> cardinality` and a sentence saying what it is for.
    """

    def __init__(self, module_file: str) -> None:
        path = Path(module_file).with_suffix(".sql")
        text = path.read_text("utf-8")
        heads = list(_NAME.finditer(text))
        self._named = {
            head.group(1): text[head.end() : (heads[at + 1].start() if at + 1 < len(heads) else len(text))].strip()
            for at, head in enumerate(heads)
        }
        self._path = path

    def __getattr__(self, name: str) -> str:
        try:
            return self._named[name]
        except KeyError:
            raise AttributeError(f"{self._path.name} has no query {name!r}") from None
