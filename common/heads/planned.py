"""The heads that a plan names, made from its public words alone: the same at site and centre."""

from collections.abc import Sequence

from common.errors import ForbiddenError, ModelError, PlanError
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.privacy.heads import GENDER, HeadTerms

PlannedHead = AttributesHead | AgeHead | GenderHead


def planned_head(terms: HeadTerms) -> PlannedHead:
    """The head of ``terms``; ``PlanError`` for one that nobody makes: of what is forbidden, or of
    gender under the name of an attribute."""
    try:
        if terms.kind == "attributes":
            return AttributesHead(names=terms.names, shown=terms.shown, absent=terms.absent)
        if terms.kind == GENDER:
            return GenderHead(female=terms.shown[0], male=terms.absent[0])
        return AgeHead()
    except (ModelError, ForbiddenError) as error:
        raise PlanError(f"head {terms.kind}: {error}") from None


def planned_shapes(heads: Sequence[HeadTerms], features: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of ``heads`` for features of that width, in their order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for terms in heads:
        shapes |= planned_head(terms).shapes(features)
    return shapes
