"""The photo check between the pledge and the paper: what a batch asks for, what a sitting has of it, what follows.

The step keeps a candidate from the paper key until it is done, and it is done as soon as somebody has answered for it:
the picture is stored (`taken`), is owed because PostgreSQL was away when it was taken (`owed`), or a proctor lets the
candidate in without one (`waived`). What a proctor says of a picture later (`accepted`, `refused`) is for people to act
on: it never closes an exam that has been opened.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from engine.rules.errors import Invalid, Refused
from engine.rules.jpeg import NoJpeg, read_jpeg
from engine.rules.limits import PHOTO_HEIGHT_PX_MIN, PHOTO_SIDE_PX_MAX, PHOTO_WIDTH_PX_MIN
from engine.rules.terms import Rules

PHOTOS = ("none", "required")
EVENT_PREFIX = "photo_"  # of a sitting's events: `photo_taken` …


class PhotoState(StrEnum):
    """Of one sitting; `none` where the batch asks for no photo."""

    NONE = "none"
    DUE = "due"
    OWED = "owed"
    TAKEN = "taken"
    WAIVED = "waived"
    ACCEPTED = "accepted"
    REFUSED = "refused"


def photo_state(rules: Rules, stored: bytes | str | None) -> PhotoState:
    """What holds, from what a sitting's hash says, if anything."""
    if rules.photo != "required":
        return PhotoState.NONE
    if not stored:
        return PhotoState.DUE
    return PhotoState(stored.decode() if isinstance(stored, bytes) else stored)


def check_photo_done(rules: Rules, stored: bytes | None) -> None:
    """Raises Refused `photo.due` while the step before the paper is missing."""
    if photo_state(rules, stored) == PhotoState.DUE:
        raise Refused("photo.due", "the photo comes before the paper; take it, or let the proctor waive it")


def check_picture(content: bytes) -> None:
    """Raises Invalid `photo.invalid` unless `content` is a JPEG of a size that a face can be told from."""
    try:
        picture = read_jpeg(content)
    except NoJpeg as fault:
        raise _invalid(fault.expected, fault.found) from None
    size = f"{picture.width_px}x{picture.height_px}"
    if picture.width_px < PHOTO_WIDTH_PX_MIN or picture.height_px < PHOTO_HEIGHT_PX_MIN:
        raise _invalid(f"expected {PHOTO_WIDTH_PX_MIN}x{PHOTO_HEIGHT_PX_MIN} pixels at least", size)
    if max(picture.width_px, picture.height_px) > PHOTO_SIDE_PX_MAX:
        raise _invalid(f"expected at most {PHOTO_SIDE_PX_MAX} pixels in each direction", size)


def _invalid(message: str, value: Any) -> Invalid:
    return Invalid("photo.invalid", [{"pointer": "", "message": message, "value": value}])
