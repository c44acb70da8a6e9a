"""What do seals and signatures cost: a paper at arming and at the start, a receipt at each hand-in?"""

from __future__ import annotations

import base64
from typing import Any

from engine.sealing import manifest, paper
from engine.sealing.secrets import random_bytes
from engine.sealing.signature import Signer
from loadtest import samples

CONTENT = {"title": "t", "sections": samples.load("ldgx3").paper["sections"], "media": {}, "media_types": {}}
FIGURES = {f"{n}.png": base64.b64encode(random_bytes(2**20)).decode() for n in range(8)}
WITH_FIGURES = {**CONTENT, "media": FIGURES, "media_types": dict.fromkeys(FIGURES, "image/png")}
PAPER_KEY, SIGNER = b"k" * 32, Signer(b"s" * 32)


def test_seal_one_paper(benchmark: Any) -> None:
    assert benchmark(paper.seal_paper, "bench", CONTENT, PAPER_KEY, SIGNER).startswith(manifest.MAGIC)


def test_open_one_paper(benchmark: Any) -> None:
    sealed = paper.seal_paper("bench", CONTENT, PAPER_KEY, SIGNER)

    assert benchmark(paper.open_paper, "bench", sealed, PAPER_KEY)["sections"] == CONTENT["sections"]


def test_seal_eight_megabytes_of_figures(benchmark: Any) -> None:
    assert len(benchmark(paper.seal_paper, "bench", WITH_FIGURES, PAPER_KEY, SIGNER)) > 8 * 2**20


def test_open_eight_megabytes_of_figures(benchmark: Any) -> None:
    sealed = paper.seal_paper("bench", WITH_FIGURES, PAPER_KEY, SIGNER)

    assert benchmark(paper.open_paper, "bench", sealed, PAPER_KEY)["media"] == FIGURES


def test_verify_one_manifest(benchmark: Any) -> None:
    sealed = paper.seal_paper("bench", CONTENT, PAPER_KEY, SIGNER)

    assert benchmark(manifest.verify_manifest, sealed, SIGNER.public_key).batch_id == "bench"


def test_seed_of_one_sitting(benchmark: Any) -> None:
    assert len(benchmark(paper.sitting_seed, PAPER_KEY, "a" * 24)) == 32


def test_sign_one_receipt(benchmark: Any) -> None:
    receipt = {"sitting_id": "a" * 24, "batch_id": "bench", "state": "submitted", "submitted_ms": 1763773200000}
    receipt |= {"answered": 100, "items": 100, "digest": "d" * 64, "key_id": SIGNER.key_id}

    assert benchmark(SIGNER.signed, receipt)["signature"]
