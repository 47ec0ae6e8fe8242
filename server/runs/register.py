"""Who may take part in a run, and what the centre keeps of each site's ledger."""

from dataclasses import dataclass
from pathlib import Path

from common.errors import MascaronError, RunError
from common.trust.keys import PublicKey, SigningKey
from common.trust.roster import Roster, read_roster
from common.trust.signed import Signed
from server.home import CentreHome
from server.runs.heads import HeadStore

CENTRE_KEY, ROSTER = "centre.pub", "roster.json"  # beside a charter of the laboratory
HEADS = "heads"


@dataclass(frozen=True, kw_only=True)
class Register:
    """The roster, as the centre signed it in ``text``, and the ledger heads of its sites."""

    roster: Roster
    heads: HeadStore
    text: str = ""


def open_register(home: CentreHome) -> tuple[PublicKey, Register]:
    """The centre's public key and the register of ``home``; ``RunError`` if one is not there."""
    try:
        key = SigningKey.load(home.centre_key).public
        text = home.roster.read_text("utf-8")
        roster = read_roster(Signed.from_json(text), key)
    except (OSError, MascaronError) as error:
        raise RunError(f"cannot read the roster of {home.folder}: {error}") from error
    heads = HeadStore(home.heads, roster.federation)
    return key, Register(roster=roster, heads=heads, text=text)


def laboratory_key(folder: Path) -> PublicKey:
    """The key that signed the laboratory's charter in ``folder``, which lies beside it."""
    path = folder / CENTRE_KEY
    try:
        return PublicKey.of(path.read_text("utf-8").strip())
    except (OSError, ValueError, MascaronError) as error:
        raise RunError(f"cannot read the centre's key {path}: {type(error).__name__}") from error


def laboratory_register(folder: Path, key: PublicKey) -> Register | None:
    """The register of a laboratory whose sites have a roster, as secure sums need; else None.

    Raises ``RunError`` for a roster in ``folder`` that ``key`` did not sign.
    """
    path = folder / ROSTER
    try:
        roster = read_roster(Signed.from_json(path.read_text("utf-8")), key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, MascaronError) as error:
        raise RunError(f"cannot read the roster {path}: {type(error).__name__}") from error
    return Register(roster=roster, heads=HeadStore(folder / HEADS, roster.federation))
