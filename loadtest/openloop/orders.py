"""What the processes of a fleet are told and answer: one JSON object a line, over their standard input and output.

`Setup` comes first and is answered with `Ready`; then `Order`s, each answered with an `Answer`. The end of the input
ends the process.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from loadtest.openloop.driver import Manner
from loadtest.openloop.entering import Entered
from loadtest.openloop.figures import Measured
from loadtest.openloop.schedule import Phase


class Setup(Struct, kw_only=True):
    """`values`: (item, value as JSON) to draw changes from; `next_seq` is every sitting's."""

    url: str
    entered: list[Entered]
    values: list[tuple[str, str]]
    manner: Manner
    next_seq: int = 1


class Ready(Struct):
    """All lines stand; otherwise why not."""

    lines: int = 0
    fault: str = ""


class Order(Struct, kw_only=True):
    """Go through `phases` from `begins_ns` of the machine's monotonic clock on; or write the ledger into `ledger`; or
    neither."""

    phases: list[Phase] = []
    begins_ns: int = 0
    ledger: str = ""


class Answer(Struct):
    """What was measured; `keys_ms`: when each paper key has come so far, from the start of the batch."""

    measured: list[Measured] = []
    keys_ms: list[float] = []


to_line = msgspec.json.Encoder().encode
