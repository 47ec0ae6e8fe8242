"""Gradients that hold for more than one network: of shrunk pictures (DI), and blurred ones (TI)."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

LEAST = 0.9  # of its side, that a picture is shrunk to
_SPREAD = 3.0  # standard deviations from the middle of a blur to its edge (Dong et al. 2019)


def shrunk(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """``pixels`` (B, 3, S, S) at one random size of 0.9 S to S, at a random place among zeros.

    Differentiable; size and place are the same for all rows (Xie et al. 2019, arXiv:1803.06978).
    """
    full = pixels.shape[-1]
    side = _upto(full - int(LEAST * full), generator) + int(LEAST * full)
    top, left = _upto(full - side, generator), _upto(full - side, generator)
    small = F.interpolate(pixels, size=(side, side), mode="bilinear", align_corners=False)
    return F.pad(small, (left, full - side - left, top, full - side - top))


def smoothed(gradient: Tensor, side: int) -> Tensor:
    """``gradient`` (B, C, S, S) blurred by a Gaussian of odd ``side``; 1 leaves it as it is.

    Equals the mean gradient over pictures shifted by up to half the side (Dong et al. 2019,
    arXiv:1904.02884, equation 7).
    """
    if side == 1:
        return gradient
    line = torch.linspace(-_SPREAD, _SPREAD, side).square().div(-2).exp().to(gradient)
    line = line / line.sum()
    channels = gradient.shape[1]
    across = line.expand(channels, 1, 1, side)
    half = side // 2
    blurred = F.conv2d(gradient, across, padding=(0, half), groups=channels)
    return F.conv2d(blurred, across.transpose(2, 3), padding=(half, 0), groups=channels)


def _upto(most: int, generator: torch.Generator) -> int:
    """A whole number of 0 to ``most``."""
    return int(torch.randint(most + 1, (), generator=generator, device=generator.device))
