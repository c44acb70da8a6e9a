"""A photo is one whole JPEG of a size to tell a face from, and what a sitting has of it decides about the paper."""

from __future__ import annotations

import pytest

from engine.rules.errors import Invalid, Refused
from engine.rules.jpeg import NoJpeg, read_jpeg
from engine.rules.limits import PHOTO_BYTES_MAX, PHOTO_SIDE_PX_MAX
from engine.rules.photo import PhotoState, check_photo_done, check_picture, photo_state
from engine.rules.terms import Rules
from tests.pictures import frame, jpeg, segment

WHOLE = jpeg()


def test_size_is_read_from_the_frame() -> None:
    read = [read_jpeg(jpeg(width_px, height_px)) for width_px, height_px in ((640, 480), (320, 240), (1999, 17))]

    assert [(each.width_px, each.height_px) for each in read] == [(640, 480), (320, 240), (1999, 17)]


def test_progressive_colour_padding_comments_and_restarts_are_read_over() -> None:
    """A second scan, fill bytes before a marker, stuffed bytes, restarts, a comment that looks like an end."""
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
    picture = (
        b"\xff\xd8\xff" + segment(0xE0, b"JFIF\0") + segment(0xFE, b"\xff\xd9 \xff\xd8")
        + frame(640, 480, marker=0xC2, components=3) + scan + b"\x12\xff\x00\xff\xd0\x34"
        + segment(0xC4, b"\0" * 17) + scan + b"\xff\xff\xff\xd9"
    )  # fmt: skip

    assert read_jpeg(picture).width_px == 640


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 20, 150, len(WHOLE) // 2, len(WHOLE) - 2, len(WHOLE) - 1])
def test_jpeg_cut_off_anywhere_is_none(kept: int) -> None:
    with pytest.raises(NoJpeg):
        read_jpeg(WHOLE[:kept])


def test_no_cut_at_all_passes_and_none_runs_over() -> None:
    """Every prefix, byte by byte: refused, never an IndexError."""
    for kept in range(len(WHOLE)):
        with pytest.raises(NoJpeg):
            read_jpeg(WHOLE[:kept])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x89PNG\r\n\x1a\n", "begins with FF D8"),
        (b"<html>", "begins with FF D8"),
        (WHOLE + b"PK\x03\x04", "4 bytes more"),
        (WHOLE + WHOLE, "bytes more"),
        (b"\xff\xd8\xff\xd9", "without content"),
        (b"\xff\xd8" + frame(640, 480) + b"\xff\xd9", "without content"),
        (b"\xff\xd8" + segment(0xDA, b"") + b"\0\xff\xd9", "before any frame"),
        (b"\xff\xd8\xff\xd8" + WHOLE[2:], "FF D8"),
        (b"\xff\xd8\xff\x00" + WHOLE[2:], "FF 00"),
        (b"\xff\xd8\x00" + WHOLE[2:], "expected a marker at byte 2"),
        (b"\xff\xd8\xff\xe0\x00\x01" + WHOLE[2:], "a segment's length"),
        (jpeg(header=frame(640, 480) + frame(640, 480)), "second frame"),
        (jpeg(header=frame(640, 480, marker=0xC3)), "frame type C3"),
        (jpeg(header=frame(640, 480, marker=0xC9)), "frame type C9"),
        (jpeg(header=frame(640, 480, bits=12)), "12 bits"),
        (jpeg(header=frame(640, 480, components=4)), "4 components"),
        (jpeg(header=segment(0xC0, b"\x08\x01")), "frame header"),
    ],
)
def test_what_is_no_single_jpeg_is_refused_by_name(content: bytes, told: str) -> None:
    with pytest.raises(NoJpeg, match=told):
        read_jpeg(content)


@pytest.mark.parametrize("size", [(640, 480), (320, 240), (PHOTO_SIDE_PX_MAX, 240), (480, 640)])
def test_picture_of_a_camera_is_taken(size: tuple[int, int]) -> None:
    check_picture(jpeg(*size))

    assert len(jpeg(*size)) < PHOTO_BYTES_MAX


@pytest.mark.parametrize(
    ("header", "found"),
    [((319, 480), "319x480"), ((640, 239), "640x239"), ((2001, 480), "2001x480"), ((65535, 65535), "65535x65535"),
     ((640, 0), "640x0")],
)  # fmt: skip
def test_picture_too_small_or_giant_is_refused_with_its_size(header: tuple[int, int], found: str) -> None:
    """Of a giant one a few KB would unfold to gigabytes in front of a proctor."""
    with pytest.raises(Invalid) as refusal:
        check_picture(jpeg(header=frame(*header)))

    [fault] = refusal.value.faults
    assert (refusal.value.code, fault["value"]) == ("photo.invalid", found)
    assert "expected" in fault["message"]


def test_only_a_photo_that_is_due_keeps_the_paper_back() -> None:
    required = Rules(photo="required")
    stored = [None, b"", *(state.encode() for state in PhotoState if state not in ("none", "due"))]

    assert [photo_state(required, each) for each in stored[:3]] == ["due", "due", "owed"]
    assert {photo_state(Rules(), each) for each in stored} == {"none"}
    for each in stored[2:]:
        check_photo_done(required, each)
    check_photo_done(Rules(), None)
    with pytest.raises(Refused, match=r"photo\.due"):
        check_photo_done(required, None)
