"""Preflight's judgement of keys, shares and certificates; and that a wrapped key is known without opening it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.preflight.finding import Colour
from engine.preflight.keys import (
    DAYS_LOW,
    Share,
    judge_answer_keys,
    judge_bad_certificate,
    judge_certificate,
    judge_no_certificate,
    judge_provider,
    judge_registered,
    judge_secrets,
    judge_shares,
    judge_wrapped,
)
from engine.sealing.envelope import SealBroken
from engine.sealing.gcm_tag import TAG_BYTES, tag_of
from engine.sealing.provider import FileProvider, paper_key_purpose
from engine.sealing.shares import OpenShare, lock_share, share_head

GREEN, AMBER, RED = Colour.GREEN, Colour.AMBER, Colour.RED
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


def test_key_files_are_red_when_at_fault_and_amber_when_elsewhere() -> None:
    """Each machine has only those its roles read."""
    assert judge_secrets("s", {}, [], ["token.key"]).colour is GREEN
    assert judge_secrets("s", {}, ["grader.key"], ["token.key"]).colour is AMBER
    assert judge_secrets("s", {"token.key": "key file s/token.key may be read by others"}, [], []).colour is RED


def test_a_key_that_the_deployment_does_not_use_is_red() -> None:
    assert judge_registered("result.key", "k", is_newest=True, is_known=True).colour is GREEN
    assert judge_registered("receipt.key", "k", is_newest=False, is_known=True).colour is AMBER
    assert judge_registered("result.key", "k", is_newest=False, is_known=False).colour is RED


def test_a_provider_that_does_not_give_back_what_it_wrapped_is_red() -> None:
    assert judge_provider("file", "").colour is GREEN
    assert judge_provider("pkcs11", "token 'T': TokenNotPresent").colour is RED


def test_paper_keys_wrapped_by_another_key_are_red() -> None:
    assert judge_wrapped("B", 2, [], can_tell=True).colour is GREEN
    assert judge_wrapped("B", 2, ["B/1"], can_tell=True).colour is RED


def test_answers_sealed_to_another_grader_are_red() -> None:
    assert judge_answer_keys("B", ["g1"], "g1").colour is GREEN
    assert judge_answer_keys("B", ["g1", "g2"], "g1").colour is RED
    assert judge_answer_keys("B", ["g1"], None).colour is RED


def share(index: int, digest: str = "d", split_id: str = "x") -> Share:
    return Share(batch_id="B", sealed_digest=digest, split_id=split_id, k=2, n=3, index=index)


@pytest.mark.parametrize(
    ("shares", "colours"),
    [
        ([], [AMBER]),  # nobody has shown any
        ([share(1)], [RED]),
        ([share(1), share(1)], [RED]),  # one person twice
        ([share(1), share(2, split_id="y")], [RED]),  # of two splits: they do not go together
        ([share(1), share(2, digest="e")], [RED]),  # of another paper
        ([share(1), share(3)], [GREEN]),
    ],
)
def test_shares_are_enough_when_so_many_of_one_split_fit_the_paper(shares: list[Share], colours: list[Colour]) -> None:
    assert [finding.colour for finding in judge_shares("B", {"P": "d"}, shares)] == colours


def test_a_shares_file_tells_in_the_clear_what_it_is_for() -> None:
    """No passphrase is asked the evening before."""
    opened = OpenShare(sealed_digest="d" * 64, split_id="x", k=2, n=3, index=1, share="A" * 43)
    head = share_head(lock_share(opened, "B", "a passphrase that is long"), "share-1")

    assert Share(**head) == Share(batch_id="B", sealed_digest="d" * 64, split_id="x", k=2, n=3, index=1)
    with pytest.raises(SealBroken, match="share-2 is no share"):
        share_head(b"{}", "share-2")


def test_a_batch_without_packages_asks_for_no_shares() -> None:
    assert judge_shares("B", {}, [share(1)]) == []


@pytest.mark.parametrize(
    ("days", "needed_days", "colour"),
    [
        (DAYS_LOW, 1, GREEN),
        (DAYS_LOW - 1, 1, AMBER),
        (2, 2, RED),  # it ends with the exam
        (3, 2, AMBER),
        (-1, 0, RED),
        (0, -5, RED),
    ],
)
def test_a_certificate_must_last_until_the_last_exam_has_ended(days: int, needed_days: int, colour: Colour) -> None:
    finding = judge_certificate("https://a", NOW_MS + days * DAY_MS, NOW_MS, NOW_MS + needed_days * DAY_MS)

    assert finding.colour is colour


def test_what_no_browser_would_take_is_told() -> None:
    assert judge_bad_certificate("https://a", "self-signed certificate").colour is RED
    assert judge_no_certificate("http://10.0.0.1", is_loopback=False).colour is AMBER
    assert judge_no_certificate("http://localhost", is_loopback=True).colour is GREEN


# --- tags -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("associated", [b"", b"a", b"a" * 16, b"a" * 37])
@pytest.mark.parametrize("plain", [b"", b"p", b"p" * 16, b"p" * 32, b"p" * 45])
def test_a_tag_is_what_the_library_makes(associated: bytes, plain: bytes) -> None:
    """Against another implementation, at every kind of length."""
    key, nonce = bytes(range(32)), b"n" * 12
    sealed = AESGCM(key).encrypt(nonce, plain, associated)

    assert tag_of(key, nonce, associated, sealed[:-TAG_BYTES]) == sealed[-TAG_BYTES:]


def test_a_nonce_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 12"):
        tag_of(b"k" * 32, b"n" * 16, b"", b"")


def test_a_provider_knows_what_it_wrapped_and_for_what() -> None:
    """Of another key, another purpose, or changed by a bit: it would not open."""
    ours, other = FileProvider(b"a" * 32), FileProvider(b"b" * 32)
    purpose = paper_key_purpose("B")
    wrapped = ours.wrap(purpose, b"s" * 32)
    changed = wrapped[:-1] + bytes([wrapped[-1] ^ 1])

    assert ours.has_wrapped(purpose, wrapped)
    assert not other.has_wrapped(purpose, wrapped)
    assert not ours.has_wrapped(paper_key_purpose("C"), wrapped)
    assert not ours.has_wrapped(purpose, changed)
    assert not ours.has_wrapped(purpose, b"LKW2" + wrapped[4:])
    assert not ours.has_wrapped(purpose, wrapped[:20])
