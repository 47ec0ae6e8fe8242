"""`mascaron-site people|erase|export|renew|relabel`: what is held of people, and by which word."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from client.commands.asking import Agreed, Asking, day, person_of, to_terminal
from common.errors import DeploymentError
from common.trust import storing


def list_people(asking: Asking) -> dict[str, Any]:
    """Everybody enrolled. Labels are told to a terminal alone."""
    with asking.door() as door:
        found = list(door.people())
    for one in found:
        to_terminal(f"{one.person.hex()}  {one.label}")
    return {
        "people": [
            {
                "person": one.person.hex(),
                "expires": day(one.expires),
                "templates": one.templates,
                "trunks": list(one.trunks),
            }
            for one in found
        ]
    }


def erase_people(asking: Asking, persons: Sequence[str], receipt: Path | None) -> dict[str, Any]:
    """Destroys the keys of ``persons``; their receipt goes into a file, or into the answer."""
    chosen = [person_of(text) for text in persons]
    with asking.door() as door:
        told = door.erase(chosen)
    if receipt is None:
        return {"erased": len(chosen), "receipt": json.loads(told)}
    try:
        storing.replace(receipt, told.encode())
    except DeploymentError:  # there is no other: the keys it tells of are gone
        return {"erased": len(chosen), "receipt": json.loads(told), "not_written": str(receipt)}
    return {"erased": len(chosen), "receipt": str(receipt)}


def export_person(asking: Asking, person: str, to: Path | None) -> dict[str, Any]:
    """What is held of ``person``. Their label, and what is said of their pictures, are in the file
    ``to`` (0600) and on a terminal alone."""
    with asking.door() as door:
        record = door.export(person_of(person))
    if to is not None:
        storing.replace(to, (json.dumps(record, sort_keys=True, indent=1) + "\n").encode())
    labels = record.pop("labels", [])
    to_terminal(str(record.pop("label", "")))
    for one in labels:
        to_terminal(json.dumps(one, sort_keys=True))
    told = {**record, "labelled": len(labels)}
    return {**told, **({} if to is None else {"file": str(to)})}


def renew_person(asking: Asking, person: str, agreed: Agreed, now: float) -> dict[str, Any]:
    """Puts another consent in the place of the one there is."""
    consent = agreed.consent(now)
    with asking.door() as door:
        door.renew(person_of(person), consent)
    return {"person": person, "purposes": sorted(consent.purposes), "expires": day(consent.expires)}


def relabel_person(asking: Asking, person: str, label: str) -> dict[str, Any]:
    """Puts another word for ``person`` in the place of the one there is; it is not told again."""
    with asking.door() as door:
        door.relabel(person_of(person), label)
    return {"person": person, "labelled": bool(label)}
