"""What the three command lines share: exit codes, how an error is told, JSON on stdout.

Exit codes: 0 done, 1 failed, 2 wrong use (a configuration or an option that cannot be meant).
Progress and errors go to stderr, one JSON result to stdout.
"""

import functools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from common.errors import MascaronError

P = ParamSpec("P")
R = TypeVar("R")

EXIT_CODES = {"CONFIG_INVALID": 2, "SCENARIO_INVALID": 2}  # every other reason: 1


class ToldError(click.ClickException):
    """One of our errors, told as ``REASON: message`` with its documented exit code."""

    def __init__(self, error: MascaronError) -> None:
        super().__init__(f"{error.reason}: {error}")
        self.exit_code = EXIT_CODES.get(error.reason, 1)  # type: ignore[misc]


def told(command: Callable[P, R]) -> Callable[P, R]:
    """Lets a command raise our errors; anything else is a bug and keeps its traceback."""

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except MascaronError as error:
            raise ToldError(error) from error

    return call


def result(value: dict[str, Any]) -> None:
    """Prints the one JSON object a command answers with."""
    click.echo(json.dumps(value))


def home_option(
    make: Callable[[Path], Any], default: Path, variable: str, whose: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--home``, given to the command as what ``make`` makes of it; absolute, for daemons that
    run elsewhere."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path),
        envvar=variable,
        default=default,
        show_default=True,
        help=f"Folder of the {whose}; {variable} names it as well.",
        callback=lambda context, option, value: make(value.expanduser().absolute()),
    )


def quiet_logs(verbose: bool) -> None:
    """Sets up logging to stderr: warnings, or everything of ours with ``--verbose``."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    if verbose:
        for room in ("client", "common", "server", "simulations"):
            logging.getLogger(room).setLevel(logging.INFO)
