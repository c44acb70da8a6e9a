"""The sealed paper: what was sealed comes back, and nothing else opens, wherever it was changed."""

from __future__ import annotations

import base64
import hashlib
import re
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules import exact_json
from engine.sealing import envelope, manifest, paper
from engine.sealing.envelope import SealBroken
from engine.sealing.signature import Signer
from loadtest import sealed as client_side
from tests.unit.test_sealing import KEY, OTHER_KEY, changes_of, opened_among

SIGNER = Signer(b"s" * 32)
CONTENT: dict[str, Any] = {
    "title": "题",
    "sections": [{"id": "A", "title": "甲", "items": [{"id": "A1"}]}, {"id": "B", "title": "乙", "items": []}],
    "media": {"a.png": base64.b64encode(b"x" * 20).decode(), "b.svg": base64.b64encode(b"<svg/>").decode()},
    "media_types": {"a.png": "image/png", "b.svg": "image/svg+xml"},
}


def sealed_paper(batch_id: str = "B1", content: dict[str, Any] = CONTENT, chunk_bytes: int = 16) -> bytes:
    return paper.seal_paper(batch_id, content, KEY, SIGNER, chunk_bytes)


def test_a_sealed_paper_opens_with_its_key() -> None:
    """And says which batch it is for; whoever opens it by the published layout finds the same."""
    sealed = sealed_paper()

    assert paper.open_paper("B1", sealed, KEY) == {"batch_id": "B1", **CONTENT}
    assert client_side.open_paper(sealed, KEY, "B1") == {"batch_id": "B1", **CONTENT}


def test_a_sealed_paper_says_nothing_of_its_content_in_the_clear() -> None:
    """No title, no name of a figure, no kind of it, no id of a section or an item."""
    content = {
        "title": "SECRET-title" * 9,
        "sections": [{"id": "SECRET-S", "title": "SECRET-s", "items": [{"id": "SECRET-A1", "stem": "SECRET-stem"}]}],
        "media": {"SECRET.png": base64.b64encode(b"SECRET" * 99).decode()},
        "media_types": {"SECRET.png": "image/png"},
    }
    sealed = sealed_paper("BATCH-1", content, 100)
    listed, _ = manifest.read_manifest(sealed)

    assert b"SECRET" not in sealed and b"png" not in sealed
    assert [part.name for part in listed.parts] == ["index", "s0", *(f"m0.{n}" for n in range(6))]


def test_a_part_s_length_says_roughly_how_much_is_in_it() -> None:
    """Two figures of nearly the same size cannot be told from each other; the tag and the length are added."""
    lengths = {
        length: envelope.padded(length) for length in (0, 1, 2, 9, 255, 1000, 1001, 1007, 1008, 2**20, 2**20 + 1)
    }
    sealed = {
        size: [
            part.bytes
            for part in manifest.read_manifest(sealed_paper(content=medium_of(size), chunk_bytes=2**20))[0].parts
        ]
        for size in (9_730, 10_240, 10_241)
    }

    assert list(lengths.values()) == [0, 1, 2, 10, 256, 1024, 1024, 1024, 1024, 2**20, 2**20 + 2**15]
    assert sealed[9_730][-1] == sealed[10_240][-1] == 4 + 4 + 10_240 + 16 < sealed[10_241][-1]


def test_every_part_is_sealed_under_a_key_of_its_own() -> None:
    """The nonce is the same everywhere: a key that came twice would give the paper away."""
    sealed = sealed_paper(content=medium_of(64, b"\0"))
    _, parts = manifest.read_manifest(sealed)
    chunks = [bytes(parts[f"m0.{n}"]) for n in range(4)]
    keys = {
        envelope._cipher(place(part, batch_id), KEY).encrypt(bytes(12), bytes(32), b"")
        for part in parts
        for batch_id in "BC"
    }

    assert len(set(chunks)) == 4
    assert len(keys) == 2 * len(parts)


def place(part: str, batch_id: str) -> envelope.Place:
    return envelope.Place(batch_id=batch_id, part=part, parts=9, chunks=1, chunk_bytes=16, key_id=SIGNER.key_id)


def medium_of(size: int, byte: bytes = b"x") -> dict[str, Any]:
    media = {"a.png": base64.b64encode(byte * size).decode()}
    return {**CONTENT, "media": media, "media_types": {"a.png": "image/png"}}


@pytest.mark.parametrize("media_type", ["image/png", "image/svg+xml"])
@given(content=st.binary(max_size=200), chunk_bytes=st.integers(1, 70))
def test_a_medium_of_any_size_comes_back_from_chunks_of_any_size(
    media_type: str, content: bytes, chunk_bytes: int
) -> None:
    """Packed or stored, with a rest or without."""
    whole = {**CONTENT, "media": {"a": base64.b64encode(content).decode()}, "media_types": {"a": media_type}}
    sealed = paper.seal_paper("B1", whole, KEY, SIGNER, chunk_bytes)

    assert paper.open_paper("B1", sealed, KEY) == {"batch_id": "B1", **whole}
    assert client_side.open_paper(sealed, KEY, "B1") == {"batch_id": "B1", **whole}


def test_sealing_holds_media_in_memory_hardly_more_than_twice() -> None:
    """What it returns, the same in pieces, and one medium: a paper of 64 MiB does not take the machine."""
    size, count = 2**20, 8
    media = {f"{n}.png": base64.b64encode(bytes([n]) * size).decode() for n in range(count)}
    content = {**CONTENT, "media": media, "media_types": dict.fromkeys(media, "image/png")}
    tracemalloc.start()
    try:
        sealed = paper.seal_paper("B1", content, KEY, SIGNER, 2**16)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert count * size < len(sealed) < 1.02 * count * size
    assert peak < (2 * count + 2) * size


@pytest.mark.parametrize(("batch_id", "key"), [("B1", OTHER_KEY), ("B2", KEY), ("B1", bytes(32)), ("b1", KEY)])
def test_a_sealed_paper_opens_for_no_other_key_or_batch(batch_id: str, key: bytes) -> None:
    """Saturday's key never opens Sunday's paper."""
    with pytest.raises(SealBroken, match=r"does not open part index|names batch 'B1', expected"):
        paper.open_paper(batch_id, sealed_paper(), key)


def test_a_changed_sealed_paper_does_not_open() -> None:
    """Wherever the change is, and wherever it was cut off. A changed signature opens, and is not valid."""
    sealed = sealed_paper()
    signature = manifest.read_manifest(sealed)[0].signature.encode()
    begins = sealed.index(signature)
    opened = opened_among(changes_of(sealed), lambda changed: paper.open_paper("B1", changed, KEY))
    elsewhere = [each for each in opened if each[:begins] + signature + each[begins + len(signature) :] != sealed]

    assert elsewhere == []
    assert len(opened) == len(signature)
    assert opened_among(opened, lambda changed: manifest.verify_manifest(changed, SIGNER.public_key)) == []


def test_the_part_that_does_not_open_is_named() -> None:
    """Whoever looks for what went wrong knows where."""
    sealed = sealed_paper()
    said = []
    for name, part in manifest.read_manifest(sealed)[1].items():
        at = sealed.index(bytes(part))
        with pytest.raises(SealBroken, match=rf"part {re.escape(name)} ") as broken:
            paper.open_paper("B1", sealed[:at] + b"?" + sealed[at + 1 :], KEY)
        said.append(str(broken.value))

    assert len(said) == 6


def test_a_paper_of_an_earlier_release_says_what_to_do() -> None:
    """Not merely that it is broken."""
    with pytest.raises(SealBroken, match=r"earlier release \(LKP1\): push it, or seal its package, again"):
        paper.open_paper("B1", b"LKP1" + bytes(60), KEY)


def test_a_manifest_is_valid_under_its_signer_s_key_alone() -> None:
    """Anybody can ask, without the paper key; the manifest says whose key it is."""
    sealed = sealed_paper()

    assert manifest.verify_manifest(sealed, SIGNER.public_key).key_id == SIGNER.key_id
    with pytest.raises(SealBroken, match="not signed by this key"):
        manifest.verify_manifest(sealed, Signer(OTHER_KEY).public_key)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 5000,
        b'{"suite":"LKE1"}',
        b'{"suite":NaN}',
        b'{"suite":1e999}',
        b'{"a":"\\ud800"}',
    ],
)
def test_what_is_no_manifest_is_refused(written: bytes) -> None:
    """Whatever stands in its place: SealBroken, and no other error."""
    with pytest.raises(SealBroken, match="manifest"):
        manifest.read_manifest(b"LKP2" + len(written).to_bytes(4, "big") + written)


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"chunk_bytes": 0},
        {"chunk_bytes": 1.5},
        {"chunk_bytes": True},
        {"parts": None},
        {"key_id": "x"},
        {"batch_id": 1},
        {"parts": [{"name": "s9", "bytes": 1}]},
        {"parts": [{"name": "title", "bytes": 1, "sha256": "0" * 64}]},
        {"parts": [{"name": "s0", "bytes": -1, "sha256": "0" * 64}]},
    ],
)
def test_a_manifest_with_other_members_is_refused(change: dict[str, Any]) -> None:
    """Also when it is signed as it should be: a reader never guesses."""
    listed, _ = manifest.read_manifest(sealed_paper())
    written = exact_json.canonical(SIGNER.signed({**msgspec.to_builtins(listed), **change}))

    with pytest.raises(SealBroken, match="manifest cannot be read"):
        manifest.read_manifest(b"LKP2" + len(written).to_bytes(4, "big") + written)


def test_a_manifest_in_another_spelling_is_refused() -> None:
    """One content, one form: else two digests would mean one paper."""
    sealed = sealed_paper()
    begins = 8 + int.from_bytes(sealed[4:8], "big")
    written = sealed[8:begins].replace(b'"suite":', b'"suite": ')

    with pytest.raises(SealBroken, match="RFC 8785"):
        paper.open_paper("B1", b"LKP2" + len(written).to_bytes(4, "big") + written + sealed[begins:], KEY)


def test_the_digest_is_the_sha256_of_the_sealed_bytes() -> None:
    """What login announces and the page compares."""
    assert paper.sealed_digest(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_every_sitting_has_its_own_seed_and_always_the_same() -> None:
    """The order of items survives a change of machines and is unknown without the paper key."""
    seed = paper.sitting_seed(KEY, "S1")

    assert seed == paper.sitting_seed(KEY, "S1")
    assert len({seed, paper.sitting_seed(KEY, "S2"), paper.sitting_seed(OTHER_KEY, "S1"), KEY}) == 4
    assert len(seed) == 32
