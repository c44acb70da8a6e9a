"""The images of a paper: what they are is decided by their bytes, never by their names."""

from __future__ import annotations

import binascii
import re
from typing import Any
from xml.parsers import expat

from engine.rules.limits import MEDIA_MAX
from engine.rules.shape import Faults, pointer_part

MEDIUM_NAME_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

# `![alt](name)` as stems and options may hold it. Neither part contains its own brackets: that keeps the search linear.
IMAGE_PATTERN = re.compile(r"!\[[^\[\]]*\]\(([^()]*)\)")

_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!--|!DOCTYPE|svg)"), "image/svg+xml"),
)


def read_media(media: Any, pointer: str, faults: Faults) -> dict[str, str]:
    """The media type of every sound medium of `{name: base64}`, by name; records a fault for every other."""
    if not isinstance(media, dict):
        faults.add(pointer, "expected an object", media)
        return {}
    if len(media) > MEDIA_MAX:
        faults.add(pointer, f"expected at most {MEDIA_MAX} media, got {len(media)}")
    types: dict[str, str] = {}
    for name, encoded in media.items():
        at = f"{pointer}/{pointer_part(name)}"
        if not MEDIUM_NAME_PATTERN.fullmatch(name):
            faults.add(at, "the name of a medium is 1 to 64 of A-Za-z0-9._-", name)
        try:
            types[name] = _media_type(_decoded(encoded))
        except ValueError as fault:
            faults.add(at, str(fault), encoded)
    return types


def unknown_images(text: str, media: Any) -> list[str]:
    """The names that images in `text` refer to and `media` does not have."""
    return [name for name in IMAGE_PATTERN.findall(text) if name not in media]


def _decoded(encoded: Any) -> bytes:
    if not isinstance(encoded, str):
        raise ValueError("expected base64 in a string")
    try:
        content = binascii.a2b_base64(encoded)
    except ValueError:
        content = b""
    # One content has one spelling: no line breaks, no other alphabet, no stray bits, no missing padding.
    if binascii.b2a_base64(content, newline=False).decode("ascii") != encoded:
        raise ValueError("is not strict base64 (RFC 4648, section 4)")
    return content


def _media_type(content: bytes) -> str:
    for signature, media_type in _SIGNATURES:
        if signature.match(content):
            if media_type == "image/svg+xml":
                _check_svg(content)
            return media_type
    raise ValueError("is no PNG, JPEG, GIF, WebP or SVG by its content")


def _check_svg(content: bytes) -> None:
    """ValueError when a browser could not draw the SVG, or when it would run code wherever it is not in an <img>."""
    parser = expat.ParserCreate("utf-8")

    def root(name: str, attributes: dict[str, str]) -> None:
        if _local(name) != "svg":
            raise ValueError(f"is XML but no SVG: its root is <{name[:40]}>")
        _check_element(name, attributes)
        # A call per element takes seconds where there are millions, so only where there may be something to find.
        parser.StartElementHandler = _check_element if _MAY_RUN_CODE.search(content) else None

    def entity(*_declaration: Any) -> None:
        raise ValueError("is an SVG that declares entities")  # the way to a billion laughs

    parser.StartElementHandler = root
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(content, True)
    except expat.ExpatError as fault:
        raise ValueError(f"is an SVG that is not well-formed: {fault}") from None


# Names of elements and attributes cannot be written with character references, but the text of a link can.
_MAY_RUN_CODE = re.compile(rb"script|\son[a-z]|&#", re.IGNORECASE)


def _check_element(name: str, attributes: dict[str, str]) -> None:
    if _local(name) == "script":
        raise ValueError("is an SVG with a <script>")
    for attribute, text in attributes.items():
        if _local(attribute).startswith("on"):
            raise ValueError(f"is an SVG with the handler {attribute[:40]}")
        if "".join(text.lstrip()[:40].split()).lower().startswith("javascript:"):
            raise ValueError("is an SVG with a javascript: link")


def _local(name: str) -> str:
    return name.rpartition(":")[2].lower()
