"""What an administrator decides, and how certificates and lists follow from it."""

from pathlib import Path

import pytest

from common.errors import AdmissionError, ConfigError
from common.trust.certificates import key_of, life_left, read_revocations
from server.admission.membership import Declared
from server.admission.roster import RosterBook
from tests.small_federation import DAY, NOW, PaperCentre, PaperSite, certificate_of, refusal


@pytest.fixture
def centre(tmp_path: Path) -> PaperCentre:
    return PaperCentre(tmp_path / "centre")


def test_only_the_fingerprint_that_was_read_out_is_admitted(centre: PaperCentre) -> None:
    """Somebody with the token who asks first under the hospital's name gains nothing."""
    door, honest, thief = centre.admission(), PaperSite("north"), PaperSite("north")
    door.answer("request", thief.request(centre))
    with pytest.raises(AdmissionError, match="waits with another fingerprint"):
        centre.admit(honest)
    door.answer("request", honest.request(centre))
    centre.admit(honest)
    roster = RosterBook(centre.home).read()
    assert [entry.identity for entry in roster.admitted] == [honest.key.public.text]
    with pytest.raises(AdmissionError, match="another key is admitted as north"):
        centre.admit(thief)


def test_a_site_is_admitted_by_its_own_name_only(centre: PaperCentre) -> None:
    site = PaperSite("north")
    centre.admission().answer("request", site.request(centre))
    renamed = PaperSite("south", key=site.key)
    with pytest.raises(AdmissionError, match="calls itself north"):
        centre.admit(renamed)
    with pytest.raises(AdmissionError, match="no site with this fingerprint waits"):
        centre.admit(PaperSite("south"))


def test_half_a_fingerprint_is_enough_and_less_is_not(centre: PaperCentre) -> None:
    site = PaperSite("north")
    centre.admission().answer("request", site.request(centre))
    whole = site.key.public.fingerprint
    for typed in ("", whole[:31], whole + "0", "z" * 64):
        with pytest.raises(ConfigError, match="groups"):
            centre.members.admit("north", typed, Declared(), NOW)
    grouped = " ".join(whole[at : at + 4].upper() for at in range(0, 32, 4))
    centre.members.admit("north", grouped, Declared(), NOW)


def test_the_administrator_may_say_otherwise_than_the_site(centre: PaperCentre) -> None:
    site = PaperSite("north")
    centre.admission().answer("request", site.request(centre))
    centre.admit(site, camera_type="gate", people=100)
    (entry,) = RosterBook(centre.home).read().admitted
    assert (entry.camera_type, entry.people) == ("gate", 100)


def test_admitting_twice_changes_nothing(centre: PaperCentre) -> None:
    site = centre.welcome(PaperSite())
    before = RosterBook(centre.home).read()
    centre.admit(site)
    assert RosterBook(centre.home).read() == before


def test_a_revoked_site_is_out_and_is_told_why(centre: PaperCentre) -> None:
    site, door = centre.welcome(PaperSite()), centre.admission()
    told = door.answer("status", site.question(centre))[1]
    serial = certificate_of(told).serial_number
    centre.members.revoke("north", "key-compromised", NOW)
    status, told = door.answer("status", site.question(centre))
    assert (status, told["state"], told["certificate"]) == (200, "revoked", "")
    entry = RosterBook(centre.home).read().site("north")
    assert entry is not None and entry.reason == "key-compromised"
    listed = read_revocations(told["crl"].encode(), centre.ca)
    assert [line.serial_number for line in listed] == [serial]
    assert refusal(door.answer("renew", site.question(centre, "renew"))) == "REVOKED"
    assert refusal(door.answer("request", site.request(centre))) == "REVOKED"
    with pytest.raises(AdmissionError, match="needs a new one"):
        centre.admit(site)


def test_revoking_twice_keeps_the_first_reason(centre: PaperCentre) -> None:
    centre.welcome(PaperSite())
    centre.members.revoke("north", "left", NOW)
    before = RosterBook(centre.home).read()
    assert centre.members.revoke("north", "rules-broken", NOW + DAY).reason == "left"
    assert RosterBook(centre.home).read() == before


def test_a_wrong_reason_or_name_is_told(centre: PaperCentre) -> None:
    with pytest.raises(ConfigError, match="one of left"):
        centre.members.revoke("north", "because", NOW)
    with pytest.raises(AdmissionError, match="no site is called north"):
        centre.members.revoke("north", "left", NOW)


def test_a_site_comes_back_with_a_new_key_and_without_the_heads_of_the_old(
    centre: PaperCentre,
) -> None:
    old = centre.welcome(PaperSite("north"))
    told = centre.admission().answer("status", old.question(centre))[1]
    head = centre.home.heads / "north.json"
    head.write_text("of the old key", "utf-8")
    centre.members.revoke("north", "superseded", NOW)
    assert head.exists()
    new = centre.welcome(PaperSite("north"))
    assert not head.exists()
    assert RosterBook(centre.home).read().holder(new.key.public) is not None
    crl = centre.admission().answer("status", new.question(centre))[1]["crl"]
    listed = [line.serial_number for line in read_revocations(crl.encode(), centre.ca)]
    assert listed == [certificate_of(told).serial_number]
    door = centre.admission()
    assert refusal(door.answer("status", old.question(centre))) == "NOT_KNOWN"


def test_a_site_that_lost_its_node_key_asks_for_another_and_keeps_its_certificate(
    centre: PaperCentre,
) -> None:
    site = centre.welcome(PaperSite("north"))
    before = RosterBook(centre.home).read().site("north")
    anew = PaperSite("north", key=site.key)
    assert centre.admission().answer("request", anew.request(centre))[1]["state"] == "waiting"
    typed = site.key.public.fingerprint
    admitted = centre.members.admit("north", typed, Declared(), NOW)
    assert before is not None and admitted.replaced == before.node == site.node
    assert admitted.entry.node == anew.node
    assert admitted.entry.certificate == before.certificate


def test_two_sites_never_share_a_node_key(centre: PaperCentre) -> None:
    site = centre.welcome(PaperSite("north"))
    twin = PaperSite("south", node_key=site.node_key)
    centre.admission().answer("request", twin.request(centre))
    with pytest.raises(ConfigError, match="same node"):
        centre.admit(twin)
    assert [entry.name for entry in RosterBook(centre.home).read().sites] == ["north"]


def test_who_is_not_wanted_is_sent_away(centre: PaperCentre) -> None:
    site, door = PaperSite("north"), centre.admission()
    door.answer("request", site.request(centre))
    assert centre.members.drop(site.key.public.fingerprint, NOW).name == "north"
    assert refusal(door.answer("status", site.question(centre))) == "NOT_KNOWN"
    with pytest.raises(AdmissionError, match="no site with this fingerprint"):
        centre.members.drop(site.key.public.fingerprint, NOW)


def test_a_certificate_is_renewed_in_the_second_half_of_its_life(centre: PaperCentre) -> None:
    site, door = centre.welcome(PaperSite()), centre.admission()
    first = door.answer("renew", site.question(centre, "renew"))[1]
    centre.clock.now = NOW + 40 * DAY
    early = door.answer("renew", site.question(centre, "renew"))[1]
    assert early["certificate"] == first["certificate"]
    centre.clock.now = NOW + 70 * DAY
    late = door.answer("renew", site.question(centre, "renew"))[1]
    assert late["certificate"] != first["certificate"]
    assert life_left(certificate_of(late), centre.clock()) > 0.9
    assert key_of(certificate_of(late)) == site.key.public
    again = door.answer("renew", site.question(centre, "renew"))[1]
    assert again["certificate"] == late["certificate"]
    assert RosterBook(centre.home).read().number == 2


def test_after_its_end_only_the_administrator_renews(centre: PaperCentre) -> None:
    site, door = centre.welcome(PaperSite()), centre.admission()
    centre.clock.now = NOW + 91 * DAY
    answer = door.answer("renew", site.question(centre, "renew"))
    assert refusal(answer) == "CERTIFICATE_EXPIRED"
    (entry,) = centre.members.table(centre.clock())["admitted"]
    assert entry["expired"]
    centre.admit(site)
    told = door.answer("status", site.question(centre))[1]
    assert life_left(certificate_of(told), centre.clock()) > 0.9


def test_every_certificate_of_a_revoked_site_is_listed(centre: PaperCentre) -> None:
    site, door = centre.welcome(PaperSite()), centre.admission()
    serials = {certificate_of(door.answer("status", site.question(centre))[1]).serial_number}
    centre.clock.now = NOW + 70 * DAY
    told = door.answer("renew", site.question(centre, "renew"))[1]
    serials.add(certificate_of(told).serial_number)
    centre.members.revoke("north", "left", centre.clock())
    content = centre.home.revocations.read_bytes()
    listed = {line.serial_number for line in read_revocations(content, centre.ca)}
    assert listed == serials and len(serials) == 2


def test_the_revocation_list_is_never_old_and_its_dates_stay(centre: PaperCentre) -> None:
    site = centre.welcome(PaperSite("a"))
    centre.welcome(PaperSite("b"))
    centre.members.revoke("b", "left", NOW)
    centre.clock.now = NOW + 25 * DAY
    crl = centre.admission().answer("status", site.question(centre))[1]["crl"]
    found = read_revocations(crl.encode(), centre.ca)
    assert found.last_update_utc.timestamp() == centre.clock()
    assert [line.revocation_date_utc.timestamp() for line in found] == [NOW]


def test_a_certificate_that_is_gone_or_altered_is_told(centre: PaperCentre) -> None:
    site, door = centre.welcome(PaperSite()), centre.admission()
    (path,) = centre.home.certificates.iterdir()
    content = path.read_bytes()
    other = PaperCentre(centre.folder.parent / "other")
    other.welcome(PaperSite())
    (foreign,) = other.home.certificates.iterdir()
    path.write_bytes(foreign.read_bytes())
    assert refusal(door.answer("status", site.question(centre))) == "UNAVAILABLE"
    assert "was altered" in centre.members.table(NOW)["admitted"][0]["problem"]
    path.unlink()
    assert "is gone" in centre.members.table(NOW)["admitted"][0]["problem"]
    path.write_bytes(content)
    assert door.answer("status", site.question(centre))[0] == 200
