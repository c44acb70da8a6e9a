"""What has been put into a vault is read by whoever gets its file, and lies nowhere in this process any more."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from typing import Any

import pytest

from engine.rules.errors import Refused
from engine.vault import SCOPE_NAME, Vault, read_vault, wipe, wipe_received


def content_of(vault: Vault) -> bytes:
    return os.pread(vault.fileno(), 2**20, 0)


def fresh(content: str) -> bytes:
    """An object that nobody else holds."""
    return content.encode() * 2


def test_what_is_taken_is_kept_in_order_and_wiped_where_it_came_from() -> None:
    """Also a piece of two bytes; a single byte is the interpreter's and stays as it is."""
    vault = Vault(100)
    pieces = [fresh("first"), fresh("2"), b"x"]
    for piece in pieces:
        vault.take(piece)

    assert content_of(vault) == b"firstfirst22x"
    assert pieces == [bytes(10), bytes(2), b"x"]
    assert vault.bytes == 13


def test_beyond_its_bound_a_vault_counts_and_keeps_nothing() -> None:
    """So that whoever asks can be told how much it was."""
    vault = Vault(8)
    vault.take(fresh("abcd"))
    vault.take(late := fresh("abcd"))

    assert vault.bytes == 16
    assert content_of(vault) == b"abcdabcd"
    assert late == bytes(8)


def test_closing_gives_the_file_back_once() -> None:
    """A second time it is safe, also after somebody else got the same number."""
    vault = Vault(8)
    handle = vault.fileno()
    vault.close()
    other = os.open("/dev/null", os.O_RDONLY)
    vault.close()

    assert other == handle
    os.fstat(other)
    os.close(other)


async def test_the_event_loops_own_buffer_is_wiped_together_with_what_was_copied_from_it() -> None:
    """It lies inside uvloop's loop object; should a later version keep it elsewhere, this says so."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    secret = os.urandom(20_000)
    heard: asyncio.Future[tuple[bool, bool, int]] = loop.create_future()

    class Listening(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            begins = bytes(data[:64])  # a copy: nothing here shares memory with what is wiped
            before = begins in ctypes.string_at(id(loop), type(loop).__basicsize__)
            wipe_received(data, loop)
            heard.set_result((before, begins in ctypes.string_at(id(loop), type(loop).__basicsize__), data.count(0)))

    transport, _ = await loop.create_connection(Listening, sock=ours)
    theirs.sendall(secret)

    before, after, zeros = await heard
    transport.close()
    theirs.close()
    assert (before, after) == (True, False)
    assert zeros > 64


def test_wiping_nothing_is_harmless() -> None:
    """The empty object is shared by everybody."""
    wipe(b"")
    wipe_received(b"", object())

    assert bytes(0) == b""


async def test_a_body_is_read_whatever_way_it_comes() -> None:
    """From the protocol's vault, or from messages where there is no such protocol; a test's own objects stay whole."""
    own = [b"half a ", b"paper"]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": own[0], "more_body": True},
        {"type": "http.request", "body": own[1], "more_body": False},
    ]
    put_away = Vault(100)
    put_away.take(fresh("paper"))

    read = await read_vault({}, _receiving(messages), 100)
    found = await read_vault({SCOPE_NAME: put_away}, _receiving([{"type": "http.request"}]), 100)

    assert content_of(read) == b"half a paper"
    assert own == [b"half a ", b"paper"]
    assert found is put_away and content_of(found) == b"paperpaper"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "http.disconnect"}, "request.malformed"),
        ({"type": "http.request", "body": b"12345"}, "request.too_large"),
    ],
)
async def test_a_body_that_is_cut_off_or_too_large_is_refused(message: dict[str, Any], code: str) -> None:
    """As every other body is."""
    with pytest.raises(Refused) as refused:
        await read_vault({}, _receiving([message]), 4)

    assert refused.value.code == code


def _receiving(messages: list[dict[str, Any]]) -> Any:
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(waiting)

    return receive
