"""A BatchNorm that has stopped looking at batches: scale and shift per channel, nothing else.

Needed where a normalisation stands before a zero-padded convolution: the padding is 0 and not
BN(0), so folding it into the convolution would change the picture's edge.
"""

import torch
from torch import Tensor, nn


class ChannelAffine(nn.Module):
    """x (B, C, ...) -> weight (C,) * x + bias (C,). No buffers, row i depends on example i only."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return torch.addcmul(self.bias.view(shape), x, self.weight.view(shape))
