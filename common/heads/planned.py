"""The heads that a plan names, made from its public words alone: the same at site and centre."""

from collections.abc import Sequence

from common.errors import ForbiddenError, ModelError, PlanError
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.heads.sentences import bank_digest, prompt_bank
from common.heads.words import WordsHead
from common.privacy.heads import GENDER, WORDS, HeadTerms
from common.text.encoding import TextEncoder

PlannedHead = AttributesHead | AgeHead | GenderHead | WordsHead


def planned_head(terms: HeadTerms, encoder: TextEncoder | None = None) -> PlannedHead:
    """The head of ``terms``; ``PlanError`` for one that nobody makes: of what is forbidden, of
    gender under the name of an attribute, or of words against other prompts than there are here.

    A words head learns from sentences with the ``encoder`` of its space alone; without one it has
    no bank. ``PlanError`` for another encoder than the plan's.
    """
    try:
        if terms.kind == "attributes":
            return AttributesHead(names=terms.names, shown=terms.shown, absent=terms.absent)
        if terms.kind == GENDER:
            return GenderHead(female=terms.shown[0], male=terms.absent[0])
        if terms.kind == WORDS:
            return _words(terms, encoder)
        return AgeHead()
    except (ModelError, ForbiddenError) as error:
        raise PlanError(f"head {terms.kind}: {error}") from None


def planned_shapes(heads: Sequence[HeadTerms], features: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of ``heads`` for features of that width, in their order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for terms in heads:
        shapes |= planned_head(terms).shapes(features)
    return shapes


def _words(terms: HeadTerms, encoder: TextEncoder | None) -> WordsHead:
    if terms.bank != bank_digest():
        raise PlanError("head words: it is contrasted with other prompts than there are here")
    if encoder is None:
        return WordsHead(size=terms.size, encoder=terms.encoder)
    if (encoder.hash, encoder.size) != (terms.encoder, terms.size):
        raise PlanError("head words: it maps into the space of another text encoder than is here")
    return WordsHead(size=terms.size, encoder=terms.encoder, bank=prompt_bank(encoder))
