"""WebSocket frames (RFC 6455): whatever is written is read again, and nothing illegal is read at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.delivery import frames
from engine.delivery.frames import Broken

LONGEST = 70_000
MASK = b"\x37\xfa\x21\x3d"
masks = st.binary(min_size=4, max_size=4)
# Around every edge of the three ways to write a length.
lengths = st.sampled_from([0, 1, 4, 125, 126, 127, 65_535, 65_536, LONGEST]) | st.integers(0, 300)


def sent(first: int, payload: bytes, mask: bytes = MASK) -> bytes:
    """A client's frame, masked byte by byte."""
    written = frames.write(first, payload)
    head = written[: len(written) - len(payload)]
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head[:1] + bytes((head[1] | 0x80,)) + head[2:] + mask + masked


def close_code(received: bytes, payload_bytes_max: int = LONGEST) -> int:
    """With what the reader breaks off."""
    with pytest.raises(Broken) as broken:
        frames.read(received, 0, payload_bytes_max)
    return broken.value.close_code


def test_the_examples_of_the_rfc_are_read_and_written() -> None:
    """RFC 6455, 5.7: a masked and an unmasked "Hello", a ping, 256 and 65,536 bytes of payload."""
    assert frames.read(bytes.fromhex("818537fa213d7f9f4d5158"), 0, 5) == (0x81, b"Hello", 11)
    assert frames.write(0x81, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert frames.write(0x89, b"Hello") == bytes.fromhex("890548656c6c6f")
    assert frames.write(0x82, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert frames.write(0x82, bytes(65_536))[:10] == bytes.fromhex("827f0000000000010000")


@given(lengths, masks, st.binary(max_size=3))
def test_what_is_written_is_read_again(length: int, mask: bytes, before: bytes) -> None:
    """Wherever it stands, whatever its mask, as bytes and as a growing buffer."""
    payload = bytes(at % 251 for at in range(length))
    received = before + sent(frames.FINAL_TEXT, payload, mask)

    for held in (received, bytearray(received)):
        assert frames.read(held, len(before), LONGEST) == (frames.FINAL_TEXT, payload, len(received))


@given(st.binary(max_size=200), masks)
def test_a_frame_is_read_only_when_all_of_it_is_there(payload: bytes, mask: bytes) -> None:
    """Every shorter beginning is waited with."""
    whole = sent(frames.FINAL_TEXT, payload, mask)

    assert {frames.read(whole[:there], 0, LONGEST) for there in range(len(whole))} == {None}


@given(st.binary(max_size=200), masks)
def test_masking_twice_changes_nothing(payload: bytes, mask: bytes) -> None:
    """And masking once is an XOR with the mask over and over."""
    masked = frames.unmask(payload, mask)

    assert masked == bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    assert frames.unmask(masked, mask) == payload


@given(st.binary(max_size=64))
def test_no_bytes_can_do_more_than_break_off(received: bytes) -> None:
    """Anything is a frame, the beginning of one, or Broken with a code that may be sent."""
    try:
        found = frames.read(received, 0, LONGEST)
    except Broken as broken:
        assert broken.close_code in (frames.PROTOCOL_ERROR, frames.TOO_LARGE)
    else:
        assert found is None or (found[2] <= len(received) and received[1] & 0x80)


@pytest.mark.parametrize("reserved", [0x10, 0x20, 0x40, 0x70])
def test_a_reserved_bit_breaks_off(reserved: int) -> None:
    """No extension was agreed on, compression least of all."""
    assert close_code(sent(frames.FINAL_TEXT | reserved, b"x")) == frames.PROTOCOL_ERROR


@pytest.mark.parametrize("opcode", [0x3, 0x7, 0xB, 0xF])
def test_an_unknown_kind_of_frame_breaks_off(opcode: int) -> None:
    """Reserved for what nobody has defined."""
    assert close_code(sent(frames.FINAL | opcode, b"x")) == frames.PROTOCOL_ERROR


@pytest.mark.parametrize("opcode", [frames.CLOSE, frames.PING, frames.PONG])
def test_a_control_frame_is_short_and_whole(opcode: int) -> None:
    """125 bytes are taken, 126 are not, a fragment is not."""
    assert frames.read(sent(frames.FINAL | opcode, bytes(125)), 0, LONGEST)
    assert close_code(sent(frames.FINAL | opcode, bytes(126))) == frames.PROTOCOL_ERROR
    assert close_code(sent(opcode, b"")) == frames.PROTOCOL_ERROR


def test_a_frame_without_a_mask_breaks_off() -> None:
    """RFC 6455, 5.1: a server must close then."""
    assert close_code(frames.write(frames.FINAL_TEXT, b"Hello")) == frames.PROTOCOL_ERROR


@pytest.mark.parametrize("head", ["81fe0005", "81fe007d", "81ff0000000000000005", "81ff000000000000ffff"])
def test_a_length_written_too_long_breaks_off(head: str) -> None:
    """RFC 6455, 5.2: the minimal number of bytes must be used."""
    assert close_code(bytes.fromhex(head)) == frames.PROTOCOL_ERROR


@pytest.mark.parametrize("head", ["81fe0101", "81ff0000000000010000", "81ffffffffffffffffff"])
def test_a_frame_too_large_breaks_off_before_it_is_there(head: str) -> None:
    """Its announcement is enough; nobody waits for the payload."""
    assert close_code(bytes.fromhex(head), 256) == frames.TOO_LARGE


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999])
def test_a_close_code_is_answered_with_itself(code: int) -> None:
    """With a reason or without."""
    assert frames.read_close(code.to_bytes(2, "big")) == code
    assert frames.read_close(code.to_bytes(2, "big") + "再见".encode()) == code


def test_a_close_frame_without_a_code_is_normal() -> None:
    """An empty one is legal, half a code is not."""
    assert frames.read_close(b"") == frames.NORMAL
    with pytest.raises(Broken) as broken:
        frames.read_close(b"\x03")
    assert broken.value.close_code == frames.PROTOCOL_ERROR


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535])
def test_a_close_code_that_may_not_be_sent_breaks_off(code: int) -> None:
    """RFC 6455, 7.4."""
    with pytest.raises(Broken) as broken:
        frames.read_close(code.to_bytes(2, "big"))

    assert broken.value.close_code == frames.PROTOCOL_ERROR


@given(st.binary(max_size=40))
def test_text_is_exactly_what_python_can_decode(payload: bytes) -> None:
    """Everything else is 1007."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        with pytest.raises(Broken) as broken:
            frames.check_text(payload)
        assert broken.value.close_code == frames.INVALID_BYTES
    else:
        frames.check_text(payload)


@given(st.text(max_size=80))
def test_a_close_frame_is_a_legal_control_frame(reason: str) -> None:
    """However long the reason: it is cut between two characters."""
    written = frames.write_close(frames.POLICY, reason)
    payload = written[2:]

    assert written[0] == frames.FINAL | frames.CLOSE
    assert written[1] == len(payload) <= frames.CONTROL_BYTES_MAX
    assert int.from_bytes(payload[:2], "big") == frames.POLICY
    assert reason.startswith(payload[2:].decode())
