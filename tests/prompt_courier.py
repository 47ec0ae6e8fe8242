"""A test build of `mascaron-site`: its SuperNode looks for messages thrice as often as Flower's.

Flower's waits three seconds between two looks, which no option shortens. Nothing else is changed:
a hundred runs are killed in less time.
"""

import sys
from pathlib import Path

PROGRAM = """\
import sys, time
sys.path.insert(0, {root!r})
sys.argv[0] = {name!r}
from tests.prompt_courier import hurry
hurry({name!r})
"""
SHORTER = 1 / 3


def hurry(name: str) -> None:
    """Flower's program ``name`` with every pause of its loop a third as long."""
    if name == "flower-supernode":
        from flwr.supernode import start_client_internal as loop
        from flwr.supernode.cli import flower_supernode as program
    else:
        from flwr.supercore.cli.flower_superexec import flower_superexec as program
        from flwr.supercore.superexec import run_superexec as loop

    loop.time = Hurried(loop.time)
    program()


class Hurried:
    """The module ``time`` with a shorter sleep."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(SHORTER * seconds)  # type: ignore[attr-defined]


def main() -> None:
    """`mascaron-site` whose courier is that one."""
    from client.cli import main as command
    from client.courier import supernode

    root = str(Path(__file__).parents[1])

    def program(name: str) -> tuple[str, ...]:
        return sys.executable, "-I", "-c", PROGRAM.format(root=root, name=name)

    supernode._flower = program
    command()
