"""What can be wrong with the releases a site was shown: two histories, a broken one, a lost file.

Which release decides at the door is the operator's choice, and no illness: `mascaron-site release
status` tells it.
"""

from collections.abc import Iterator

from client.centre.releases import kept_history, kept_release, trusted
from client.doctor.findings import Finding, Machine, well, wrong
from client.home import SiteHome
from client.site_config import SiteConfig
from common.errors import AdmissionError, MascaronError

FETCH = "run `mascaron-site release fetch`; a timer should do it, see deploy/systemd"


def check_releases(home: SiteHome, config: SiteConfig, machine: Machine) -> Iterator[Finding]:
    """Whether the centre ever signed two histories, and what is due here was fetched whole."""
    if config.alone:
        return
    name = "releases"
    if home.split_view.exists():
        cause = f"the centre signed two histories of releases: the proof is {home.split_view}"
        remedy = "show it to the other sites and the administrator, and stage nothing meanwhile"
        yield wrong(name, cause, remedy)
        return
    try:
        us = trusted(home)
        due = us.due(kept_history(home, us))
        missing = bool(due) and kept_release(home, us, due) is None
    except AdmissionError:
        return  # the check of admission tells
    except MascaronError as error:
        yield wrong(name, f"what is kept in {home.trust} is refused: {error}", FETCH)
        return
    if missing:
        yield wrong(name, f"release {due[:12]} is due here and was not fetched", FETCH)
    else:
        yield well(name)
