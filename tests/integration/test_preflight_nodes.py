"""Preflight at addresses: certificates as a browser sees them, ports, and who answers there without being an engine."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.preflight.ask_keys import look_at_certificates
from engine.preflight.ask_nodes import ASKED_MIN, ASKED_PER_WORKER, Caller, is_asked_again, meet
from engine.preflight.finding import Colour
from engine.stores.clock import now_ms
from tests.servers import free_port

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000


def certificate(folder: Path, days: int) -> tuple[Path, Path]:
    """Self-signed for 127.0.0.1, good for so many days: the certificate's file and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "exam")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=400))
        .not_valid_after(now + datetime.timedelta(days=days, hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{days}.pem", folder / f"{days}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@contextmanager
def secure_server(files: tuple[Path, Path]) -> Iterator[str]:
    """Greets over TLS and says nothing more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with serving(http.server.BaseHTTPRequestHandler) as (server, port):
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield f"https://127.0.0.1:{port}"


@contextmanager
def serving(handler: Any) -> Iterator[tuple[http.server.HTTPServer, int]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("days", "is_trusted", "colour", "says"),
    [
        (60, True, Colour.GREEN, "60 days left"),
        (10, True, Colour.AMBER, "10 days left"),
        (1, True, Colour.RED, "ends before the exams do"),  # which end the day after tomorrow
        (-2, True, Colour.RED, "expired"),
        (60, False, Colour.RED, "self-signed"),
    ],
)
async def test_a_certificate_is_judged_as_a_browser_does(
    tmp_path: Path, days: int, is_trusted: bool, colour: Colour, says: str
) -> None:
    """Chain, name and days; with a root of one's own, if that is what the exam machines have."""
    files = certificate(tmp_path, days)
    with secure_server(files) as url:
        [finding] = await look_at_certificates([url], files[0] if is_trusted else None, now_ms() + 2 * DAY_MS)

    assert (finding.colour, finding.subject) == (colour, url)
    assert says in finding.en


async def test_an_address_without_tls_is_good_on_this_machine_only() -> None:
    found = await look_at_certificates(["http://127.0.0.1:1", "http://10.1.2.3", "https://127.0.0.1:1"], None, 0)

    assert [finding.colour for finding in found] == [
        Colour.GREEN,
        Colour.AMBER,
    ]  # who does not answer has no certificate


async def test_a_port_is_free_or_somebody_elses() -> None:
    """Where the engine is not up yet: can it be started there?"""
    free = f"http://127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.listen()
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        taken = f"http://127.0.0.1:{listener.getsockname()[1]}"
        met = await meet([free, taken], Caller())

    assert [(finding.check, finding.colour, finding.subject) for finding in met.findings] == [
        ("ports", Colour.AMBER, free),
        ("ports", Colour.RED, taken),
    ]
    assert (met.answers, met.readings) == ([], [])


@pytest.mark.parametrize(
    ("asked", "met", "expected", "goes_on"),
    [
        (0, 0, 1, True),
        (ASKED_MIN - 1, 1, 1, True),  # the quickest of a few answers tells the clock
        (ASKED_MIN, 1, 1, False),
        (ASKED_MIN, 1, 2, True),
        (9, 2, 2, False),
        (2 * ASKED_PER_WORKER - 1, 1, 2, True),
        (2 * ASKED_PER_WORKER, 1, 2, False),  # it will not show itself
    ],
)
def test_an_address_is_asked_until_all_its_workers_were_met_or_will_not_be(
    asked: int, met: int, expected: int, goes_on: bool
) -> None:
    """Who of them answers is up to the kernel."""
    assert is_asked_again(asked, met, expected) is goes_on


async def test_who_answers_but_is_no_engine_is_no_engine() -> None:
    with serving(http.server.SimpleHTTPRequestHandler) as (_, port):
        met = await meet([f"http://127.0.0.1:{port}"], Caller())

    assert [(finding.check, finding.colour) for finding in met.findings] == [("ports", Colour.RED)]
