"""Bytes that this process must not keep: a paper on its way to where it is sealed.

Promise: once a piece has been taken, no copy of it is left in this process's memory. Pieces go into an anonymous file
of the kernel's which is never mapped here, and what had to be read on the way is overwritten where it lies: the
objects that hold it, and the buffer into which the event loop reads from sockets.
Not here: what somebody with root's rights does while a piece arrives, and what a refused paper's faults quote of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import MutableMapping
from typing import Any

from starlette.types import Receive

from engine.rules.errors import Refused
from engine.rules.limits import DISCARDED_BYTES_MAX

SCOPE_NAME = "liankao.vault"  # where the protocol leaves a request's vault for who handles the request
_CONTENT_AT = bytes.__basicsize__ - 1  # of a bytes object: behind its head, and the NUL at the end is no content
_libc = ctypes.CDLL(None)
_libc.memmem.restype = ctypes.c_void_p
_libc.memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t)


class Vault:
    """What one request brings in; `bytes` counts all of it, and what is beyond `bytes_max` is not kept."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        self._bytes_max = bytes_max
        self._handle: int | None = None

    def keep(self, piece: bytes) -> None:
        """Put a piece behind those that are there."""
        self.bytes += len(piece)
        if self.bytes <= self._bytes_max:
            left = memoryview(piece)
            while left:
                left = left[os.write(self.fileno(), left) :]

    def take(self, piece: bytes) -> None:
        """The same for an object that nobody else may need: it holds zeros afterwards."""
        self.keep(piece)
        wipe(piece)

    def content(self) -> bytes:
        """All of it, here: for what is sealed already, or for who wipes it."""
        return os.pread(self.fileno(), self.bytes, 0)

    def fileno(self) -> int:
        """The kernel's file; ours until `close`."""
        if self._handle is None:
            self._handle = os.memfd_create("vault")
        return self._handle

    def close(self) -> None:
        """Give the content back to the kernel; safe to repeat."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.close()


def wipe(piece: bytes) -> None:
    """Overwrite the content of an object that nobody else holds."""
    if len(piece) > 1:  # shorter ones are shared by the whole interpreter, and hold no secret
        ctypes.memset(id(piece) + _CONTENT_AT, 0, len(piece))


def wipe_received(piece: bytes, loop: object) -> None:
    """Overwrite what has just been received, and the event loop's own buffer from which it was copied.

    uvloop reads into a buffer inside the loop object; other loops keep none.
    """
    if len(piece) > 1:
        begins = id(loop)
        found = _libc.memmem(begins, type(loop).__basicsize__, id(piece) + _CONTENT_AT, len(piece))
        if found:
            ctypes.memset(found, 0, len(piece))
    wipe(piece)


async def read_vault(scope: MutableMapping[str, Any], receive: Receive, bytes_max: int) -> Vault:
    """The whole body of a request. Raises Refused `request.too_large`, or `request.malformed` if the client left."""
    vault: Vault = scope.get(SCOPE_NAME) or Vault(bytes_max)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused("request.malformed", "the connection closed before the body was complete")
        vault.keep(message.get("body", b""))  # nothing, where the protocol has put it into the vault already
        if vault.bytes > DISCARDED_BYTES_MAX or not message.get("more_body", False):
            break
    if vault.bytes > bytes_max:
        raise Refused(
            "request.too_large", f"the body has {vault.bytes} bytes, expected at most {bytes_max}", bytes_max=bytes_max
        )
    return vault
