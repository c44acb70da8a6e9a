"""HTML out of values: whatever is not Markup is escaped on its way in. Pure.

Promise: nothing that an outcome holds becomes a tag or an attribute, and every Text stands there in both languages.
How: a Text becomes one span for each language, of which the page's style shows one; so switching needs no script.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

from loadtest.sizing.outcome import Text


class Markup(str):
    """Escaped already. Only this module and `charts` make it out of plain strings."""


Child: TypeAlias = str | Text | Markup | Iterable["Child"] | None
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_.-]+")
_VOID_TAGS = ("input", "br", "meta")


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """`class_` and `for_` lose their underscore, others become dashes; attributes that are None or False are left
    out."""
    shown = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    if name in _VOID_TAGS:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{joined(children)}</{name}>")


def joined(children: Child) -> Markup:
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escape(children))
    if isinstance(children, Text):
        if children.zh == children.en:
            return Markup(escape(children.zh))
        return Markup(f"<span lang=zh>{escape(children.zh)}</span><span lang=en>{escape(children.en)}</span>")
    return Markup("".join(map(joined, children)))


def table(caption: Child, heads: Sequence[Child], rows: Iterable[Markup], *, numbers: Iterable[int] = ()) -> Markup:
    """`numbers`: which columns hold figures, aligned at the right."""
    right = set(numbers)
    head = [tag("th", each, scope="col", class_="n" if at in right else None) for at, each in enumerate(heads)]
    return tag(
        "div",
        tag("table", tag("caption", caption), tag("thead", tag("tr", head)), tag("tbody", list(rows))),
        class_="scrolled",
    )


def row(head: Child, *cells: Child, numbers: Iterable[int] = (), kind: str = "") -> Markup:
    """The first cell names the row; `numbers` counts columns as `table` does."""
    right = set(numbers)
    shown = [tag("td", cell, class_="n" if at in right else None) for at, cell in enumerate(cells, 1)]
    return tag("tr", tag("th", head, scope="row"), shown, class_=kind or None)


def pairs(entries: Iterable[tuple[Child, Child]]) -> Markup:
    """A list of names with what belongs to each."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", told)) for name, told in entries])


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    told = str(value)
    return f" {name}={told}" if _NEEDS_NO_QUOTES.fullmatch(told) else f' {name}="{escape(told)}"'
