"""What can be read of people from embeddings, stored templates and updates: a section."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.attacks.attributes import cross_fit, inferred
from common.attacks.decoder import numbers, signs
from common.errors import ScenarioError
from common.metrics.verification import unit_rows
from common.models.studio import Progress
from common.models.tail import Tail
from simulations.entropy import SeededEntropy
from simulations.evidence.marks import Marks, person_truth
from simulations.evidence.releases import Protection, Wire
from simulations.evidence.sealed import keep
from simulations.evidence.subject import Subject

CHANCE, SLACK = 0.5, 0.02  # balanced accuracy of who knows nothing, and what more is nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributeOptions:
    """The budgets that updates are noised by."""

    epsilon: tuple[float, ...] = (8.0, 2.0)
    delta: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1 or not self.epsilon:
            raise ScenarioError("--delta must be in (0, 1)")
        if any(not 0 < epsilon < float("inf") for epsilon in self.epsilon):
            raise ScenarioError("--epsilon must be positive")


def infer(
    subject: Subject,
    marks: Marks,
    given: AttributeOptions,
    progress: Progress,
    first: Tail | None = None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Figures, and what does not hold. Every probe is judged on people who did not teach it.

    With the ``first`` tail, from before training, its embeddings are probed as well.
    """
    inference = _Inference(subject, marks, given)
    features, embeddings = inference.features, inference.embeddings
    sealed = numbers(list(keep(features, subject.trunk.hash).sealed))
    rows: dict[str, dict[str, Any]] = {"without": {}, "with": {}}
    pictures = {"embedding": embeddings, "feature": features, "sign_code": signs(embeddings)}
    if first is not None and first.hash != subject.tail.hash:
        pictures["embedding_before_training"] = unit_rows(first.embed(features))
    done = progress.start("inferring", 2 + len(pictures) + len(given.epsilon))
    for name, vectors in pictures.items():
        rows["without"][name] = inference.pictures(vectors)
        done(1)
    rows["with"]["sealed_template"] = inference.pictures(sealed)
    done(1)
    rows["without"]["update_mean_1"] = inference.update(Protection())
    done(1)
    for epsilon in given.epsilon:
        protection = Protection(epsilon=epsilon, delta=given.delta)
        rows["with"][f"update_mean_1_epsilon_{epsilon:g}"] = inference.update(protection)
        done(1)
    figures = {
        "people": len(np.unique(inference.person)),
        "pictures": len(marks.picture),
        "majority": CHANCE,
        "shares": dict(zip(marks.names, marks.truth.mean(axis=0).tolist(), strict=True)),
        "epsilon": list(given.epsilon),
        "delta": given.delta,
        **rows,
    }
    return figures, tuple(verdicts(figures))


def verdicts(figures: Mapping[str, Any]) -> list[str]:
    """What does not hold: sealed templates that tell, and probes too weak to say anything."""
    found = []
    if figures["with"]["sealed_template"]["mean"]["ci95"][0] > CHANCE + SLACK:
        found.append("attributes: sealed templates tell what people wear or are")
    if figures["without"]["embedding"]["mean"]["ci95"][0] <= CHANCE + SLACK:
        found.append("attributes: plaintext told nothing either, so the probe shows nothing")
    return found


class _Inference:
    """Probes of one subject's pictures, and of releases over its people one by one."""

    def __init__(self, subject: Subject, marks: Marks, given: AttributeOptions) -> None:
        self.subject, self.marks, self.given = subject, marks, given
        self.person = subject.tested.person[marks.picture]
        self.features = subject.features[marks.picture]
        self.embeddings = unit_rows(subject.tail.embed(self.features))

    def pictures(self, vectors: NDArray[np.float32]) -> dict[str, Any]:
        """Of what each picture gives away."""
        said = cross_fit(vectors, vectors, self.marks.truth, self.person, self._rng(1))
        return self._told(said, self.marks.truth, self.person)

    def update(self, protection: Protection) -> dict[str, Any]:
        """Of a mean release of one person, read by probes of other people's plain means."""
        wire = Wire(
            self.subject.tail, self.subject.other_features, SeededEntropy(self.given.seed, 7)
        )
        people = np.unique(self.person)
        bags = [self.features[self.person == one] for one in people]
        plain = np.stack([self.subject.tail.embed(bag).mean(axis=0) for bag in bags])
        seen = np.stack([wire.mean([[bag]], protection) for bag in bags]).astype(np.float32)
        truth = person_truth(self.marks.truth, self.person)
        said = cross_fit(unit_rows(plain), unit_rows(seen), truth, people, self._rng(1))
        return self._told(said, truth, people)

    def _told(
        self, said: NDArray[np.bool_], truth: NDArray[np.bool_], person: NDArray[np.int64]
    ) -> dict[str, Any]:
        found = inferred(said, truth, person, self._rng(2))
        each = {
            name: {"value": float(found.value[number]), "ci95": list(found.interval(number))}
            for number, name in enumerate(self.marks.names)
        }
        mean = {"value": float(found.value.mean()), "ci95": list(found.interval())}
        return {"mean": mean, "each": each, "n": len(np.unique(person))}

    def _rng(self, use: int) -> np.random.Generator:
        return np.random.default_rng([self.given.seed, 13, use])
