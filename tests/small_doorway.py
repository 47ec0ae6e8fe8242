"""A small reception behind a real socket, with callers who have tokens, and the client library."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client.door.callers import Caller, CallerBook, Role
from client.door.eye import Seen
from client.door.main import serve
from client.door.proofs import by_token
from client.door.rules import DoorRules
from client.recognition import Recognition
from client.serving.listening import OWN_DOOR
from common.errors import PictureError
from tests.small_reception import RULES, Site, WordEye


class DimEye(WordEye):
    """Sees words as ``WordEye`` does, and refuses whatever is none."""

    def see(self, picture: bytes, least_quality: float | None = None) -> Seen:
        try:
            return super().see(picture, least_quality)
        except (ValueError, OverflowError):
            raise PictureError("not a readable picture") from None


class Doorway:
    """``site`` behind a socket in ``folder``."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.book = CallerBook(folder / "callers.json")
        self.everything = self.token("everything", *Role)

    @property
    def socket(self) -> Path:
        return self.folder / "d.sock"

    def token(self, name: str, *roles: Role, hourly: int = 1000) -> str:
        caller = Caller(name=name, roles=frozenset(roles), hourly=hourly, daily=10_000)
        return self.book.add(caller, os.urandom)

    def at(self, token: str | None = None) -> Recognition:
        return Recognition.at(self.socket, self.everything if token is None else token)


@contextmanager
def doorway(folder: Path, rules: DoorRules = RULES) -> Iterator[Doorway]:
    """People 1 to 12 are enrolled, and a release decides."""
    with Site(folder, rules) as site:
        made = Doorway(site, folder)
        site.open_for(range(1, 13))
        reception = site.with_parts(eye=DimEye())
        with serve(reception, f"unix:{made.socket}", OWN_DOOR, by_token(made.book)):
            yield made
