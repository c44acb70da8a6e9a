"""What an argument may be: what nobody could call, or write, is refused by every command that takes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import __main__ as command_line
from engine import argument_types
from tests.acceptance.tls_line import certificate_in


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exam.example",
        "ftp://exam.example",
        "http://",
        "https:///rooms",
        "http://exam.example:0",
        "http://exam.example:99999",
        "http://exam.example:http",
        "http://[::1",
        "http://exam example",
        "http://exam.example/?day=1",
        "http://exam.example/#top",
    ],
)
@pytest.mark.parametrize("command", ["rehearse", "preflight", "loadtest", "capacity"])
def test_an_address_that_is_none_is_refused_by_name(
    command: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 before anything is started, and not the code of a verdict."""
    with pytest.raises(SystemExit) as ended:
        command_line.parser().parse_args([command, "--url", text])

    assert ended.value.code == 2
    assert f"argument --url: {text!r}: expected http://HOST[:PORT]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://exam.example/", "https://exam.example"),
        ("https://exam.example/east/", "https://exam.example/east"),
        ("http://[::1]:65535", "http://[::1]:65535"),
    ],
)
def test_an_address_is_taken_without_a_slash_at_its_end(text: str, url: str) -> None:
    assert argument_types.url(text) == url


def test_addresses_of_nodes_are_checked_each(capsys: pytest.CaptureFixture[str]) -> None:
    """The second of two is named, not the first."""
    with pytest.raises(SystemExit):
        command_line.parser().parse_args(["preflight", "--url", "http://a", "--url", "http://b:x"])

    assert "'http://b:x'" in capsys.readouterr().err


WRITERS = [["loadtest", "--report"], ["preflight", "--html"], ["capacity", "--write-costs"]]


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_place_that_cannot_be_written_is_refused_before_minutes_are_spent(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder, a place below a file, a folder of somebody else's."""
    (tmp_path / "file").touch()
    asked = [tmp_path, tmp_path / "file" / "page.html", tmp_path / "others" / "page.html"]
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.W_OK)

    for place in asked:
        with pytest.raises(SystemExit) as ended:
            command_line.parser().parse_args([*words, str(place)])
        assert ended.value.code == 2
    said = capsys.readouterr().err

    assert [f"{str(place)!r}: " in said for place in asked] == [True] * 3
    assert "is a folder" in said and "file is no folder" in said and "may not be written" in said


def test_a_file_in_a_folder_that_is_still_to_be_made_is_taken(tmp_path: Path) -> None:
    """And nothing is made of it yet."""
    assert argument_types.new_file(str(tmp_path / "a" / "b.html")) == tmp_path / "a" / "b.html"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [["loadtest", "--ca-file"], ["capacity", "--ca-file"], ["preflight", "--ca"]], ids=" ".join
)
def test_a_file_without_certificates_is_refused_by_name(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is not there ended preflight with a traceback and the exit code of a red one."""
    (tmp_path / "page.html").write_text("<html>", "utf-8")

    for place in (tmp_path / "nowhere.pem", tmp_path / "page.html", tmp_path):
        with pytest.raises(SystemExit) as ended:
            command_line.parser().parse_args([*words, str(place)])
        assert ended.value.code == 2
        assert f"{words[1]}: {str(place)!r}: " in capsys.readouterr().err


def test_certificates_are_taken(tmp_path: Path) -> None:
    file = str(certificate_in(tmp_path)[0])

    assert argument_types.certificates(file) == file
