"""`mascaron-lab text train`: the weights of the built-in text encoder, from a seed."""

import dataclasses
import hashlib
from pathlib import Path

from rich.console import Console

from common.console import result
from common.models.safetensors_import import write_whole
from common.outputs import check_file
from common.text.encoder import encoder_bytes
from server.text_encoder import TextTraining, train_encoder


def train_command(out: Path, **options: int) -> None:
    """Trains, writes the weights, prints their hash as JSON; the loss goes to stderr."""
    check_file(out)
    plan, console = TextTraining(**options), Console(stderr=True)
    last: list[float] = []

    def told(step: int, loss: float) -> None:
        last[:] = [loss]
        console.print(f"step {step:>5}  loss {loss:.3f}", highlight=False)

    network = train_encoder(plan, told)
    content = encoder_bytes(network, {"plan": dataclasses.asdict(plan)})
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, content)
    digest = hashlib.sha256(content).hexdigest()
    result({"file": str(out), "sha256": digest, "bytes": len(content), "loss": round(last[0], 4)})
