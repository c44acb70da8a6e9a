"""The head of a file of ours: its magic, the length of what describes it, and that. What it describes follows.

Sealed papers and packages begin so. What the description says is for who knows the file.
"""

from __future__ import annotations

from engine.sealing.envelope import SealBroken

_LENGTH_BYTES = 4  # big-endian


def head_of(magic: bytes, written: bytes) -> bytes:
    return magic + len(written).to_bytes(_LENGTH_BYTES, "big") + written


def read_head(content: bytes, magic: bytes, kind: str, bytes_max: int) -> tuple[bytes, int]:
    """What stands in the head, and where it ends. Raises SealBroken, which calls the file a `kind`."""
    if content[: len(magic)] != magic:
        raise SealBroken(f"expected a {kind} beginning with {magic!r}, got {bytes(content[: len(magic)])!r}")
    begins = len(magic) + _LENGTH_BYTES
    length = int.from_bytes(content[len(magic) : begins], "big")
    written = bytes(content[begins : begins + length])
    if length > bytes_max or len(written) < length:
        raise SealBroken(f"the head of the {kind} is cut off, or longer than any")
    return written, begins + length
