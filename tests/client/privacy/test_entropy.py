"""Noise is Gaussian, fresh in every process, and comes from nowhere else."""

import ast
import os
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import client.privacy
from client.privacy.entropy import OsEntropy
from client.privacy.moments import private_sum
from client.privacy.sampler import choose, poisson

ROOM = Path(client.privacy.__file__).parent


def test_normals_are_standard_normal() -> None:
    draws = OsEntropy().normal(400_001)
    assert draws.shape == (400_001,)
    assert abs(draws.mean()) < 6 / len(draws) ** 0.5
    assert abs(draws.var() - 1) < 6 * (2 / len(draws)) ** 0.5
    assert abs((draws**3).mean()) < 6 * (15 / len(draws)) ** 0.5
    assert abs((draws**4).mean() - 3) < 6 * (96 / len(draws)) ** 0.5
    assert abs((np.abs(draws) > 3).mean() - 0.0026998) < 0.0006
    pairs = draws[:200_000] * draws[200_000:400_000]  # the two halves of Box-Muller
    assert abs(pairs.mean()) < 6 / len(pairs) ** 0.5


def test_uniforms_fill_the_unit_interval() -> None:
    draws = OsEntropy().uniform(100_000)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts, _ = np.histogram(draws, bins=100, range=(0, 1))
    assert ((counts - 1000) ** 2 / 1000).sum() < 99 + 6 * (2 * 99) ** 0.5


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_any_count_can_be_drawn(count: int) -> None:
    assert OsEntropy().normal(count).shape == OsEntropy().uniform(count).shape == (count,)


def test_no_two_draws_are_alike_even_across_a_fork() -> None:
    entropy = OsEntropy()
    entropy.normal(4)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, entropy.normal(4).tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = np.frombuffer(os.read(reader, 32))
    os.close(reader)
    os.close(writer)
    assert not set(theirs) & set(entropy.normal(4))


def test_seeding_every_global_generator_changes_nothing() -> None:
    def draw() -> list[float]:
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        entropy = OsEntropy()
        noise = private_sum(np.zeros((0, 4)), 1.0, 1.0, entropy)
        return [*noise, *entropy.uniform(2), *poisson(50, 0.5, entropy), *choose(9, 3, entropy)]

    assert draw() != draw()


def test_drawing_leaves_every_global_generator_alone() -> None:
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), random.getstate()  # type: ignore[index]
    private_sum(np.ones((3, 4)), 1.0, 1.0, OsEntropy())
    poisson(50, 0.5, OsEntropy())
    after = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), random.getstate()  # type: ignore[index]
    assert before == after


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.stem)
def test_no_other_source_of_randomness_is_named_in_this_room(path: Path) -> None:
    names = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    random_torch = {"randn", "rand", "randint", "randperm", "normal", "manual_seed", "Generator"}
    forbidden = {"np.random"} | {f"torch.{name}" for name in (*random_torch, "bernoulli")}
    assert not names & forbidden
    imported = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not imported & {"random", "secrets"}


def test_entropy_is_not_stored_or_sent() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(OsEntropy())
    assert not vars(OsEntropy())
