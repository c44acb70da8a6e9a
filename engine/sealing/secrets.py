"""The engine's own keys: one file each, so that a process opens only what its role needs.

| file         | kind            | read by           | for                                         |
|--------------|-----------------|-------------------|---------------------------------------------|
| token.key    | 32 random bytes | workers           | candidates' tokens                          |
| login.key    | 32 random bytes | workers, recorder | index of admission code + ID number         |
| wrap.key     | 32 random bytes | workers           | wraps paper keys at rest, unless a token does |
| receipt.key  | Ed25519 seed    | workers           | signs receipts, manifests of sealed papers  |
| result.key   | Ed25519 seed    | grader            | signs results                               |
| grader.key   | X25519 private  | grader            | opens answer keys                           |
| webhook.key  | 32 random bytes | workers, courier  | wraps webhooks' secrets at rest             |
| archive.key  | Ed25519 seed    | `./run archive`   | signs archives and purge records            |
"""

from __future__ import annotations

import hashlib
import hmac
import os
import resource
import secrets
from pathlib import Path

NAMES = (
    "token.key", "login.key", "wrap.key", "receipt.key", "result.key", "grader.key", "webhook.key", "archive.key",
)  # fmt: skip
_BYTES = 32


class SecretError(Exception):
    """A key file that is missing, too open or of the wrong length; the message names it."""


def create(directory: Path) -> list[str]:
    """Make the missing key files, mode 0600; existing ones are never touched. Returns the names made."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    for name in NAMES:
        try:
            handle = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        made.append(name)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)  # a synced file without a name would be lost all the same
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return made


def read(directory: str | Path, name: str) -> bytes:
    """The 32 bytes of one key. Raises SecretError naming the file and what was expected.

    From here on this process leaves no core dump: a key must lie in no other file than its own.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    path = Path(directory) / name
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as fault:
        raise SecretError(
            f"key file {path}: {fault.strerror}; `./run secrets create --dir {directory}` makes it"
        ) from None
    if mode & 0o077:
        raise SecretError(f"key file {path} may be read by others (mode {mode & 0o777:o}), expected 600")
    if len(content) != _BYTES:
        raise SecretError(f"key file {path} holds {len(content)} bytes, expected {_BYTES}")
    return content


def fingerprint(key: bytes, name: str) -> str:
    """Tells whether two machines have the same key file, and nothing about the key: it has 32 random bytes."""
    return hmac.new(key, f"liankao/v1/fingerprint|{name}".encode(), hashlib.sha256).hexdigest()[:16]


def read_file(path: Path) -> bytes:
    """A key that a person names by its file, whatever its mode. Raises SecretError."""
    try:
        return path.read_bytes()
    except OSError as fault:
        raise SecretError(f"key file {path}: {fault.strerror}") from None


def read_pin(file: str) -> str:
    """What logs in to a token. Raises SecretError naming the file and what was expected."""
    path = Path(file)
    try:
        mode = path.stat().st_mode
        pin = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise SecretError(f"PIN file {file!r}: {fault}") from None
    if mode & 0o077:
        raise SecretError(f"PIN file {path} may be read by others (mode {mode & 0o777:o}), expected 600")
    if not pin:
        raise SecretError(f"PIN file {path} is empty")
    return pin


def random_bytes(count: int) -> bytes:
    """The one source of randomness for keys, nonces and ids."""
    return secrets.token_bytes(count)
