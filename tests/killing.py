"""A child that is killed at a random moment, and what it had said by then."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable

Tell = Callable[[str], object]


def killed(live: Callable[[Tell], None], rng: random.Random, lines: int, pause: float) -> list[str]:
    """Runs ``live`` in a child, which is killed after fewer than ``lines`` lines and at most
    ``pause`` seconds more."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        with contextlib.suppress(BaseException):
            os.close(reader)
            live(lambda text: os.write(writer, f"{text}\n".encode()))
            status = 0
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = [pipe.readline() for _ in range(rng.randrange(lines))]
        time.sleep(rng.uniform(0, pause))
        os.kill(child, signal.SIGKILL)
        said += pipe.readlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return [line.decode().strip() for line in said if line]
