"""The wrapping key in a token: a real PKCS#11 library (SoftHSM), called as any other would be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.preflight.ask_batches import batches_in_scope
from engine.preflight.ask_keys import look_at_provider
from engine.preflight.finding import Colour
from engine.rules.errors import TryLater
from engine.sealing import hsm
from engine.sealing.envelope import SealBroken
from engine.sealing.provider import FileProvider, KeyProvider, open_provider
from engine.sealing.secrets import SecretError
from engine.settings import Settings
from tests import servers
from tests.contract.opener import open_sealed
from tests.contract.outsider import Outsider, accepted, from_base64url
from tests.integration.exam import Exam
from tests.unit.test_sealing import changes_of, opened_among

PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
PURPOSE = "paper-key|B"
SECRET = bytes(range(32))


class Token:
    """A software token in a folder of its own; one per process, for its library remembers where it looked first."""

    def __init__(self, folder: Path, library: str) -> None:
        self.tokens = folder / "tokens"
        self.tokens.mkdir()
        configuration = folder / "softhsm2.conf"
        configuration.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        pin = folder / "pin"
        pin.write_text("4711-0815\n")
        pin.chmod(0o600)
        command = ["softhsm2-util", "--init-token", "--free", "--label", "exam", "--pin", "4711-0815"]
        environ = {**os.environ, "SOFTHSM2_CONF": str(configuration)}
        subprocess.run([*command, "--so-pin", "so-4711-0815"], env=environ, check=True, capture_output=True)
        self.settings = Settings(
            key_provider="pkcs11",
            pkcs11_module=library,
            pkcs11_token="exam",
            pkcs11_pin_path=str(pin),
            pkcs11_environ=f"SOFTHSM2_CONF={configuration}",
        )


@pytest.fixture(scope="module")
def token() -> Iterator[Token]:
    """Where the token's library is missing the test says so; under CI it fails."""
    library = next((place for place in PLACES if Path(place).exists()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        told = "no SoftHSM here: the PKCS#11 provider cannot be tried (apt install softhsm2)"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    with servers.temporary_folder("hsm") as folder:
        yield Token(folder, library)


@pytest.fixture(scope="module")
def provider(token: Token) -> KeyProvider:
    hsm.create_key(token.settings)
    return open_provider(token.settings)


# --- the envelope ----------------------------------------------------------------------------------------------


def test_what_a_token_wraps_only_it_opens(token: Token, provider: KeyProvider) -> None:
    """Also for the next process that asks; twice the same is never the same."""
    wrapped = provider.wrap(PURPOSE, SECRET)

    assert open_provider(token.settings).unwrap(PURPOSE, wrapped) == SECRET
    assert wrapped.startswith(b"LKW2") and SECRET not in wrapped
    assert provider.wrap(PURPOSE, SECRET) != wrapped
    with pytest.raises(SealBroken, match="wrapped by a key file"):
        FileProvider(b"w" * 32).unwrap(PURPOSE, wrapped)
    with pytest.raises(SealBroken, match="wrapped by a token"):
        provider.unwrap(PURPOSE, FileProvider(b"w" * 32).wrap(PURPOSE, SECRET))


def test_a_token_opens_nothing_for_another_purpose_or_changed(provider: KeyProvider) -> None:
    """A row copied from one batch to another is of no use; every byte is covered."""
    wrapped = provider.wrap(PURPOSE, SECRET)

    with pytest.raises(SealBroken, match=r"does not open 'paper-key\|C'"):
        provider.unwrap("paper-key|C", wrapped)
    assert opened_among(changes_of(wrapped), lambda changed: provider.unwrap(PURPOSE, changed)) == []


# --- the key ---------------------------------------------------------------------------------------------------


def test_the_wrapping_key_is_made_once_and_cannot_be_read(token: Token, provider: KeyProvider) -> None:
    """Not even by who has the PIN."""
    import pkcs11

    assert hsm.create_key(token.settings) is False
    opened = pkcs11.lib(token.settings.pkcs11_module).get_token(token_label="exam").open(user_pin="4711-0815")
    with opened as session:
        key = session.get_key(label="liankao-wrap")
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


def test_a_key_that_may_leave_its_token_is_refused(token: Token, provider: KeyProvider) -> None:
    """Then a file would have done."""
    import pkcs11

    loose = msgspec.structs.replace(token.settings, pkcs11_key="loose")
    opened = pkcs11.lib(token.settings.pkcs11_module).get_token(token_label="exam").open(rw=True, user_pin="4711-0815")
    with opened as session:
        session.generate_key(
            pkcs11.KeyType.AES, 256, label="loose", store=True, template={pkcs11.Attribute.EXTRACTABLE: True}
        )

    with pytest.raises(SecretError, match="key 'loose' of token 'exam' may leave the token"):
        open_provider(loose)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"pkcs11_token": "another"}, "token 'another', key 'liankao-wrap': NoSuchToken"),
        ({"pkcs11_key": "another"}, "token 'exam', key 'another': NoSuchKey"),
        ({"pkcs11_module": "/nowhere.so"}, "LIANKAO_PKCS11_MODULE='/nowhere.so' is no file"),
        ({"pkcs11_pin_path": "/nowhere"}, "PIN file '/nowhere'"),
    ],
)
def test_a_setting_that_leads_nowhere_is_named(
    token: Token, provider: KeyProvider, changed: dict[str, str], told: str
) -> None:
    """When a process starts, not at the start of an exam."""
    with pytest.raises(SecretError, match=told):
        open_provider(msgspec.structs.replace(token.settings, **changed))


def test_a_wrong_or_open_pin_is_told(token: Token, provider: KeyProvider, tmp_path: Path) -> None:
    """Without saying it."""
    pin = tmp_path / "pin"
    pin.write_text("0000-0000")
    pin.chmod(0o600)
    wrong = msgspec.structs.replace(token.settings, pkcs11_pin_path=str(pin))

    with pytest.raises(SecretError, match="PinIncorrect") as told:
        open_provider(wrong)
    assert "0000" not in str(told.value)
    pin.chmod(0o644)
    with pytest.raises(SecretError, match="may be read by others"):
        open_provider(wrong)


def test_a_token_that_is_away_is_waited_for(token: Token, provider: KeyProvider) -> None:
    """It says `try later`, and what it wrapped opens when it is back."""
    wrapped = provider.wrap(PURPOSE, SECRET)
    (content,) = token.tokens.iterdir()
    away = content.rename(token.tokens.parent / "away")
    try:
        with pytest.raises(TryLater, match="token 'exam'"):
            provider.unwrap(PURPOSE, wrapped)
    finally:
        away.rename(content)

    assert provider.unwrap(PURPOSE, wrapped) == SECRET


# --- a whole engine --------------------------------------------------------------------------------------------


def test_an_engine_arms_and_releases_with_its_key_in_the_token(token: Token, provider: KeyProvider) -> None:
    """Paper pushed, sealed, armed, started; the process that seals reaches the token, too."""
    chosen = {
        f"LIANKAO_{name.upper()}": str(getattr(token.settings, name))
        for name in Settings.__struct_fields__
        if name.startswith("pkcs11") or name == "key_provider"
    }
    with servers.engine_up("token", settings=chosen) as engine:
        outsider = Outsider(engine.url, engine.keys)
        exam = outsider.exam()
        sitting = exam.enter()
        paper_key = from_base64url(accepted(sitting.key())["paper_key"])
        sealed = outsider.call("GET", f"/v1/sealed/{sitting.login['paper']['digest']}").content
        opened, _ = open_sealed(exam.batch_id, sealed, paper_key)

    assert opened["sections"]


async def test_preflight_tries_the_token_and_tells_what_it_did_not_wrap(
    token: Token, provider: KeyProvider, exam: Exam, postgres_dsn: str
) -> None:
    """What it wrapped has its form; more cannot be told without opening it."""
    settings = msgspec.structs.replace(token.settings, postgres_dsn=postgres_dsn)
    batches = await batches_in_scope(exam.owner_database, None, 3)

    by_file = await look_at_provider(settings, exam.owner_database, batches)
    await exam.query("UPDATE seal SET paper_key_wrapped = $1 RETURNING 1", provider.wrap(PURPOSE, SECRET))
    by_token = await look_at_provider(settings, exam.owner_database, batches)
    settings = msgspec.structs.replace(settings, pkcs11_token="other")
    [absent] = await look_at_provider(settings, exam.owner_database, batches)

    assert [finding.colour for finding in by_file[:2]] == [Colour.GREEN, Colour.RED]
    assert [finding.colour for finding in by_token[:2]] == [Colour.GREEN, Colour.GREEN]
    assert absent.colour is Colour.RED
