"""`mascaron-site verify|identify|confirm|outcome`: who somebody is, or whether they are."""

from pathlib import Path
from typing import Any

from client.commands.asking import Asking, person_of, picture_of, shown, ticket_of
from common.errors import ConfigError
from common.text.vocabulary import Language


def verify_person(asking: Asking, person: str, picture: Path) -> dict[str, Any]:
    """The band in which ``picture`` is like ``person``."""
    with asking.door() as door:
        return {"band": door.verify(person_of(person), picture_of(picture)).value}


def identify_person(asking: Asking, picture: Path, top: int) -> dict[str, Any]:
    """Who is in ``picture``, if anybody enrolled; or a ticket for two people to confirm."""
    with asking.door() as door:
        return shown(door.identify(picture_of(picture), top))


def describe_picture(asking: Asking, picture: Path, language: Language) -> dict[str, Any]:
    """What is to be seen of the face in ``picture``."""
    with asking.door() as door:
        told = door.describe(picture_of(picture), language)
    return {
        "sentence": told.sentence,
        "said": [
            {"name": one.name, "present": one.present, "sureness": one.sureness}
            for one in told.said
        ],
    }


def search_people(asking: Asking, query: str, top: int) -> dict[str, Any]:
    """Who looks as ``query`` says, best first."""
    with asking.door() as door:
        found = door.search(query, top)
    persons = [{"person": one.hex(), "band": band.value} for one, band in found.persons]
    return {"persons": persons, "unasked": list(found.unasked)}


def confirm_ticket(
    asking: Asking, ticket: str, person: str | None, *, nobody: bool
) -> dict[str, Any]:
    """One human's word about a search; without one, whom they are asked about."""
    if person is not None and nobody:
        raise ConfigError("name a person or say --nobody, not both")
    searched = ticket_of(ticket)
    with asking.door() as door:
        if person is None and not nobody:
            return shown(door.review(searched))
        door.confirm(searched, None if person is None else person_of(person))
    return {"ticket": ticket, "said": "nobody" if person is None else person}


def show_outcome(asking: Asking, ticket: str) -> dict[str, Any]:
    """What two humans said."""
    with asking.door() as door:
        return shown(door.outcome(ticket_of(ticket)))
