"""Where a server of a site listens: a socket that one user opens, or a port behind mutual TLS."""

import grp
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

import grpc

from client.serving.tls import Tls
from common.daemons.users import NUMBER
from common.errors import ConfigError

UNIX = "unix:"
LONGEST_PATH = 100  # bytes; the system's limit for a socket is a little above
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Door:
    """Who may come in: on a socket this user, and ``group`` where one is named; at a port only
    who shows a certificate that ``tls`` names. The port is this machine's alone unless it is
    ``abroad``."""

    group: int | None = None  # numeric id
    tls: Tls | None = None
    abroad: bool = False


OWN_DOOR = Door()


def listen(server: grpc.Server, address: str, door: Door) -> tuple[str, Path | None]:
    """Binds ``server``; the address as a client dials it, and the socket's path if it is one.

    Raises ``ConfigError`` for an address that cannot be meant or that somebody answers at.
    """
    if not address.startswith(UNIX):
        return _bind_port(server, address, door), None
    path = _free_socket(address)
    _bind_private(server, path)
    _open_to(door.group, path)
    return f"{UNIX}//{path}", path


def group_of(name: str) -> int:
    """The group of that name or number; a number need not be in the system's list.

    ``ConfigError`` for a name that is not there.
    """
    if NUMBER.fullmatch(name):
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"there is no group {name!r} here: groupadd {name}") from None


def _free_socket(address: str) -> Path:
    """The absolute path in ``address``, with nothing at it."""
    path = Path(address.removeprefix(UNIX).removeprefix("//"))
    if set(str(path)) & set("%?# ") or len(os.fsencode(path)) > LONGEST_PATH:
        raise ConfigError(f"no socket can be at {path}: too long, or one of '%?# ' in it")
    if not path.is_absolute():
        raise ConfigError(f"the socket needs an absolute path, not {path}")
    if not path.parent.is_dir():
        raise ConfigError(f"no folder {path.parent} for the socket")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return path
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is there already and is not a socket")
    if _answered(path):
        raise ConfigError(f"another agent answers at {path}")
    path.unlink()
    return path


def _answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _bind_private(server: grpc.Server, path: Path) -> None:
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"{UNIX}//{path}")
    except RuntimeError as error:
        raise ConfigError(f"cannot listen at {path}") from error
    finally:
        os.umask(before)


def _open_to(group: int | None, path: Path) -> None:
    if group is None:
        return
    try:
        os.chown(path, -1, group)
        path.chmod(0o660)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(
            f"cannot open {path} to group {group}: {error.strerror}; add this user to the group"
        ) from None


def _bind_port(server: grpc.Server, address: str, door: Door) -> str:
    host, separator, port = address.rpartition(":")
    near = door.abroad or host in LOOPBACK
    if not host or not near or not separator or not port.isascii() or not port.isdigit():
        raise ConfigError(f"an agent listens at unix:/path or 127.0.0.1:port, not {address}")
    if door.tls is None:
        raise ConfigError(
            "every user of this machine could connect to a plain port: listen on a socket, or "
            "name certificates for mutual TLS"
        )
    try:
        taken = server.add_secure_port(address, door.tls.server())
    except RuntimeError as error:
        raise ConfigError(f"cannot listen at {address}") from error
    return f"{host}:{taken}"
