"""Reads a JPEG's own structure: is it whole, is it one, how large is the picture. No pixel is decoded.

Promise: what passes is one image from its first marker to its last and nothing behind it, of the kinds that browsers
make and show (baseline and progressive, 8 bits, grey or three colours). So a file cut off by a bad line, another
format under this name, or something hidden behind a picture is refused by name.
How: a JPEG is a chain of segments, each with its length; between a start of scan and the next marker lie coded bytes in
which `FF` is followed by `00`, by a restart marker or by the next segment's marker (ITU-T T.81, annex B).
Not here: whether anything can be seen on it. That is a proctor's to say.
"""

from __future__ import annotations

from msgspec import Struct

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES_SHOWN = (0xC0, 0xC1, 0xC2)  # baseline, extended sequential, progressive
_NO_FRAMES = (0xC4, 0xC8, 0xCC)  # tables and an extension within the frames' range
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))
_RESTARTS = range(0xD0, 0xD8)
_STUFFED = 0x00
_NEVER_HERE = (_STUFFED, _START)
_FILL = 0xFF
_FRAME_BYTES_MIN = 8  # length, precision, height, width, number of components
_COMPONENTS = (1, 3)


class NoJpeg(Exception):
    """Why these bytes are none; `found` is what was seen instead."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"{expected}; found {found}")
        self.expected = expected
        self.found = found


class Picture(Struct, frozen=True):
    """The size in pixels that the frame's header tells."""

    width_px: int
    height_px: int


def read_jpeg(content: bytes) -> Picture:
    """The picture's size. Raises NoJpeg unless `content` is one whole JPEG."""
    if content[:2] != bytes((_FILL, _START)):
        raise NoJpeg("expected a JPEG, which begins with FF D8", content[:4].hex(" ").upper() or "no byte")
    picture: Picture | None = None
    has_scan = False
    at = 2
    while True:
        marker, at = _marker(content, at)
        if marker == _END:
            break
        if marker in _WITHOUT_LENGTH:
            continue
        segment, at = _segment(content, at)
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            if picture is not None:
                raise NoJpeg("expected one picture", "a second frame")
            picture = _frame(marker, segment)
        elif marker == _SCAN:
            if picture is None:
                raise NoJpeg("expected the size before the picture's content", "a scan before any frame")
            has_scan = True
            at = _after_scan(content, at)
    if picture is None or not has_scan:
        raise NoJpeg("expected a picture", "a JPEG without content")
    if at != len(content):
        raise NoJpeg("expected nothing behind the picture's end", f"{len(content) - at} bytes more")
    return picture


def _marker(content: bytes, at: int) -> tuple[int, int]:
    """The marker at `at` and where it ends; it may be padded."""
    if at >= len(content):
        raise _cut_off(content)
    if content[at] != _FILL:
        raise NoJpeg(f"expected a marker at byte {at}", f"{content[at]:02X}")
    while at < len(content) and content[at] == _FILL:
        at += 1
    if at >= len(content):
        raise _cut_off(content)
    if content[at] in _NEVER_HERE:
        raise NoJpeg(f"expected a segment's marker at byte {at - 1}", f"FF {content[at]:02X}")
    return content[at], at + 1


def _segment(content: bytes, at: int) -> tuple[bytes, int]:
    """The segment whose length stands at `at`, that length included, and where it ends."""
    length = int.from_bytes(content[at : at + 2])
    if at + 2 > len(content) or at + length > len(content):
        raise _cut_off(content)
    if length < 2:
        raise NoJpeg(f"expected a segment's length at byte {at}", str(length))
    return content[at : at + length], at + length


def _frame(marker: int, segment: bytes) -> Picture:
    if marker not in _FRAMES_SHOWN:
        raise NoJpeg("expected a baseline or progressive JPEG", f"frame type {marker:02X}")
    if len(segment) < _FRAME_BYTES_MIN:
        raise NoJpeg(f"expected {_FRAME_BYTES_MIN} bytes of frame header at least", str(len(segment)))
    bits, components = segment[2], segment[7]
    if bits != 8 or components not in _COMPONENTS:
        raise NoJpeg("expected 8 bits of grey or of three colours", f"{bits} bits, {components} components")
    return Picture(width_px=int.from_bytes(segment[5:7]), height_px=int.from_bytes(segment[3:5]))


def _after_scan(content: bytes, at: int) -> int:
    """Where the marker that ends a scan's coded bytes stands."""
    while True:
        at = content.find(_FILL, at)
        if at < 0 or at + 1 >= len(content):
            raise _cut_off(content)
        following = content[at + 1]
        if following == _STUFFED or following in _RESTARTS:
            at += 2
        elif following == _FILL:
            at += 1
        else:
            return at


def _cut_off(content: bytes) -> NoJpeg:
    return NoJpeg("expected a whole JPEG, which ends with FF D9", f"its end after {len(content)} bytes")
