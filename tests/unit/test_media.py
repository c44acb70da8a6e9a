"""Media of a paper: what they are is told by their bytes, and what is shown is there."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from engine.rules import exact_json
from engine.rules.question_set import read_question_set
from tests.unit.test_question_set import A1, GONE, PAPER, PNG, SVG, changed, faults_of, read


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a...", "image/gif"),
        (b"RIFF\x0a\x00\x00\x00WEBPVP8 ", "image/webp"),
        (SVG, "image/svg+xml"),
        (b"\xef\xbb\xbf \n<svg/>", "image/svg+xml"),
        (
            b'<?xml version="1.0" encoding="UTF-8"?>\n<!-- x --><s:svg xmlns:s="http://www.w3.org/2000/svg"/>',
            "image/svg+xml",
        ),
        (b"<svg><text>script on = 1 &#20843;</text><!-- <script> --></svg>", "image/svg+xml"),
    ],
)
def test_the_kind_of_a_medium_is_decided_by_its_content(content: bytes, media_type: str) -> None:
    document = changed(("media", "x.bin"), base64.b64encode(content).decode())

    assert read(document).public["media_types"]["x.bin"] == media_type


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no PNG"),
        (b"BM....", "is no PNG"),
        (b"%PDF-1.7", "is no PNG"),
        (b"RIFF\0\0\0\0WAVE", "is no PNG"),
        (b"<html><svg/></html>", "is no PNG"),
        (b"<?xml version='1.0'?><html/>", "is XML but no SVG"),
        (b"<svg>", "not well-formed"),
        (b"<svg>\xff</svg>", "not well-formed"),
        (b"<svg><script>1</script></svg>", "<script>"),
        (b"<svg xmlns:s='http://www.w3.org/2000/svg'><g><s:SCRIPT/></g></svg>", "<script>"),
        (b"<svg onload='x()'/>", "handler onload"),
        (b"<svg><g a='>'\nonClick = 'x()'/></svg>", "handler onClick"),
        (b"<svg><a href=' java&#115;cript:x()'/></svg>", "javascript:"),
        (b"<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>", "declares entities"),
    ],
)
def test_what_is_no_harmless_image_is_refused(content: bytes, message: str) -> None:
    ((pointer, found),) = faults_of(changed(("media", "x.bin"), base64.b64encode(content).decode()))

    assert pointer == "/media/x.bin"
    assert message in found


ENCODED_GIF = "R0lGODlhAQ=="


@pytest.mark.parametrize(
    "encoded",
    [
        "R0lGODlhAQ", "R0lGODlhAQ=", "R0lGODlhAQ===", "R0lGODlh\nAQ==", " R0lGODlhAQ==", "R0lGODlhAR==",
        "R0lGODlhAQ==AA==", "R0lGODlh-_-_", "R0lGODlh八", "data:image/gif;base64,R0lGODlhAQ==", "====",
        5, None, ["R0lGODlhAQ=="],
    ],
)  # fmt: skip
def test_base64_is_strict(encoded: Any) -> None:
    assert read(changed(("media", "x.gif"), ENCODED_GIF))
    ((pointer, message),) = faults_of(changed(("media", "x.gif"), encoded))

    assert pointer == "/media/x.gif"
    assert "base64" in message


def test_a_medium_with_a_fault_is_not_also_a_missing_one() -> None:
    document = changed(("media", "fig1.png"), "?")

    assert [pointer for pointer, _ in faults_of(document)] == ["/media/fig1.png"]


def test_a_paper_without_media_is_read() -> None:
    document = changed((*A1, "stem"), "?", changed(("media",), GONE))
    document = changed((*A1, "options", 1, "text"), "!", document)

    assert read(document).public["media"] == {}
    assert faults_of({**document, "media": []}) == [("/media", "expected an object")]
    assert faults_of({**document, "media": None}) == [("/media", "expected an object")]


@pytest.mark.parametrize("scrap", ["![", "![](", "![]", "![a](b", "[", "!"])
def test_looking_for_images_takes_linear_time(scrap: str) -> None:
    document = changed((*A1, "stem"), scrap * (20_000 // len(scrap)))
    started = time.process_time()

    assert read(document)
    assert time.process_time() - started < 0.5


def test_the_largest_paper_is_read_in_a_few_seconds() -> None:
    """48 MiB of images are 64 MiB of base64."""
    medium = base64.b64encode(PNG + bytes(range(256)) * 4096).decode()
    document = {**PAPER, "media": {**PAPER["media"], **{f"m{n}.png": medium for n in range(47)}}}
    body = exact_json.decode(json.dumps(document).encode())
    started = time.process_time()

    assert read_question_set(body)
    assert time.process_time() - started < 4
