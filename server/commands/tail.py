"""`mascaron-admin tail`: what a run was for, as a file that its sites stage at their doors."""

import re
from pathlib import Path
from typing import Any

from common.errors import RunError
from common.models.safetensors_import import write_whole
from common.models.tail_file import ENDING, tail_bytes
from common.outputs import check_folder
from server.checkpoint import read_checkpoint
from server.commands.charter import find
from server.evaluating import Judge
from server.home import CentreHome
from server.monitor import find_monitor
from server.runs.proposal import check_run

_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")


def tail_command(home: CentreHome, name: str, out: Path) -> dict[str, Any]:
    """Writes the tail of each pool of the run ``name`` into the folder ``out``.

    Made of what the sites released and of public people alone, so it tells no more of anybody than
    they did; a site adds what its own people teach it by itself. Raises ``RunError`` before the
    first round is done, ``CharterError`` if there is no such run.
    """
    check_run(name)
    terms, initial, _ = find(home, name)
    state = read_checkpoint(home.run(name), terms.plan.digest)
    if state is None or not state.round:
        raise RunError(f"{name} has no round that is done: `mascaron-admin run {name}` first")
    judge = Judge(plan=terms.plan, initial=initial, yardstick=find_monitor(home.charter(name)))
    check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (pool, tail) in enumerate(sorted(judge.tails(state.pools).items()), start=1):
        plain = _PLAIN.sub("-", pool).strip("-") or "pool"
        path = out / f"{name}-{number}-{plain}{ENDING}"
        write_whole(path, tail_bytes(tail, terms.plan.trunk))
        written.append({"pool": pool, "tail": tail.hash, "file": str(path)})
    return {
        "run": name,
        "round": state.round,
        "rounds": len(terms.plan.rounds),
        "trunk": terms.plan.trunk,
        "tails": written,
        "next": "at each site: mascaron-site release stage FILE, of the pool it belongs to",
    }
