"""What sites say they saw of the history, held against the one that is here.

The same look that every site takes; here it finds a home that was restored from an old backup, and
a key that somebody else signs with.
"""

from common.evidence.witnesses import Crossing, cross
from common.trust import storing
from common.trust.roster import Roster
from server.home import CentreHome
from server.release.registry import Registry
from server.standing import public_key, roster_of


def statements(home: CentreHome, roster: Roster) -> dict[str, str]:
    """The last statement of each admitted site, as it came; by name, those there are."""
    found = {}
    for site in roster.admitted:
        content = storing.read(home.witnesses / f"{site.name}.json")
        if content:
            found[site.name] = content.decode("utf-8", "replace")
    return found


def seen_by_sites(home: CentreHome, now: float) -> Crossing:
    """Which sites saw this history. Raises ``SplitViewError`` or ``HistoryError`` where one saw
    another, or more of it."""
    roster = roster_of(home)
    shown = statements(home, roster)
    return cross(Registry(home).history(), shown, roster, public_key(home), now)
