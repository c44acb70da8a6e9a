"""Invents candidates who cannot exist: valid check digits, county 9999, born 1901-1910."""

from __future__ import annotations

import datetime
import random
from typing import Any

FAMILY = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰"
PROVINCES = (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66))
FIRST_BIRTH = datetime.date(1901, 1, 1)
BIRTH_DAYS = (datetime.date(1911, 1, 1) - FIRST_BIRTH).days
SEATS_PER_ROOM = 30
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def check_character(first_17: str) -> str:
    """The eighteenth character of a resident's ID number (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(first_17, _WEIGHTS, strict=True))
    return "10X98765432"[total % 11]


def roster(count: int, tag: str, dice: random.Random) -> list[dict[str, Any]]:
    """`count` rows for one batch; `tag` (digits) begins every ticket. ID numbers do not repeat within the roster."""
    id_numbers = _id_numbers(count, dice)
    return [_row(index, tag, id_number, dice) for index, id_number in enumerate(id_numbers)]


def _id_numbers(count: int, dice: random.Random) -> list[str]:
    drawn: dict[str, None] = {}
    while len(drawn) < count:
        birth = FIRST_BIRTH + datetime.timedelta(days=dice.randrange(BIRTH_DAYS))
        first_17 = f"{dice.choice(PROVINCES)}9999{birth:%Y%m%d}{dice.randrange(1, 1000):03d}"
        drawn[first_17 + check_character(first_17)] = None
    return list(drawn)


def _row(index: int, tag: str, id_number: str, dice: random.Random) -> dict[str, Any]:
    room, seat = divmod(index, SEATS_PER_ROOM)
    name = dice.choice(FAMILY) + "".join(dice.choices(GIVEN, k=dice.choice((1, 2))))
    return {
        "candidate_id": f"REH-{index + 1:06d}",
        "name": name,
        "id_number": id_number,
        "admission_ticket": f"{tag}{index + 1:06d}",
        "site": "演练考点",
        "room": f"第{room + 1}机房",
        "seat": f"{seat + 1:02d}",
    }
