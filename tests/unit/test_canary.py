"""What the canary compares with what it knows: a wrong receipt or result is told by what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.sealing.encoding import to_base64url
from engine.sealing.signature import shown_key
from loadtest.canary import SCORE, TYPED, Wrong, _check_receipt, _check_result
from loadtest.receipts import responses_digest

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
SHOWN = shown_key(PRIVATE.public_key().public_bytes_raw())
KEYS = {SHOWN["key_id"]: SHOWN["public_key"]}
DIGEST = responses_digest({item: {"seq": seq, "value": value} for seq, (item, value) in enumerate(TYPED, 1)})
RESULT = {"state": "graded", "score": SCORE, "passed": True, "sitting_id": "S", "candidate_id": "C"}
RECEIPT = {"batch_id": "B", "state": "submitted", "answered": 4, "digest": DIGEST}


def signed(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "signature": to_base64url(PRIVATE.sign(rfc8785.dumps(document)))}


def test_a_result_and_a_receipt_as_known_are_right() -> None:
    _check_result(signed(RESULT), "S", "C", KEYS)
    _check_receipt(signed(RECEIPT), "B", KEYS)

    with pytest.raises(Wrong):
        _check_result(RESULT, "S", "C", KEYS)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"score": 100}, "score 100, not 70"),  # what was wrong counted as right
        ({"score": 40}, "score 40, not 70"),  # the first value of A1 counted, not the last
        ({"passed": False}, "passed False"),
        ({"state": "absent"}, "state absent"),
        ({"sitting_id": "S2"}, "sitting_id S2"),
    ],
)
def test_a_result_that_is_not_as_known_is_told(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(Wrong, match=says):
        _check_result(signed({**RESULT, **changed}), "S", "C", KEYS)


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"answered": 3}, "answered 3"), ({"digest": "0"}, "digest 0"), ({"batch_id": "X"}, "batch_id")],
)
def test_a_receipt_that_is_not_as_known_is_told(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(Wrong, match=says):
        _check_receipt(signed({**RECEIPT, **changed}), "B", KEYS)


def test_a_signature_by_another_key_is_none() -> None:
    other = shown_key(Ed25519PrivateKey.from_private_bytes(b"x" * 32).public_key().public_bytes_raw())
    keys = {other["key_id"]: other["public_key"]}

    with pytest.raises(Wrong, match="signature does not hold"):
        _check_result(signed(RESULT), "S", "C", keys)
    with pytest.raises(Wrong, match="signature does not hold"):
        _check_receipt(signed(RECEIPT), "B", keys)
