"""Who may ask at the door for what, and how often: one file, which holds no token.

A caller is an application, a camera or an operator. What proves one is a token of 256 random bits,
or the certificate it shows at a port. Roles are single: verifying does not include identifying.

Guarantee: the file holds SHA-256 digests, of which no token follows; a token that is looked up is
compared with every digest, in the same time whichever it is like. A caller that is removed is
refused at its next call.
Leaks: who reads the file reads the callers' names, roles and budgets.
"""

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from client.vault.identity import Random
from common.errors import CallerError, ConfigError, DeploymentError
from common.locks import locked
from common.trust import storing
from common.trust.keys import encode

SCHEMA = 1
TOKEN = 32  # bytes
MOST = 10_000_000  # queries an hour or a day
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Role(StrEnum):
    """What a caller may do."""

    VERIFY = "verify"
    IDENTIFY = "identify"
    DESCRIBE = "describe"
    SEARCH = "search"  # for people by how they look
    CONFIRM = "confirm"  # say as one of two people who somebody is
    ENROL = "enrol"
    ERASE = "erase"  # and export: what a person may ask for
    OPERATE = "operate"  # calibrate, releases, renew, list, rotate
    AUDIT = "audit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """One who may call. ``hourly`` and ``daily`` bound all questions about faces together.

    ``name`` is of an application or a post, not of a person. Raises ``ConfigError`` for a name
    that is not 1-63 of a-z, 0-9, dot, dash and underscore, and for budgets that are none.
    """

    name: str
    roles: frozenset[Role]
    hourly: int = 600
    daily: int = 5_000

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError("a caller's name is 1-63 of a-z, 0-9, dot, dash and underscore")
        try:
            object.__setattr__(self, "roles", frozenset(Role(role) for role in self.roles))
        except ValueError:
            raise ConfigError(f"a role is one of {', '.join(Role)}") from None
        for budget in (self.hourly, self.daily):
            if type(budget) is not int or not 0 <= budget <= MOST:
                raise ConfigError(f"a budget is a whole number of queries, at most {MOST}")


@dataclass(frozen=True, slots=True, repr=False)
class _Known:
    caller: Caller
    token: str  # SHA-256, in hexadecimal
    certificate: str = ""  # SHA-256 of the one it shows at a port, if it has one


Callers = Mapping[str, tuple[Caller, str]]  # by name; with what proves them, as digests


class CallerBook:
    """The callers in the file at ``path``, as it is now: another process may change it.

    ``changed`` is told who may call before and after a change, before anybody of it is known.
    """

    def __init__(
        self, path: Path, changed: Callable[[Callers, Callers], None] = lambda old, new: None
    ) -> None:
        self._path, self._changed = path, changed
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._known: dict[str, _Known] = {}

    def add(self, caller: Caller, random: Random) -> str:
        """Takes ``caller`` in; returns its token, which nobody is told again.

        ``CallerError`` if the name is taken.
        """
        token = encode(random(TOKEN)).rstrip("=")
        with self._changing() as known:
            if caller.name in known:
                raise CallerError("a caller of this name is known: remove it first")
            known[caller.name] = _Known(caller, _digest(token))
        return token

    def pin(self, name: str, fingerprint: str) -> None:
        """Lets the caller show the certificate with this SHA-256 in place of its token."""
        shown = fingerprint.lower()
        if not _DIGEST.fullmatch(shown):
            raise ConfigError("a certificate is named by its SHA-256 in hexadecimal")
        with self._changing() as known:
            if any(one.certificate == shown for one in known.values()):
                raise CallerError("another caller shows this certificate")
            known[name] = replace(_named(known, name), certificate=shown)

    def remove(self, name: str) -> None:
        """Turns the caller away from its next call on; ``CallerError`` if there is none."""
        with self._changing() as known:
            _named(known, name)
            del known[name]

    def callers(self) -> tuple[Caller, ...]:
        """All of them, by name."""
        return tuple(one.caller for _, one in sorted(self._current().items()))

    def of_token(self, token: str) -> Caller:
        """Whose token this is; ``CallerError`` if nobody's."""
        return self._of("token", _digest(token))

    def of_certificate(self, fingerprint: str) -> Caller:
        """Who shows the certificate with this SHA-256; ``CallerError`` if nobody does."""
        return self._of("certificate", fingerprint.lower())

    def _of(self, what: str, shown: str) -> Caller:
        found, raw = None, shown.encode("utf-8", "replace")
        for one in self._current().values():  # all of them, though one was found
            kept = getattr(one, what)
            if hmac.compare_digest(kept.encode(), raw) and kept:
                found = one.caller
        if found is None:
            raise CallerError("nobody who may call here is known by this")
        return found

    def _current(self) -> dict[str, _Known]:
        with self._lock:
            seen = self._stat()
            if seen is None or seen != self._seen:
                found = self._read()
                self._changed(_callers(self._known), _callers(found))
                self._known, self._seen = found, seen
            return self._known

    def _stat(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DeploymentError(f"cannot read {self._path}: {error.strerror}") from None
        if found.st_mode & 0o077:
            raise ConfigError(f"others may read {self._path}: chmod 600 {self._path}")
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def _read(self) -> dict[str, _Known]:
        content = storing.read(self._path)
        if content is None:
            return {}
        try:
            table = json.loads(content)
            if table["schema"] != SCHEMA:
                raise ValueError("another schema")
            return {name: _known(name, **row) for name, row in table["callers"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ConfigError):
            raise ConfigError(
                f"{self._path} is no list of callers: remove it, and add them again"
            ) from None

    @contextmanager
    def _changing(self) -> Iterator[dict[str, _Known]]:
        """The callers, to be changed and stored; one process at a time."""
        lock = self._path.with_name(f".{self._path.name}.lock")
        with locked(lock, "another change of the callers", patient=True):
            known = dict(self._current())
            yield known
            rows = {name: _row(one) for name, one in known.items()}
            table = {"schema": SCHEMA, "callers": rows}
            storing.replace(self._path, json.dumps(table, sort_keys=True, indent=1).encode())


def _callers(known: dict[str, _Known]) -> Callers:
    return {name: (one.caller, one.token + one.certificate) for name, one in known.items()}


def _named(known: dict[str, _Known], name: str) -> _Known:
    if name not in known:
        raise CallerError("no caller of this name is known")
    return known[name]


def _digest(token: str) -> str:
    return hashlib.sha256(b"mascaron caller v1\0" + token.encode("utf-8", "replace")).hexdigest()


def _row(one: _Known) -> dict[str, Any]:
    caller = one.caller
    return {
        "roles": sorted(caller.roles),
        "hourly": caller.hourly,
        "daily": caller.daily,
        "token": one.token,
        "certificate": one.certificate,
    }


def _known(name: str, *, roles: list[Role], token: str, certificate: str, **budgets: int) -> _Known:
    if not _DIGEST.fullmatch(token) or (certificate and not _DIGEST.fullmatch(certificate)):
        raise ValueError("not a digest")
    return _Known(Caller(name=name, roles=frozenset(roles), **budgets), token, certificate)
