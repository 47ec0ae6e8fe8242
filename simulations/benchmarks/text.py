"""Do words find faces: a text search beside a filter of attributes, negations included.

    mascaron-lab bench text [--faces PACK [--labels CSV]] [--trunk FILE] [--parts 3]
                            [--encoders built-in,minilm] [--queries 200] [--cache DIR]

Every picture is read by heads that other people taught, one picture a person is the gallery. A
query has three conditions that are true of some picture (and an age at times), said in one of many
ways; right is whatever has all of them. recall@k is the share of what is right, or of k if that is
less, among the first k. ``filter`` ranks by calibrated probabilities of the parsed query, ``words``
by the prompts it asks for, ``both`` by both; ``raw`` embeds the query as it is written and
``blind`` is the filter where nobody reads negations. Intervals: bootstrap over queries, differences
to the filter paired. ``near`` are mean cosines of an encoder's texts: said in other words, in the
other language, and with one thing turned round. The last line on stdout is one JSON object.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.faces.faceset import FaceSet
from common.text.encoding import TextEncoder, open_encoder
from common.text.parsing import parse
from common.text.phrasing import Phrasing
from common.text.query import Query
from common.text.search import Searcher
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.heads_material import Lab, with_table
from simulations.benchmarks.text_material import SAID, Asked, Gallery, gallery_of, queries

SEED = 9600  # of invented people
PICTURES = 3  # of each of them
DRAWS = 1000  # of the bootstrap
FIRST = (1, 10)

Doubles = NDArray[np.float64]
Scorer = Callable[[Query, str], Doubles]


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    given = _parser().parse_args(arguments)
    from rich.console import Console

    from common.models.cache import FeatureCache
    from simulations.progress import Bars
    from simulations.sources import Sources

    trunk, _ = Sources(trunk=given.trunk, threads=1).load_trunk()
    with Bars(Console(stderr=True)) as bars, TemporaryDirectory() as scratch:
        lab = Lab(trunk=trunk, cache=FeatureCache(given.cache or Path(scratch)), progress=bars)
        faces = _faces(given, lab)
        features = lab.features(faces, "features")
    report: dict[str, Any] = {"bench": "text", "trunk": trunk.hash, "parts": given.parts}
    for which in given.encoders.split(","):
        try:
            encoder = open_encoder(which)
        except ModelError as error:
            report[which] = {"skipped": str(error)}
            continue
        gallery = gallery_of(faces, features, trunk.hash, encoder, given.parts)
        report |= {"gallery": len(gallery.truth), "attributes": len(gallery.names)}
        report[which] = {
            "near": near(encoder),
            **{kind: recalls(gallery, encoder, kind, given.queries) for kind in SAID},
        }
    click.echo(json.dumps(report))


def recalls(gallery: Gallery, encoder: TextEncoder, kind: str, many: int) -> dict[str, Any]:
    """recall@1 and @10 of every way to search, with intervals."""
    asked = queries(gallery, kind, many, SEED)
    ways = scorers(gallery, encoder)
    found = {name: _found(asked, score) for name, score in ways.items()}
    drawn = np.random.default_rng(SEED).integers(0, many, (DRAWS, many))
    told: dict[str, Any] = {}
    for name, rates in found.items():
        told[name] = {f"recall@{k}": _estimate(rates[k], drawn) for k in FIRST}
        if name != "filter":
            told[name] |= {
                f"over filter@{k}": _estimate(rates[k] - found["filter"][k], drawn) for k in FIRST
            }
    right = np.array([one.right.mean() for one in asked])
    told["chance"] = {"recall@1": round(float(right.mean()), 4)}
    return told


def scorers(gallery: Gallery, encoder: TextEncoder) -> dict[str, Scorer]:
    """Every way to search by name: query and its text to scores (N,)."""
    readings, plain, worded = gallery.readings, Searcher(), Searcher(encoder)
    words = readings.words
    if words is None:
        raise ModelError("no words were read")

    def by_words(query: Query, text: str) -> Doubles:
        ranked = worded.rank(query, readings).text
        return np.zeros(len(words)) if ranked is None else ranked

    def raw(query: Query, text: str) -> Doubles:
        return np.asarray(words @ encoder.encode([text])[0], np.float64)

    def blind(query: Query, text: str) -> Doubles:
        seen = Query(wanted=dict.fromkeys(query.wanted, True), age=query.age)
        return plain.rank(seen, readings).fused

    return {
        "filter": lambda query, text: plain.rank(query, readings).fused,
        "words": by_words,
        "both": lambda query, text: worded.rank(query, readings).fused,
        "raw": raw,
        "blind": blind,
    }


def near(encoder: TextEncoder, many: int = 200) -> dict[str, float]:
    """Mean cosines of texts: the same in other words, in Chinese, and with one thing turned."""
    phrasing = Phrasing(np.random.default_rng([SEED, 1]))
    meant = [m for m in (phrasing.meaning() for _ in range(2 * many)) if m[0]][:many]
    turned = [({**wanted, (n := next(iter(wanted))): not wanted[n]}, age) for wanted, age in meant]
    others = [m for m in (phrasing.meaning() for _ in range(2 * many)) if m[0]][: len(meant)]
    base = encoder.encode([phrasing.say(*meaning, "en") for meaning in meant])
    texts = {
        "other words": [phrasing.say(*meaning, "en") for meaning in meant],
        "other language": [phrasing.say(*meaning, "zh") for meaning in meant],
        "one thing turned": [phrasing.say(*meaning, "en") for meaning in turned],
        "something else": [phrasing.say(*meaning, "en") for meaning in others],
    }
    alike = {name: np.sum(base * encoder.encode(said), axis=1) for name, said in texts.items()}
    told = {name: round(float(cosines.mean()), 3) for name, cosines in alike.items()}
    having, lacking = encoder.encode(["glasses", "no glasses"])
    return {**told, "glasses and no glasses": round(float(having @ lacking), 3)}


def _found(asked: Sequence[Asked], score: Scorer) -> dict[int, Doubles]:
    """(Q,) recall of each query at each k."""
    rates: dict[int, list[float]] = {k: [] for k in FIRST}
    for one in asked:
        order = np.argsort(-score(parse(one.text), one.text), kind="stable")
        for k in FIRST:
            rates[k].append(float(one.right[order[:k]].sum()) / min(k, int(one.right.sum())))
    return {k: np.array(values) for k, values in rates.items()}


def _estimate(rates: Doubles, drawn: NDArray[np.int64]) -> list[float]:
    """Mean, and from where to where 95 % of the means of redrawn queries lie."""
    means = rates[drawn].mean(axis=1)
    return [round(float(v), 4) for v in (rates.mean(), *np.quantile(means, (0.025, 0.975)))]


def _faces(given: argparse.Namespace, lab: Lab) -> FaceSet:
    if given.faces is None:
        from common.synthetic.generate import synthetic_faces

        done = lab.progress.start("inventing people", given.people)
        return synthetic_faces(given.people, PICTURES, SEED, lambda _: done(1))
    from common.faces.load import load_usable

    faces = load_usable(given.faces, aligned=True)[0]
    return faces if given.labels is None else with_table(faces, given.labels)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="text", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, help="pack or folder of aligned, labelled people")
    parser.add_argument("--labels", type=Path, help="table: file, then 1 and -1 a column")
    parser.add_argument("--trunk", type=Path, help="embedder; default: the starter")
    parser.add_argument("--encoders", default="built-in,minilm", help="of texts, by comma")
    parser.add_argument("--cache", type=Path, help="folder for features, as secret as faces")
    parser.add_argument("--people", type=at_least(30), default=300, help="invented ones")
    parser.add_argument("--parts", type=at_least(2), default=3, help="of the people, in turns")
    parser.add_argument("--queries", type=at_least(10), default=200, help="of each kind")
    return parser
