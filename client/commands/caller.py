"""`mascaron-site caller`: who may ask at the door. The list is read again whenever it changes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.door.callers import Caller, CallerBook, Role
from client.home import PRIVATE, SiteHome, make_folder
from client.vault.identity import Random
from common.errors import ConfigError
from common.trust import storing
from common.trust.certificates import fingerprint, read_certificate, to_pem


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A caller as it is typed. ``certificate`` is the file of the one it shows at the port."""

    name: str
    may: str
    hourly: int
    daily: int
    certificate: Path | None = None

    def caller(self) -> Caller:
        """``ConfigError`` for a name, role or budget that is none."""
        try:
            roles = frozenset(Role(word) for word in self.may.replace(" ", "").split(","))
        except ValueError:
            raise ConfigError(f"--may takes some of {', '.join(Role)}, with commas") from None
        return Caller(name=self.name, roles=roles, hourly=self.hourly, daily=self.daily)


def add_caller(home: SiteHome, wanted: Wanted, random: Random) -> dict[str, Any]:
    """Takes a caller in. Its token is told now and never again."""
    home.check_agent()
    caller, pem = wanted.caller(), None
    if wanted.certificate is not None:
        content = storing.read(wanted.certificate)
        if content is None:
            raise ConfigError(f"there is no {wanted.certificate}")
        pem = to_pem(read_certificate(content))
    book = CallerBook(home.callers)
    token = book.add(caller, random)
    told = {"caller": caller.name, "may": sorted(caller.roles), "token": token}
    if pem is None:
        return told
    shown = fingerprint(read_certificate(pem))
    book.pin(caller.name, shown)
    make_folder(home.callers_certificates, PRIVATE)
    storing.replace(_certificate(home, caller.name), pem)
    return {**told, "certificate": shown}


def list_callers(home: SiteHome) -> dict[str, Any]:
    """Everybody who may ask, and how often. No token: nobody has them but their owners."""
    home.check_agent()
    return {
        "callers": [
            {
                "caller": one.name,
                "may": sorted(one.roles),
                "hourly": one.hourly,
                "daily": one.daily,
                "certificate": _certificate(home, one.name).exists(),
            }
            for one in CallerBook(home.callers).callers()
        ]
    }


def remove_caller(home: SiteHome, name: str) -> dict[str, Any]:
    """Turns a caller away from its next call on; ``CallerError`` if there is none."""
    home.check_agent()
    CallerBook(home.callers).remove(name)
    storing.remove(_certificate(home, name))
    return {"removed": name}


def _certificate(home: SiteHome, name: str) -> Path:
    return home.callers_certificates / f"{name}.crt"
