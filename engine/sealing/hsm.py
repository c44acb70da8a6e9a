"""The wrapping key in a hardware security module, or whatever speaks PKCS#11: it is made there and never leaves it.

Promise: the key is used by handle. One that could be read out, or was ever out, is refused when the provider opens.
How: `LKW2` envelopes by the token's own AES-GCM. Each call opens a session and logs in, so a token that was away is
found again by the next; one call at a time in a process, for a login belongs to the whole process. Calls block as long
as the token takes. The library is imported when this provider is chosen: `pip install python-pkcs11`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.rules.errors import TryLater
from engine.sealing import secrets
from engine.sealing.envelope import SealBroken
from engine.sealing.secrets import SecretError
from engine.settings import Settings

_MAGIC = b"LKW2"  # the suite: AES-256-GCM in the token
_NONCE_BYTES = 12
_TAG_BITS = 128
_KEY_BITS = 256
_one_at_a_time = threading.Lock()


class TokenProvider:
    """A KeyProvider whose key is in a token. Raises SecretError when the token or its key cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pin = secrets.read_pin(settings.pkcs11_pin_path)
        self._library = _load(settings)
        try:
            with self._session() as session:
                _check(self._key(session), settings)
        except TryLater as away:
            raise SecretError(away.detail) from None

    def wrap(self, purpose: str, secret: bytes) -> bytes:
        """Raises TryLater when the token does not answer."""
        import pkcs11

        nonce = secrets.random_bytes(_NONCE_BYTES)
        with self._session() as session:
            try:
                wrapped = self._key(session).encrypt(secret, **_gcm(nonce, purpose))
            except pkcs11.PKCS11Error as fault:
                raise _away(self._settings, fault) from None
        return _MAGIC + nonce + bytes(wrapped)

    def unwrap(self, purpose: str, wrapped: bytes) -> bytes:
        """Raises SealBroken, and TryLater when the token does not answer."""
        import pkcs11

        if wrapped[: len(_MAGIC)] != _MAGIC:
            raise SealBroken(f"expected a secret wrapped by a token, beginning with {_MAGIC!r}, got {wrapped[:4]!r}")
        nonce, sealed = wrapped[len(_MAGIC) :][:_NONCE_BYTES], wrapped[len(_MAGIC) + _NONCE_BYTES :]
        with self._session() as session:
            key = self._key(session)
            try:
                return bytes(key.decrypt(sealed, **_gcm(nonce, purpose)))
            except pkcs11.PKCS11Error:  # by which a token says that the tag is wrong differs from token to token
                raise SealBroken(f"the token's key does not open {purpose!r}, or its bytes were changed") from None

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """A session that is logged in. Raises TryLater."""
        import pkcs11

        with _one_at_a_time:
            try:
                session = self._open()
            except pkcs11.PKCS11Error as fault:
                raise _away(self._settings, fault) from None
            with session:
                yield session

    def _open(self) -> Any:
        import pkcs11

        try:
            return self._library.get_token(token_label=self._settings.pkcs11_token).open(user_pin=self._pin)
        except (pkcs11.PinIncorrect, pkcs11.PinLocked):  # another try brings the token nearer to its lock
            raise
        except pkcs11.PKCS11Error:  # it was away: its library finds it again when it begins anew
            self._library.reinitialize()
            return self._library.get_token(token_label=self._settings.pkcs11_token).open(user_pin=self._pin)

    def _key(self, session: Any) -> Any:
        import pkcs11

        try:
            return session.get_key(label=self._settings.pkcs11_key, object_class=pkcs11.ObjectClass.SECRET_KEY)
        except pkcs11.PKCS11Error as fault:
            raise _away(self._settings, fault) from None


def create_key(settings: Settings) -> bool:
    """Make the wrapping key in the token; False when it is there. Raises SecretError."""
    import pkcs11

    pin, library = secrets.read_pin(settings.pkcs11_pin_path), _load(settings)
    try:
        with library.get_token(token_label=settings.pkcs11_token).open(rw=True, user_pin=pin) as session:
            if list(session.get_objects({pkcs11.Attribute.LABEL: settings.pkcs11_key})):
                return False
            session.generate_key(
                pkcs11.KeyType.AES,
                _KEY_BITS,
                label=settings.pkcs11_key,
                store=True,
                capabilities=pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT,
                template={pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.SENSITIVE: True},
            )
    except pkcs11.PKCS11Error as fault:
        raise SecretError(_away(settings, fault).detail) from None
    return True


def _load(settings: Settings) -> Any:
    """The token's library. Raises SecretError."""
    try:
        import pkcs11
    except ImportError:
        raise SecretError("LIANKAO_KEY_PROVIDER=pkcs11 needs the package python-pkcs11, which is not here") from None
    for setting in filter(None, settings.pkcs11_environ.split(",")):
        name, _, text = setting.partition("=")
        os.putenv(name, text)  # for the library alone, which reads it when it is loaded
    if not Path(settings.pkcs11_module).is_file():
        raise SecretError(f"LIANKAO_PKCS11_MODULE={settings.pkcs11_module!r} is no file; expected the token's library")
    try:
        return pkcs11.lib(settings.pkcs11_module)
    except pkcs11.PKCS11Error as fault:
        raise SecretError(f"LIANKAO_PKCS11_MODULE={settings.pkcs11_module}: {fault or type(fault).__name__}") from None


def _check(key: Any, settings: Settings) -> None:
    import pkcs11

    if key[pkcs11.Attribute.EXTRACTABLE] or not key[pkcs11.Attribute.SENSITIVE]:
        raise SecretError(f"key {settings.pkcs11_key!r} of token {settings.pkcs11_token!r} may leave the token")
    if not key[pkcs11.Attribute.NEVER_EXTRACTABLE]:
        raise SecretError(f"key {settings.pkcs11_key!r} of token {settings.pkcs11_token!r} was not made in the token")


def _gcm(nonce: bytes, purpose: str) -> dict[str, Any]:
    import pkcs11

    parameters = pkcs11.GCMParams(nonce, _MAGIC + purpose.encode(), _TAG_BITS)
    return {"mechanism": pkcs11.Mechanism.AES_GCM, "mechanism_param": parameters}


def _away(settings: Settings, fault: Exception) -> TryLater:
    told = f"{type(fault).__name__} {fault}".strip()
    return TryLater(f"token {settings.pkcs11_token!r}, key {settings.pkcs11_key!r}: {told}")
