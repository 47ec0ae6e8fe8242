"""Trains the built-in text encoder on texts that ``phrasing`` draws: nobody's, and public.

The target of a text is the code of what it means, so nothing is contrasted and nobody is needed;
slips of the pen and words that mean nothing are drawn as well.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import ConfigError
from common.text.encoder import Network, meaning_code, tokens
from common.text.phrasing import Phrasing

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WARM = 0.05  # share of the steps


@dataclass(frozen=True, kw_only=True, slots=True)
class TextTraining:
    """How the built-in encoder is trained."""

    seed: int = 0
    texts: int = 60_000  # that are drawn
    steps: int = 2_500
    batch: int = 128
    rate: float = 3e-3
    slips: float = 0.1  # share of texts with a letter wrong
    strange: float = 0.2  # share of texts with words that mean nothing
    nothing: float = 0.03  # share of texts that mean nothing at all

    def __post_init__(self) -> None:
        if min(self.texts, self.steps, self.batch) < 1 or not 0 < self.rate < 1:
            raise ConfigError("texts, steps and batch are at least 1, and rate is in (0, 1)")


def train_encoder(
    plan: TextTraining, told: Callable[[int, float], None] = lambda step, loss: None
) -> Network:
    """The network after ``plan``; ``told`` hears of the loss now and then."""
    texts, targets = draw_texts(plan)
    generator = np.random.default_rng([plan.seed, 1])
    batches = _batches(texts, plan.batch)
    torch.manual_seed(plan.seed)
    network = Network()
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step / plan.steps))
    for step in range(plan.steps):
        rows = batches[int(generator.integers(len(batches)))]
        wanted = torch.from_numpy(targets[rows])
        loss = (network([texts[row] for row in rows]) - wanted).square().sum(dim=1).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == plan.steps - 1:
            told(step, loss.item())
    return network.eval()


def draw_texts(plan: TextTraining) -> tuple[list[str], NDArray[np.float32]]:
    """Texts and (N, T) what they mean."""
    rng = np.random.default_rng([plan.seed, 0])
    phrasing = Phrasing(rng)
    texts, targets = [], []
    for _ in range(plan.texts):
        phrased = phrasing.draw()
        text, target = phrased.text, meaning_code(phrased.attributes, phrased.age)
        if rng.uniform() < plan.nothing:
            text, target = " ".join(_strange(rng) for _ in range(4)), np.zeros_like(target)
        if rng.uniform() < plan.strange:
            text = _between(text, _strange(rng), rng)
        if rng.uniform() < plan.slips:
            text = _slip(text, rng)
        texts.append(text)
        targets.append(target)
    return texts, np.stack(targets)


def _batches(texts: Sequence[str], size: int) -> list[NDArray[np.int64]]:
    """Rows of ``texts`` of about one length together, which spares reading what is not there."""
    order = np.argsort([len(tokens(text)) for text in texts], kind="stable")
    return [order[begin : begin + size] for begin in range(0, len(order), size)]


def _rate(done: float) -> float:
    """Up at first, then down along half a cosine."""
    return done / _WARM if done < _WARM else 0.5 * (1 + math.cos(math.pi * done))


def _strange(rng: np.random.Generator) -> str:
    return "".join(_LETTERS[int(i)] for i in rng.integers(0, 26, int(rng.integers(3, 9))))


def _between(text: str, word: str, rng: np.random.Generator) -> str:
    """``word`` at a comma or an end of ``text``, where it changes nothing."""
    parts: Sequence[str] = text.split(", ")
    place = int(rng.integers(0, len(parts) + 1))
    return ", ".join([*parts[:place], word, *parts[place:]])


def _slip(text: str, rng: np.random.Generator) -> str:
    """One letter of a longer word left out or doubled."""
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if word.isascii() and len(word) > 5]
    if not long:
        return text
    place = long[int(rng.integers(len(long)))]
    word, letter = words[place], int(rng.integers(1, len(words[place]) - 1))
    kept = (
        word[:letter] + word[letter + 1 :]
        if rng.uniform() < 0.5
        else word[: letter + 1] + word[letter:]
    )
    return " ".join([*words[:place], kept, *words[place + 1 :]])
