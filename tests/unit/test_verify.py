"""`./run verify`: the document, the published keys, nothing else; exit 0 is valid, anything else is 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.sealing import verify
from engine.sealing.signature import Signer, shown_key

SIGNER = Signer(bytes(range(32)))
OTHER = Signer(bytes(32))
RECEIPT: dict[str, Any] = SIGNER.signed(
    {
        "sitting_id": "B1.1001",
        "batch_id": "B1",
        "state": "submitted",
        "submitted_ms": 1_763_775_000_000,
        "answered": 1,
        "items": 2,
        "digest": "0" * 64,
        "key_id": SIGNER.key_id,
    }
)
RESULT: dict[str, Any] = SIGNER.signed(
    {
        "sitting_id": "B1.1001",
        "candidate_id": "1001",
        "admission_ticket": "20250001",
        "state": "graded",
        "score": 82.5,
        "passed": True,
        "sections": [{"id": "A", "score": 16.5, "points": 20}],
        "graded_ms": 1_763_779_000_000,
        "revision": 1,
        "paper_digest": "1" * 64,
        "answer_key_digest": "2" * 64,
    }
)
DOCUMENTS = {"receipt": RECEIPT, "result": RESULT}
KEYS = {"keys": [shown_key(OTHER.public_key), shown_key(SIGNER.public_key)]}
each_kind = pytest.mark.parametrize("kind", ["receipt", "result"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The published keys lie there as `keys.json`."""
    (tmp_path / "keys.json").write_text(json.dumps(KEYS), "utf-8")
    return tmp_path


def checked(folder: Path, kind: str, content: Any) -> int:
    """The exit code for `content`: a document, or the bytes of a file."""
    file = folder / "document.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return verify.main(kind, str(file), str(folder / "keys.json"))


@each_kind
def test_a_signed_document_is_valid(folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As it was received; the verdict is on stderr, so that stdout stays free."""
    assert checked(folder, kind, DOCUMENTS[kind]) == 0

    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"valid: {kind} of sitting B1.1001\n")


@each_kind
def test_a_document_stays_valid_however_it_is_laid_out(folder: Path, kind: str) -> None:
    """Indented, sorted, escaped, with 82.50 for 82.5: the same document."""
    text = json.dumps(DOCUMENTS[kind], indent=4, sort_keys=True, ensure_ascii=True).replace("82.5", "82.50")

    assert checked(folder, kind, b"\n" + text.encode() + b"\n") == 0


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *(("receipt", {name: "x"}) for name in RECEIPT),
        *(("result", {name: "x"}) for name in RESULT),
        ("receipt", {"answered": 2}),
        ("receipt", {"more": 1}),
        ("result", {"score": 82.51}),
        ("result", {"score": "82.5"}),
        ("result", {"sections": []}),
    ],
)
def test_a_tampered_document_is_not_valid(
    folder: Path, kind: str, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever member was changed or added."""
    assert checked(folder, kind, {**DOCUMENTS[kind], **change}) == 1

    assert f"not valid: no key of {folder / 'keys.json'} signed this {kind} as it stands" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("receipt", name) for name in RECEIPT),
        *(("result", name) for name in RESULT),
    ],
)
def test_a_document_with_a_member_missing_is_not_valid(
    folder: Path, kind: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one that was signed so: half a receipt proves nothing."""
    cut = {member: value for member, value in DOCUMENTS[kind].items() if member != name}

    assert checked(folder, kind, cut) == 1

    assert capsys.readouterr().err.startswith("not valid: ")


@pytest.mark.parametrize(("kind", "name"), [("receipt", "digest"), ("result", "score"), ("result", "paper_digest")])
def test_what_was_signed_without_an_important_member_is_not_valid(
    folder: Path, kind: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signature over too little is refused, and the missing member is named."""
    cut = {member: value for member, value in DOCUMENTS[kind].items() if member != name}

    assert checked(folder, kind, SIGNER.signed(cut)) == 1

    assert f"it lacks {name}" in capsys.readouterr().err


def test_a_receipt_is_no_result_and_a_result_no_receipt(folder: Path) -> None:
    """Each kind is checked for what it must say."""
    assert [checked(folder, "result", RECEIPT), checked(folder, "receipt", RESULT)] == [1, 1]


@each_kind
@pytest.mark.parametrize(
    "keys",
    [
        {"keys": []},
        {"keys": [shown_key(OTHER.public_key)]},
        {"keys": [{**shown_key(OTHER.public_key), "key_id": SIGNER.key_id}]},
        {"keys": [None, 7, "x", {}]},
        {"keys": None},
        {"keys": {"key_id": SIGNER.key_id}},
        {"key": [shown_key(SIGNER.public_key)]},
        [shown_key(SIGNER.public_key)],
        None,
        5,
    ],
)
def test_with_other_keys_nothing_is_valid(folder: Path, kind: str, keys: Any) -> None:
    """Wrong keys, no keys, or something that is no list of keys: exit 1, never a traceback."""
    (folder / "keys.json").write_text(json.dumps(keys), "utf-8")

    assert checked(folder, kind, DOCUMENTS[kind]) == 1


@each_kind
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 10_000, b'{"a":1,"a":2}'])
def test_what_is_no_document_is_not_valid(
    folder: Path, kind: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says so."""
    assert checked(folder, kind, content) == 1

    told = capsys.readouterr().err
    assert told.startswith("not valid: ") and told.count("\n") == 1


@each_kind
@pytest.mark.parametrize("missing", ["document.json", "keys.json"])
def test_a_missing_file_is_named(folder: Path, kind: str, missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are needed."""
    (folder / "document.json").write_text(json.dumps(DOCUMENTS[kind]), "utf-8")
    (folder / missing).unlink()

    assert verify.main(kind, str(folder / "document.json"), str(folder / "keys.json")) == 1
    assert missing in capsys.readouterr().err
