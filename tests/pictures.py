"""JPEGs made here, byte by byte, so that tests know what is in them: grey, baseline, decodable by any browser."""

from __future__ import annotations


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content


def frame(width_px: int, height_px: int, marker: int = 0xC0, bits: int = 8, components: int = 1) -> bytes:
    sampling = b"".join(bytes((number + 1, 0x11, 0)) for number in range(components))
    return segment(
        marker, bytes((bits,)) + height_px.to_bytes(2) + width_px.to_bytes(2) + bytes((components,)) + sampling
    )


def jpeg(width_px: int = 640, height_px: int = 480, *, comment: bytes = b"", header: bytes | None = None) -> bytes:
    """Evenly grey; `comment` makes two of them differ, `header` stands in for the frame's own."""
    blocks = -(-width_px // 8) * -(-height_px // 8)
    tables = segment(0xDB, b"\0" + b"\x10" * 64)
    # One code of one bit in each table: a difference of nothing, and the end of the block.
    tables += segment(0xC4, b"\x00" + b"\x01" + b"\0" * 15 + b"\0") + segment(
        0xC4, b"\x10" + b"\x01" + b"\0" * 15 + b"\0"
    )
    said = b"".join(segment(0xFE, comment[at : at + 60_000]) for at in range(0, len(comment), 60_000))
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\0" * -(-blocks * 2 // 8)
    return b"\xff\xd8" + said + tables + (frame(width_px, height_px) if header is None else header) + scan + b"\xff\xd9"
