"""A webhook as it is pushed: all faults at once, and no URL that two readers would read differently."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from engine.rules.backoff import asked_wait_s, backoff_s
from engine.rules.errors import Invalid
from engine.rules.webhook import read_webhook, shown_secret

URL = "https://receiver.example/results?from=liankao"


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "http://receiver.example",
        "https://receiver.example:8443/",
        "https://r:1?x=%20",
        "https://xn--fiqs8s.example/a/b;c=d",
        "https://8.8.8.8/",
        "https://[2400:3200::1]:443/",
    ],
)
def test_a_url_of_the_web_is_taken(url: str) -> None:
    """As it is written: nothing of it is changed."""
    assert read_webhook({"url": url}, ()).url == url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://receiver.example/",
        "HTTPS//receiver.example",
        "//receiver.example/",
        "https://",
        "https:///path",
        "https://user:word@receiver.example/",
        "https://receiver.example/#part",
        "https://receiver.example/a b",
        "https://receiver.example/a\\b",
        "https://receiver.example/\r\nhost: other",
        "https://评价.example/",
        "https://receiver.example:0/",
        "https://receiver.example:65536/",
        "https://receiver.example:x/",
        "https://-receiver.example/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[zz]/",
        "https://2130706433/",
        "https://127.1/",
        "https://0x7f.1/",
        "https://010.0.0.1/",
        "https://receiver.example/" + "a" * 2000,
        "",
        1,
        None,
    ],
)
def test_a_url_that_could_lead_elsewhere_is_refused(url: Any) -> None:
    """Naming the member and what was expected."""
    with pytest.raises(Invalid) as raised:
        read_webhook({"url": url}, ())

    assert raised.value.code == "webhook.invalid"
    assert {fault["pointer"] for fault in raised.value.faults} == {"/url"}


def test_every_fault_is_told_and_no_secret_repeated() -> None:
    """What is wrong in four members is told at once; a secret with a slip in it is still a secret."""
    document = {"url": "x", "secret": "whsec_short", "batches": ["B", "", "B", 3], "more": 1}

    with pytest.raises(Invalid) as raised:
        read_webhook(document, ())

    pointers = [fault["pointer"] for fault in raised.value.faults]
    assert pointers == ["/url", "/batches/1", "/batches/2", "/batches/3", "/secret", "/more"]
    assert "short" not in str(raised.value.faults)


@pytest.mark.parametrize("octets", [24, 32, 64])
def test_a_secret_of_its_own_is_taken(octets: int) -> None:
    """In the form of Standard Webhooks."""
    secret = bytes(range(octets))

    assert read_webhook({"url": URL, "secret": shown_secret(secret)}, ()).secret == secret


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        shown_secret(b"x" * 23),
        shown_secret(b"x" * 65),
        base64.b64encode(b"x" * 32).decode(),
        "whsec_密",
        1,
    ],
)
def test_a_secret_that_signs_badly_is_refused(secret: Any) -> None:
    """Too short, too long, or not in its form."""
    with pytest.raises(Invalid, match=r"/secret: expected whsec_"):
        read_webhook({"url": URL, "secret": secret}, ())


def test_absent_and_null_mean_the_same() -> None:
    """All batches, and a secret that we make."""
    assert read_webhook({"url": URL, "batches": None, "secret": None}, ()) == read_webhook({"url": URL}, ())


def test_batches_are_a_set() -> None:
    """The same ones in another order are the same webhook."""
    assert read_webhook({"url": URL, "batches": ["b", "a"]}, ()).batches == ["a", "b"]


def test_waiting_doubles_up_to_its_bound_and_never_keeps_step() -> None:
    """5, 10, 20 … seconds up to an hour, each less up to half."""
    longest = [backoff_s(attempts, 5, 3600, 0.0) for attempts in range(1, 2000)]
    shortest = [backoff_s(attempts, 5, 3600, 1.0) for attempts in range(1, 2000)]

    assert longest[:4] == [5, 10, 20, 40]
    assert longest[-1] == 3600
    assert shortest == [wait / 2 for wait in longest]


NOW_MS = 1_795_855_126_400  # Sat, 28 Nov 2026 08:38:46.4 GMT


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("0", 0),
        ("120", 120),
        ("999999", 86_400),
        ("Sat, 28 Nov 2026 08:39:46 GMT", 60),
        ("Saturday, 28-Nov-26 08:39:46 GMT", 60),
        ("Sat, 28 Nov 2026 16:39:46 +0800", 60),
        ("Sat, 28 Nov 2026 08:39:46 -0000", 60),
        ("Sat, 28 Nov 2026 08:38:47 GMT", 1),
        ("Sat, 28 Nov 2026 08:38:46 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
    ],
)
def test_a_receiver_asks_for_a_wait_in_seconds_or_by_a_date(header: str, wait_s: int) -> None:
    """Both forms of RFC 9110; not before that date, and never for longer than a day."""
    assert asked_wait_s(header, NOW_MS) == wait_s


@pytest.mark.parametrize(
    "header",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "１２０",
        "9" * 100,
        "Sat, 28 Nov",
        "Sat, 99 Nov 2026 08:39:46 GMT",
        "Sat, 28 Nov 2026 08:39:46 +99999999999999",
        "Sat, 28 Nov 2026 08:39:46 GMT" + " " * 100,
    ],
)
def test_an_unreadable_wish_is_none(header: str) -> None:
    """The courier's own patience counts then."""
    assert asked_wait_s(header, NOW_MS) == 0
