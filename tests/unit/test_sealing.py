"""Seals, envelopes, signatures, tokens, key files: what was sealed comes back, and nothing else opens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules import exact_json
from engine.sealing import answer_key, secrets, token
from engine.sealing.encoding import from_base64url, to_base32, to_base64url
from engine.sealing.envelope import SealBroken
from engine.sealing.provider import FileProvider
from engine.sealing.secrets import SecretError
from engine.sealing.signature import Signer, is_valid, shown_key
from engine.sealing.token import Token

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def changes_of(sealed: bytes) -> list[bytes]:
    """`sealed` with one bit changed, at every byte; then cut off at every length, and longer by one."""
    flipped = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    return [*flipped, *(sealed[:length] for length in range(len(sealed))), sealed + b"\0"]


def opened_among(changed: list[bytes], open_it: Callable[[bytes], object]) -> list[bytes]:
    """Those that open all the same; anything but SealBroken for the others is an error."""
    found = []
    for candidate in changed:
        try:
            open_it(candidate)
        except SealBroken:
            continue
        found.append(candidate)
    return found


# --- the wrapped paper key -------------------------------------------------------------------------------------


def test_a_wrapped_paper_key_comes_back() -> None:
    """And does not lie open in what is stored."""
    wrapped = FileProvider(OTHER_KEY).wrap("paper-key|B1", KEY)

    assert FileProvider(OTHER_KEY).unwrap("paper-key|B1", wrapped) == KEY
    assert KEY not in wrapped


@pytest.mark.parametrize(
    ("purpose", "wrap_key"), [("paper-key|B1", KEY), ("paper-key|B2", OTHER_KEY), ("content|B1", OTHER_KEY)]
)
def test_a_wrapped_paper_key_unwraps_for_no_other_key_or_purpose(purpose: str, wrap_key: bytes) -> None:
    """A row copied from one batch or paper to another is of no use."""
    wrapped = FileProvider(OTHER_KEY).wrap("paper-key|B1", KEY)

    with pytest.raises(SealBroken, match=r"wrap\.key does not open"):
        FileProvider(wrap_key).unwrap(purpose, wrapped)


def test_a_changed_wrapped_paper_key_does_not_unwrap() -> None:
    """Every byte is covered, the magic included."""
    wrapped = FileProvider(OTHER_KEY).wrap("paper-key|B1", KEY)

    assert (
        opened_among(changes_of(wrapped), lambda changed: FileProvider(OTHER_KEY).unwrap("paper-key|B1", changed)) == []
    )


# --- the answer key's envelope ---------------------------------------------------------------------------------


def test_an_answer_key_opens_for_its_grader() -> None:
    """It was sealed with the public half alone."""
    envelope = answer_key.seal_answer_key({"A1": "答"}, "digest", answer_key.public_key(KEY))

    assert answer_key.open_answer_key(envelope, "digest", KEY) == {"A1": "答"}


def test_no_two_envelopes_are_alike() -> None:
    """Nobody can tell whether an answer key changed by looking at its envelope."""
    recipient = answer_key.public_key(KEY)

    envelopes = {answer_key.seal_answer_key({"A1": "b"}, "digest", recipient) for _ in range(3)}

    assert len(envelopes) == 3


@pytest.mark.parametrize(("digest", "grader_key"), [("digest", OTHER_KEY), ("another", KEY), ("", KEY)])
def test_an_answer_key_opens_for_no_other_grader_or_paper(digest: str, grader_key: bytes) -> None:
    """The envelope is bound to the paper it belongs to."""
    envelope = answer_key.seal_answer_key({"A1": "b"}, "digest", answer_key.public_key(KEY))

    with pytest.raises(SealBroken, match=r"grader\.key does not open"):
        answer_key.open_answer_key(envelope, digest, grader_key)


def test_a_changed_answer_key_does_not_open() -> None:
    """A grader never marks with an answer somebody has touched."""
    envelope = answer_key.seal_answer_key({"A1": "b"}, "digest", answer_key.public_key(KEY))

    assert opened_among(changes_of(envelope), lambda changed: answer_key.open_answer_key(changed, "digest", KEY)) == []


# --- signatures ------------------------------------------------------------------------------------------------

RECEIPT = {"sitting_id": "S1", "state": "submitted", "answered": 3}


def test_a_signed_document_is_valid_under_its_published_key() -> None:
    """Whoever has `/v1/keys` can check it."""
    signer = Signer(KEY)

    assert is_valid(signer.signed(RECEIPT), [shown_key(signer.public_key)])


def test_the_signature_covers_the_canonical_form_of_all_but_itself() -> None:
    """Signing again replaces it; the order of members does not matter."""
    signer = Signer(KEY)
    signed = signer.signed(RECEIPT)
    turned = dict(reversed(signed.items()))

    assert signer.signed(signed) == signed
    assert is_valid(turned, [shown_key(signer.public_key)])
    assert {name: signed[name] for name in RECEIPT} == RECEIPT


def test_a_document_is_valid_after_a_journey_through_json() -> None:
    """Also where 82.50 became 82.5 on the way."""
    signer = Signer(KEY)
    signed = signer.signed({"score": 82.5, "name": "张三", "raw": 3})
    text = json.dumps(signed, indent=4).replace("82.5", "82.50")

    assert is_valid(exact_json.decode(text.encode()), [shown_key(signer.public_key)])


@pytest.mark.parametrize(
    "change",
    [{"answered": 4}, {"answered": "3"}, {"state": "collected"}, {"more": None}, {"sitting_id": "S2"}],
)
def test_a_changed_document_is_not_valid(change: dict[str, Any]) -> None:
    """Not even by a member more."""
    signer = Signer(KEY)

    assert not is_valid({**signer.signed(RECEIPT), **change}, [shown_key(signer.public_key)])


@pytest.mark.parametrize("signature", ["", "AA", "!", None, 7, "A" * 86, "é"])
def test_what_is_no_signature_is_not_valid(signature: Any) -> None:
    """And no error either."""
    signer = Signer(KEY)

    assert not is_valid({**RECEIPT, "signature": signature}, [shown_key(signer.public_key)])
    assert not is_valid(RECEIPT, [shown_key(signer.public_key)])


def test_another_signer_s_key_does_not_make_it_valid() -> None:
    """No key, another key, a key under another's id."""
    signer, other = Signer(KEY), Signer(OTHER_KEY)
    signed = signer.signed({**RECEIPT, "key_id": signer.key_id})
    disguised = {**shown_key(other.public_key), "key_id": signer.key_id}

    assert [is_valid(signed, keys) for keys in ([], [shown_key(other.public_key)], [disguised])] == [False] * 3
    assert is_valid(signed, [shown_key(other.public_key), disguised, shown_key(signer.public_key)])


def test_a_named_key_must_be_the_one_that_signed() -> None:
    """A receipt naming a retired key is not vouched for by the present one."""
    signer = Signer(KEY)
    signed = signer.signed({**RECEIPT, "key_id": "0" * 16})

    assert not is_valid(signed, [shown_key(signer.public_key)])


@pytest.mark.parametrize(
    "change",
    [{"algorithm": "RSA"}, {"algorithm": None}, {"public_key": "AAAA"}, {"public_key": "é"}, {"public_key": None}],
)
def test_a_key_that_cannot_be_used_is_passed_over(change: dict[str, Any]) -> None:
    """The others in the list still count."""
    signer = Signer(KEY)
    broken = {**shown_key(signer.public_key), **change}

    assert not is_valid(signer.signed(RECEIPT), [broken])
    assert is_valid(signer.signed(RECEIPT), [broken, shown_key(signer.public_key)])


def test_a_shown_key_has_the_form_of_the_contract() -> None:
    """Base64 of 32 bytes, and an id that follows from them."""
    signer = Signer(KEY)

    shown = shown_key(signer.public_key)

    assert shown == {
        "key_id": hashlib.sha256(signer.public_key).hexdigest()[:16],
        "algorithm": "Ed25519",
        "public_key": base64.b64encode(signer.public_key).decode(),
    }
    assert len(signer.public_key) == 32


# --- tokens ----------------------------------------------------------------------------------------------------

TOKEN = Token("S.1_-", "B1", "7")
EMPTY_MAC = to_base64url(hmac.digest(KEY, b"", "sha256"))  # right, but of nothing


def test_a_token_reads_as_what_was_issued() -> None:
    """Who, which batch, which login."""
    assert token.read(token.issue(TOKEN, KEY), KEY) == TOKEN


@pytest.mark.parametrize(
    "text", ["", "~", "~~~", "a", "a~b", "a~b~1~", "a~b~1~AAAA", "é~b~1~é", "lk_schedule_x", "\0", EMPTY_MAC]
)
def test_what_was_not_issued_is_no_token(text: str) -> None:
    """Whatever stands in the header: None, never an error."""
    assert token.read(text, KEY) is None


def test_a_token_is_no_token_under_another_key_or_changed_anywhere() -> None:
    """Each character counts: nobody raises their epoch or takes another's sitting."""
    issued = token.issue(TOKEN, KEY)
    changed = [
        issued[:at] + other + issued[at + 1 :] for at in range(len(issued)) for other in "aZ0~" if other != issued[at]
    ]

    assert token.read(issued, OTHER_KEY) is None
    assert [text for text in changed if token.read(text, KEY) is not None] == []
    assert [token.read(text, KEY) for text in (issued[:-1], issued + "A", issued + "=", " " + issued)] == [None] * 4


def test_tokens_of_two_logins_differ() -> None:
    """The epoch is part of what is signed."""
    assert token.issue(TOKEN, KEY) != token.issue(Token("S.1_-", "B1", "8"), KEY)


def test_the_login_index_gives_away_neither_code_nor_person() -> None:
    """It is keyed: without login.key nobody can try ID numbers against it."""
    digests = {
        token.login_digest("LDGX3", "110101199001011237", KEY),
        token.login_digest("LDGX3", "110101199001011237", OTHER_KEY),
        token.login_digest("LDGX4", "110101199001011237", KEY),
        token.login_digest("LDGX3", "110101199001011245", KEY),
    }

    assert len(digests) == 4
    assert all(len(digest) == 64 for digest in digests)


# --- base64url -------------------------------------------------------------------------------------------------


@given(st.binary(max_size=100))
def test_any_bytes_travel_as_base64url(content: bytes) -> None:
    """Without padding, in the alphabet that needs no escaping in a URL."""
    text = to_base64url(content)

    assert from_base64url(text) == content
    assert text == base64.urlsafe_b64encode(content).decode().rstrip("=")


@pytest.mark.parametrize("text", ["A", "AA==", "A+", "A/", "AB", "A A", "AA\n", "é", "AA=", "=", "AAAA="])
def test_any_other_form_is_refused(text: str) -> None:
    """One spelling per value: padding, the other alphabet and spare bits are refused."""
    with pytest.raises(ValueError, match=r"."):
        from_base64url(text)


@given(st.lists(st.binary(min_size=5, max_size=5)).map(b"".join))
def test_any_groups_of_five_bytes_are_written_as_base32(content: bytes) -> None:
    """As the standard library writes them, in small letters."""
    assert to_base32(content) == base64.b32encode(content).decode().lower()


# --- key files -------------------------------------------------------------------------------------------------


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder of key files."""
    folder = tmp_path / "keys" / "liankao"
    was = os.umask(0)
    try:
        assert secrets.create(folder) == list(secrets.NAMES)
    finally:
        os.umask(was)
    return folder


def test_key_files_are_made_for_their_owner_alone(made: Path) -> None:
    """Whatever the umask says."""
    assert mode_of(made) == 0o700
    assert {mode_of(made / name) for name in secrets.NAMES} == {0o600}


def test_key_files_are_32_bytes_and_all_different(made: Path) -> None:
    """Each role opens its own."""
    contents = {secrets.read(made, name) for name in secrets.NAMES}

    assert len(contents) == len(secrets.NAMES)
    assert {len(content) for content in contents} == {32}


def test_existing_key_files_are_never_touched(made: Path) -> None:
    """A key made anew would orphan every paper it sealed."""
    (made / "wrap.key").unlink()
    before = secrets.read(made, "token.key")

    assert secrets.create(made) == ["wrap.key"]
    assert secrets.create(made) == []
    assert secrets.read(made, "token.key") == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777])
def test_a_key_file_that_others_may_touch_is_refused(made: Path, mode: int) -> None:
    """By name, with its mode and the one expected."""
    (made / "wrap.key").chmod(mode)

    with pytest.raises(SecretError, match=rf"wrap\.key may be read by others \(mode {mode:o}\), expected 600"):
        secrets.read(made, "wrap.key")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_file_of_the_owner_alone_is_read(made: Path, mode: int) -> None:
    """Read-only mounts of container secrets included."""
    (made / "wrap.key").chmod(mode)

    assert len(secrets.read(made, "wrap.key")) == 32


@pytest.mark.parametrize("count", [0, 31, 33, 64])
def test_a_key_file_of_another_length_is_refused(made: Path, count: int) -> None:
    """A line break at the end, or hexadecimal text, is no key."""
    (made / "token.key").write_bytes(bytes(count))

    with pytest.raises(SecretError, match=rf"token\.key holds {count} bytes, expected 32"):
        secrets.read(made, "token.key")


def test_a_missing_key_file_is_refused_with_what_makes_it(tmp_path: Path) -> None:
    """The message is the repair."""
    with pytest.raises(SecretError, match=r"login\.key: No such file.*; `\./run secrets create --dir .*` makes it"):
        secrets.read(tmp_path, "login.key")
