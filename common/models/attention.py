"""Attention between channels instead of pixels: its cost grows with a map's area, not its square.

XCA (El-Nouby et al. 2021, arXiv:2106.09681, eq. 2), as EdgeNeXt uses it ("transposed" attention).
A module of its own, so that an exporter can write it as a few operators.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

LEAST = 1e-12  # length of a channel below which it is not scaled to 1


class ChannelAttention(nn.Module):
    """Queries, keys and values (B, C, H, W) -> (B, C, H, W): each channel a mix of its group's.

    ``size`` is C, a multiple of ``heads``. The weights are a softmax over cosines of channels
    within each of ``heads`` groups; nothing of another picture enters.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.size, self.heads = size, heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        wanted, told, given = (self._grouped(part) for part in (query, key, value))
        wanted, told = F.normalize(wanted, dim=-1), F.normalize(told, dim=-1)
        weight = (wanted @ told.transpose(-2, -1) * self.temperature).softmax(-1)
        mixed: Tensor = (weight @ given).reshape(value.shape)
        return mixed

    def _grouped(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, heads, C / heads, H * W)."""
        return x.reshape(x.shape[0], self.heads, self.size // self.heads, -1)
