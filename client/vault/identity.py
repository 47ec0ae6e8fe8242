"""What stands for an enrolled person and for one template: random bytes, never a name."""

from collections.abc import Callable
from typing import NewType

PersonId = NewType("PersonId", bytes)
TemplateId = NewType("TemplateId", bytes)

BYTES = 16  # of either

Random = Callable[[int], bytes]  # so many random bytes


def new_person(random: Random) -> PersonId:
    """An id that says nothing of whom it stands for."""
    return PersonId(random(BYTES))


def new_template(random: Random) -> TemplateId:
    """The same for one sealed feature."""
    return TemplateId(random(BYTES))
