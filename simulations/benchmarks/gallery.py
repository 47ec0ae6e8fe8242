"""A search among enrolled people, against reading their rows once.

    mascaron-lab bench gallery [--rows 100000] [--dim 512] [--repeats 9] [--huge]

Contenders take turns in one process on one thread and are measured in its processor time:
``stream`` reads the float16 bytes of the gallery (the faster of two ways to), ``single`` searches
for one probe, ``batch`` for 32 in one call, ``prefilter`` for one by sign bits (its miss bound
left aside: it is timed, not trusted). Answers are checked against a float64 product first.
The last line on stdout is one JSON object: ``ratio_single`` is single over stream,
``ratio_batch`` how many times more probes a batch answers in the same time, ``ratio_prefilter``
prefilter over stream, each of the fastest turns; ``_typical`` are medians of the ratios turn by
turn. ``--huge`` is a million rows (1.6 GB).
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import click
import numpy as np
from numpy.typing import NDArray

from client.vault.gallery import MOST, TOP, Gallery
from client.vault.identity import PersonId, TemplateId
from client.vault.prefilter import Prefilter
from simulations.benchmarks.arguments import at_least

BATCH = 32
HUGE = 1_000_000
PORTION = 10_000  # rows enrolled at once
NOISE = 0.05  # a number of a probe against the row it is near: a cosine of about 0.66 at 512
THRESHOLD = 0.45

Rows = NDArray[np.float32]


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="gallery", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=at_least(1000), default=100_000)
    parser.add_argument("--dim", type=at_least(16), default=512)
    parser.add_argument("--repeats", type=at_least(1), default=9)
    parser.add_argument("--huge", action="store_true", help="A million rows.")
    options = parser.parse_args(arguments)
    rows = HUGE if options.huge else options.rows
    click.echo(json.dumps(measure(rows, options.dim, options.repeats)))


def measure(rows: int, dim: int, repeats: int) -> dict[str, object]:
    """The ratios for ``rows`` people of one template each."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        bench = Bench(rows, dim)
        bench.check_agreement()
        seconds = bench.take_turns(repeats)
    finally:
        torch.set_num_threads(before)
    seconds["stream"] = [
        min(pair) for pair in zip(seconds.pop("sum"), seconds.pop("top"), strict=True)
    ]

    def ratio(over: str, under: str, times: float = 1.0) -> tuple[float, float]:
        turns = [times * a / b for a, b in zip(seconds[over], seconds[under], strict=True)]
        fastest = times * min(seconds[over]) / min(seconds[under])
        return round(fastest, 3), round(statistics.median(turns), 3)

    report: dict[str, object] = {"bench": "gallery", "rows": rows, "dim": dim, "threads": 1}
    for name, (fastest, typical) in {
        "ratio_single": ratio("single", "stream"),
        "ratio_batch": ratio("single", "batch", BATCH),
        "ratio_prefilter": ratio("prefilter", "stream"),
    }.items():
        report |= {name: fastest, f"{name}_typical": typical}
    report["ratio_memory"] = round(bench.bytes_held() / (2 * rows * dim), 3)
    report["gigabytes_per_second"] = round(2e-9 * rows * dim / min(seconds["stream"]), 1)
    return report | {"repeats": repeats, "load": [round(value, 1) for value in os.getloadavg()]}


class Bench:
    """Two galleries' worth of work on the same rows: with signs and without."""

    def __init__(self, rows: int, dim: int) -> None:
        rng = np.random.default_rng(0)
        self.gallery = Gallery(dim, capacity=rows, most=max(rows, MOST))
        for start in range(0, rows, PORTION):
            some = _unit(rng.standard_normal((min(PORTION, rows - start), dim), np.float32))
            names = [number.to_bytes(16, "big") for number in range(start, start + len(some))]
            people = [PersonId(name) for name in names]
            self.gallery.extend(people, [TemplateId(name) for name in names], some)
            click.echo(f"{start + len(some)}/{rows} rows", err=True)
        self.prefilter = Trusted(dim, THRESHOLD)
        self.stored: NDArray[np.float16] = self.gallery._matrix["rows"]
        mates = self.stored[:: max(1, rows // BATCH)][:BATCH].astype(np.float32)
        self.probes = _unit(mates + NOISE * rng.standard_normal(mates.shape, np.float32))

    def check_agreement(self) -> None:
        """Fails unless searches answer as a float64 product over all rows does."""
        hits, wide = self.gallery.search(self.probes), self.probes.astype(np.float64)
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
        scores = np.concatenate(
            [
                self.stored[start : start + PORTION].astype(np.float64) @ wide.T
                for start in range(0, len(self.stored), PORTION)
            ]
        )
        for number, column in enumerate(scores.T):
            order = np.argsort(-column)[:TOP]
            people = tuple(PersonId(int(i).to_bytes(16, "big")) for i in order)
            assert hits.persons[number] == people, "a search found others than a product did"
            assert np.abs(hits.scores[number] - column[order]).max() < 1e-6, "other scores"
        alone = self.gallery.search(self.probes[:1])
        assert np.array_equal(alone.scores[0], hits.scores[0]), "a batch changes an answer"

    def take_turns(self, repeats: int) -> dict[str, list[float]]:
        """Seconds of every contender, one after the other, ``repeats`` times."""
        import torch

        words = self.stored.view(np.uint64).ravel()
        tensor = torch.from_numpy(words.view(np.int64))
        contenders: dict[str, Callable[[], object]] = {
            "sum": lambda: tensor.sum(),
            "top": lambda: np.max(words),
            "single": lambda: self.gallery.search(self.probes[:1], exact=True),
            "batch": lambda: self.gallery.search(self.probes, exact=True),
            "prefilter": lambda: self.gallery.search(self.probes[:1]),
        }
        self.gallery.use(self.prefilter)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for repeat in range(-1, repeats):  # the first turn loads and compiles
            for name, contender in contenders.items():
                start = time.thread_time()
                contender()
                if repeat >= 0:
                    seconds[name].append(time.thread_time() - start)
        return seconds

    def bytes_held(self) -> int:
        """Of rows and codes and what stands beside them, without signs."""
        held = self.gallery._matrix._arrays
        return sum(array.nbytes for name, array in held.items() if name != "signs")


class Trusted(Prefilter):
    """Always ready, so that it can be timed, and learning nothing from exact searches."""

    def ready(self, rows: int) -> bool:
        return rows > 0

    def learn(self, *_: object) -> None:
        """Forgets it."""


def _unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    main(sys.argv[1:])
