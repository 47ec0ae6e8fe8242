"""Who may take part in a run, and what the centre keeps of each site's ledger."""

from dataclasses import dataclass
from pathlib import Path

from common.errors import MascaronError, RunError
from common.trust.keys import PublicKey, SigningKey
from common.trust.roster import Roster, read_roster
from common.trust.signed import Signed
from server.home import CentreHome
from server.runs.heads import HeadStore

CENTRE_KEY = "centre.pub"  # beside a charter of the laboratory


@dataclass(frozen=True, kw_only=True)
class Register:
    """The roster as the centre signed it, and the ledger heads of its sites."""

    roster: Roster
    heads: HeadStore


def open_register(home: CentreHome) -> tuple[PublicKey, Register]:
    """The centre's public key and the register of ``home``; ``RunError`` if one is not there."""
    try:
        key = SigningKey.load(home.centre_key).public
        roster = read_roster(Signed.from_json(home.roster.read_text("utf-8")), key)
    except (OSError, MascaronError) as error:
        raise RunError(f"cannot read the roster of {home.folder}: {error}") from error
    return key, Register(roster=roster, heads=HeadStore(home.heads, roster.federation))


def laboratory_key(folder: Path) -> PublicKey:
    """The key that signed the laboratory's charter in ``folder``, which lies beside it."""
    path = folder / CENTRE_KEY
    try:
        return PublicKey.of(path.read_text("utf-8").strip())
    except (OSError, ValueError, MascaronError) as error:
        raise RunError(f"cannot read the centre's key {path}: {type(error).__name__}") from error
