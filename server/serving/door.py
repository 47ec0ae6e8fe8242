"""The socket on which sites knock: who takes too much is turned away before TLS, which costs."""

import socket
from collections.abc import Callable
from functools import partial

from server.serving.guard import Guard, address


class Guest(socket.socket):
    """A connection that gives its place back when it is closed, however far it came."""

    leave: Callable[[], None] | None = None

    def close(self) -> None:
        leave, self.leave = self.leave, None
        if leave is not None:
            leave()
        super().close()


class Door(socket.socket):
    """Takes the place of ``listening``; a connection for which there is no place is closed at once.

    Guarantee: whatever connects, whether or not it ever speaks TLS, holds one of the places of
    ``guard``, so that silence cannot use up the descriptors of this process.
    """

    def __init__(self, listening: socket.socket, guard: Guard) -> None:
        self._guard = guard
        super().__init__(
            listening.family, listening.type, listening.proto, fileno=listening.detach()
        )

    def accept(self) -> tuple[Guest, object]:
        """The next connection; ``ConnectionAbortedError``, which event loops bear, if refused."""
        accepted, where = super().accept()
        guest = Guest(fileno=accepted.detach())
        sender = address({"client": where, "server": guest.getsockname()})
        cause = self._guard.connections.take(sender)
        if cause is not None:
            self._guard.tally.note(cause)
            guest.close()
            raise ConnectionAbortedError
        guest.leave = partial(self._guard.connections.leave, sender)
        return guest, where
