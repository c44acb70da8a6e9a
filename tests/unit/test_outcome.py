"""Scripts and Python speak of the same outcomes, and every script says what it takes and gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.rules.errors import CODES, Corrupt, ExamError, Refused, TryLater
from engine.rules.outcome import Outcome, refuse
from engine.stores import memory
from tests.servers import ROOT

HEAD = ROOT / "engine" / "stores" / "partition.lua"
SCRIPTS = sorted(path for path in (ROOT / "engine").rglob("*.lua") if path != HEAD)
NAMES = [path.stem for path in SCRIPTS]
LOADED = re.compile(r'\bbeside\(__file__(?:, "(\w+)")?\)')


def head_comment(script: Path) -> list[str]:
    """The comment lines before the first line of code, without their dashes."""
    lines = []
    for line in script.read_text("utf-8").splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--"))
    return lines


def section(script: Path, name: str) -> str:
    """What the head comment says under KEYS, ARGV or Returns; empty when it says nothing."""
    found, inside = [], False
    for line in head_comment(script):
        starts = re.match(r" (KEYS|ARGV|Returns)\b(.*)", line)
        if starts:
            inside = starts.group(1) == name
            line = starts.group(2)
        if inside:
            found.append(line.strip())
    return " ".join(found).strip()


def code(script: Path) -> str:
    """The script without its comments."""
    return re.sub(r"--.*", "", script.read_text("utf-8"))


# --- outcomes --------------------------------------------------------------------------------------------------


def test_the_scripts_outcomes_are_pythons() -> None:
    """A number that means two things would turn a refusal into an acknowledgement."""
    found: dict[str, int] = {}
    for names, numbers in re.findall(r"^local ([A-Z_, ]+) = ([0-9, ]+)$", HEAD.read_text("utf-8"), re.MULTILINE):
        found |= dict(zip(names.split(", "), map(int, numbers.split(", ")), strict=True))

    assert found == {outcome.name: outcome.value for outcome in Outcome}


def test_only_ok_is_zero_and_no_number_is_used_twice() -> None:
    """IntEnum would make aliases of equal numbers silently."""
    assert list(Outcome) == list(range(len(Outcome.__members__)))
    assert Outcome.OK == 0


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome not in (Outcome.OK, Outcome.BEHIND)])
@pytest.mark.parametrize("verb", ["autosave", "submit", "login"])
def test_a_refusal_raises_what_it_means(outcome: Outcome, verb: str) -> None:
    """Lost data and unknown sittings are worth another try, corrupt ones a person's look, everything else is not."""
    verbs_of = {Outcome.CLOSED: ("autosave", "submit"), Outcome.TOO_EARLY: ("submit", "login")}
    if verb not in verbs_of.get(outcome, (verb,)):
        assert f"{verb}.{outcome.name.lower()}" not in CODES  # the script of this verb never answers so
        return

    with pytest.raises(ExamError) as raised:
        refuse(outcome, verb, "why")

    again = (Outcome.LOST, Outcome.UNKNOWN)
    assert isinstance(
        raised.value, TryLater if outcome in again else Corrupt if outcome == Outcome.CORRUPT else Refused
    )
    assert raised.value.detail


@pytest.mark.parametrize(
    ("outcome", "verb", "code"),
    [
        (Outcome.LOST, "autosave", "try_later"),
        (Outcome.UNKNOWN, "submit", "try_later"),
        (Outcome.SUPERSEDED, "autosave", "sitting.superseded"),
        (Outcome.ORDER, "submit", "sitting.order"),
        (Outcome.NOT_OPEN, "autosave", "autosave.not_open"),
        (Outcome.CLOSED, "autosave", "autosave.closed"),
        (Outcome.CLOSED, "submit", "submit.closed"),
        (Outcome.TOO_EARLY, "submit", "submit.too_early"),
        (Outcome.TOO_EARLY, "login", "login.too_early"),
        (Outcome.TOO_LATE, "login", "login.too_late"),
        (Outcome.ELSEWHERE, "login", "login.elsewhere"),
    ],
)
def test_a_refusal_has_the_code_of_its_call(outcome: Outcome, verb: str, code: str) -> None:
    """The contract's codes, by verb where there is one of each."""
    with pytest.raises(ExamError) as raised:
        refuse(outcome, verb, "why")

    assert raised.value.code == code


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.BEHIND])
def test_what_is_no_refusal_or_needs_more_data_is_not_refused_here(outcome: Outcome) -> None:
    """`submit.behind` names the highest seq that arrived, which only the caller knows."""
    with pytest.raises(AssertionError, match="is no refusal"):
        refuse(outcome, "submit")


# --- scripts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_script_begins_with_its_purpose_keys_arguments_and_returns(script: Path) -> None:
    """A sentence first; then everything its caller must know."""
    first = head_comment(script)[0].strip()

    assert first[0].isupper() and len(first.split()) >= 4
    assert all(section(script, name) for name in ("KEYS", "ARGV", "Returns")), "expected KEYS, ARGV and Returns"


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
@pytest.mark.parametrize("array", ["KEYS", "ARGV"])
def test_a_script_reads_by_number_exactly_what_its_head_numbers(script: Path, array: str) -> None:
    """`3..` means from there on: those are read in a loop."""
    numbered = re.findall(r"(?:^|, |and )(\d+)(\.\.)? ", section(script, array))
    read = {int(number) for number in re.findall(rf"\b{array}\[(\d+)\]", code(script))}

    assert read == {int(number) for number, is_open in numbered if not is_open}


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_script_answers_with_an_outcome_first(script: Path) -> None:
    """Every table it returns begins with one; at its end it returns such a table, or one that was begun with OK."""
    first_words = set(re.findall(r"\breturn \{ (\w+)", code(script)))
    begun = re.findall(r"^local (\w+) = \{ OK\b", code(script), re.MULTILINE)
    last_line = code(script).strip().splitlines()[-1]

    assert first_words <= {*Outcome.__members__, "outcome"}
    assert last_line.startswith("return { OK") or last_line.removeprefix("return ") in begun


def test_every_script_lies_beside_the_module_that_loads_it() -> None:
    """One stem; and none that nobody runs any more."""
    loaded = {
        path.with_name((name or path.stem) + ".lua")
        for path in (ROOT / "engine").rglob("*.py")
        for name in LOADED.findall(path.read_text("utf-8"))
    }

    assert loaded == set(SCRIPTS)


def test_every_script_runs_behind_the_head() -> None:
    """The loader puts it in front; the digest is of both."""
    script = memory.beside(str(ROOT / "engine" / "delivery" / "autosave.py"))

    assert script.text == HEAD.read_text("utf-8") + (ROOT / "engine/delivery/autosave.lua").read_text("utf-8")
