"""A new federation: its folder, its CA, its keys and its token, made once and never again."""

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric import ec

from common.errors import ConfigError, DeploymentError
from common.trust import storing
from common.trust.certificates import der, to_pem
from common.trust.keys import SigningKey
from common.trust.roster import Roster
from common.trust.token import Token
from server.admission.authority import Authority, private_pem
from server.admission.issued import Issued
from server.admission.roster import RosterBook
from server.home import CentreConfig, CentreHome

_UNFINISHED = "unfinished"  # a file that is there while a federation is being made


def found(home: CentreHome, config: CentreConfig, hosts: Iterable[str], now: float) -> Token:
    """Makes the centre of a new federation in ``home`` and returns its token.

    ``hosts`` are further names of the server. What a crash left half made is made anew, as nobody
    has seen it; a finished centre is refused with ``ConfigError``. ``settings`` comes last.

    Guarantee: every private key is in a file of mode 0600 in a folder of mode 0700 from its first
    byte, and is never printed.
    Leaks: the token, to whoever reads the terminal it is printed on.
    """
    marker = home.folder / _UNFINISHED
    _refuse_another(home, unfinished=marker.exists())
    home.prepare()
    storing.replace(marker, b"")
    authority = Authority.make(config.name, now)
    token = Token.generate(der(authority.certificate))
    _write_keys(home, authority, (config.host, *hosts), now)
    storing.replace(home.token, f"{token.text}\n".encode())
    RosterBook(home).write(Roster(federation=authority.federation))
    Issued(home, authority).revocations(Roster(federation=authority.federation), now)
    storing.replace(home.settings, config.to_toml().encode())
    storing.remove(marker)
    return token


def new_token(home: CentreHome) -> Token:
    """Replaces the token: the old one lets nobody into the waiting room any more."""
    token = Token.generate(der(Authority.load(home).certificate))
    storing.replace(home.token, f"{token.text}\n".encode())
    return token


def _write_keys(home: CentreHome, authority: Authority, hosts: Iterable[str], now: float) -> None:
    server, centre = ec.generate_private_key(ec.SECP384R1()), SigningKey.generate()
    try:
        certificate = authority.issue_server(server.public_key(), hosts, now)
    except ValueError as error:
        raise ConfigError(f"a host or --alt-name cannot be in a certificate: {error}") from None
    storing.replace(home.ca_key, authority.key_pem())
    storing.replace(home.ca, to_pem(authority.certificate))
    storing.replace(home.server_key, private_pem(server))
    storing.replace(home.server_certificate, to_pem(certificate))
    storing.replace(home.centre_key, centre.pem())
    storing.replace(home.keys / "centre.crt", to_pem(authority.issue_centre(centre.public, now)))


def _refuse_another(home: CentreHome, *, unfinished: bool) -> None:
    if home.settings.exists() or (home.ca_key.exists() and not unfinished):
        raise ConfigError(
            f"{home.folder} holds a federation already; choose another folder with --home"
        )
    for folder in (home.folder, home.keys):
        if folder.exists() and not folder.is_dir():
            raise DeploymentError(f"{folder} is not a folder: remove what is there")
