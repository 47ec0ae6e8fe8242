"""What a query asks for, once it is understood."""

from dataclasses import dataclass, field

from common.text.ages import Ages


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """``wanted`` attributes and whether each has to be there or not, all at once.

    Of each group in ``either`` at least one is wanted. ``remainder`` is what was not understood, in
    its order; ``unasked`` names heads that are not asked for a part of the query: "gender" where it
    is off, "words" where what was not understood is left out.
    """

    wanted: dict[str, bool] = field(default_factory=dict)
    either: tuple[tuple[str, ...], ...] = ()
    age: Ages | None = None
    remainder: str = ""
    unasked: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to search for."""
        return not (self.wanted or self.either or self.age or self.remainder)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Every attribute that is spoken of, once."""
        return tuple(dict.fromkeys([*self.wanted, *(n for group in self.either for n in group)]))
