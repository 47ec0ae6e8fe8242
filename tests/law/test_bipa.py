"""Illinois' Biometric Information Privacy Act, 740 ILCS 14/15 (a) and (b).

A test shows that the means are there and work. Whether a site keeps the law is for its operator.
"""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from client.commands.init import init_alone
from client.commands.report import report_ropa
from client.commands.settings import Asked
from client.door.rules import DoorRules
from client.home import SiteHome
from client.vault.consent import Consent
from common.errors import ConfigError, ConsentError
from tests.small_reception import ANYTHING, Site, picture, shown
from tests.small_vault import NOW

DAY = 86_400.0
THREE_YEARS = 3 * 365
TEXT = b"We keep numbers made of your face, to let you in, until 2027."


def released(days: float) -> Consent:
    return Consent(
        purposes=frozenset({"verify"}),
        text_hash=hashlib.sha256(TEXT).hexdigest(),
        given=NOW,
        expires=NOW + days * DAY,
    )


# 15(a): a written schedule, and destruction within three years at most.


def test_15_a_no_schedule_is_longer_than_three_years_and_the_written_one_says_so(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="retention_days"):
        DoorRules(retention_days=THREE_YEARS + 1)
    assert DoorRules().retention_days <= THREE_YEARS
    home = SiteHome(tmp_path / "site")
    init_alone(home, Asked(name="north"))
    home.settings.write_text(
        home.settings.read_text("utf-8") + "\n[door]\nretention_days = 365\n", "utf-8"
    )
    assert "365 days at most" in report_ropa(home)["erasure"]["templates and consent"]


def test_15_a_what_is_over_is_destroyed_without_anybody_asking(site: Site) -> None:
    session = site.reception.begin(ANYTHING, released(THREE_YEARS))
    for view in (3, 4, 5):
        site.reception.look(ANYTHING, session, picture(50, view))
    known = site.reception.commit(ANYTHING, session, True).person
    site.clock.now = NOW + THREE_YEARS * DAY - 1
    site.reception.tidy()
    assert known in site.vault.people(now=site.clock.now)
    site.clock.now += 1
    epoch = site.vault.epoch
    site.reception.tidy()
    assert not site.vault.people(now=NOW) and site.vault.epoch > epoch


def test_15_a_a_longer_release_than_three_years_is_refused(site: Site) -> None:
    with pytest.raises(ConsentError, match="days at most"):
        site.reception.begin(ANYTHING, released(THREE_YEARS + 1))


# 15(b): a written release that names purpose and term.


def test_15_b_the_release_is_kept_with_its_words_purpose_and_term(site: Site) -> None:
    session = shown(site, 51)
    known = site.reception.commit(ANYTHING, session, True).person
    site.reception.renew(ANYTHING, known, released(365))
    assert site.vault.consent(known) == released(365)
    told = site.reception.export(ANYTHING, known)
    assert told["text_hash"] == hashlib.sha256(TEXT).hexdigest()
    assert (told["purposes"], told["expires"]) == (["verify"], NOW + 365 * DAY)


@pytest.mark.parametrize(
    "lack", [{"purposes": frozenset()}, {"text_hash": "none"}, {"expires": float("inf")}]
)
def test_15_b_a_release_without_words_purpose_or_term_is_none(lack: dict[str, object]) -> None:
    with pytest.raises(ConsentError):
        dataclasses.replace(released(30), **lack)  # type: ignore[arg-type]
