"""Who is in the secure sums of a charter: the admitted sites of its pools when it is signed."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from common.errors import CharterError, CohortError, PlanError
from common.privacy.plan import PrivacyPlan
from common.secagg.terms import MOST_SITES, AggregationTerms, terms_of
from common.trust.charter import CharterTerms
from common.trust.roster import Roster
from server import phases


def members_of(plan: PrivacyPlan, roster: Roster) -> dict[str, tuple[str, ...]]:
    """By pool, the names of the sites that share noise; none where each adds all of it."""
    pools: dict[str, list[str]] = {}
    for site in roster.admitted if plan.noise == "distributed" else ():
        pool = site.camera_type if plan.pooling == "camera_type" else "all"
        pools.setdefault(pool, []).append(site.name)
    return {pool: tuple(sorted(names)) for pool, names in sorted(pools.items())}


def sums_of(
    terms: CharterTerms, initial: Mapping[str, NDArray[Any]]
) -> dict[str, list[AggregationTerms]]:
    """The terms of every mechanism's secure sum, by pool; ``CharterError`` if they cannot be."""
    plan, found = terms.plan, {}
    rounds = {current.mechanism.name: current for current in plan.rounds}.values()
    for pool, names in terms.members.items():
        try:
            found[pool] = [
                terms_of(plan, current.mechanism, names, phases.size(current, initial))
                for current in rounds
            ]
        except (CohortError, PlanError) as error:
            raise CharterError(
                f"the {len(names)} sites of {pool!r} cannot share noise under this plan: {error}; "
                f"a secure sum has 3 to {MOST_SITES} sites: other --cohort or --honest-sites, "
                "--pooling all, or --noise local"
            ) from None
    return found


def words_of(
    terms: CharterTerms, initial: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, Any], list[str]]:
    """What an administrator should know of the secure sums of ``terms``: facts, and in words."""
    sums, facts, words = sums_of(terms, initial), {}, []
    for pool, each in sums.items():
        first, smallest = each[0], min(each, key=lambda sum_: sum_.dropouts)
        facts[pool] = {
            "members": list(first.members),
            "least_sites": smallest.threshold,
            "sites_that_may_be_lost": smallest.dropouts,
            "sites_that_may_collude": first.colluders,
        }
        words.append(
            f"{pool}: {len(first.members)} sites share one noise. A round needs "
            f"{smallest.threshold} of them and survives the loss of {smallest.dropouts}; the "
            f"guarantee holds while at most {first.colluders} of them work together with the "
            "centre."
        )
    words.append(
        "The centre sees one sum of a pool and never what a single site sent: rules that compare "
        "sites (fedmedian, krum and the like) and checks of single replies are off, and a site "
        "that sends nonsense spoils the sum unseen."
    )
    words.append(
        f"A round has five phases, each of which may take {terms.timeout:g} s; a site that is lost "
        "is waited for in one of them."
    )
    words.append(
        "A round that fails after the sites sent their vectors is paid for again when it is tried "
        "again: where a site's budget does not hold that, it refuses."
    )
    return facts, words
