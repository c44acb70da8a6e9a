"""Answer keys and values for tests of marking: one item of each type, and papers as random as can be read."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from engine.rules import exact_json
from engine.rules.marking import FOLDS, AnswerKey, mark_item
from engine.rules.question_set import read_question_set

ABCD = [{"id": letter, "text": letter.upper()} for letter in "abcd"]


def paper_of(*items: dict[str, Any]) -> dict[str, Any]:
    """A paper with one section; items get ids i0, i1 ... and a stem."""
    numbered = [{"id": f"i{position}", "stem": "?", **item} for position, item in enumerate(items)]
    return {"title": "t", "sections": [{"id": "A", "title": "A", "items": numbered}]}


def key_of(*items: dict[str, Any]) -> AnswerKey:
    return AnswerKey.load(read_question_set(paper_of(*items)).answer_key)


def earned(item: dict[str, Any], value: Any) -> Fraction:
    return mark_item(key_of({"points": 1, **item}).sections[0].items[0], value).points


def multiple(marking: str, answer: str = "ac") -> dict[str, Any]:
    return {"type": "multiple", "options": ABCD, "answer": list(answer), "marking": marking}


def fill(*blanks: list[str], **more: Any) -> dict[str, Any]:
    return {"type": "fill", "answer": list(blanks), **more}


def numeric(answer: Any, tolerance: Any = 0) -> dict[str, Any]:
    return exact_json.decode(f'{{"type": "numeric", "answer": {answer}, "tolerance": {tolerance}}}'.encode())


ONE_OF_EACH: list[dict[str, Any]] = [
    {"type": "single", "options": ABCD, "answer": "b"},
    multiple("exact"),
    multiple("subset_half"),
    multiple("per_option"),
    {"type": "true_false", "answer": True},
    fill(["八小时", "8"], ["x"]),
    {"type": "numeric", "answer": 1},
    {"type": "text"},
]


class Dice:
    """Random papers and values, as nasty as the paper reader and the JSON reader let through."""

    SCRAPS = (
        *("八小时", "8小时", "ＡＢ", "m2", "fi", "SS", "e\u0301", "Ⅷ", "㎡", "\U0001d7d6", "𠮷"),
        *"８8aAａé²⑧ßIİıﬁᾳΣς￥¥￣ｶガﾞﾡㄱ，,。.《》-—+＋",
        *"\u00a0\u3000\u200b\u0345\u0307\t\n ",
    )

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, longest: int = 4) -> str:
        return "".join(self.random.choices(self.SCRAPS, k=self.random.randint(0, longest)))

    def decimal_text(self) -> str:
        digits = self.random.randint(1, 15)
        number = Decimal(self.random.randrange(10**digits)).scaleb(self.random.choice([0, 0, -1, -2, -4, -9, 3, 40]))
        return self.spelled(number * self.random.choice([1, 1, -1]))

    def spelled(self, number: Decimal) -> str:
        """One of the ways JSON has to write a number."""
        spellings = [f"{number:f}", f"{number:e}".replace("e+", "E"), f"{number:.20e}" if number else "0e5"]
        spelling = self.random.choice(spellings)
        return spelling + ("0" * self.random.randint(0, 20) if "." in spelling and "e" not in spelling.lower() else "")

    def options(self) -> list[dict[str, str]]:
        return [{"id": letter, "text": letter} for letter in "abcdef"[: self.random.randint(2, 6)]]

    def single(self) -> dict[str, Any]:
        options = self.options()
        return {"type": "single", "options": options, "answer": self.random.choice(options)["id"]}

    def multiple(self) -> dict[str, Any]:
        options = self.options()
        answer = self.random.sample([option["id"] for option in options], self.random.randint(1, len(options)))
        marking = self.random.choice([{}, *({"marking": name} for name in ("exact", "subset_half", "per_option"))])
        return {"type": "multiple", "options": options, "answer": answer, **marking}

    def true_false(self) -> dict[str, Any]:
        return {"type": "true_false", "answer": self.random.random() < 0.5}

    def fill(self) -> dict[str, Any]:
        blanks = [["x" + self.text(), *("8" + self.text() for _ in range(self.random.randint(0, 3)))]]
        blanks += [[self.text() + "y"] for _ in range(self.random.randint(0, 3))]
        fold = {"fold": self.random.sample(FOLDS, self.random.randint(0, 4))} if self.random.random() < 0.7 else {}
        return {"type": "fill", "answer": blanks, **fold}

    def numeric(self) -> dict[str, Any]:
        tolerance = exact_json.decode(self.decimal_text().lstrip("-").encode())
        more = self.random.choice([{}, {"tolerance": Decimal("0.01")}, {"tolerance": tolerance}])
        return {"type": "numeric", "answer": exact_json.decode(self.decimal_text().encode()), **more}

    def value_text(self, item: dict[str, Any]) -> str:
        """JSON text: mostly of the item's kind, often near its answer, sometimes of any kind."""
        if self.random.random() < 0.1:
            stray = ["null", "true", "false", "0", "1", '"a"', '["a"]', "[]", "{}", '[["a"]]', '["a",null]', '[1,"b"]']
            return self.random.choice([*stray, self.decimal_text(), json.dumps(self.text())])
        return getattr(self, f"{item['type']}_value")(item)

    def single_value(self, item: dict[str, Any]) -> str:
        return json.dumps(self.random.choice([*"abcdefgA", "", item["answer"]]))

    def multiple_value(self, item: dict[str, Any]) -> str:
        pool = self.random.choice([item["answer"], [option["id"] for option in item["options"]], [*"abcdefgh"]])
        return json.dumps(self.random.choices(pool, k=self.random.randint(0, 7)))

    def true_false_value(self, item: dict[str, Any]) -> str:
        return self.random.choice(["true", "false", "null", "1", "0"])

    def fill_value(self, item: dict[str, Any]) -> str:
        texts = [self.disguised(self.random.choice(accepted)) for accepted in item["answer"]]
        return json.dumps([*texts, self.text()][: self.random.randint(0, len(texts) + (self.random.random() < 0.1))])

    def disguised(self, text: str) -> str:
        """`text` as a candidate might type it: another width, case or spacing, sometimes another word."""
        changes: list[Callable[[str], str]] = [
            str,
            str.upper,
            lambda text: f" {text}\u3000",
            lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
            lambda text: f"《{text}》",
            lambda text: text.replace("é", "e\u0301"),
            lambda text: text + self.text(1),
            lambda text: self.text(),
        ]
        return self.random.choice(changes)(text)

    def numeric_value(self, item: dict[str, Any]) -> str:
        answer, tolerance = Decimal(item["answer"]), Decimal(item.get("tolerance", 0))
        with localcontext() as context:
            context.prec = 100
            edge = answer + self.random.choice([-1, 0, 1, 2]) * tolerance
            hair = Decimal(1).scaleb(self.random.choice([-1, -3, -9, -13, -14, -15, -16]) + max(edge.adjusted(), -20))
            return self.spelled(edge + self.random.choice([0, 0, 1, -1]) * hair)

    def text_value(self, item: dict[str, Any]) -> str:
        return json.dumps(self.text())


def random_paper(dice: Dice) -> dict[str, Any]:
    """A valid paper of 30 items in three sections, worth something."""
    items = [random_item(dice, f"i{position}") for position in range(30)]
    items[0]["points"] = 1
    return {
        "title": "t",
        "sections": [{"id": f"s{n}", "title": "s", "items": items[n * 10 : n * 10 + 10]} for n in range(3)],
    }


def random_item(dice: Dice, item_id: str) -> dict[str, Any]:
    kind = dice.random.choice(
        ["single", "multiple", "multiple", "true_false", "fill", "fill", "numeric", "numeric", "text"]
    )
    points = Decimal(dice.random.choice([0, 1, 5000, 10_000, 20_000, dice.random.randrange(10**6)])).scaleb(-4)
    content = {"type": "text"} if kind == "text" else getattr(dice, kind)()
    return {"id": item_id, "stem": "?", "points": points, **content}
