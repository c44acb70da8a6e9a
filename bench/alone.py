"""Functions that every save, start or result passes through, timed in this process: no server, no store."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from typing import Any

from bench.rows import Row, median
from bench.saving import Plan
from engine.rules import exact_json
from engine.rules.marking import AnswerKey, mark_sitting
from engine.rules.question_set import read_question_set
from engine.sealing import paper, token
from engine.sealing.signature import Signer
from loadtest import samples

TIMINGS = 5
TOKEN_KEY = b"t" * 32


def token_check(plan: Plan) -> list[Row]:
    """A token that this worker has not seen: one HMAC. (One that it has seen costs a dict look-up.)"""
    text = token.issue(token.Token("a" * 24, "bench", "1"), TOKEN_KEY)
    return [Row("token_check_us", _seconds(lambda: token.read(text, TOKEN_KEY), plan) * 1e6, "us")]


def sealing(plan: Plan) -> list[Row]:
    """A paper with figures that do not compress, sealed and opened; per MB of what is pushed."""
    media = _media()
    content = {"title": "t", "sections": samples.load("ldgx3").paper["sections"], "media": media}
    content["media_types"] = dict.fromkeys(media, "image/png")
    signer = Signer(b"s" * 32)
    plain_mb = len(exact_json.canonical(content)) / 1e6
    sealed = paper.seal_paper("bench", content, b"k" * 32, signer)
    sealing_s = _seconds(lambda: paper.seal_paper("bench", content, b"k" * 32, signer), plan)
    opening_s = _seconds(lambda: paper.open_paper("bench", sealed, b"k" * 32), plan)
    return [
        Row("sealing_mb_per_s", plain_mb / sealing_s, "MB/s"),
        Row("sealing_opened_mb_per_s", plain_mb / opening_s, "MB/s"),
    ]


def marking(plan: Plan) -> list[Row]:
    """All items of the sample paper, right answers, as the grader calls it; without reading and signing."""
    content = samples.load("ldgx3").paper
    questions = read_question_set(exact_json.decode(exact_json.canonical(content)))
    answer_key = AnswerKey.load(questions.answer_key)
    answers = right_answers(content)
    return [Row("marking_per_s", 1 / _seconds(lambda: mark_sitting(answer_key, answers), plan), "sittings/s")]


def right_answers(content: dict[str, Any]) -> dict[str, Any]:
    """Item -> its answer, spelled as the key has it."""
    return {
        item["id"]: [blank[0] for blank in item["answer"]] if item["type"] == "fill" else item["answer"]
        for section in content["sections"]
        for item in section["items"]
    }


def _media() -> dict[str, str]:
    return {f"fig{number}.png": base64.b64encode(os.urandom(96 * 1024)).decode() for number in range(5)}


def _seconds(act: Callable[[], object], plan: Plan) -> float:
    """Seconds of one `act`: the median of a few timings that together take about the plan's seconds."""
    began_s = time.perf_counter()
    act()
    once_s = max(time.perf_counter() - began_s, 1e-7)
    repeats = max(1, int(plan.seconds / TIMINGS / once_s))
    timings = []
    for _ in range(TIMINGS):
        began_s = time.perf_counter()
        for _ in range(repeats):
            act()
        timings.append((time.perf_counter() - began_s) / repeats)
    return median(timings)
