"""One message to one webhook: what it is, whom it is sent to, and how little is believed of the answer."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import ssl
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from engine.courier import event
from engine.courier.post import Post
from engine.rules.addresses import read_networks
from engine.rules.webhook import shown_secret
from engine.sealing.provider import webhook_purpose
from engine.sealing.signature import is_valid, shown_key
from engine.stores.clock import now_ms
from tests.integration.pushing import PROVIDER, SECRET, SIGNER, Pushing
from tests.receiver import Message, Receiver, answers

pytestmark = pytest.mark.anyio


async def test_a_result_comes_signed_and_byte_for_byte(pushing: Pushing) -> None:
    """Standard Webhooks outside, the engine's own signature inside; `data` is what the feed serves."""
    await pushing.webhook()
    await pushing.publish("P", 2)
    await pushing.made()
    await pushing.deliver(pushing.courier(), until_state={"delivered": 2})

    documents = await pushing.exam.query("SELECT publication, document FROM result ORDER BY publication")
    for message, (publication, document) in zip(pushing.receiver.accepted, documents, strict=True):
        assert Webhook(shown_secret(SECRET)).verify(message.body, message.headers) == message.event
        assert message.body.endswith(b'"data":' + document.encode() + b"}")
        assert message.event["type"] == "result.published"
        assert message.event["cursor"] == str(publication)
        assert message.event["timestamp"].endswith("Z")
        assert message.headers["Content-Type"] == "application/json"
        assert is_valid(message.result, [shown_key(SIGNER.public_key)])
        assert message.id.startswith("msg_")


async def test_a_redirect_is_a_failure_and_leads_nowhere(pushing: Pushing) -> None:
    """A receiver cannot send the engine to another place."""
    elsewhere = Receiver()
    await elsewhere.start()
    await pushing.webhook()
    await pushing.publish("P", 1)
    pushing.receiver.answer = answers(302, location=elsewhere.url)
    await pushing.made()
    courier = pushing.courier()
    await courier.begin()
    await courier.leave(10)
    await elsewhere.stop()

    faults = await pushing.exam.query("SELECT state, attempted_status, attempted_fault FROM webhook_delivery")
    assert faults == [("waiting", 302, "answered 302, and redirects are not followed")]
    assert elsewhere.attempts == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_an_address_that_is_not_public_is_not_called(pushing: Pushing, host: str) -> None:
    """However it is written, and whatever name leads to it; the fault says what to set."""
    await pushing.webhook(url=f"http://{host}:{pushing.receiver.port}/")
    await pushing.publish("P", 1)
    await pushing.made()
    courier = pushing.courier(networks="")
    await courier.begin()
    await courier.leave(10)

    ((state, fault),) = await pushing.exam.query("SELECT state, attempted_fault FROM webhook_delivery")
    assert state == "waiting"
    assert "LIANKAO_COURIER_NETWORKS" in fault
    assert "127.0.0.1" not in fault, "whoever set the webhook up may read it, and learns no address of ours"
    assert pushing.receiver.attempts == []


async def garbled(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-secret\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1/", "no connection: Connection refused"),
        ("http://nowhere.invalid/", "the name of its host is not known"),
        ("http://127.0.0.1:{port}/", "what it answers is no HTTP"),
    ],
)
async def test_what_is_told_of_a_failure_quotes_nothing_from_inside(url: str, told: str) -> None:
    """No address, no banner of what listens there: a webhook is no way to look around in the engine's network."""
    server = await asyncio.start_server(garbled, "127.0.0.1", 0)
    post = Post(read_networks("127.0.0.0/8"), 10.0)

    answer = await post.send(url.format(port=server.sockets[0].getsockname()[1]), b"{}", {})

    await post.close()
    server.close()
    assert (answer.kind, answer.fault) == ("unreachable", told)
    assert answer.detail != "", "the operator's log has it all"


async def test_when_a_receiver_wants_to_be_called_again_is_taken_from_its_answer() -> None:
    """Also where it names the moment and not the seconds."""
    again = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10), True)

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 503 Busy\r\nRetry-After: {again}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(busy, "127.0.0.1", 0)
    post = Post(read_networks("127.0.0.0/8"), 10.0)

    answer = await post.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", b"{}", {})

    await post.close()
    server.close()
    assert (answer.kind, answer.status) == ("refused", 503)
    assert 590 <= answer.retry_after_s <= 600


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1"])
async def test_an_address_that_is_no_usual_one_is_not_called(pushing: Pushing, host: str) -> None:
    """Pushing a webhook refuses these; here the last word is with who makes the connection."""
    await pushing.webhook(url=f"http://{host}:{pushing.receiver.port}/")
    await pushing.publish("P", 1)
    await pushing.made()
    courier = pushing.courier(networks="")
    await courier.begin()
    await courier.leave(10)

    assert await pushing.state() == {"waiting": 1}
    assert pushing.receiver.attempts == []


async def test_a_certificate_that_nobody_signed_is_said_to_be_the_fault(tmp_path: Path) -> None:
    """In OpenSSL's words, which whoever runs the receiver can look up; nothing is sent to it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    file = tmp_path / "certificate.pem"
    shown = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(shown + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = await asyncio.start_server(garbled, "127.0.0.1", 0, ssl=context)
    post = Post(read_networks("127.0.0.0/8"), 10.0)

    answer = await post.send(f"https://localhost:{server.sockets[0].getsockname()[1]}/", b"{}", {})

    await post.close()
    server.close()
    assert (answer.kind, answer.fault) == ("unreachable", "TLS: self-signed certificate")


async def test_an_endless_answer_does_not_hold_a_delivery_up(pushing: Pushing) -> None:
    """The status says it all: what follows is cut off."""

    async def endless(message: Message) -> web.StreamResponse:
        pushing.receiver.accepted.append(message)
        raise web.HTTPOk(text="x" * 50_000_000)

    await pushing.webhook()
    await pushing.publish("P", 2)
    pushing.receiver.answer = endless
    await pushing.made()
    await pushing.deliver(pushing.courier(), until_state={"delivered": 2})

    assert len(pushing.receiver.ids) == 2


async def test_a_changed_secret_signs_beside_the_former_one_for_a_while(pushing: Pushing) -> None:
    """A receiver that has either verifies; once its time is over the former one signs nothing."""
    await pushing.webhook()
    newer = b"n" * 32
    await pushing.exam.query("UPDATE webhook_secret SET until_ms = $1 RETURNING 1", now_ms() + 3_600_000)
    await pushing.exam.query(
        "INSERT INTO webhook_secret VALUES ('hook', 'n', $1, 1) RETURNING 1",
        PROVIDER.wrap(webhook_purpose("hook"), newer),
    )
    pushing.receiver.secret = ""
    await pushing.publish("P", 1)
    await pushing.made()
    courier = pushing.courier()
    await pushing.deliver(courier, until_state={"delivered": 1})
    await pushing.exam.query("UPDATE webhook_secret SET until_ms = 1 WHERE digest = 'd' RETURNING 1")
    await pushing.publish("Q", 1)
    await pushing.made()
    await pushing.deliver(courier, until_state={"delivered": 2})

    both, one = pushing.receiver.accepted
    for secret in (SECRET, newer):
        assert Webhook(shown_secret(secret)).verify(both.body, both.headers)
    assert len(both.headers["webhook-signature"].split(" ")) == 2
    assert len(one.headers["webhook-signature"].split(" ")) == 1
    assert Webhook(shown_secret(newer)).verify(one.body, one.headers)


async def test_a_secret_that_changes_all_day_signs_with_two(pushing: Pushing) -> None:
    """The one in use and the one before: a header that grew with every change would be refused somewhere."""
    await pushing.webhook()
    await pushing.exam.query("UPDATE webhook_secret SET until_ms = $1 RETURNING 1", now_ms() + 3_600_000)
    for at in range(9):
        until_ms = None if at == 8 else now_ms() + 3_600_000 + at + 1
        wrapped = PROVIDER.wrap(webhook_purpose("hook"), bytes([at]) * 32)
        statement = "INSERT INTO webhook_secret VALUES ('hook', $1, $2, 1, $3) RETURNING 1"
        await pushing.exam.query(statement, bytes([at]), wrapped, until_ms)
    pushing.receiver.secret = ""
    await pushing.publish("P", 1)
    await pushing.made()
    await pushing.deliver(pushing.courier(), until_state={"delivered": 1})

    (message,) = pushing.receiver.accepted
    assert len(message.headers["webhook-signature"].split(" ")) == 2
    for newest in (8, 7):
        assert Webhook(shown_secret(bytes([newest]) * 32)).verify(message.body, message.headers)


async def test_bodies_are_the_same_whoever_makes_them() -> None:
    """One result, one event: nothing in it but what is stored."""
    made = event.body("B", 1_763_773_200_123_456, '{"score":66.67}')

    assert orjson.loads(made)["timestamp"] == "2025-11-22T01:00:00.123Z"
    assert made == event.body("B", 1_763_773_200_123_456, '{"score":66.67}')
