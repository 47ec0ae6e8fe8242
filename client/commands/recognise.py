"""`mascaron-site verify|identify|confirm|outcome`: who somebody is, or whether they are."""

from pathlib import Path
from typing import Any

from client.commands.asking import Asking, person_of, picture_of, shown, ticket_of
from common.errors import ConfigError


def verify_person(asking: Asking, person: str, picture: Path) -> dict[str, Any]:
    """The band in which ``picture`` is like ``person``."""
    with asking.door() as door:
        return {"band": door.verify(person_of(person), picture_of(picture)).value}


def identify_person(asking: Asking, picture: Path, top: int) -> dict[str, Any]:
    """Who is in ``picture``, if anybody enrolled; or a ticket for two people to confirm."""
    with asking.door() as door:
        return shown(door.identify(picture_of(picture), top))


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
