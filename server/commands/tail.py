"""`mascaron-admin tail`: what a run was for, as a file that its sites stage at their doors."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from common.errors import RunError
from common.models.safetensors_import import write_whole
from common.models.tail import Tail
from common.models.tail_file import ENDING, tail_bytes
from common.outputs import check_folder
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
    """What a run was and what it made: a tail for each pool."""

    terms: CharterTerms
    charter: str  # its digest; empty if it was never signed
    initial: Mapping[str, NDArray[Any]]
    state: RunState
    tails: dict[str, Tail]


def made_by(home: CentreHome, name: str) -> Made:
    """What the run ``name`` made so far. Raises ``RunError`` before the first round is done,
    ``CharterError`` if there is no such run."""
    check_run(name)
    terms, initial, signed = find(home, name)
    state = read_checkpoint(home.run(name), terms.plan.digest)
    if state is None or not state.round:
        raise RunError(f"{name} has no round that is done: `mascaron-admin run {name}` first")
    judge = Judge(plan=terms.plan, initial=initial, yardstick=find_monitor(home.charter(name)))
    digest = "" if signed is None else charter_digest(signed)
    tails = judge.tails(state.pools)
    return Made(terms=terms, charter=digest, initial=initial, state=state, tails=tails)


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
    write_heads = _writer_of_heads(home.charter(name), made)
    written = []
    for number, (pool, tail) in enumerate(sorted(made.tails.items()), start=1):
        plain = _PLAIN.sub("-", pool).strip("-") or "pool"
        path = out / f"{name}-{number}-{plain}{ENDING}"
        write_whole(path, tail_bytes(tail, terms.plan.trunk))
        told = {"pool": pool, "tail": tail.hash, "file": str(path)}
        told |= write_heads(pool, path)
        written.append(told)
    return {
        "run": name,
        "round": state.round,
        "rounds": len(terms.plan.rounds),
        "trunk": terms.plan.trunk,
        "tails": written,
        "next": "at each site: mascaron-site release stage FILE, of the pool it belongs to",
    }


def _writer_of_heads(charter: Path, made: Made) -> Callable[[str, Path], dict[str, str]]:
    """What puts the heads of a pool beside its tail, and tells where; nothing where there are none.

    Raises ``ModelError`` if the public heads, which theirs began as, are not beside the charter.
    """
    if not made.terms.plan.heads:
        return lambda pool, tail: {}
    from common.heads.heads_file import ENDING as HEADS
    from common.heads.heads_file import heads_bytes
    from server.runs.reading import trained_heads

    trained = trained_heads(charter, made.state.pools)

    def write(pool: str, tail: Path) -> dict[str, str]:
        path = tail.with_name(tail.name.removesuffix(ENDING) + HEADS)
        write_whole(path, heads_bytes(trained[pool]))
        return {"heads": str(path)}

    return write
