"""What an argument may be: a text becomes a value, or is refused with what was expected. Nothing is changed."""

from __future__ import annotations

import argparse
import os
import ssl
import urllib.parse
from pathlib import Path

NATURAL_MAX = 1_000_000_000


def count(text: str) -> int:
    """A whole number from 1."""
    number = natural(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected at least 1")
    return number


def natural(text: str) -> int:
    """A whole number from 0 to a milliard, above which nothing here is counted."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number")
    if len(text) > len(str(NATURAL_MAX)) or int(text) > NATURAL_MAX:
        raise argparse.ArgumentTypeError(f"{text!r}: expected at most {NATURAL_MAX}")
    return int(text)


def port(text: str) -> int:
    """A TCP port."""
    if not 1 <= natural(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 1 to 65535")
    return int(text)


def url(text: str) -> str:
    """Where an engine answers: http or https, a host, perhaps a port and a path; without a slash at its end."""
    try:
        parts = urllib.parse.urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port above 65535, or half an IPv6 address
        is_usable = False
    if not is_usable or parts.query or parts.fragment or any(sign.isspace() for sign in text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected http://HOST[:PORT] or https://HOST[:PORT]")
    return text.rstrip("/")


def certificates(text: str) -> str:
    """A file of certificates that TLS can be checked against."""
    try:
        ssl.create_default_context(cafile=text)
    except OSError as fault:  # what holds no certificate is one, too
        raise argparse.ArgumentTypeError(f"{text!r}: {fault.strerror or fault}; expected certificates (PEM)") from None
    return text


def new_file(text: str) -> Path:
    """A file that can be written, its folders made where they are missing: asked before minutes are spent on it."""
    file = Path(text)
    try:
        folder = next(each for each in file.absolute().parents if each.exists())
        if file.is_dir() or not folder.is_dir():
            fault = "is a folder" if file.is_dir() else f"{folder} is no folder"
        else:
            fault = "" if os.access(file if file.exists() else folder, os.W_OK) else "may not be written"
    except OSError as refused:
        fault = str(refused.strerror)
    if fault:
        raise argparse.ArgumentTypeError(f"{text!r}: {fault}; expected a file that can be written")
    return file


def minutes(text: str) -> float:
    """Minutes above zero, fractions allowed, twelve hours at most (the longest exam)."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 720:
        raise argparse.ArgumentTypeError(f"{text!r}: expected minutes above 0, at most 720")
    return number


def seconds(text: str) -> float:
    """Seconds from a hundredth to ten minutes."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.01 <= number <= 600:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds from 0.01 to 600")
    return number


def at_least_zero(text: str) -> float:
    """A number from 0, fractions allowed."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0")
    return number


def share(text: str) -> float:
    """A part of a whole, at most half of it."""
    number = at_least_zero(text)
    if number > 0.5:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 0 to 0.5")
    return number


def counts(text: str) -> list[int]:
    """Whole numbers from 1, with commas between them."""
    return [count(part.strip()) for part in text.split(",")]


def rate(text: str) -> float:
    """A number above 0, fractions allowed."""
    number = at_least_zero(text)
    if number == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return number
