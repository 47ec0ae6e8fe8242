"""One step of public training: the network, its loss, and the optimiser that joins them."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from common.models.embedder import Embedder
from server.pretraining.criterion import Criterion
from server.pretraining.device import Place, choose
from server.pretraining.feeding import pixels
from server.pretraining.layout import lay_out
from server.pretraining.options import PretrainOptions

_WARM = 0.05  # of the steps, until the learning rate is reached
_EASY = 0.3  # of the steps, until the whole margin is asked for: from the start it hides the people


class Training:
    """Stochastic gradient with momentum, a warm-up and a cosine, where ``options`` say."""

    def __init__(self, model: Embedder, people: int, options: PretrainOptions, seed: int) -> None:
        self.options = options
        self.place: Place = choose(options.device, options.precision)
        self.chance = torch.Generator().manual_seed(seed)
        self.criterion = Criterion(options, people, self.chance).to(self.place.device)
        self.model = model.to(self.place.device)
        self.layout = lay_out(self.model)
        learned = [*self.model.parameters(), *self.criterion.parameters()]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in learned if p.dim() > 1]},
            {"params": [p for p in learned if p.dim() <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.SGD(
            groups, lr=options.learning_rate, momentum=0.9, weight_decay=options.weight_decay
        )

    def step(self, crops: Tensor, person: Tensor, number: int) -> float:
        """Learns from crops (B, S, S, 3) uint8 of people (B,) as step ``number``; the loss."""
        done = number / self.options.steps
        rate = min(1.0, done / _WARM) * 0.5 * (1 + math.cos(math.pi * done))
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * rate
        seen, person = pixels(self.place.bring(crops)), self.place.bring(person)
        seen = self._attacked(seen.contiguous(memory_format=self.layout), person)
        self.model.train()
        with self.place.autocast():
            embedding = self.model(seen)
        loss = self.criterion(embedding.float(), person, min(1.0, done / _EASY))
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        return float(loss.detach())

    def _attacked(self, seen: Tensor, person: Tensor) -> Tensor:
        adversary, centres = self.options.adversary, self.criterion.centres
        if adversary is None or centres is None:
            return seen
        return adversary.attacked(self.model, centres, (seen, person), self.chance)
