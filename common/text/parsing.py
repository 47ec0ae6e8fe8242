"""A query in free text becomes what is wanted, before anything of it is embedded.

Small text encoders hardly see a negation ("no glasses" lies beside "glasses"), so polarity and how
far it reaches are read by grammar, in English and Chinese; only what is left over is embedded.

Guarantee: a query that holds a forbidden word is refused whole; no message repeats a query. What is
left over is judged by itself again ("black" of "a black hat"), and where a site denies anything
nothing is left over: an encoder takes a slip of the pen for the word that is denied.
"""

from collections.abc import Iterable, Sequence

from common.errors import ForbiddenError, QueryError
from common.text.ages import find_age
from common.text.denied import AGE, GENDER, WORDS, denied_names
from common.text.forbidden import SITE, category, refuse
from common.text.lexicon import Role
from common.text.pieces import pieces
from common.text.query import Query
from common.text.scope import Said, Scope
from common.text.vocabulary import FEMALE, contradiction
from common.text.words import LONGEST, plain


def parse(text: str, *, gender: bool = False, also: Iterable[str] = ()) -> Query:
    """What ``text`` asks for.

    ``gender`` says whether the gender head is on: else gender words are understood and left out,
    and ``unasked`` tells so. ``also`` are words that this site denies, and what they are about it
    denies in any words (``denied``); what is not understood may be about it too, so it is left out
    there, as ``unasked`` tells. Raises ``ForbiddenError``, or ``QueryError`` where the query
    contradicts itself or is too long.
    """
    also = tuple(also)
    if len(text) > LONGEST:
        raise QueryError(f"a query has at most {LONGEST} characters, this one has {len(text)}")
    refuse(text, also)
    age, left = find_age(plain(text).replace("@", " "))
    scope = Scope(pieces(left))
    wanted, either = _collect(_chains(scope.said), gender)
    female = wanted.pop(FEMALE, None)
    named = {name for said in scope.said for name, _ in said.names}
    spoken = FEMALE in named
    about = named | ({GENDER} if spoken else set()) | ({AGE} if age else set())
    if about & denied_names(also):
        raise ForbiddenError(SITE)
    if gender and female is not None:
        wanted = {FEMALE: female, **wanted}
    remainder = " ".join(scope.remainder)
    unsaid = bool(remainder) and (bool(also) or category(remainder) is not None)
    unasked = {GENDER: spoken and not gender, WORDS: unsaid}
    return Query(
        wanted=wanted,
        either=either,
        age=age,
        remainder="" if unsaid else remainder,
        unasked=tuple(name for name, so in unasked.items() if so),
    )


def _chains(said: Sequence[Said]) -> list[list[Said]]:
    """What an "or" joins stands in one list, alone what nothing does."""
    chains: list[list[Said]] = []
    for one in said:
        ended = bool(chains) and any(other.joint is Role.OR for other in chains[-1][1:])
        if chains and (one.joint is Role.OR or (one.joint is Role.STOP and not ended)):
            chains[-1].append(one)
        else:
            chains.append([one])
    return chains


def _collect(
    chains: Sequence[Sequence[Said]], gender: bool
) -> tuple[dict[str, bool], tuple[tuple[str, ...], ...]]:
    """What is wanted for certain, and groups of which one is enough."""
    wanted: dict[str, bool] = {}
    either: list[tuple[str, ...]] = []
    for chain in chains:
        if _alternative(chain):
            group = tuple(dict.fromkeys(said.names[0][0] for said in chain))
            if gender or FEMALE not in group:  # else nobody can say which of them it is
                either.append(group)
            continue
        if len(chain) > 1 and all(name == FEMALE for said in chain for name, _ in said.names):
            continue  # a man or a woman: anybody
        for name, so in (pair for said in chain for pair in said.names):
            if wanted.setdefault(name, so) is not so:
                raise QueryError(f"the query asks for {name} and for its absence")
    both = contradiction(wanted)
    if both is not None:
        raise QueryError(f"nobody has {both[0]} and {both[1]} at once: join them by 'or'")
    return wanted, tuple(either)


def _alternative(chain: Sequence[Said]) -> bool:
    """Whether an "or" joins single attributes, all of them to be there."""
    plain_or = len(chain) > 1 and any(said.joint is Role.OR for said in chain[1:])
    return plain_or and all(len(s.names) == 1 and s.names[0][1] and not s.negated for s in chain)
