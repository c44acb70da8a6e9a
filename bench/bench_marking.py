"""What does marking one sitting of 100 items cost the grader?"""

from __future__ import annotations

from typing import Any

from engine.rules import exact_json
from engine.rules.marking import AnswerKey, mark_sitting
from engine.rules.question_set import read_question_set
from loadtest import samples


def test_mark_one_sitting(benchmark: Any) -> None:
    paper = samples.load("ldgx3").paper
    questions = read_question_set(exact_json.decode(exact_json.canonical(paper)))
    answer_key = AnswerKey.load(questions.answer_key)
    answers = {
        item["id"]: [blank[0] for blank in item["answer"]] if item["type"] == "fill" else item["answer"]
        for section in paper["sections"]
        for item in section["items"]
    }

    mark = benchmark(mark_sitting, answer_key, answers)

    assert mark.score == 100
