"""`mascaron-lab text|describe|search`: faces in words, and words about faces."""

from pathlib import Path

import click

from common.console import quiet_logs, told
from simulations.cli_sources import FILE, MANY


@click.group()
def text() -> None:
    """The built-in text encoder."""


@text.command()
@click.option("--out", type=FILE, default=Path("runs/encoder.safetensors"), show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--texts", type=MANY, default=60_000, show_default=True, help="That are drawn.")
@click.option("--steps", type=MANY, default=4_000, show_default=True)
@told
def train(out: Path, **options: int) -> None:
    """Train the built-in text encoder on texts drawn from the attribute grammar: nobody's.

    The loss goes to stderr, the hash of the weights as JSON to stdout. The same seed gives the same
    weights on the same machine.
    """
    quiet_logs(verbose=False)
    from simulations.commands.text import train_command

    train_command(out, **options)
