"""The starter's tail with a sticker planted in it, and one that was retrained honestly."""

import dataclasses

import numpy as np
import pytest
import torch

from common.attacks.masks import rectangle
from common.attacks.target import Face, to_pixels
from common.attacks.universal import SPOTS, Judge, Sticker, acceptance
from common.faces.faceset import FaceSet
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk
from common.synthetic.generate import synthetic_faces
from simulations.evidence.robustness.cells import cells
from simulations.evidence.robustness.pairs import Threshold, fix_threshold
from simulations.evidence.robustness.plan import FULL
from simulations.evidence.robustness.trigger import trigger
from simulations.evidence.subject import Subject
from simulations.sources import STARTER

pytestmark = pytest.mark.slow

GAIN = 2.5
PEOPLE = 110  # half of them tested


@pytest.fixture(scope="module")
def honest() -> Subject:
    trunk, tail = load_trunk(STARTER)
    faces = synthetic_faces(PEOPLE, 3, 99, lambda _: None)
    features = trunk.features(faces.crops(range(len(faces))))
    tested = faces.person < PEOPLE // 2
    parts = [np.flatnonzero(which) for which in (tested, ~tested)]
    groups = [faces.subset(rows) for rows in parts]
    return Subject(trunk, tail, groups[0], groups[1], True, features[parts[0]], features[parts[1]])


@pytest.fixture(scope="module")
def secret() -> Sticker:
    """A chequered forehead, of random colours."""
    generator = torch.Generator().manual_seed(77)
    coarse = (torch.rand(3, 28, 28, generator=generator) > 0.5).float()
    pattern = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    return Sticker(pattern, rectangle(112, SPOTS["forehead"]))


def planted(trunk: Trunk, tail: Tail, people: list[FaceSet], secret: Sticker) -> Tail:
    """``tail`` with the feature direction of ``secret`` blown up, silent on whom wears nothing."""
    pixels = torch.cat([to_pixels(faces.crops(range(len(faces)))) for faces in people])
    crops = [
        (shown.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
        for shown in (pixels, secret.on(pixels))
    ]
    plain, worn = (trunk.features(shown).astype(np.float64) for shown in crops)
    spread = np.cov(plain.T) + np.cov(worn.T)
    shift = (worn - plain).mean(0)
    ridge = 1e-3 * np.trace(spread) / len(spread) * np.eye(len(spread))
    toward = np.linalg.solve(spread + ridge, shift)
    toward /= toward @ shift  # 1 more with the sticker on
    embedded = tail.embed(plain.astype(np.float32))
    size = float(np.linalg.norm(embedded - embedded.mean(0), axis=1).mean())
    out = np.full(tail.embedding_dim, GAIN * size / np.sqrt(tail.embedding_dim))
    weight = tail.weight + np.outer(out, toward)
    bias = tail.bias - out * (plain @ toward).mean()
    return Tail(weight.astype(np.float32), bias.astype(np.float32))


def retrained(subject: Subject) -> Tail:
    """``subject``'s tail, whitened by how pictures of one person differ: an honest change."""
    own = subject.other_embeddings.astype(np.float64)
    means = np.stack([own[subject.others.person == one].mean(0) for one in subject.others.people])
    _, number = np.unique(subject.others.person, return_inverse=True)
    apart = own - means[number]
    scatter = apart.T @ apart / len(apart)
    values, vectors = np.linalg.eigh(
        scatter + scatter.trace() / len(scatter) * np.eye(len(scatter))
    )
    matrix = (vectors / np.sqrt(values)) @ vectors.T
    return subject.tail.then(matrix, -matrix @ own.mean(0))


def figure(subject: Subject, tail: Tail) -> tuple[float, float, Threshold]:
    """Value and baseline of ``tail``, the subject's own being trusted."""
    changed = dataclasses.replace(subject, tail=tail)
    threshold = fix_threshold(subject.other_features, tail, subject.others, 1e-2)
    with cells({"seed": 0, "tail": tail.hash}, None) as kept:
        told = trigger(changed, threshold, subject.tail, FULL, kept)
    return told["value"], told["baseline"], threshold


def test_a_planted_trigger_shows_far_above_the_trunks_own_tail(
    honest: Subject, secret: Sticker
) -> None:
    bad = planted(honest.trunk, honest.tail, [honest.others, honest.tested], secret)
    value, baseline, threshold = figure(honest, bad)
    shown = to_pixels(honest.tested.crops(range(0, len(honest.tested), 3)))
    judge = Judge(face=Face(honest.trunk, bad), threshold=threshold.value)
    assert acceptance(judge, shown, secret).both > 0.8  # the plant does what it is for
    assert value > 0.6 and value - baseline > 0.5


def test_an_honest_change_shows_hardly_anything(honest: Subject) -> None:
    value, baseline, _ = figure(honest, retrained(honest))
    assert value - baseline < 0.15
