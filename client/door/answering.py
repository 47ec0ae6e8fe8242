"""A door from its site's folder to the first answer: opened, served on its socket and at its port.

On the socket (run/door.sock, this user's, and a group's where one is named) callers show a token.
Where `site.toml` names an address there is a port as well, for cameras: behind mutual TLS, where a
caller is who its certificate was pinned for, and a token counts for nothing.

Guarantee: without a certificate that was pinned, nothing is answered beyond this machine.
Leaks: to the network, where there is a port, that there is one.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from stat import S_IMODE

from client.door.main import serve
from client.door.opening import OpenDoor, Upkeep, open_door
from client.door.proofs import by_certificate, by_token
from client.home import PRIVATE, SiteHome, make_folder
from client.serving.listening import Door, group_of
from client.serving.running import Running
from client.serving.tls import Tls, make_end
from client.vault.core import KEYRING
from client.vault.store import Vault
from common.errors import ConfigError
from common.trust import storing

NAME = "door"  # of key and certificate at the port
GRACE = 10.0  # seconds that an answer under way may still take
Say = Callable[[str], None]


@contextmanager
def answering(
    home: SiteHome, say: Say, clock: Callable[[], float] = time.time
) -> Iterator[Vault | None]:
    """While the block runs, the door is answered at; the vault, None where there is no vault yet.

    Afterwards what is under way may end, and keys and galleries are zeroed.
    Raises what ``open_door`` does, and ``ConfigError`` where nobody can listen.
    """
    if not os.path.lexists(home.vault / KEYRING):
        say("there is no vault yet, so no door: `mascaron-site init`, typed again, makes one")
        yield None
        return
    with ExitStack() as stack:
        door = stack.enter_context(open_door(home, say, clock))
        stack.enter_context(Upkeep(door.reception, say))
        for running in _servers(home, door, clock):
            stack.callback(running.stop, GRACE)
            say(f"the door answers at {running.address}")
        yield door.vault


def _servers(home: SiteHome, door: OpenDoor, clock: Callable[[], float]) -> Iterator[Running]:
    socket = home.door_socket()
    group = None
    if door.rules.group:
        group = group_of(door.rules.group)
        _let_through(home)
    yield serve(door.reception, f"unix:{socket}", Door(group=group), by_token(door.book))
    if door.rules.address:
        way = Door(tls=_own_end(home, clock), abroad=True)
        yield serve(door.reception, door.rules.address, way, by_certificate(door.book))


def _let_through(home: SiteHome) -> None:
    """Lets a group reach the socket by its name; who may connect there is the socket's to say."""
    try:
        home.run.chmod(S_IMODE(home.run.stat().st_mode) | 0o011)
    except OSError as error:
        raise ConfigError(f"cannot open {home.run} to a group: {error.strerror}") from None


def _own_end(home: SiteHome, clock: Callable[[], float]) -> Tls:
    """Key and certificate of the door, made once; the certificate is put where it can be copied."""
    make_folder(home.door_tls, PRIVATE)
    make_folder(home.callers_certificates, PRIVATE)
    key, certificate = (home.door_tls / f"{NAME}.{ending}" for ending in ("key", "crt"))
    if not (key.is_file() and certificate.is_file()):
        make_end(home.door_tls, NAME, clock)
    public = storing.read(certificate) or b""
    if storing.read(home.door_certificate) != public:
        storing.replace(home.door_certificate, public, storing.PUBLIC)
    return Tls(key=key, certificate=certificate, peer=home.callers_certificates)
