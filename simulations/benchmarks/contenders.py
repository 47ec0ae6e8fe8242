"""Six ways to take one training step on people, made to compute the same thing.

plain         SGD on all pictures of all people at once; no privacy
accumulated   SGD one person at a time, gradients accumulated; no privacy
person        ours: one backward a person, the person clipped (``client.privacy.step``)
hooks         Opacus' per-picture gradients, added up to people before clipping
ghost         Opacus' ghost clipping: two backwards, and the *picture* is clipped, not the person
cached        ours on cached features: the frozen trunk is not run, only the tail is trained

The learning rate is 0, so that every step starts from the same weights.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from client.privacy.entropy import OsEntropy
from client.privacy.objective import BagContrast
from client.privacy.step import private_step, sgd
from common.models.fold import fold_batchnorm
from common.models.registry import build

SCALE = 16.0
PUBLIC = 256  # negatives
PEOPLE_AT_ONCE = 4  # a physical batch of Opacus: its per-picture gradients of more do not fit


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What every contender is given."""

    persons: int = 32
    pictures: int = 8  # of each person
    width: float = 0.5  # of IResNet18
    side: int = 112  # pixels; the network's fully connected layer fits no other
    clip: float = 1.0
    sigma: float = 1.0


@dataclass(frozen=True, eq=False, slots=True)
class Bench:
    """The network without BatchNorm, the people and the public negatives of one measurement."""

    setting: Setting
    model: nn.Module
    crops: Tensor  # (P, k, 3, H, W)
    features: Tensor  # (P, k, D) what a cache would hold
    negatives: Tensor  # (M, E) normalised embeddings
    public_features: Tensor  # (M, D)


class Contender:
    """One way to step; ``step()`` leaves its summed gradient in the parameters' ``grad``."""

    def __init__(self, module: nn.Module, step: Callable[[], None]) -> None:
        self.module, self.step = module, step

    def gradient(self) -> Tensor:
        """The sum over people that the last step released, as one vector."""
        return torch.cat([p.grad.flatten() for p in self.module.parameters() if p.grad is not None])


def make_bench(setting: Setting) -> Bench:
    """The same network, random crops and negatives for the same setting."""
    generator = torch.Generator().manual_seed(0)
    embedder = build("iresnet18", width=setting.width)
    dim = embedder.feature_dim
    model = fold_batchnorm(embedder).train()  # Opacus captures nothing in eval mode

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    people = setting.persons, setting.pictures
    return Bench(
        setting,
        model,
        normal(*people, 3, setting.side, setting.side),
        normal(*people, dim),
        F.normalize(normal(PUBLIC, embedder.architecture.embedding)),
        normal(PUBLIC, dim),
    )


def picture_losses(embedding: Tensor, negatives: Tensor, pictures: int) -> Tensor:
    """(P * k, E) -> (P * k,): each picture's part of its person's contrast; a person's mean.

    As ``client.privacy.objective.BagContrast``, against negatives that are constant, so that
    contenders who see a person in parts have nothing to compute twice.
    """
    bags = F.normalize(embedding).reshape(-1, pictures, embedding.shape[1])  # (P, k, E)
    repel = torch.logsumexp(SCALE * bags @ negatives.T, dim=2)  # (P, k)
    attract = SCALE * bags @ bags.mT  # (P, k, k)
    others = ~torch.eye(pictures, dtype=torch.bool)
    pairs = F.softplus(repel[:, :, None] - attract)[:, others]  # (P, k (k - 1))
    return pairs.reshape(-1, pictures - 1).mean(dim=1) / pictures


def plain(bench: Bench) -> Contender:
    """The yardstick: one forward, one backward, all pictures."""
    model = copy.deepcopy(bench.model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        _loss(bench, model, bench.crops).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return Contender(model, step)


def accumulated(bench: Bench) -> Contender:
    """Without privacy, but in the same small portions as ours."""
    model = copy.deepcopy(bench.model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        for person in bench.crops.unbind():
            _loss(bench, model, person[None]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return Contender(model, step)


def person(bench: Bench) -> Contender:
    """The step that ships, on the whole network."""
    model, setting = copy.deepcopy(bench.model), bench.setting
    optimizer = sgd(model, rate=0, sigma=setting.sigma, clip=setting.clip, entropy=OsEntropy())

    def loss(module: nn.Module, crops: Tensor) -> Tensor:
        return _loss(bench, module, crops[None])

    return Contender(model, lambda: private_step(model, loss, bench.crops.unbind(), optimizer))


def cached(bench: Bench) -> Contender:
    """The step that ships, on the tail alone, with its own objective and public features."""
    setting = bench.setting
    tail = nn.Linear(bench.features.shape[2], bench.negatives.shape[1])
    optimizer = sgd(tail, rate=0, sigma=setting.sigma, clip=setting.clip, entropy=OsEntropy())
    loss = BagContrast(tail, bench.public_features, SCALE)
    return Contender(tail, lambda: private_step(tail, loss, bench.features.unbind(), optimizer))


def hooks(bench: Bench) -> Contender:
    """Opacus' default: a gradient a picture, summed over each person before the clip."""
    from opacus.grad_sample import GradSampleModule
    from opacus.optimizers import DPOptimizer

    setting = bench.setting
    model = GradSampleModule(copy.deepcopy(bench.model), loss_reduction="sum")
    optimizer = DPOptimizer(
        torch.optim.SGD(model.parameters(), lr=0),
        noise_multiplier=setting.sigma,
        max_grad_norm=setting.clip,
        expected_batch_size=None,
        loss_reduction="sum",
    )

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        for part, last in _parts(bench.crops):
            with _expected():
                _loss(bench, model, part).backward()  # type: ignore[no-untyped-call]
            for p in model.parameters():
                p.grad_sample = p.grad_sample.unflatten(0, (-1, setting.pictures)).sum(1)
            optimizer.signal_skip_step(do_skip=not last)
            optimizer.step()
            if not last:
                optimizer.zero_grad(set_to_none=True)

    return Contender(model, step)


def ghost(bench: Bench) -> Contender:
    """Opacus' ghost clipping. It cannot add a person's pictures up: they are clipped one by one."""
    from opacus.grad_sample import GradSampleModuleFastGradientClipping
    from opacus.optimizers import DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping

    setting = bench.setting
    model = GradSampleModuleFastGradientClipping(
        copy.deepcopy(bench.model), loss_reduction="sum", max_grad_norm=setting.clip
    )
    optimizer = DPOptimizerFastGradientClipping(
        torch.optim.SGD(model.parameters(), lr=0),
        noise_multiplier=setting.sigma,
        max_grad_norm=setting.clip,
        expected_batch_size=None,
        loss_reduction="sum",
    )

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        for part, last in _parts(bench.crops):
            losses = picture_losses(model(part.flatten(0, 1)), bench.negatives, setting.pictures)
            with _expected():
                DPTensorFastGradientClipping(model, optimizer, losses, "sum").backward()
            optimizer.signal_skip_step(do_skip=not last)
            optimizer.step()
            if not last:
                optimizer.zero_grad(set_to_none=True)

    return Contender(model, step)


CONTENDERS: dict[str, Callable[[Bench], Contender]] = {
    "plain": plain,
    "accumulated": accumulated,
    "person": person,
    "hooks": hooks,
    "ghost": ghost,
    "cached": cached,
}


def _loss(bench: Bench, module: nn.Module, crops: Tensor) -> Tensor:
    """Sum over people (P, k, 3, H, W) of each one's mean over own pictures."""
    embedding = module(crops.flatten(0, 1))
    return picture_losses(embedding, bench.negatives, bench.setting.pictures).sum()


@contextmanager
def _expected() -> Iterator[None]:
    """Silences torch's remark that the pictures themselves need no gradient."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        yield


def _parts(crops: Tensor) -> Iterator[tuple[Tensor, bool]]:
    """People in physical batches, each with whether it is the last."""
    parts = torch.split(crops, PEOPLE_AT_ONCE)
    for index, part in enumerate(parts):
        yield part, index == len(parts) - 1
