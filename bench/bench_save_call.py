"""What does one save cost a worker before its lane: frame, decoding, the check against the paper?"""

from __future__ import annotations

from typing import Any

import pytest

from engine.delivery import autosave, channel_messages, frames
from engine.delivery.resources import ArmedBatch
from engine.rules import values
from engine.sealing.token import Token

INDEX = {f"A{number}": {"type": "single", "options": ["a", "b", "c", "d"]} for number in range(1, 101)}
ARMED = ArmedBatch(prepared=None, checkers=values.checkers(INDEX))  # type: ignore[arg-type] - only the checkers are used
TOKEN = Token("a" * 24, "bench", "1")
MASK = b"\x5a\xc3\x71\x2e"


def body(changes: int, head: str = "") -> bytes:
    listed = ",".join(f'{{"item":"A{number}","seq":{1000 + number},"value":"b"}}' for number in range(1, changes + 1))
    return f'{{{head}"changes":[{listed}]}}'.encode()


@pytest.mark.parametrize("changes", [1, 10])
def test_check_one_save_call(benchmark: Any, changes: int) -> None:
    call = body(changes)

    def checked() -> tuple[list[Any], int]:
        return autosave._checked(TOKEN, ARMED, autosave._call_decoder.decode(call).changes, call, False)

    arguments, highest = benchmark(checked)

    assert (len(arguments), highest) == (3 + 3 * changes, 1000 + changes)


def test_read_one_frame(benchmark: Any) -> None:
    payload = body(1, '"type":"save",')
    frame = bytes((frames.FINAL_TEXT, 0x80 | len(payload))) + MASK + frames.unmask(payload, MASK)

    first, read, ends = benchmark(frames.read, frame, 0, 256 * 1024)

    assert (first, read, ends) == (frames.FINAL_TEXT, payload, len(frame))


def test_read_one_save_message(benchmark: Any) -> None:
    message = benchmark(channel_messages.read, body(1, '"type":"save",'), ARMED)

    assert len(message.changes) == 1
