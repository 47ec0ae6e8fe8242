"""Somebody on the wire who also holds the server's TLS key: sees every byte twice, as it travels
and as it is meant."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable

from server.home import CentreHome


class Tap:
    """Listens on ``port`` of the loopback interface and passes everything on to ``target``.

    ``raw`` is what went over the wire in both directions, ``plain`` what was inside the TLS.
    """

    def __init__(self, home: CentreHome, target: int) -> None:
        self.raw, self.plain = bytearray(), bytearray()
        self._inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._inside.load_cert_chain(home.server_certificate, home.server_key)
        self._outside = ssl.create_default_context(cafile=str(home.ca))
        self._target = target
        self._decrypting = _listen(self._decrypt)
        self._wire = _listen(self._record)
        self.port = int(self._wire.getsockname()[1])

    def close(self) -> None:
        for listener in (self._wire, self._decrypting):
            listener.close()

    def _record(self, site: socket.socket) -> None:
        further = socket.create_connection(self._decrypting.getsockname())
        _pass_on(site, further, self.raw)

    def _decrypt(self, wire: socket.socket) -> None:
        site = self._inside.wrap_socket(wire, server_side=True)
        plain = socket.create_connection(("127.0.0.1", self._target))
        _pass_on(site, self._outside.wrap_socket(plain, server_hostname="localhost"), self.plain)


def _listen(serve: Callable[[socket.socket], None]) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=guarded, args=(connection,), daemon=True).start()

    def guarded(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            serve(connection)

    threading.Thread(target=accept, daemon=True).start()
    return listener


def _pass_on(one: socket.socket, other: socket.socket, record: bytearray) -> None:
    """Copies both ways until either end is done; in one thread, as TLS needs it."""
    ways = {one: other, other: one}
    for end in ways:
        end.settimeout(0.05)
    with contextlib.suppress(OSError), one, other:
        while True:
            waiting, _, _ = select.select(list(ways), [], [])
            for source in waiting:
                with contextlib.suppress(TimeoutError, ssl.SSLWantReadError):
                    while piece := source.recv(65536):
                        record.extend(piece)
                        ways[source].sendall(piece)
                    return
