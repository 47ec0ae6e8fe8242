"""Signals as bytes in a socket, so that whoever waits is woken whichever thread was interrupted.

A signal is taken by any thread of a process, and Python's handler runs in the main thread when
that next runs Python: one that waits for a lock meanwhile waits to the end.
Source: https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
"""

import signal
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def woken(
    signals: Collection[signal.Signals], handler: Handler
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Takes ``signals`` until the block ends; only for the main thread of a process.

    Yields a socket that becomes readable, with the number of each signal as a byte, and the one
    that such bytes are written to, from whichever thread. Neither blocks.
    """
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    before = {number: signal.signal(number, handler) for number in signals}
    former = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield ours, theirs
    finally:
        signal.set_wakeup_fd(former)
        for number, previous in before.items():
            signal.signal(number, previous)
        ours.close()
        theirs.close()
