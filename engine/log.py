"""Structured logs, one JSON object per line on stderr. Answers, keys, tokens and ID numbers are never logged."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, BinaryIO, cast

import orjson
import structlog


def configure(process: str, level: str) -> None:
    """Call once at a process's start; `process` is worker, recorder, grader or courier."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(cast(BinaryIO, _Words())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def logger() -> Any:
    return structlog.get_logger()


class _Words:
    """Stderr, where what cannot be written is dropped: an exam does not end because a volume of logs is full."""

    def write(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.buffer.write(line)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.buffer.flush()


def _dumps(event: dict[str, Any], **_: Any) -> bytes:
    return orjson.dumps(event, default=str)
