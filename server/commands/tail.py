"""`mascaron-admin tail`: what a run was for, as a file that its sites stage at their doors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from common.errors import RunError
from common.models.safetensors_import import write_whole
from common.models.tail import Tail
from common.models.tail_file import ENDING, tail_bytes
from common.outputs import check_folder
from common.privacy.heads import WORDS
from common.trust.charter import CharterTerms, charter_digest
from server.checkpoint import RunState, read_checkpoint
from server.commands.charter import find
from server.evaluating import Judge
from server.home import CentreHome
from server.monitor import find_monitor
from server.runs.proposal import check_run

_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """What a run was and what it made: a tail for each pool, and where it trained heads the file of
    them, as it ships: those of the charter, and words as public people left them."""

    terms: CharterTerms
    charter: str  # its digest; empty if it was never signed
    initial: Mapping[str, NDArray[Any]]
    state: RunState
    tails: dict[str, Tail]
    heads: dict[str, bytes]


def made_by(home: CentreHome, name: str) -> Made:
    """What the run ``name`` made so far. Raises ``RunError`` before the first round is done,
    ``CharterError`` if there is no such run, ``ModelError`` if the heads that it began with are not
    beside its charter."""
    check_run(name)
    terms, initial, signed = find(home, name)
    state = read_checkpoint(home.run(name), terms.plan.digest)
    if state is None or not state.round:
        raise RunError(f"{name} has no round that is done: `mascaron-admin run {name}` first")
    judge = Judge(plan=terms.plan, initial=initial, yardstick=find_monitor(home.charter(name)))
    digest = "" if signed is None else charter_digest(signed)
    return Made(
        terms=terms,
        charter=digest,
        initial=initial,
        state=state,
        tails=judge.tails(state.pools),
        heads=_heads(home.charter(name), terms, state),
    )


def tail_command(home: CentreHome, name: str, out: Path) -> dict[str, Any]:
    """Writes the tail of each pool of the run ``name`` into the folder ``out``, and its heads.

    Made of what the sites released and of public people alone, so it tells no more of anybody than
    they did; a site adds what its own people teach it by itself. Raises ``RunError`` before the
    first round is done, ``CharterError`` if there is no such run.
    """
    made = made_by(home, name)
    terms, state = made.terms, made.state
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (pool, tail) in enumerate(sorted(made.tails.items()), start=1):
        plain = _PLAIN.sub("-", pool).strip("-") or "pool"
        path = out / f"{name}-{number}-{plain}{ENDING}"
        write_whole(path, tail_bytes(tail, terms.plan.trunk))
        told = {"pool": pool, "tail": tail.hash, "file": str(path)}
        if made.heads:
            told |= _write_heads(made.heads[pool], path, public_heads(home, terms))
        written.append(told)
    return {
        "run": name,
        "round": state.round,
        "rounds": len(terms.plan.rounds),
        "trunk": terms.plan.trunk,
        "tails": written,
        "next": "at each site: mascaron-site release stage FILE, of the pool it belongs to",
    }


def public_heads(home: CentreHome, terms: CharterTerms) -> Path | None:
    """Where the heads lie that the run of ``terms`` began with, if it trains some."""
    if not terms.plan.heads:
        return None
    from server.runs.reading import PUBLIC

    return home.charter(terms.run) / PUBLIC


def _heads(charter: Path, terms: CharterTerms, state: RunState) -> dict[str, bytes]:
    if not terms.plan.heads:
        return {}
    from common.heads.heads_file import heads_bytes
    from server.runs.reading import trained_heads

    kinds = {WORDS, *(head.kind for head in terms.plan.heads)}
    found = {}
    for pool, heads in trained_heads(charter, state.pools).items():
        ours = heads.only(kinds)
        if ours is not None:
            found[pool] = heads_bytes(ours)
    return found


def _write_heads(content: bytes, tail: Path, public: Path | None) -> dict[str, str]:
    """Puts heads beside the file of their ``tail``; tells where, and what they began as."""
    from common.heads.heads_file import ENDING as HEADS

    path = tail.with_name(tail.name.removesuffix(ENDING) + HEADS)
    write_whole(path, content)
    return {"heads": str(path), "began_as": str(public)}
