"""Things that can be worn: an eyeglass frame, stickers; all pixels of them are the attacker's.

Sharif et al. 2016 (doi:10.1145/2976749.2978392) and Komkov & Petiushko 2019 (arXiv:1908.08705), at
the five points of the aligned template (``common.faces.align``). What has to hold at a camera is
optimised over small shifts and changes of brightness (Athalye et al. 2018, arXiv:1707.07397).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from common.attacks.gradient import Pgd
from common.attacks.target import Trials

_SIDE = 112  # of the template that places are given in
_EYES = ((38.3, 51.7), (73.5, 51.5))  # centres, x and y
_LENS, _RIM = (15.0, 11.5), 3.5  # half width and height of a lens, and what surrounds it


def frame(size: int) -> Tensor:
    """(1, S, S): 1 on the rims around both eyes, the bridge and the temples."""
    across, down = _grid(size)
    made = torch.zeros(size, size, dtype=torch.bool)
    for x, y in _EYES:
        inner = _ellipse(across - x, down - y, _LENS)
        outer = _ellipse(across - x, down - y, (_LENS[0] + _RIM, _LENS[1] + _RIM))
        made |= (outer <= 1) & (inner > 1)
    level = (down - 49).abs() <= _RIM / 2
    left, right = _EYES[0][0], _EYES[1][0]
    made |= level & (across > left + _LENS[0]) & (across < right - _LENS[0])
    made |= level & ((across < left - _LENS[0]) | (across > right + _LENS[0]))
    return made.float()[None]


def rectangle(size: int, place: tuple[float, float, float, float]) -> Tensor:
    """(1, S, S): 1 within ``place``: left, top, right, bottom in pixels of 112."""
    across, down = _grid(size)
    left, top, right, bottom = place
    inside = (across > left) & (across < right) & (down > top) & (down < bottom)
    return inside.float()[None]


def sticker(size: int) -> Tensor:
    """(1, S, S): 1 on a forehead sticker of 48 x 20 in 112."""
    return rectangle(size, (32, 10, 80, 30))


PLACES: dict[str, Callable[[int], Tensor]] = {"frame": frame, "sticker": sticker}


@dataclass(frozen=True, kw_only=True, slots=True)
class Jitter:
    """What differs from one look to the next: whole pictures shift, and grow brighter or darker.

    ``shift`` in pixels of 112 each way, ``brightness`` as a share. Pixels (B, 3, S, S); the same
    for all rows of one call. The thing that is worn moves with the face, not on it.
    """

    shift: int = 2
    brightness: float = 0.1

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        size = pixels.shape[-1]
        reach = max(round(self.shift * size / _SIDE), 1)
        down, across = torch.randint(2 * reach + 1, (2,), generator=generator).tolist()
        light = 1 + self.brightness * (2 * float(torch.rand((), generator=generator)) - 1)
        wide = F.pad(pixels, (reach,) * 4, mode="replicate")
        return (wide[..., down : down + size, across : across + size] * light).clamp(0, 1)


def worn(mask: Tensor, *, steps: int = 40, draws: int = 2) -> Pgd:
    """The attack under ``mask`` (1, S, S), for all that ``Jitter`` does."""
    return Pgd(steps=steps, mask=mask, transform=Jitter(), draws=draws, momentum=0.9)


def lasting(
    face: nn.Module, trials: Trials, pixels: Tensor, generator: torch.Generator, looks: int = 8
) -> Tensor:
    """(B,): at what share of ``looks`` ``pixels`` (B, 3, S, S) get the attacker there."""
    jitter = Jitter()
    return torch.stack(
        [trials.fooled(face, jitter(pixels, generator)).float() for _ in range(looks)]
    ).mean(0)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    """x (S, S) and y (S, S) of pixel centres in the template of 112."""
    line = (torch.arange(size) + 0.5) * _SIDE / size
    return line[None, :].expand(size, size), line[:, None].expand(size, size)


def _ellipse(across: Tensor, down: Tensor, half: tuple[float, float]) -> Tensor:
    return (across / half[0]).square() + (down / half[1]).square()
