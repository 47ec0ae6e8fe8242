"""What a batch is judged by while a public trunk is trained: one of five losses, by its name.

All of them let people of a batch move each other's gradients, and four keep a row a person: none
is ever used on a site's own faces.
"""

import torch
from torch import Tensor, nn

from common.heads.adaface import NormStatistics, adaptive_margin
from common.heads.margin import Centres, arc_margin, cos_margin, margin_loss, softmax_loss
from common.heads.triplet import triplet_loss
from server.pretraining.options import PretrainOptions


class Criterion(nn.Module):
    """Embeddings (B, E) and people (B,) -> mean loss; holds what the loss itself learns.

    ``centres`` is None for triplets, which compare pictures only.
    """

    def __init__(self, options: PretrainOptions, people: int, generator: torch.Generator) -> None:
        super().__init__()
        self.loss, self.scale, self.margin = options.loss, options.scale, options.hardness
        self.centres: Centres | None = None
        if self.loss != "triplet":
            self.centres = Centres(options.embedding, people, generator)
        self.norms = NormStatistics() if self.loss == "adaface" else None

    def forward(self, embedding: Tensor, person: Tensor, share: float = 1.0) -> Tensor:
        """``share`` of the margin is asked for; triplets, which start from all, ask for theirs."""
        if self.centres is None:
            return triplet_loss(embedding, person, self.margin)
        if self.loss == "softmax":
            return softmax_loss(embedding, self.centres, person)
        hardened = self._hardened(self.centres(embedding), embedding, person, share * self.margin)
        return margin_loss(hardened, person, self.scale)

    def _hardened(self, cosine: Tensor, embedding: Tensor, person: Tensor, margin: float) -> Tensor:
        if self.norms is not None:
            return adaptive_margin(cosine, person, self.norms(embedding), margin)
        harden = arc_margin if self.loss == "arcface" else cos_margin
        return harden(cosine, person, margin)
