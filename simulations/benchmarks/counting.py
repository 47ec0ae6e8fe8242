"""A port that passes everything on to another one and counts the bytes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PIECE = 65536  # bytes


class _Passing:
    """Connections to the port, each passed on by two threads, and the sum of their bytes."""

    def __init__(self, port: int, count: Path) -> None:
        self._port, self._count, self._total = port, count, 0
        self._lock, self._stack = threading.Lock(), ExitStack()
        self._threads: list[threading.Thread] = []
        self.listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._ends = [self.listener]
        self._write()
        self._start(self._welcome)

    def close(self) -> None:
        with self._lock:
            ends = list(self._ends)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # whoever waits there wakes up
        for thread in self._threads:
            thread.join(10)
        self._stack.close()

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                near = self._kept(self.listener.accept()[0])
                far = self._kept(socket.create_connection(("127.0.0.1", self._port)))
                self._start(self._pass_on, near, far)
                self._start(self._pass_on, far, near)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                with self._lock:  # counted before it can be answered
                    self._total += len(piece)
                    self._write()
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _write(self) -> None:
        new = self._count.with_suffix(".new")
        new.write_text(str(self._total), "ascii")
        new.replace(self._count)

    def _kept(self, end: socket.socket) -> socket.socket:
        with self._lock:
            self._ends.append(self._stack.enter_context(end))
        return end

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()


@contextmanager
def counting_port(port: int, count: Path) -> Iterator[int]:
    """A port of loopback in front of ``port``; the file ``count`` has the bytes so far, in text."""
    passing = _Passing(port, count)
    try:
        yield int(passing.listener.getsockname()[1])
    finally:
        passing.close()
