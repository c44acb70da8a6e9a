"""One line to one real server: what is sent once, what is known when it breaks, and what comes back by itself."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.rules.limits import COMMANDS_WAITING_MAX
from engine.stores.address import Address
from engine.stores.line import Line
from engine.stores.pipe import Command, ErrorReply, NotAnswered
from tests.integration.nodes import Server, eventually, server, wire_to

pytestmark = pytest.mark.anyio
LONG_S = 30.0  # a timeout that no loaded machine reaches


@pytest.fixture(scope="module")
def redis_here() -> Iterator[Server]:
    """A server that is as it was after each test."""
    with server() as one:
        yield one


def line_to(one: Server, timeout_s: float = LONG_S) -> Line:
    return Line(Address.parse(one.url), timeout_s=timeout_s)


async def test_answers_come_to_their_commands_in_order(redis_here: Server) -> None:
    """Whatever their kind: an error, too, is the answer of one command only."""
    line = line_to(redis_here)
    asked = [line.ask("ECHO", str(number)) for number in range(100)]
    wrong = line.ask("NO-SUCH-COMMAND")
    after = line.ask("ECHO", "after")

    assert await asyncio.gather(*asked) == [str(number).encode() for number in range(100)]
    with pytest.raises(ErrorReply, match="unknown command"):
        await wrong
    assert await after == b"after"
    line.close()


async def test_commands_of_one_turn_leave_in_one_write(redis_here: Server) -> None:
    """However many candidates save at once, the system call is paid once."""
    async with wire_to(redis_here) as wire:
        line = Line(Address.parse(f"redis://127.0.0.1:{wire.port}"), timeout_s=LONG_S)
        await line.ask("PING")
        wire.sent.clear()

        await asyncio.gather(*[line.ask("ECHO", f"answer-{number:02d}") for number in range(50)])

        assert [chunk.count(b"ECHO") for chunk in wire.sent] == [50]
        line.close()


async def test_run_id_given_to_a_call_is_that_of_the_server_that_runs_it(redis_here: Server) -> None:
    """Also when the call was prepared for a server that has been replaced since."""
    line = line_to(redis_here)
    told: list[Any] = []

    async def run_id_as_sent() -> Any:
        told.clear()
        line.submit(Command(["ECHO", "placeholder"], told.append, run_id_at=1))
        await eventually(lambda: asyncio.sleep(0, told))
        return not isinstance(told[0], Exception)

    await eventually(run_id_as_sent)
    before = told[0].decode()
    redis_here.kill()
    line.submit(Command(["ECHO", "placeholder"], told.append, run_id_at=1))  # prepared while nobody is there
    redis_here.start()
    await eventually(run_id_as_sent)
    after = told[0].decode()

    now = redis_here.do("INFO", "server")["run_id"]
    assert (after, line.run_id) == (now, now)
    assert before != after
    line.close()


async def test_command_without_an_answer_may_have_happened(redis_here: Server) -> None:
    """A server that stands still: after the timeout the line is cut, and the next command makes a new one."""
    line = line_to(redis_here, timeout_s=0.3)
    await eventually(lambda: line.ask("SET", "counted", 0), NotAnswered)

    with redis_here.stopped():
        under_way = line.ask("INCR", "counted")
        with pytest.raises(NotAnswered, match=r"no answer within 0\.3 s") as raised:
            await under_way

    assert raised.value.may_have_happened
    assert await eventually(lambda: line.ask("PING"), NotAnswered) == b"PONG"
    assert redis_here.do("GET", "counted") in (b"0", b"1"), "it was sent a second time"
    line.close()


async def test_cut_connection_fails_what_is_under_way_and_is_made_anew(redis_here: Server) -> None:
    """Nothing is repeated behind the caller's back."""
    line = line_to(redis_here)
    await line.ask("PING")
    under_way = line.ask("BLPOP", "never", 0)
    await eventually(lambda: asyncio.sleep(0, redis_here.do("INFO", "clients")["blocked_clients"] == 1))

    redis_here.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    with pytest.raises(NotAnswered) as raised:
        await under_way
    assert raised.value.may_have_happened
    assert await line.ask("PING") == b"PONG"
    line.close()


async def test_command_that_found_no_server_has_surely_not_happened(tmp_path: Path) -> None:
    """And a server that comes later is found by the next commands."""
    with server() as one:
        one.kill()
        line = line_to(one)
        with pytest.raises(NotAnswered) as raised:
            await line.ask("INCR", "counted")
        assert not raised.value.may_have_happened

        one.start()

        assert await eventually(lambda: line.ask("INCR", "counted"), NotAnswered) == 1
        line.close()


async def test_after_a_failed_attempt_commands_are_refused_at_once_until_the_server_is_back(redis_here: Server) -> None:
    """Whoever asks several nodes waits for a dead one only once; the attempts go on beside."""
    with redis_here.stopped():
        line = line_to(redis_here, timeout_s=LONG_S)
        with pytest.raises(NotAnswered, match="no connection within"):
            await line.ask("PING")
        refused = [line.ask("PING") for _ in range(3)]
        await asyncio.wait(refused, timeout=LONG_S)
        attempt = line._connecting

        assert [str(future.exception()) for future in refused] == ["no connection within 2 s"] * 3
        assert attempt is not None and not attempt.done(), "they waited for the next attempt"

    assert await eventually(lambda: line.ask("PING"), NotAnswered) == b"PONG"
    line.close()


async def test_what_a_full_socket_does_not_take_waits_and_goes_on(redis_here: Server) -> None:
    """Back-pressure: commands are held until the server reads again, in order, none lost."""
    line = line_to(redis_here)
    await line.ask("PING")
    with redis_here.stopped():
        asked = [line.ask("APPEND", "jammed", bytes([65 + number]) * 2**20) for number in range(12)]
        await asyncio.sleep(0.2)

    assert await asyncio.gather(*asked) == [(number + 1) * 2**20 for number in range(12)]
    found = await line.ask("GET", "jammed")
    assert found == b"".join(bytes([65 + number]) * 2**20 for number in range(12))
    await line.ask("DEL", "jammed")
    line.close()


async def test_flood_is_refused_and_not_kept(redis_here: Server) -> None:
    """Memory is bounded: beyond so many waiting commands one more is answered at once, as not sent."""
    line = line_to(redis_here)
    await line.ask("PING")
    with redis_here.stopped():
        waiting = [line.ask("INCR", "flooded") for _ in range(COMMANDS_WAITING_MAX)]
        with pytest.raises(NotAnswered, match="waiting already") as raised:
            await line.ask("INCR", "flooded")

    assert not raised.value.may_have_happened
    assert (await asyncio.gather(*waiting))[-1] == COMMANDS_WAITING_MAX
    await line.ask("DEL", "flooded")
    line.close()


async def test_closing_fails_what_waits_and_whatever_comes_after(redis_here: Server) -> None:
    """Nobody is left waiting for an answer that cannot come."""
    line = line_to(redis_here)
    await line.ask("PING")
    under_way = line.ask("BLPOP", "never", 0)
    await asyncio.sleep(0)
    line.close()

    for future in (under_way, line.ask("PING")):
        with pytest.raises(NotAnswered, match="closed"):
            await future


async def test_what_is_no_answer_cuts_the_connection() -> None:
    """Something else listens there: said, not guessed at."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        line = Line(Address.parse(f"redis://127.0.0.1:{port}"), timeout_s=LONG_S)
        with pytest.raises(NotAnswered, match="is no answer"):
            await line.ask("PING")
        line.close()


async def test_password_and_database_of_the_url_are_used() -> None:
    """As redis-py reads them; a wrong password is said in the server's words."""
    with server("--requirepass", "p@ss") as one:
        socket = f"{one.folder}/redis.sock"
        line = Line(Address.parse(f"unix://:p%40ss@{socket}?db=3"), timeout_s=LONG_S)
        assert b"db=3 " in await line.ask("CLIENT", "INFO")
        line.close()
        wrong = Line(Address.parse(f"unix://:guess@{socket}"), timeout_s=LONG_S)
        with pytest.raises(NotAnswered, match="WRONGPASS"):
            await wrong.ask("PING")
        wrong.close()


async def test_tls_is_spoken_and_the_certificate_checked(redis_here: Server, tmp_path: Path) -> None:
    """`rediss://` with the operator's own authority; without it the server is not believed."""
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(_self_signed())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with wire_to(redis_here, context) as wire:
        line = Line(Address.parse(f"rediss://127.0.0.1:{wire.port}?ssl_ca_certs={certificate}"), timeout_s=LONG_S)
        assert await line.ask("ECHO", "sealed") == b"sealed"
        line.close()
        stranger = Line(Address.parse(f"rediss://127.0.0.1:{wire.port}"), timeout_s=LONG_S)
        with pytest.raises(NotAnswered, match=r"(?i)certificate"):
            await stranger.ask("PING")
        stranger.close()


def _self_signed() -> bytes:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    key = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key + certificate.public_bytes(serialization.Encoding.PEM)
