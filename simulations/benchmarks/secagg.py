"""What it costs that the centre sees a sum alone, beside a plain sum and Flower's SecAgg+.

    mascaron-lab bench secagg [--sites 5 20] [--size 100000] [--repeats 5]

The same float32 vectors are added up three ways in one process, in turns: plainly (each vector
encoded, decoded and added in float64), by our agents and centre through all five phases, and by
Flower's own SecAgg+ workflow and mod. All must agree. Time is processor time, the median over
repeats of the ratio to the contender named; ``ratio_upload`` is all that sites send divided by
four bytes a coordinate. ``ratio_noise`` is the drawing of integer noise, which ours has besides,
divided by the secure sum without. The last line on stdout is one JSON object.
"""

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from client.agent.aggregation import Member, SecureAggregation
from client.agent.attempts import Attempts
from client.privacy.entropy import OsEntropy
from client.privacy.integer_noise import discrete_gaussian
from common import wire
from common.secagg.fixed_point import finest
from common.secagg.phases import PHASES
from common.secagg.terms import AggregationTerms, Context, least_threshold
from common.trust.keys import SigningKey
from common.trust.roster import Roster, SiteEntry
from server.strategies.aggregating import Aggregation
from simulations.benchmarks.arguments import at_least

FEDERATION = "0" * 64
PEOPLE = 240
FLOWER_STEP = 16 / 2**22  # SecAgg+'s quantisation at its defaults

Sum = NDArray[np.float64]


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="secagg", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sites", type=at_least(3), nargs="+", default=[5, 20])
    parser.add_argument("--size", type=at_least(1), default=100_000, help="coordinates")
    parser.add_argument("--repeats", type=at_least(1), default=5)
    options = parser.parse_args(arguments)
    report: dict[str, Any] = {"bench": "secagg", "size": options.size, "repeats": options.repeats}
    for sites in options.sites:
        found = measure(sites, options.size, options.repeats)
        report |= {f"{name}_{sites}_sites": value for name, value in found.items()}
    report["load"] = [round(value, 1) for value in os.getloadavg()]
    click.echo(json.dumps(report))


def measure(sites: int, size: int, repeats: int) -> dict[str, float]:
    """The ratios for ``sites`` vectors of ``size`` coordinates."""
    from simulations.benchmarks.secagg_flower import FlowerSum

    logging.getLogger("flwr").setLevel(logging.ERROR)  # its import sets its own level
    vectors = np.random.default_rng(0).uniform(-1, 1, (sites, size)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        ours = OurSum(vectors, Path(folder))
        flower = FlowerSum(vectors, ours.terms.threshold)
        contenders: dict[str, Callable[[], object]] = {
            "plain": lambda: plain_sum(vectors),
            "ours": ours,
            "flower": flower,
            "noise": ours.noise,
        }
        check_agreement(vectors, ours, flower)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for repeat in range(repeats):
            for name, contender in contenders.items():
                start = time.process_time()
                contender()
                seconds[name].append(time.process_time() - start)
            click.echo(f"{repeat + 1}/{repeats}: {sites} sites", err=True)

    def ratio(name: str, to: str) -> float:
        pairs = zip(seconds[name], seconds[to], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 3)

    return {
        "ratio_time_to_plain": ratio("ours", "plain"),
        "ratio_time_flower_to_plain": ratio("flower", "plain"),
        "ratio_time": ratio("ours", "flower"),
        "ratio_noise": ratio("noise", "ours"),
        "ratio_upload": round(ours.uploaded / (4 * vectors.size), 4),
        "ratio_upload_flower": round(flower.uploaded / (4 * vectors.size), 4),
    }


def check_agreement(
    vectors: NDArray[np.float32], ours: "OurSum", flower: Callable[[], Sum]
) -> None:
    """Fails unless the three sums are the same to the steps of their grids."""
    plain, step = plain_sum(vectors), ours.terms.grid.clip / ours.terms.grid.units
    assert np.abs(ours() - plain).max() <= len(vectors) * step, "our sum is another"
    assert np.abs(flower() - plain).max() <= 2 * len(vectors) * FLOWER_STEP, "Flower's is another"


def plain_sum(vectors: NDArray[np.float32]) -> Sum:
    """What a centre does that may see every vector."""
    total = np.zeros(vectors.shape[1])
    for vector in vectors:
        total += np.asarray(wire.load(wire.dump({"sum": vector}))["sum"], np.float64)
    return total


class OurSum:
    """One secure sum of ``vectors`` (sites, K); each call is another round of one run."""

    def __init__(self, vectors: NDArray[np.float32], folder: Path) -> None:
        sites, size = vectors.shape
        names = tuple(f"site-{i:02d}" for i in range(sites))
        keys = {name: SigningKey.generate() for name in names}
        entries = tuple(
            SiteEntry(
                name=name,
                identity=keys[name].public.text,
                node=name,
                camera_type="door",
                people=PEOPLE,
            )
            for name in names
        )
        self._roster = Roster(federation=FEDERATION, number=1, sites=entries)
        self._vectors = dict(zip(names, vectors, strict=True))
        self._sites = {
            name: SecureAggregation(
                Member(name=name, key=key, roster=lambda: self._roster),
                Attempts(folder / name),
            )
            for name, key in keys.items()
        }
        threshold = least_threshold(sites, colluders=1)
        grid = finest(clip=1.0, sigma=1.0, people=PEOPLE, sites=sites, honest=threshold - 1)
        self.terms = AggregationTerms(
            members=names, threshold=threshold, colluders=1, grid=grid, size=size
        )
        self._round = 0
        self.uploaded = 0  # bytes that the sites sent in the last round

    def __call__(self) -> Sum:
        self._round += 1
        self.uploaded = 0
        context = Context(
            federation=FEDERATION,
            charter="bench",
            run="bench",
            round=self._round,
            attempt=1,
            terms=self.terms,
        )
        centre = Aggregation(context, self._roster)
        for phase in PHASES:
            replies = {
                name: self._sites[name].answer(context, phase, payload, self._steps(name))
                for name, payload in centre.requests(phase).items()
            }
            self.uploaded += sum(map(len, replies.values()))
            centre.take(phase, replies)
        return self.terms.grid.decode(centre.total)

    def noise(self) -> None:
        """What all sites draw besides, in a real round."""
        for _ in self._sites:
            discrete_gaussian(self.terms.grid.variance, self.terms.size, OsEntropy())

    def _steps(self, name: str) -> Callable[[], NDArray[np.int64]]:
        grid = self.terms.grid

        def steps() -> NDArray[np.int64]:
            real = self._vectors[name].astype(np.float64) * (grid.units / grid.clip)
            return np.asarray(np.rint(real), np.int64)

        return steps


if __name__ == "__main__":
    main(sys.argv[1:])
