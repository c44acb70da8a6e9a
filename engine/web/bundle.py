"""One file out of the page's modules, made when the server starts: a room's line carries it in one request.

Promise: the same code in the same order as the browser would run it, every module once and in a scope of its own. Each
module keeps an address of its own beside the bundle, which gives out what the bundle holds: a module that is fetched
only when it is needed (`import('./words.en.js')`) meets the same state as the others.
How: the few forms of `import` and `export` that the modules here are written in become destructured constants. What is
not among them raises ValueError at the start, not in an exam. Not possible: circles, and `export let`, whose value
would be the first one for ever.
"""

from __future__ import annotations

import posixpath
import re

_START = r"(?:^|(?<=[;}]))"  # the vendored modules are one line
_IMPORT = re.compile(_START + r"""import\s*(?:([^'";()]*?)\s*from\s*)?['"](\.{1,2}/[^'"]+)['"];?""", re.MULTILINE)
_EXPORT_FROM = re.compile(_START + r"""export\s*\{([^}]*)\}\s*from\s*['"](\.{1,2}/[^'"]+)['"];?""", re.MULTILINE)
_EXPORT_LIST = re.compile(_START + r"export\s*\{([^}]*)\};?", re.MULTILINE)
_EXPORT_DEFAULT = re.compile(_START + r"export default ", re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function\*?|class|const) ([\w$]+)", re.MULTILINE)
_LEFT = re.compile(r"^(?:import\b(?! ?\()|export\b)", re.MULTILINE)
_BLANK = re.compile(r"\n{2,}")


def bundle(entry: str, contents: dict[str, bytes]) -> tuple[bytes, dict[str, bytes]]:
    """`entry` with all that it imports, and for each of these what stands at its address beside it."""
    ordered: list[str] = []
    _order(entry, contents, ordered, [])
    exported: dict[str, list[str]] = {}
    scopes = [_scope(name, contents[name].decode(), exported) for name in ordered]
    text = "export const modules = {};\n" + "".join(scopes)
    return text.encode(), {name: _address(name, entry, exported[name]) for name in ordered if name != entry}


def _order(name: str, contents: dict[str, bytes], ordered: list[str], above: list[str]) -> None:
    """Imported modules first, as the browser runs them."""
    if name in above:
        raise ValueError(f"modules import one another in a circle: {' -> '.join([*above, name])}")
    if name in ordered:
        return
    if name not in contents:
        raise ValueError(f"{above[-1] if above else 'the page'} imports {name}, which there is not")
    text = contents[name].decode()
    found = [(match.start(), match.group(2)) for form in (_IMPORT, _EXPORT_FROM) for match in form.finditer(text)]
    for _, path in sorted(found):
        _order(_resolved(name, path), contents, ordered, [*above, name])
    ordered.append(name)


def _resolved(name: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))


def _scope(name: str, text: str, exported: dict[str, list[str]]) -> str:
    """The module as a function's body that returns what it exports."""
    given: list[tuple[str, str]] = []  # name outside, expression inside

    def take_import(match: re.Match[str]) -> str:
        names, path = match.group(1), _resolved(name, match.group(2))
        if not names:
            return ""
        return "".join(f"const {left} = modules['{path}'];" for left in _bound(names))

    def take_export_from(match: re.Match[str]) -> str:
        path = _resolved(name, match.group(2))
        given.extend((outside, f"modules['{path}'].{inside}") for inside, outside in _pairs(match.group(1)))
        return ""

    def take_export_list(match: re.Match[str]) -> str:
        given.extend((outside, inside) for inside, outside in _pairs(match.group(1)))
        return ""

    def take_export(match: re.Match[str]) -> str:
        given.append((match.group(2), match.group(2)))
        return f"{match.group(1)} {match.group(2)}"

    def take_default(_: re.Match[str]) -> str:
        given.append(("default", "$default"))
        return "const $default="

    text = _EXPORT_DEFAULT.sub(take_default, _EXPORT_FROM.sub(take_export_from, text))
    text = _EXPORT.sub(take_export, _EXPORT_LIST.sub(take_export_list, _IMPORT.sub(take_import, text)))
    if left := _LEFT.search(text):
        raise ValueError(f"{name}: the bundle does not know the form {text[left.start() : left.start() + 60]!r}")
    exported[name] = [outside for outside, _ in given]
    returned = ",".join(outside if outside == inside else f"{outside}:{inside}" for outside, inside in given)
    body = _BLANK.sub("\n", text).strip("\n")
    return f"modules['{name}']=(()=>{{\n{body}\nreturn {{{returned}}};\n}})();\n"


def _bound(names: str) -> list[str]:
    """What a clause such as `a, { b as c }` or `* as d` binds, as the left side of a constant."""
    found = []
    if braced := re.search(r"\{([^}]*)\}", names):
        pairs = (inside if inside == outside else f"{inside}: {outside}" for inside, outside in _pairs(braced.group(1)))
        found.append("{ " + ", ".join(pairs) + " }")
    for clause in re.sub(r"\{[^}]*\}", "", names).split(","):
        if clause := clause.strip():
            whole = clause.removeprefix("* as ")
            found.append(whole if whole != clause else f"{{ default: {clause} }}")
    return found


def _pairs(names: str) -> list[tuple[str, str]]:
    """`a as b, c` as [(a, b), (c, c)]."""
    split = (clause.split(" as ") for clause in names.split(",") if clause.strip())
    return [(parts[0].strip(), parts[-1].strip()) for parts in split]


def _address(name: str, entry: str, exported: list[str]) -> bytes:
    here = posixpath.relpath(entry, posixpath.dirname(name) or ".")
    target = here if here.startswith(".") else f"./{here}"
    if not exported:
        return f"import '{target}';\n".encode()
    names = ", ".join("default: $default" if outside == "default" else outside for outside in exported)
    told = "export default $default;\n" if "default" in exported else ""
    plain = [outside for outside in exported if outside != "default"]
    return (
        f"import {{ modules }} from '{target}';\nconst {{ {names} }} = modules['{name}'];\n{told}"
        f"export {{ {', '.join(plain)} }};\n"
    ).encode()
