"""The manual says what is so: commands exist, and every setting, error and figure is explained, none invented."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
from msgspec import structs

from engine import __main__ as command_line
from engine import metrics
from engine.rules.errors import CODES
from engine.settings import LAUNCHER_NAMES, PREFIX, Settings
from tests.servers import ROOT
from tests.tidy.repository import files, text_of, texts

MANUAL = Path("ops/README.md")
README = Path("README.md")
DOCUMENTS = [path for path in files() if path.suffix == ".md"]
COMMAND = re.compile(r"(?<![\w/])\./run ([^\n`#]+)")

# Not the tests: they also name what must not exist.
KEPT = Path("loadtest/reports")  # what a release said when it ran
NAMING_COMMANDS = [
    path for path, text in texts() if COMMAND.search(text) and path.parts[0] != "tests" and path.parent != KEPT
]


def table(header: str) -> list[list[str]]:
    """The rows of the manual's table whose first column is headed `header`, cell by cell."""
    lines = iter(text_of(MANUAL).splitlines())
    for line in lines:
        if line.startswith(f"| {header} |"):
            break
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[1:]  # without the rule below the header


def quoted(cell: str) -> list[str]:
    """What stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


# --- commands --------------------------------------------------------------------------------------------------


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def commands_in(text: str) -> list[list[str]]:
    """The words behind each `./run` in `text`, up to the end of the command."""
    found = []
    for rest in COMMAND.findall(text):
        command = re.split(r"  | \| |['\")]|[.,;:…](?:\s|$)", rest)[0]
        words = command.replace("[", " ").replace("]", " ").split()
        found += [[first, *words[1:]] for first in (words or [""])[0].split("|")]
    return found


def fault_of(words: list[str]) -> str | None:
    """What about a command is not so; None for one that would be understood."""
    parser, command = command_line.parser(), "./run"
    for word in words:
        choices = subcommands(parser)
        name = word.partition("=")[0]
        if word.startswith("-") and name not in {*parser._option_string_actions, "-h", "--help"}:
            return f"{command} knows no {word}"
        if not word.startswith("-") and choices and not word.isupper():
            if word not in choices:
                return f"{command} has no command {word!r}"
            parser, command = choices[word], f"{command} {word}"
            if word == "test":  # everything behind it is pytest's
                return None
    return None


def test_the_readers_of_commands_see_faults() -> None:
    """Else the test below would accept anything."""
    assert commands_in("`./run key create --scope S`, `./run a|b FILE`") == [
        ["key", "create", "--scope", "S"],
        ["a", "FILE"],
        ["b", "FILE"],
    ]
    assert fault_of(["key", "create", "--scope", "S"]) is None
    assert fault_of(["keys"]) == "./run has no command 'keys'"
    assert fault_of(["key", "make"]) == "./run key has no command 'make'"
    assert fault_of(["demo", "--speed", "2"]) == "./run demo knows no --speed"


@pytest.mark.parametrize("path", NAMING_COMMANDS, ids=str)
def test_every_command_that_is_named_anywhere_exists(path: Path) -> None:
    """In documents and in the messages that tell a person what to do next; with its options."""
    assert [fault for words in commands_in(text_of(path)) if (fault := fault_of(words))] == []


def test_every_command_is_in_the_readme() -> None:
    """What cannot be found might as well not be there."""
    named = {words[0] for words in commands_in(text_of(README))}

    assert set(subcommands(command_line.parser())) - named == set()


def test_the_launchers_help_names_every_command_of_the_engine() -> None:
    """`./run --help` is written by hand, so that it needs no environment."""
    help_text = re.search(r'HELP = """(.*?)"""', text_of(Path("run")), re.DOTALL)
    assert help_text
    named = {words[0] for words in commands_in(help_text.group(1))}

    assert set(subcommands(command_line.parser())) - named == set()


# --- settings, errors, figures ---------------------------------------------------------------------------------


def test_every_setting_is_explained_with_its_default() -> None:
    """And none that does not exist any more."""
    told = {}
    for names, defaults, *_ in table("variable"):
        values = quoted(defaults) or [""]
        told |= dict(zip(quoted(names), values, strict=True))

    assert told == {PREFIX + name.upper(): str(value) for name, value in structs.asdict(Settings()).items()}


def test_the_launchers_variables_are_explained() -> None:
    """They are no settings, but somebody will look for them."""
    assert {name for name in LAUNCHER_NAMES if f"`{name}`" not in text_of(MANUAL)} == set()


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if PREFIX in text_of(path)], ids=str)
def test_no_document_names_a_variable_that_is_not_read(path: Path) -> None:
    """A setting that was renamed is refused by name; its old name must not be recommended."""
    known = {PREFIX + name.upper() for name in Settings.__struct_fields__} | LAUNCHER_NAMES
    named = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]*[A-Z0-9]\b", text_of(path)))

    assert {name for name in named if name.removesuffix("_FILE") not in known} == set()


def test_every_error_is_explained_with_its_status() -> None:
    """What the caller does is the point of a code."""
    told = {quoted(code)[0]: int(status) for code, status, _ in table("code")}

    assert told == {code: status for code, (status, _) in CODES.items()}
    assert all(advice for _, _, advice in table("code"))


def test_every_figure_is_explained() -> None:
    """By the name under which `/metrics` shows it."""
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for metric in vars(metrics).values()
        if hasattr(metric, "describe") and hasattr(metric, "collect") and not isinstance(metric, type)
        for family in metric.describe()
    }
    told = [name for names, *_ in table("metric") for name in quoted(names)]

    assert len(exported) > 10
    assert sorted(told) == sorted(exported)


# --- links -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_every_link_within_the_repository_leads_somewhere(path: Path) -> None:
    """From where the document lies; code spans only show how a link is written."""
    text = re.sub(r"`[^`\n]*`", "", text_of(path))
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)

    assert [target for target in targets if not (ROOT / path.parent / target).exists()] == []


def test_there_are_a_readme_a_manual_and_a_data_model() -> None:
    """For who wants to know what it is, how to run it, and where everything lies."""
    assert {Path("README.md"), Path("ops/README.md"), Path("schema/README.md")} <= set(DOCUMENTS)
