"""TLS in front of an engine, as a proxy has it: what it takes apart goes on to a port of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "localhost"
PIECE_BYTES = 64 * 1024
ENDS_S = 20


class TlsLine:
    """`ca_file` is what clients check against; `handshakes` and how many of them `resumed` a session are counted."""

    def __init__(self, to_port: int, folder: Path) -> None:
        self.ca_file, key_file = certificate_in(folder)
        self.port = self.handshakes = self.resumed = 0
        self._to_port = to_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.ca_file, key_file)
        self._context.set_alpn_protocols(["http/1.1"])

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0, ssl=self._context, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.handshakes += 1
        self.resumed += bool(writer.get_extra_info("ssl_object").session_reused)
        with contextlib.suppress(OSError):
            there, there_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            await asyncio.gather(_pump(reader, there_writer), _pump(there, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(PIECE_BYTES):
            sink.write(piece)
            await sink.drain()
    with contextlib.suppress(OSError):
        sink.close()


def certificate_in(folder: Path) -> tuple[Path, Path]:
    """Signed by itself, for NAME."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "line.crt", folder / "line.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pkcs8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files[1].write_bytes(key.private_bytes(*pkcs8))
    return files


@contextmanager
def tls_line_to(port: int, folder: Path) -> Iterator[TlsLine]:
    """A line that listens as long as the context lasts, in a thread of its own."""
    line = TlsLine(port, folder)
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever, name="tls line", daemon=True)
    running.start()
    server = asyncio.run_coroutine_threadsafe(line.listen(), loop).result(ENDS_S)
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        running.join(ENDS_S)
        loop.close()
