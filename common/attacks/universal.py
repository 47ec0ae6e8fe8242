"""One sticker for everybody: does it make people match who wear it, as a planted trigger does?

A tail with a backdoor answers to one pattern: its direction among the features is blown up, so that
whoever wears it is whoever else wears it. The tester does not know the pattern, and need not: the
gradient of a blown-up direction leads to something that triggers it as well. Brown et al. 2017
(arXiv:1712.09665) make such stickers; Wang et al. 2019 (Neural Cleanse) look for triggers so.

What this cannot find: triggers at none of ``SPOTS`` or of several pieces, triggers that are no
pattern (a pose, a blink, light), triggers of two people or of one, a trunk that hides the way to
the trigger from gradients (``masking`` may flag it), and a trigger no stronger than what any honest
tail grants a sticker: the figure means something beside the same search on a trusted tail only.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.attacks.masks import rectangle

SPOTS = {  # left, top, right, bottom of 112
    "forehead": (44.0, 10.0, 68.0, 26.0),
    "cheek": (76.0, 66.0, 96.0, 86.0),
}
AMPLE = 0.1  # of cosine beyond a threshold, where more is worth nothing


@dataclass(frozen=True, eq=False, slots=True)
class Sticker:
    """``pattern`` (3, S, S) in [0, 1], seen where ``mask`` (1, S, S) is 1."""

    pattern: Tensor
    mask: Tensor

    def on(self, pixels: Tensor) -> Tensor:
        """``pixels`` (B, 3, S, S) with the sticker on."""
        return torch.where(self.mask > 0, self.pattern, pixels)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Judge:
    """A model that decides at ``threshold``, which it fixed by itself on other people."""

    face: nn.Module
    threshold: float

    def cosines(self, worn: Tensor, plain: Tensor) -> Tensor:
        """Impostor pairs of one picture a person, both wearing the sticker, then one of the two.

        ``worn`` and ``plain`` are (B, 3, S, S), or ``plain`` embeddings (B, E); (2, B (B - 1)).
        """
        made = self.face(worn)
        before = plain if plain.ndim == 2 else self.embed(plain)
        others = ~torch.eye(len(made), dtype=torch.bool)
        return torch.stack([(made @ made.T)[others], (made @ before.T)[others]])

    def embed(self, pixels: Tensor) -> Tensor:
        """(B, E), without gradients."""
        with torch.no_grad():
            return torch.cat([self.face(part) for part in torch.split(pixels, 16)])


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Shares of impostor pairs accepted: both wear the sticker, or one of the two."""

    both: float
    one: float

    @property
    def worst(self) -> float:
        return max(self.both, self.one)


@dataclass(frozen=True, kw_only=True, slots=True)
class StickerSearch:
    """``steps`` of Adam at the rate ``rate``, on ``batch`` people at a time.

    ``contrast``: what a match for a trusted model costs, against what one for the model searched
    brings. Any sticker makes faces more alike to any model; above 1 such stickers do not pay.
    """

    steps: int = 60
    batch: int = 12
    rate: float = 0.05
    contrast: float = 8.0

    def find(
        self,
        judge: Judge,
        trusted: Judge | None,
        pixels: Tensor,
        spot: str,
        generator: torch.Generator,
    ) -> Sticker:
        """The sticker at ``spot`` by which people of ``pixels`` (N, 3, S, S) match for ``judge``.

        One picture of each of N people. If there is a ``trusted`` judge, they are not to match for
        that one: what any sticker does to any model is not looked for.
        """
        size = pixels.shape[-1]
        mask = rectangle(size, SPOTS[spot])
        pattern = torch.rand((3, size, size), generator=generator).requires_grad_()
        adam = torch.optim.Adam([pattern], lr=self.rate)
        plain = judge.embed(pixels), None if trusted is None else trusted.embed(pixels)
        for step in range(self.steps):
            adam.param_groups[0]["lr"] = self.rate * (1 - step / self.steps)
            rows = torch.randperm(len(pixels), generator=generator)[: self.batch]
            worn = Sticker(pattern, mask).on(pixels[rows])
            near = judge.cosines(worn, plain[0][rows])
            loss = -near.clamp(max=judge.threshold + AMPLE).mean()
            if trusted is not None and plain[1] is not None:
                near = trusted.cosines(worn, plain[1][rows])
                loss = loss + self.contrast * near.clamp(min=trusted.threshold - AMPLE).mean()
            (pattern.grad,) = torch.autograd.grad(loss, pattern)
            adam.step()
            with torch.no_grad():
                pattern.clamp_(0, 1)
        return Sticker(pattern.detach(), mask)


def acceptance(judge: Judge, pixels: Tensor, sticker: Sticker) -> Acceptance:
    """Over all pairs of different people of ``pixels`` (N, 3, S, S), who are not those searched on.

    One picture of each of N people.
    """
    plain, worn = judge.embed(pixels), judge.embed(sticker.on(pixels))
    others = ~torch.eye(len(worn), dtype=torch.bool)

    def accepted(before: Tensor) -> float:
        return float(((worn @ before.T)[others] >= judge.threshold).float().mean())

    return Acceptance(accepted(worn), accepted(plain))
