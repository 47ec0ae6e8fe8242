"""`mascaron-lab audit`: attacks on what a site releases, and what each of them proves."""

from typing import Any

import click

from common.console import quiet_logs, told
from simulations.cli_evidence import FILE, headed, subjected


@click.group()
def audit() -> None:
    """Attack a release, and say what each attack could have shown."""


@audit.command()
@click.option("--epsilon", type=float, default=8.0, show_default=True, help="That is claimed.")
@click.option("--delta", type=float, default=1e-5, show_default=True, help="Of the claim.")
@click.option("--canaries", type=click.IntRange(100), help="Invented people who are in or out.")
@click.option("--power", type=click.IntRange(1), help="Instead: catch planted errors N times each.")
@click.option("--trunk", type=FILE, help="ONNX or safetensors embedder; default: the starter.")
@click.option("--tail", type=FILE, help="File of a tail; default: the one in the trunk.")
@click.option("--seed", type=click.IntRange(0), help="Of noise and coins; default: the system's.")
@click.option("--out", type=FILE, help="Folder for the section.")
@told
def mechanism(**options: Any) -> None:
    """Audit the shipped sampler, clip, noise and release on canaries: no face, no budget.

    Prints bounds with their ceilings to stderr and the section as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.audit_mechanism import mechanism_command

    mechanism_command(**options)


@audit.command()
@subjected
@click.option("--epsilon", type=float, multiple=True, help="May be given several times.")
@click.option("--delta", type=float, help="Of every guarantee; default: 1e-4.")
@click.option("--shadows", type=click.IntRange(2), help="Federations that teach the attacker.")
@told
def membership(**options: Any) -> None:
    """Ask a final model who trained it, with and without protection.

    Prints a table to stderr and the section as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.audit_membership import membership_command

    membership_command(**options)


@audit.command()
@subjected
@click.option("--fmr", type=float, help="Of other people, fixes the threshold; default: 1e-2.")
@click.option("--attacked", type=click.IntRange(2), help="People at most; default: 100.")
@click.option("--steps", type=click.IntRange(1), help="Of gradients towards a picture.")
@click.option("--epsilon", type=float, multiple=True, help="May be given several times.")
@click.option("--delta", type=float, help="Of every guarantee; default: 1e-4.")
@told
def inversion(**options: Any) -> None:
    """Turn templates and updates back into faces, with and without protection.

    Prints a table to stderr and the section as JSON to stdout; --out keeps a grid of pictures too.
    """
    quiet_logs(verbose=False)
    from simulations.commands.audit_inversion import inversion_command

    inversion_command(**options)


@audit.command()
@subjected
@click.option("--labels", type=FILE, help="Table of attributes (file, then 1 and -1).")
@click.option("--epsilon", type=float, multiple=True, help="May be given several times.")
@click.option("--delta", type=float, help="Of every guarantee; default: 1e-4.")
@told
def attributes(**options: Any) -> None:
    """Read from embeddings, stored templates and updates what people wear or are.

    Prints a table to stderr and the section as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.audit_attributes import attributes_command

    attributes_command(**options)


@audit.command()
@subjected
@headed
@told
def heads(**options: Any) -> None:
    """Ask heads that a federation trained about labelled people, beside those they began as.

    Prints a table to stderr and the section as JSON to stdout.
    """
    quiet_logs(verbose=False)
    from simulations.commands.audit_heads import heads_command

    heads_command(**options)
