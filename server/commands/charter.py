"""`mascaron-admin charter`: propose a run, see what it means, and sign it."""

import dataclasses
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from common.errors import CharterError, ConfigError, RunError
from common.privacy.plan import PrivacyPlan
from common.trust.charter import CharterTerms, charter_digest, read_charter
from common.trust.roster import Roster
from common.trust.signed import Signed
from server.charter import CHARTER, Charter, load_charter, write_charter
from server.home import CentreHome
from server.runs.meaning import meaning
from server.runs.members import members_of, sums_of
from server.runs.proposal import (
    PROPOSAL,
    Asked,
    Ground,
    check_run,
    propose,
    read_proposal,
    write_proposal,
)
from server.standing import federation_of, public_key, roster_of, signing_key
from server.strategies.choice import StrategyChoice

if TYPE_CHECKING:
    from server.public import Opening
    from server.runs.reading import Chosen

PICTURES = 250  # between two lines of progress
EVER = 0.0  # a moment at which no charter has expired yet: to look at an old one
_SOURCES = ("public", "trunk", "aligned", "steps", "cache", "heads")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where public people and trunk are; ``steps`` of tuning the tail on those people, at most.

    ``heads`` are those of public pictures that the run goes on training; None: only the tail.
    """

    public: Path
    trunk: Path
    aligned: bool = False
    steps: int = 600
    cache: Path | None = None
    heads: "Chosen | None" = None


class Lines:
    """Progress on stderr, a line a task."""

    def start(self, what: str, total: int) -> Callable[[int], None]:
        """Tells what begins."""
        say(f"{what} ({total})")
        return lambda steps: None


def asked_of(options: dict[str, Any]) -> tuple[Asked, Sources]:
    """The options of ``charter propose``; ``ConfigError`` for what nobody can mean."""
    given = {key: value for key, value in options.items() if value is not None}
    told = {key: given.pop(key) for key in _SOURCES if key in given}
    asked = given.pop("head", ())
    if asked and "heads" not in told:
        raise ConfigError(
            "--head chooses among the heads of a file: give --heads FILE, as made by "
            "`mascaron-admin heads train`"
        )
    if "heads" in told:
        from server.runs.reading import choose_heads

        chosen = told["heads"] = choose_heads(told["heads"], asked)
        given |= {"heads": chosen.terms, "identity": chosen.identity}
    for key in ("expires", "timeout"):
        given[key] = seconds_of(given[key])
    given["strategy"] = StrategyChoice(name=given["strategy"])
    return Asked(**given), Sources(**told)


def propose_command(home: CentreHome, asked: Asked, sources: Sources, now: float) -> dict[str, Any]:
    """Writes the proposal of ``asked`` into the home and returns what it means.

    Raises ``CharterError`` if a charter of that name is signed already; errors of faces and trunk.
    """
    folder, federation = home.charter(asked.run), federation_of(home)
    if (folder / CHARTER).exists():
        raise CharterError(f"{asked.run} is signed already, and stays: choose another --run")
    ground, opening, people = _ground(sources, federation)
    initial: dict[str, NDArray[Any]] = dict(opening.arrays)
    if sources.heads is not None:
        initial |= heads_beside(sources.heads, ground, folder)
    terms = propose(asked, ground, initial, now)
    write_proposal(folder, terms, initial)
    if asked.rounds or asked.evaluation:
        from server.monitor import save_public

        save_public(folder, *people, opening.reference)
    told = _proposed(terms, initial, roster_of(home))
    return {"state": "proposed", "folder": str(folder), **told, "next": _next(asked.run)}


def sign_command(home: CentreHome, run: str, now: float) -> dict[str, Any]:
    """Seals the proposal ``run`` with the centre's key: from now on sites may accept it.

    Raises ``CharterError`` for a plan without noise, a cohort that cannot come together, an
    expired date, another federation, or a charter that is signed already.
    """
    check_run(run)
    folder = home.charter(run)
    if (folder / CHARTER).exists():
        raise CharterError(f"{run} is signed already; `mascaron-admin charter show {run}`")
    terms, initial = read_proposal(folder)
    roster = roster_of(home)
    _check(terms, roster, run, now)
    _check_public(folder, terms.plan)
    terms = dataclasses.replace(terms, members=members_of(terms.plan, roster))
    sums_of(terms, initial)
    told = meaning(terms, initial, len(roster.admitted))
    for line in told["in_plain_words"]:
        say(line)
    signed = terms.sign(signing_key(home))
    write_charter(folder, signed, initial)
    return {"state": "signed", "digest": charter_digest(signed), "content": signed.content, **told}


def show_command(home: CentreHome, run: str, now: float) -> dict[str, Any]:
    """What the charter or proposal ``run`` says and means; ``SignatureError`` if it was altered."""
    check_run(run)
    terms, initial, signed = find(home, run)
    roster = roster_of(home)
    if signed is None:
        told = _proposed(terms, initial, roster)
    else:
        told = meaning(terms, initial, len(roster.admitted))
    state = _state(terms, signed is not None, now)
    digest = {} if signed is None else {"digest": charter_digest(signed)}
    return {"state": state, **digest, "federation": terms.federation, **told}


def list_command(home: CentreHome, now: float) -> dict[str, Any]:
    """Every charter and proposal of the home, with its state."""
    found = []
    for folder in sorted(home.charters.iterdir()) if home.charters.is_dir() else ():
        if not (folder / CHARTER).exists() and not (folder / PROPOSAL).exists():
            continue
        terms, _, signed = find(home, folder.name)
        plan = terms.plan
        found.append(
            {
                "run": terms.run,
                "state": _state(terms, signed is not None, now),
                "cohort": plan.cohort,
                "rounds": len(plan.rounds),
                "noise": plan.noise,
                "expires": terms.expires,
            }
        )
    return {"charters": found}


def find(
    home: CentreHome, run: str
) -> tuple[CharterTerms, Mapping[str, NDArray[Any]], Signed | None]:
    """The charter called ``run``, or else the proposal; ``CharterError`` if there is neither."""
    folder = home.charter(run)
    if not (folder / CHARTER).exists():
        return *read_proposal(folder), None
    centre = public_key(home)
    _, initial, signed = load_charter(folder, centre)
    return read_charter(signed, centre, federation_of(home), EVER), initial, signed


def seconds_of(text: str) -> float:
    """``30d``, ``12h``, ``90m`` or ``45s`` in seconds; ``ConfigError`` for anything else."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if match is None:
        raise ConfigError(f"a time is a number and s, m, h or d, such as 30d: not {text!r}")
    return int(match[1]) * _SECONDS[match[2]]


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _ground(sources: Sources, federation: str) -> "tuple[Ground, Opening, tuple[Any, Any]]":
    """What public people and trunk say, on which a run is opened."""
    from common.faces.load import load_usable
    from common.models.cache import FeatureCache
    from common.models.studio import Studio
    from common.models.trunk import load_trunk
    from server.monitor import rates_of
    from server.public import PublicCameras, open_tail, randomised, shoot_public, watched

    trunk, tail = load_trunk(sources.trunk)
    say("reading public faces")
    public, skipped = load_usable(sources.public, aligned=sources.aligned, progress=_read)
    if skipped.total:
        say(f"public: {skipped}")
    with TemporaryDirectory() as scratch:
        studio = Studio(trunk, FeatureCache(sources.cache or Path(scratch)), Lines())
        views = shoot_public(public, PublicCameras(camera=randomised()), studio)
    say(f"tuning the tail on public people (at most {sources.steps} steps)")
    opening = open_tail(tail, views, sources.steps)
    features, person = watched(views)
    ground = Ground(
        federation=federation,
        trunk=trunk.hash,
        tail=opening.tail.hash,
        public=public.digest,
        radius=opening.reference.radius,
        thresholds=len(rates_of(person)),
    )
    return ground, opening, (features, person)


def heads_beside(chosen: "Chosen", ground: Ground, folder: Path) -> dict[str, NDArray[Any]]:
    """What a charter in ``folder`` begins with of ``chosen``, which is kept beside it.

    ``ConfigError`` for heads of another trunk.
    """
    from server.runs.reading import keep_public

    if chosen.public.trunk != ground.trunk:
        raise ConfigError("--heads: these heads read the features of another trunk")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep_public(folder, chosen.public)
    return dict(chosen.arrays)


def _proposed(
    terms: CharterTerms, initial: Mapping[str, NDArray[Any]], roster: Roster
) -> dict[str, Any]:
    """What a proposal means if it is signed while the roster is as it is now."""
    admitted = len(roster.admitted)
    try:
        named = dataclasses.replace(terms, members=members_of(terms.plan, roster))
        return meaning(named, initial, admitted)
    except CharterError as error:
        told = meaning(terms, initial, admitted)
        told["in_plain_words"].append(f"With the sites admitted now it cannot be signed: {error}.")
        return told


def _read(done: int, total: int) -> None:
    if done % PICTURES == 0:
        say(f"reading public faces ({done} of {total})")


def _check(terms: CharterTerms, roster: Roster, run: str, now: float) -> None:
    plan = terms.plan
    if terms.run != run:
        raise CharterError(f"the proposal in that folder is of the run {terms.run}: propose again")
    if plan.noise == "none":
        raise CharterError("the plan adds no noise, so it protects nobody: it is never signed")
    if terms.federation != roster.federation:
        raise CharterError("the proposal was made for another federation: propose it again")
    if terms.expires <= now:
        raise CharterError("the proposal has expired: propose it again")
    admitted = len(roster.admitted)
    if plan.cohort > admitted:
        raise CharterError(
            f"a round needs {plan.cohort} sites and {admitted} are admitted: admit more "
            "(`mascaron-admin sites`), or propose a smaller --cohort"
        )
    _check_pools(terms, plan, roster)


def _check_public(folder: Path, plan: PrivacyPlan) -> None:
    """Whether the public people who say at which cosine an evaluation accepts are there."""
    from server.evaluating import Judge
    from server.monitor import find_monitor

    try:
        Judge(plan=plan, initial={}, yardstick=find_monitor(folder)).check()
    except RunError as error:
        raise CharterError(str(error)) from None


def _check_pools(terms: CharterTerms, plan: PrivacyPlan, roster: Roster) -> None:
    """Whether noise and strategy find the sites they need in every pool of the roster."""
    whole = plan.pooling == "all"
    pools = Counter("all" if whole else site.camera_type for site in roster.admitted)
    told = Charter.of(terms).strategy.too_few(pools)
    if told:
        raise CharterError(told)
    small = [pool for pool, sites in sorted(pools.items()) if sites < plan.honest_sites]
    if plan.noise == "distributed" and small:
        raise CharterError(
            f"the noise is shared by {plan.honest_sites} sites of a camera type, and "
            f"{small[0]!r} has {pools[small[0]]}: fewer --honest-sites, --pooling all, or more "
            "sites of that type"
        )


def _state(terms: CharterTerms, signed: bool, now: float) -> str:
    if terms.expires <= now:
        return "expired"
    return "signed" if signed else "proposed"


def _next(run: str) -> str:
    return f"mascaron-admin charter sign {run}"
