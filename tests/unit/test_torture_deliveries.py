"""What the torture campaign's checker says of deliveries: at least once, as published, in a batch's order."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook

from loadtest.torture.deliveries import settle_deliveries

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"w" * 32).decode()
RESULTS = [{"sitting_id": name, "state": "graded", "score": 100, "revision": 1} for name in ("s1", "s2")]
Lines = list[dict[str, Any]]


def delivered(result: dict[str, Any], cursor: int, *, answered: bool = True, **event: Any) -> dict[str, Any]:
    """One attempt of a webhook, as the receiver wrote it down; signed with a library of Standard Webhooks."""
    told = {"type": "result.published", "batch_id": "b1", "cursor": str(cursor), "data": result, **event}
    body, at = orjson.dumps(told).decode(), datetime.now(UTC)
    message_id = f"msg_{cursor}"
    headers = {"webhook-id": message_id, "webhook-timestamp": str(int(at.timestamp()))}
    headers["webhook-signature"] = Webhook(WEBHOOK_SECRET).sign(message_id, at, body)
    return {"headers": headers, "body": body, "answered": answered}


def settled(folder: Path, lines: Lines) -> tuple[int, list[tuple[str, Any]]]:
    """How many attempts there were, and what is wrong: (kind, about)."""
    (folder / "deliveries.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    faults: list[tuple[str, Any]] = []
    evidence = {"results": {"b1": RESULTS}}
    count = settle_deliveries(folder, WEBHOOK_SECRET, evidence, lambda kind, about, _: faults.append((kind, about)))
    return count, faults


def sound() -> Lines:
    return [delivered(result, 1_001 + place) for place, result in enumerate(RESULTS)]


def test_each_result_once_is_no_fault(tmp_path: Path) -> None:
    """Both came and were answered."""
    assert settled(tmp_path, sound()) == (2, [])


def test_a_message_that_comes_twice_is_no_fault(tmp_path: Path) -> None:
    """Its answer was lost, or the courier died before it heard: at least once is what was promised."""
    unheard = delivered(RESULTS[0], 1_001, answered=False)

    assert settled(tmp_path, [unheard, *sound(), unheard]) == (4, [])


def never_pushed(lines: Lines) -> None:
    del lines[1]


def pushed_and_never_answered(lines: Lines) -> None:
    lines[1]["answered"] = False


def pushed_with_another_score(lines: Lines) -> None:
    lines.append(delivered({**RESULTS[1], "score": 99}, 1_009))


def pushed_what_was_never_published(lines: Lines) -> None:
    lines.append(delivered({**RESULTS[1], "revision": 2}, 1_009))


def pushed_as_another_batchs(lines: Lines) -> None:
    lines.append(delivered(RESULTS[1], 1_009, batch_id="b2"))


def pushed_again_with_another_content(lines: Lines) -> None:
    lines.append(delivered(RESULTS[1], 1_002, type="result.changed"))


def pushed_unsigned(lines: Lines) -> None:
    lines.append(delivered(RESULTS[1], 1_002))
    lines[-1]["headers"]["webhook-signature"] = "v1,AAAA"


def pushed_out_of_order(lines: Lines) -> None:
    lines.reverse()


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (never_pushed, "undelivered"),
        (pushed_and_never_answered, "undelivered"),
        (pushed_with_another_score, "wrong_deliveries"),
        (pushed_what_was_never_published, "wrong_deliveries"),
        (pushed_as_another_batchs, "wrong_deliveries"),
        (pushed_again_with_another_content, "wrong_deliveries"),
        (pushed_unsigned, "wrong_deliveries"),
        (pushed_out_of_order, "wrong_deliveries"),
    ],
)
def test_every_single_fault_of_a_delivery_is_found(tmp_path: Path, spoil: Callable[[Lines], None], kind: str) -> None:
    """By its kind, and nothing else is blamed."""
    lines = sound()
    spoil(lines)

    assert {found for found, _ in settled(tmp_path, lines)[1]} == {kind}
