"""Acts that need named people: arming, disarming, release."""

from __future__ import annotations

from engine.rules.documents import fold_width_and_space
from engine.rules.errors import Invalid
from engine.rules.limits import NAME_CHARACTERS_MAX, PEOPLE_MAX, PEOPLE_MIN, REASON_CHARACTERS_MAX
from engine.rules.rostering import fold_name
from engine.rules.shape import Faults, Members


def read_people(document: object, name: str) -> list[str]:
    """At least two different named people. Raises Invalid `request.invalid`."""
    faults = Faults()
    members = Members(document, "", faults)
    people = _take_people(members, name)
    members.finish()
    if faults:
        raise Invalid("request.invalid", faults.listed, errors_total=faults.total)
    return people


def read_reasoned(document: object, name: str) -> tuple[list[str], str]:
    """The same, and their `reason`."""
    faults = Faults()
    members = Members(document, "", faults)
    people = _take_people(members, name)
    reason = members.take_text("reason", REASON_CHARACTERS_MAX).strip()
    if members.has("reason") and isinstance(members.members["reason"], str) and not reason and not faults:
        members.fault("reason", "is blank")
    members.finish()
    if faults:
        raise Invalid("request.invalid", faults.listed, errors_total=faults.total)
    return people, reason


def _take_people(members: Members, name: str) -> list[str]:
    faults = members.faults
    people: list[str] = []
    known: set[str] = set()
    for index, person in enumerate(members.take_list(name, PEOPLE_MIN, PEOPLE_MAX)):
        pointer = f"{members.at(name)}/{index}"
        folded = " ".join(person.split()) if isinstance(person, str) else ""
        if not folded or len(folded) > NAME_CHARACTERS_MAX or "\0" in folded:
            faults.add(pointer, f"expected a name of 1 to {NAME_CHARACTERS_MAX} characters", person)
        elif compared_name(folded) in known:
            faults.add(pointer, "expected different people", person)
        elif not compared_name(folded):
            faults.add(pointer, "expected a name, not only what nobody sees", person)
        people.append(folded)
        known.add(compared_name(folded))
    return people


def compared_name(name: str) -> str:
    """The one spelling of `name`: whoever is named in capitals or in full-width letters, too, is no second person."""
    return fold_width_and_space(fold_name(name)).casefold()
