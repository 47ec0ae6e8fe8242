"""What a round costs besides training, in seconds and bytes, beside Flower's own least for it.

    mascaron-lab bench rounds [--repeats 5] [--coordinates 128] [--features 512]

One SuperLink and two SuperNodes of Flower on this machine. Behind one stands a site as deployed:
launcher, courier, agent, ledger, noise and gate, over four people, so that nothing is trained.
Behind the other an app that sends back as many numbers as the site does. One ServerApp asks both
in turns, with the same arrays. Seconds are from sending a message to having the reply; bytes are
all that passed between SuperNode and SuperLink meanwhile. ``ratio_seconds`` and ``ratio_bytes``
are medians of the site's over the app's. The last line on stdout is one JSON object.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np

from client.agent.facts import SiteFacts
from client.agent.jobs import Jobs
from client.agent.main import serve
from client.agent.people import SitePeople
from client.agent.service import AgentService
from client.agent.training import Training
from client.policy import AutoAccept, SitePolicy
from client.privacy.entropy import OsEntropy
from client.privacy.ledger import Budget, Ledger
from client.serving.running import Running
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy.plan import MomentMechanism, PrivacyPlan
from server.charter import Charter
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.rounds_flower import Size, exchange
from simulations.signing import member, publish

TRUNK, RUN, DELTA, PEOPLE = "t" * 64, "bench", 1e-4, 4
MOST = 60  # repeats: each is a mechanism of one plan


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="rounds", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=at_least(1), default=5)
    parser.add_argument("--coordinates", type=at_least(1), default=128)
    parser.add_argument("--features", type=at_least(1), default=512)
    options = parser.parse_args(arguments)
    size = Size(options.coordinates, options.features, min(MOST, options.repeats))
    with tempfile.TemporaryDirectory(prefix="rounds") as folder:
        measured = measure(size, Path(folder))
    click.echo(json.dumps(report(size, measured)))


def report(size: Size, measured: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of ``measured``: for each repeat and contender, seconds and bytes."""
    turns = range(size.repeats)
    pairs = [{m["who"]: m for m in measured if m["repeat"] == turn} for turn in turns]

    def ratio(what: str) -> float:
        return round(statistics.median(float(p["site"][what] / p["echo"][what]) for p in pairs), 3)

    def middle(who: str, what: str) -> float:
        return round(statistics.median(float(pair[who][what]) for pair in pairs), 3)

    told: dict[str, Any] = {"bench": "rounds", "repeats": size.repeats, "sent": size.sent}
    told |= {"answered": size.answered}  # bytes of arrays, down and up
    for who in ("site", "echo"):
        told |= {f"seconds_{who}": middle(who, "seconds"), f"bytes_{who}": middle(who, "bytes")}
    told |= {"ratio_seconds": ratio("seconds"), "ratio_bytes": ratio("bytes")}
    return {**told, "load": [round(value, 1) for value in os.getloadavg()]}


def measure(size: Size, folder: Path) -> list[dict[str, Any]]:
    """One exchange for each repeat and contender; fails unless each was answered in full."""
    with open_agent(size, folder) as agent:
        measured = exchange(size, agent.address, folder)
    assert {m["who"] for m in measured} == {"site", "echo"}
    assert all(m["numbers"] == size.coordinates for m in measured), "an answer has another size"
    return measured


@contextmanager
def open_agent(size: Size, folder: Path) -> Iterator[Running]:
    """An agent as a site runs it, whose charter of moments is accepted already."""
    arrays = frame(size)
    plan = PrivacyPlan(
        mechanisms=tuple(
            MomentMechanism(kind="mean", sigma=50.0, clip=1.0, name=f"mean{number}")
            for number in range(size.repeats)
        ),
        people=PEOPLE,
        delta=DELTA,
        trunk=TRUNK,
    )
    centre = publish(Charter(run=RUN, plan=plan), arrays, folder / "charter")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2 * PEOPLE, size.features)).astype(np.float32)
    facts = SiteFacts(
        camera_type="door",
        trunk=TRUNK,
        people=SitePeople(rows, np.repeat(np.arange(PEOPLE), 2)),
        negatives=rows,
        membership=member("site", centre),
    )
    auto = AutoAccept(epsilon=50.0, rounds=MOST)
    policy = SitePolicy(epsilon=50.0, delta=DELTA, declared_people=PEOPLE, auto_accept=auto)
    with Ledger(folder / "ledger.db", bytes(32), Budget(50.0, DELTA)) as ledger:
        training = Training(facts, policy, ledger, OsEntropy())
        training.accept(offered(folder / "charter", arrays))
        with serve(AgentService(training, Jobs()), f"unix:{folder / 'agent.sock'}") as running:
            yield running


def offered(folder: Path, arrays: dict[str, Any]) -> Any:
    """The charter in ``folder`` as a centre offers it."""
    from client.agent.charters import Offer
    from common.trust.charter import array_digests
    from server.charter import CHARTER

    text = (folder / CHARTER).read_text("utf-8")
    return Offer(charter=text, initial=array_digests(arrays))


def frame(size: Size) -> dict[str, Any]:
    """What travels down in a round of moments: weight (K, D) and bias (K,), float32."""
    weight = np.random.default_rng(1).normal(size=(size.coordinates, size.features))
    bias = np.zeros(size.coordinates, np.float32)
    return {FRAME_WEIGHT: weight.astype(np.float32), FRAME_BIAS: bias}


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
