"""What does a candidate's token cost: verified for the first time, and issued at login?"""

from __future__ import annotations

from typing import Any

from engine.sealing import token

KEY = b"t" * 32
TOKEN = token.Token("a" * 24, "bench", "1")


def test_verify_one_token(benchmark: Any) -> None:
    assert benchmark(token.read, token.issue(TOKEN, KEY), KEY) == TOKEN


def test_issue_one_token(benchmark: Any) -> None:
    assert benchmark(token.issue, TOKEN, KEY).startswith(TOKEN.sitting_id)
