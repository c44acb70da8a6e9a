"""The published test vectors: what is kept or sent today opens, verifies and orders the same in every version."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from engine.sealing import answer_key, manifest, paper
from engine.sealing.envelope import SealBroken
from engine.sealing.provider import FileProvider
from engine.sealing.signature import Signer, is_valid, shown_key
from loadtest import sealed as client_side
from tests.contract import order
from tests.contract.opener import open_sealed
from tests.servers import ROOT

FOLDER = ROOT / "schema" / "vectors"
SEALED = json.loads((FOLDER / "sealed-paper.json").read_text("utf-8"))
ORDERS = json.loads((FOLDER / "order.json").read_text("utf-8"))
ENVELOPES = json.loads((FOLDER / "envelopes.json").read_text("utf-8"))


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


# --- the sealed paper ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", SEALED["vectors"], ids=named)
def test_a_published_vector_opens(vector: dict[str, Any]) -> None:
    """Other implementations are written against these bytes; every value they show on the way is right."""
    key, sealed = bytes.fromhex(vector["paper_key"]), bytes.fromhex(vector["sealed"])
    listed = manifest.verify_manifest(sealed, bytes.fromhex(SEALED["public_key"]))
    parts = {part["name"]: part for part in vector["parts"]}

    assert paper.open_paper(vector["batch_id"], sealed, key) == vector["opened"]
    assert client_side.open_paper(sealed, key, vector["batch_id"]) == vector["opened"]
    assert paper.sealed_digest(sealed) == vector["digest"]
    assert list(parts) == [part.name for part in listed.parts]
    for name, part in parts.items():
        assert client_side.part_key(key, vector["batch_id"], name).hex() == part["key"]
        header = json.loads(part["associated_data"])
        assert client_side.associated_data(header).decode() == part["associated_data"]
        assert (header["part"], header["key_id"]) == (name, SEALED["key_id"])


@pytest.mark.parametrize("vector", SEALED["vectors"], ids=named)
def test_a_published_vector_opens_by_the_document_alone(vector: dict[str, Any]) -> None:
    """By a program that was written from `sealed-paper.md`."""
    opened, _ = open_sealed(vector["batch_id"], bytes.fromhex(vector["sealed"]), bytes.fromhex(vector["paper_key"]))

    assert {**opened, "media_types": vector["opened"]["media_types"]} == vector["opened"]


@pytest.mark.parametrize("vector", SEALED["refused"], ids=named)
def test_a_published_counter_example_does_not_open(vector: dict[str, Any]) -> None:
    """An implementation that opens one of these checks too little."""
    key, sealed = bytes.fromhex(vector["paper_key"]), bytes.fromhex(vector["sealed"])

    with pytest.raises(SealBroken):
        paper.open_paper(vector["batch_id"], sealed, key)
    with pytest.raises(client_side.SealBroken):
        client_side.open_paper(sealed, key, vector["batch_id"])


@pytest.mark.parametrize("vector", SEALED["forged"], ids=named)
def test_a_published_forgery_is_not_valid(vector: dict[str, Any]) -> None:
    """It opens, for who has the key; who sealed it is another question."""
    key, sealed = bytes.fromhex(vector["paper_key"]), bytes.fromhex(vector["sealed"])

    assert paper.open_paper(vector["batch_id"], sealed, key)["title"] == "图"
    with pytest.raises(SealBroken, match="not signed by this key"):
        manifest.verify_manifest(sealed, bytes.fromhex(SEALED["public_key"]))


@pytest.mark.parametrize("vector", ORDERS["vectors"], ids=lambda vector: vector["seed"][:8])
def test_a_published_order_follows_from_its_seed(vector: dict[str, Any]) -> None:
    """By SHA-256 of seed, list and id: what two programs show one candidate stands in one order."""
    seed = paper.sitting_seed(bytes.fromhex(vector["paper_key"]), vector["sitting_id"])

    assert seed.hex() == vector["seed"]
    for shown in vector["lists"]:
        head = seed + b"\0" + shown["list"].encode() + b"\0"
        assert shown["shuffled"] == sorted(
            shown["ids"], key=lambda item, head=head: hashlib.sha256(head + item.encode()).digest()
        )


@pytest.mark.parametrize("vector", ORDERS["sections"], ids=lambda vector: f"{vector['name']} {vector['seed'][:8]}")
def test_a_published_section_is_shown_in_its_order(vector: dict[str, Any]) -> None:
    """Pinned items, pinned options and groups: two programs that show one candidate a section show the same."""
    seed, section = bytes.fromhex(vector["seed"]), vector["section"]

    assert order.shown_items(seed, section) == vector["shown"]
    for item in section["items"]:
        assert order.shown_options(seed, item) == vector.get("options", {}).get(item["id"], [])


# --- what is kept ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", ENVELOPES["wrapped"], ids=lambda vector: vector["purpose"])
def test_a_published_wrapped_secret_unwraps(vector: dict[str, Any]) -> None:
    """An exam armed before an upgrade starts after it."""
    secret, wrap_key, wrapped = (bytes.fromhex(vector[name]) for name in ("secret", "wrap_key", "wrapped"))

    assert FileProvider(wrap_key).unwrap(vector["purpose"], wrapped) == secret


@pytest.mark.parametrize("vector", ENVELOPES["answer_keys"], ids=lambda vector: vector["paper_digest"][:8])
def test_a_published_answer_key_opens(vector: dict[str, Any]) -> None:
    """A paper pushed years ago can still be graded, and a score review answered."""
    grader_key, envelope = bytes.fromhex(vector["grader_key"]), bytes.fromhex(vector["envelope"])

    assert answer_key.open_answer_key(envelope, vector["paper_digest"], grader_key) == vector["opened"]
    assert answer_key.public_key(grader_key).hex() == vector["grader_public_key"]
    assert envelope.startswith(b"LKA1")


@pytest.mark.parametrize("vector", ENVELOPES["signed"], ids=lambda vector: "-".join(list(vector["document"])[-2:]))
def test_a_published_signature_is_valid_and_made_again(vector: dict[str, Any]) -> None:
    """Ed25519 is deterministic: the same seed over the same document gives the same receipt."""
    signer = Signer(bytes.fromhex(vector["seed"]))

    assert (signer.public_key.hex(), signer.key_id) == (vector["public_key"], vector["key_id"])
    assert is_valid(vector["document"], [shown_key(signer.public_key)])
    assert signer.signed(vector["document"]) == vector["document"]
