"""What is held of a person, for them to read. No feature: that is a face, not a record."""

from typing import Any

from client.vault.core import Core
from client.vault.identity import PersonId


def record_of(core: Core, person: PersonId) -> dict[str, Any]:
    """Everything but features, as JSON holds it; ``UnknownPersonError`` for who is not enrolled.

    ``labels`` are what is said of pictures, the oldest first; those of which nothing is said are
    left out, and one that two trunks saw is there twice.
    """
    with core.guard():
        known = core.particulars(person)
        rows = sorted(core.tables.select("template", person), key=lambda row: int(row[4]))
        said = core.labels(person)
    return {
        "purposes": sorted(known.consent.purposes),
        "text_hash": known.consent.text_hash,
        "given": known.consent.given,
        "expires": known.consent.expires,
        "enrolled": known.enrolled,
        "label": known.label,
        "labels": [said[row[1]].table() for row in rows if row[1] in said],
        "templates": len(rows),
        "trunks": sorted({row[2].hex() for row in rows}),
    }
