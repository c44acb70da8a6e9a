"""`ops/examples/verify.mjs`, a verifier in another language, agrees with `./run verify` on whatever both are given."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright._impl._driver import compute_driver_executable

from engine.sealing import verify
from engine.sealing.signature import Signer, shown_key
from tests.servers import ROOT

VERIFIER = ROOT / "ops" / "examples" / "verify.mjs"
LINES_MAX = 200
SIGNER, OTHER = Signer(bytes(range(32))), Signer(bytes(32))
KEYS = {"keys": [shown_key(OTHER.public_key), None, {}, shown_key(SIGNER.public_key)]}
KINDS = ("receipt", "result")
DOCUMENTS_PER_KIND = 200

# JSON texts of numbers, spelled as nobody would and everybody may.
NUMBERS = (
    "0", "-0", "-0.0", "0e5", "1", "-1", "66.67", "66.670", "1e2", "100.00", "1E+2", "0.1", "1e-6", "1e-7", "9.5e-7",
    "1e20", "1e21", "1.5e21", "123456789012345680000", "9007199254740991", "9007199254740992", "9007199254740993",
    "-9007199254740993", "100000000000000000000000", "333333333.33333329", "4.50", "2e-3", "5e-324", "2.5e-324",
    "1.7976931348623157e308", "0.000001", "0.30000000000000004", "5.684341886080801e-14", "1e23",
    "295147905179352830000",
)  # fmt: skip
TOO_LARGE = ("1e400", "-1e400", "1" + "0" * 400, "1e999999999")
TEXTS = (
    "", "张三", "李\u00b7四", "\U00020bb7野屋", "e\u0301", "\u00e9", "\u2028\u2029", "\x7f\x80", '"\\/',
    "\b\f\n\r\t\x00\x1f", "\ufeff", "\uffff", "\U0001f600", "__proto__", "constructor", "</script>", "1",
)  # fmt: skip


class Written:
    """A number with its spelling, which `json` would not keep."""

    def __init__(self, text: str) -> None:
        self.text = text


def node() -> str:
    """The Node that comes with Playwright: no package of the system is needed, and a missing one is a failure."""
    return str(compute_driver_executable()[0])


def any_value(chance: random.Random, depth: int = 0) -> Any:
    """A JSON value, nested up to five deep."""
    kind = chance.randrange(4 if depth > 4 else 6)
    if kind == 0:
        return Written(chance.choice(NUMBERS))
    if kind == 1:
        return chance.choice((None, True, False))
    if kind in (2, 3):
        return "".join(chance.choice(TEXTS) for _ in range(chance.randrange(3)))
    if kind == 4:
        return [any_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(TEXTS): any_value(chance, depth + 1) for _ in range(chance.randrange(4))}


def document(kind: str, chance: random.Random) -> dict[str, Any]:
    """One of `kind` with all that it must have, and something more."""
    named = {name: any_value(chance) for name in (*verify.REQUIRED[kind], "sections", chance.choice(TEXTS))}
    return {**named, "key_id": SIGNER.key_id} if kind == "receipt" else named


def spelled(value: Any, chance: random.Random) -> str:
    """JSON text with members in any order, any white space, escapes or none."""
    blank = chance.choice(("", " ", "\n", "\t", " \r\n"))
    if isinstance(value, Written):
        return blank + value.text
    if isinstance(value, list):
        return f"[{','.join(spelled(part, chance) for part in value)}{blank}]"
    if isinstance(value, dict):
        members = [f"{blank}{spelled(name, chance)}{blank}:{spelled(value[name], chance)}" for name in value]
        chance.shuffle(members)
        return f"{{{','.join(members)}{blank}}}"
    return json.dumps(value, ensure_ascii=chance.random() < 0.5) + blank


def numbers_read(value: Any) -> Any:
    """`value` as the one who signs it has it: with numbers in place of their spellings."""
    if isinstance(value, Written):
        number = json.loads(value.text)
        return float(number) if abs(number) > 2**53 - 1 else number
    if isinstance(value, list):
        return [numbers_read(part) for part in value]
    if isinstance(value, dict):
        return {name: numbers_read(part) for name, part in value.items()}
    return value


def signed(unsigned: dict[str, Any]) -> dict[str, Any]:
    return {**unsigned, "signature": SIGNER.signed(numbers_read(unsigned))["signature"]}


def tampered(whole: dict[str, Any], text: str, chance: random.Random) -> str:
    """The document's text after one of many ways to change it; a few of them change nothing that counts."""
    name = chance.choice(list(whole))
    ways: list[Callable[[], str]] = [
        lambda: spelled({**whole, name: any_value(chance)}, chance),
        lambda: spelled({other: whole[other] for other in whole if other != name}, chance),
        lambda: spelled({**whole, "signature": OTHER.signed({})["signature"]}, chance),
        lambda: spelled({**whole, "signature": whole["signature"] + "="}, chance),
        lambda: spelled({**whole, "key_id": chance.choice((OTHER.key_id, None, SIGNER.key_id))}, chance),
        lambda: spelled({**whole, "more": Written(chance.choice(TOO_LARGE))}, chance),
        lambda: text.rstrip()[:-1] + f',{json.dumps(name)}:{spelled(whole[name], chance)}}}',
        lambda: text.rstrip()[:-1] + ',"more":"\\ud800"}',
        lambda: text.rstrip()[:-1] + ',"more":' + "[" * 31 + "]" * 31 + "}",
        lambda: text.rstrip()[:-1] + ',"more":' + "[" * 32 + "]" * 32 + "}",
        lambda: text.rstrip()[:-1] + ',"more":01}',
        lambda: text.rstrip()[:-1] + ',"more":NaN}',
        lambda: text.rstrip()[:-1] + ",}",
        lambda: "\ufeff" + text,
        lambda: text + " x",
        lambda: _one_character_less(text, chance.randrange(len(text))),
    ]  # fmt: skip
    return chance.choice(ways)()


def _one_character_less(text: str, at: int) -> str:
    return text[:at] + text[at + 1 :]


def verdicts_of_node(folder: Path, kind: str, files: list[Path]) -> dict[str, bool]:
    """File name -> whether the other verifier calls it valid."""
    command = [node(), str(VERIFIER), kind, *map(str, files), "--keys", str(folder / "keys.json")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = [line.split(": ") for line in told.stdout.splitlines()]
    found = {Path(file).name: verdict == "valid" for file, verdict, *_ in lines}
    assert told.stderr == ""
    assert told.returncode == (0 if all(found.values()) else 1)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keys.json").write_text(json.dumps(KEYS), "utf-8")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_two_verifiers_agree_on_valid_and_tampered_documents(folder: Path, kind: str) -> None:
    """Every document as it was signed is valid for both, and each change to it gets one verdict from both."""
    chance = random.Random(kind)
    whole, changed = [], []
    for number in range(DOCUMENTS_PER_KIND):
        made = signed(document(kind, chance))
        text = spelled(made, chance)
        whole.append(folder / f"{number}.json")
        changed.append(folder / f"{number}-changed.json")
        whole[-1].write_bytes(text.encode())
        changed[-1].write_bytes(tampered(made, text, chance).encode())

    ours = {file.name: verify.main(kind, str(file), str(folder / "keys.json")) == 0 for file in (*whole, *changed)}
    theirs = verdicts_of_node(folder, kind, [*whole, *changed])

    assert theirs == ours
    assert [file.name for file in whole if not ours[file.name]] == []
    assert sum(not ours[file.name] for file in changed) > DOCUMENTS_PER_KIND / 2


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"[" * 10_000, b'{"a":1,"a":2}']
)
def test_neither_verifier_takes_what_is_no_document(folder: Path, content: bytes) -> None:
    """One line says so, and no traceback."""
    (folder / "x.json").write_bytes(content)

    ours = verify.main("result", str(folder / "x.json"), str(folder / "keys.json"))

    assert (ours, verdicts_of_node(folder, "result", [folder / "x.json"])) == (1, {"x.json": False})


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"[]",
        b"null",
        b'{"keys":null}',
        b'{"keys":[]}',
        json.dumps({"keys": [shown_key(OTHER.public_key)]}).encode(),
    ],
)
def test_neither_verifier_accepts_other_keys(folder: Path, keys: bytes) -> None:
    """What one does not call valid the other does not."""
    made = signed(document("receipt", random.Random(1)))
    (folder / "x.json").write_text(spelled(made, random.Random(1)), "utf-8")
    (folder / "keys.json").write_bytes(keys)

    ours = verify.main("receipt", str(folder / "x.json"), str(folder / "keys.json"))

    assert (ours, verdicts_of_node(folder, "receipt", [folder / "x.json"])) == (1, {"x.json": False})


@pytest.mark.parametrize(
    "arguments", [[], ["result"], ["result", "x.json"], ["toString", "x.json", "--keys", "y.json"]]
)
def test_a_call_that_makes_no_sense_is_told_how(arguments: list[str]) -> None:
    """Exit 2, so that no script takes it for a verdict."""
    told = subprocess.run([node(), str(VERIFIER), *arguments], capture_output=True, text=True, timeout=60)

    assert (told.returncode, told.stdout, told.stderr[:6]) == (2, "", "usage:")


def test_the_other_verifier_is_short_enough_to_be_read() -> None:
    """Who does not trust us reads it, and needs no package beside Node itself."""
    lines = VERIFIER.read_text("utf-8").splitlines()

    assert len(lines) <= LINES_MAX
    assert [line for line in lines if line.startswith("import")] == ['import { readFileSync } from "node:fs";']
