"""What one check found: a colour, a sentence of what is so, and one of what to do, in Chinese and English. Pure.

Green: as it should be. Amber: the exam can be held, and somebody should know. Red: it must be put right first. What a
person may rightly decide otherwise can be accepted: it is amber then, and says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

from msgspec import Struct, structs

EXIT_READY = 0  # green, or amber
EXIT_RED = 1
EXIT_COULD_NOT_RUN = 2  # wrong arguments or settings: nothing was judged

# Checks of which a red finding may be one that can be accepted: the lists on the doors were printed again; a batch is
# armed later than the day before.
ACCEPTABLE = ("batches", "roster")


class Colour(StrEnum):
    GREEN = "green"
    AMBER = "amber"
    RED = "red"


_RANK = {Colour.GREEN: 0, Colour.AMBER: 1, Colour.RED: 2}


class Finding(Struct, frozen=True, kw_only=True):
    """`subject` says of what: a batch, a node, a file; empty for a check of the whole."""

    check: str
    colour: Colour
    zh: str
    en: str
    do_zh: str = ""
    do_en: str = ""
    subject: str = ""
    may_be_accepted: bool = False
    is_accepted: bool = False


def green(check: str, zh: str, en: str, *, subject: str = "") -> Finding:
    return Finding(check=check, colour=Colour.GREEN, zh=zh, en=en, subject=subject)


def amber(check: str, zh: str, en: str, do_zh: str, do_en: str, *, subject: str = "") -> Finding:
    return Finding(check=check, colour=Colour.AMBER, zh=zh, en=en, do_zh=do_zh, do_en=do_en, subject=subject)


def red(
    check: str, zh: str, en: str, do_zh: str, do_en: str, *, subject: str = "", may_be_accepted: bool = False
) -> Finding:
    return Finding(
        check=check,
        colour=Colour.RED,
        zh=zh,
        en=en,
        do_zh=do_zh,
        do_en=do_en,
        subject=subject,
        may_be_accepted=may_be_accepted,
    )


def worst(findings: Sequence[Finding]) -> Colour:
    """The colour of the whole; nothing found is green."""
    return max((finding.colour for finding in findings), key=_RANK.__getitem__, default=Colour.GREEN)


def exit_code(findings: Sequence[Finding]) -> int:
    return EXIT_RED if worst(findings) is Colour.RED else EXIT_READY


def accept(findings: Sequence[Finding], accepted: Collection[str]) -> list[Finding]:
    """Red ones named as `CHECK` or `CHECK:SUBJECT` become amber. Raises ValueError for what cannot be accepted."""
    for name in accepted:
        if name.partition(":")[0] not in ACCEPTABLE:
            raise ValueError(f"{name!r} cannot be accepted; expected one of {', '.join(ACCEPTABLE)}")
    return [
        structs.replace(finding, colour=Colour.AMBER, is_accepted=True)
        if finding.may_be_accepted and {finding.check, f"{finding.check}:{finding.subject}"} & set(accepted)
        else finding
        for finding in findings
    ]


def counted(count: int, noun: str) -> str:
    """`1 sitting`, `2 sittings`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def named(names: Sequence[str], most: int = 5) -> str:
    """The first of them, and how many more there are."""
    more = f" (+{len(names) - most})" if len(names) > most else ""
    return ", ".join(names[:most]) + more
