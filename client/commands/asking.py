"""What all commands that ask at the door share: the connection, and what was typed, read."""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from client.door.answers import Identification
from client.home import SiteHome
from client.recognition import Recognition
from client.vault.consent import Consent
from client.vault.identity import BYTES, PersonId
from common.errors import ConfigError, DeploymentError
from common.trust import storing

MOST_PICTURE = 16 * 2**20  # bytes
MOST_TEXT = 2**20  # bytes of the words of a consent


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Which door, and whose token is shown there: the operator's, unless ``token`` names a file."""

    home: SiteHome
    token: Path | None = None

    def door(self) -> Recognition:
        """A connection; ``ConfigError`` without a token that this user may read."""
        self.home.check()
        path = self.token or self.home.operator_token
        try:
            content = storing.read(path)
        except DeploymentError:  # its words would name what was typed: perhaps the token itself
            content = None
        if content is None and self.token is not None:
            raise ConfigError(
                "no token can be read where --token or MASCARON_CALLER says: they name the file "
                "that it is in"
            )
        if content is None:
            raise ConfigError(
                f"there is no token at {path}: `mascaron-site init`, typed again, makes it"
            )
        return Recognition.at(self.home.door_socket(), content.decode("ascii", "replace").strip())


def person_of(text: str) -> PersonId:
    """The person whose id was typed; ``ConfigError`` if it is none."""
    return PersonId(_bytes_of(text, "a person", BYTES))


def ticket_of(text: str) -> bytes:
    """The ticket that was typed; ``ConfigError`` if it is none."""
    return _bytes_of(text, "a ticket", None)


def picture_of(path: Path) -> bytes:
    """What is in the file; ``ConfigError``, which does not name it, if it can be no picture."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_PICTURE + 1)
    except OSError as error:
        raise ConfigError(f"a picture cannot be read: {error.strerror}") from None
    if not 1 <= len(content) <= MOST_PICTURE:
        raise ConfigError(f"a picture has 1 to {MOST_PICTURE:,} bytes")
    return content


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """A consent as it is typed: purposes with commas, the file with the words, the last day."""

    purposes: str
    consent_text: Path
    expires: datetime

    def consent(self, now: float) -> Consent:
        """Given ``now`` (Unix seconds), until the day (UTC) begins that it ends on."""
        try:
            with self.consent_text.open("rb") as file:
                words = file.read(MOST_TEXT + 1)
        except OSError as error:
            raise ConfigError(f"cannot read {self.consent_text}: {error.strerror}") from None
        if not 1 <= len(words) <= MOST_TEXT:
            raise ConfigError(f"{self.consent_text} has no words that somebody could agree to")
        return Consent(
            purposes=frozenset(self.purposes.replace(" ", "").split(",")),
            text_hash=hashlib.sha256(words).hexdigest(),
            given=now,
            expires=self.expires.replace(tzinfo=UTC).timestamp(),
        )


def shown(found: Identification) -> dict[str, object]:
    """An identification as JSON; its labels are told to a terminal, and to nothing else."""
    for (person, _), label in zip(found.persons, found.labels, strict=False):
        to_terminal(f"{person.hex()}  {label}")
    persons = [{"person": person.hex(), "band": band.value} for person, band in found.persons]
    return {"state": found.state, "ticket": found.ticket.hex(), "persons": persons}


def to_terminal(line: str) -> None:
    """Tells the operator, if somebody is there to read it: never a file or a pipe."""
    if sys.stderr.isatty():
        click.echo(line, err=True)


def pictures_in(folder: Path) -> Sequence[Path]:
    """Files of ``folder`` in the order of their names, hidden ones left out."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise DeploymentError(f"a folder of pictures cannot be read: {error.strerror}") from None


def day(moment: float) -> str:
    """Unix seconds as a date of UTC."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _bytes_of(text: str, what: str, size: int | None) -> bytes:
    try:
        content = bytes.fromhex(text)
    except ValueError:
        content = b""
    if not content or size not in (None, len(content)):
        raise ConfigError(f"{what} is named in hexadecimal, as it was printed")
    return content
