"""A site in the pattern of Flower's example for Opacus: the ClientApp itself holds the faces.

Written for the tests alone, so that they are known to see a leak. Data, model and privacy engine
live in one ClientApp; the run's configuration, which the server sends, says how much noise there
is, how long gradients may be, how large a batch is. Nothing here is how mascaron works.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from opacus import PrivacyEngine
from torch.utils.data import DataLoader, TensorDataset

from simulations.flower import identify_task
from tests.hostile.plain_site import Data

SETTINGS = {"noise-multiplier": 1.0, "max-grad-norm": 1.0, "batch-size": 8, "steps": 1}
RAISED = 2  # Flower's code for a ClientApp that raised


def plain_app(folder: Path) -> ClientApp:
    """Trains a head with one row a person, by Opacus, on what is in ``folder``."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        data, config = Data.load(folder), message.content["config"]
        torch.manual_seed(0)
        model = torch.nn.Linear(data.features.shape[1], len(data.names), bias=False)
        sent = message.content["arrays"].to_torch_state_dict()  # type: ignore[union-attr]
        model.load_state_dict(sent)
        loss, epsilon = _fit(model, data, config)  # type: ignore[arg-type]
        record = ArrayRecord(
            {name: Array(value.numpy()) for name, value in model.state_dict().items()}
        )
        metrics = MetricRecord(
            {"num-examples": len(data.person), "train-loss": loss, "epsilon": epsilon}
        )
        return Message(RecordDict({"arrays": record, "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        data = Data.load(folder)
        weight = message.content["arrays"]["weight"].numpy()  # type: ignore[index,call-overload]
        right = (data.features @ weight.T).argmax(axis=1) == data.person
        metrics = MetricRecord({"num-examples": len(data.person), "accuracy": float(right.mean())})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def _fit(model: torch.nn.Module, data: Data, config: Mapping[str, Any]) -> tuple[float, float]:
    features, person = torch.from_numpy(data.features), torch.from_numpy(data.person)
    loader = DataLoader(TensorDataset(features, person), batch_size=int(config["batch-size"]))
    engine = PrivacyEngine()  # a new one each round: it knows of no other
    module, optimizer, private = engine.make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        data_loader=loader,
        noise_multiplier=float(config["noise-multiplier"]),
        max_grad_norm=float(config["max-grad-norm"]),
        poisson_sampling=False,
    )
    loss = torch.zeros(())
    for number, (rows, labels) in enumerate(private):
        if number == int(config["steps"]):
            break
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(rows), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    noised = float(config["noise-multiplier"]) > 1e-3  # below, Opacus cannot say
    return float(loss), float(engine.get_epsilon(1e-4)) if noised else 0.0


class PlainServer:
    """What a server can ask of such a site, and what it then gets."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self._app, self.start = plain_app(folder), np.zeros(size, np.float32)
        identify_task(1)

    def ask(
        self, kind: str = "train", weight: np.ndarray | None = None, **config: float
    ) -> Message:
        """The reply, or the error that a SuperNode makes of an exception: type and text."""
        arrays = ArrayRecord({"weight": Array(self.start if weight is None else weight)})
        settings = ConfigRecord({**SETTINGS, **{k.replace("_", "-"): v for k, v in config.items()}})
        content = RecordDict({"arrays": arrays, "config": settings})
        message = Message(content, 2, kind)
        message.metadata.__dict__["_message_id"] = "m"
        context = Context(1, 2, {}, RecordDict(), {})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._app(message, context)
        except Exception as error:
            told = f"{type(error)}:<'{error}'>"  # as flwr 1.41's run_clientapp writes it
            return Message(Error(RAISED, told), reply_to=message)

    def moved(self, **config: float) -> np.ndarray:
        """How far one round moved the head, (people, D)."""
        reply = self.ask(**config)
        return self.start - reply.content["arrays"]["weight"].numpy()  # type: ignore[index,call-overload]
