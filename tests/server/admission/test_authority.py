"""The CA certifies what it is asked to in one role each, and its keys stay closed."""

import base64
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from common.errors import ConfigError, DeploymentError, SignatureError
from common.trust import certificates
from common.trust.certificates import Role
from common.trust.keys import SigningKey
from common.trust.roster import Roster
from server.admission.authority import Authority, Revoked, load_private, renew_server
from server.admission.founding import found, new_token
from server.admission.roster import RosterBook
from server.home import CentreConfig, CentreHome
from tests.small_federation import DAY, NOW, Clock, PaperCentre


@pytest.fixture
def centre(tmp_path: Path) -> PaperCentre:
    return PaperCentre(tmp_path / "centre")


def server_of(centre: PaperCentre) -> x509.Certificate:
    return certificates.read_certificate(centre.home.server_certificate.read_bytes())


def hosts(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def days(certificate: x509.Certificate) -> int:
    return (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days


def test_the_ca_may_issue_and_nothing_below_it_may(centre: PaperCentre) -> None:
    limits = centre.ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical and limits.value == x509.BasicConstraints(ca=True, path_length=0)
    key = centre.ca.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp384r1"
    assert days(centre.ca) == 3650
    server = server_of(centre).extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not server.ca


def test_a_strict_verifier_of_somebody_else_believes_the_server(centre: PaperCentre) -> None:
    policy = PolicyBuilder().store(Store([centre.ca])).time(certificates.moment(NOW))
    verifier = policy.build_server_verifier(x509.DNSName("centre.example"))
    assert len(verifier.verify(server_of(centre), [])) == 2


def test_the_server_is_itself_under_every_name_it_may_be_dialled_by(centre: PaperCentre) -> None:
    assert hosts(server_of(centre)) == {"centre.example", "localhost", "127.0.0.1", "::1"}
    assert days(server_of(centre)) == 397


def test_a_server_is_renewed_when_a_third_of_its_life_is_left_and_keeps_names_and_key(
    centre: PaperCentre,
) -> None:
    first, key = server_of(centre), centre.home.server_key.read_bytes()
    assert not renew_server(centre.home, NOW + 200 * DAY, due=True)
    assert server_of(centre) == first
    assert renew_server(centre.home, NOW + 300 * DAY, due=True)
    assert server_of(centre).not_valid_after_utc > first.not_valid_after_utc
    assert hosts(server_of(centre)) == hosts(first)
    assert centre.home.server_key.read_bytes() == key


def test_a_new_host_is_a_reason_to_renew(centre: PaperCentre) -> None:
    assert renew_server(centre.home, NOW, ("other.example",), due=True)
    assert "other.example" in hosts(server_of(centre))
    assert not renew_server(centre.home, NOW, ("other.example",), due=True)


def test_one_role_is_not_another(centre: PaperCentre) -> None:
    authority, key = Authority.load(centre.home), SigningKey.generate().public
    site, bound = authority.issue_site(key, "north", NOW), authority.issue_centre(key, NOW)
    certificates.check_issued(site, centre.ca, Role.SITE)
    certificates.check_issued(bound, centre.ca, Role.CENTRE)
    for wrong, role in [(site, Role.CENTRE), (bound, Role.SITE), (centre.ca, Role.CENTRE)]:
        with pytest.raises(SignatureError):
            certificates.check_issued(wrong, centre.ca, role)
    usages = site.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SERVER_AUTH not in list(usages)


def test_another_ca_of_the_same_name_is_another_ca(centre: PaperCentre) -> None:
    forged = Authority.make("test", NOW)
    key = SigningKey.generate().public
    with pytest.raises(SignatureError, match="did not issue"):
        certificates.check_issued(forged.issue_site(key, "north", NOW), centre.ca, Role.SITE)
    with pytest.raises(SignatureError, match="did not sign"):
        certificates.read_revocations(forged.revocations([], NOW), centre.ca)


def test_the_centres_key_is_bound_for_as_long_as_the_ca_lasts(centre: PaperCentre) -> None:
    bound = certificates.read_certificate((centre.home.keys / "centre.crt").read_bytes())
    assert certificates.key_of(bound) == SigningKey.load(centre.home.centre_key).public
    assert bound.not_valid_after_utc <= centre.ca.not_valid_after_utc
    assert certificates.life_left(bound, NOW + 3640 * DAY) > 0


def test_a_certificate_is_current_between_its_ends_only(centre: PaperCentre) -> None:
    made = Authority.load(centre.home).issue_site(SigningKey.generate().public, "north", NOW)
    certificates.check_current(made, NOW)
    certificates.check_current(made, NOW + 89 * DAY)
    with pytest.raises(SignatureError, match="not in force yet: set the clock"):
        certificates.check_current(made, NOW - DAY)
    with pytest.raises(SignatureError, match="expired"):
        certificates.check_current(made, NOW + 91 * DAY)


def test_the_revocation_list_holds_what_it_is_told(centre: PaperCentre) -> None:
    flag = x509.ReasonFlags.key_compromise
    content = Authority.load(centre.home).revocations([Revoked(7, NOW, flag)], NOW)
    found = certificates.read_revocations(content, centre.ca)
    assert [line.serial_number for line in found] == [7]
    assert found.next_update_utc is not None


def test_openssl_loads_what_was_made(centre: PaperCentre) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(centre.home.server_certificate, centre.home.server_key)
    context.load_verify_locations(centre.home.ca)


def test_every_secret_is_closed_to_others(centre: PaperCentre) -> None:
    for folder in (centre.home.folder, centre.home.keys, centre.home.waiting):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in (*centre.home.keys.iterdir(), centre.home.token, centre.home.roster):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_that_others_may_read_is_not_used(centre: PaperCentre) -> None:
    centre.home.ca_key.chmod(0o644)
    with pytest.raises(DeploymentError, match="chmod 600"):
        Authority.load(centre.home)


def test_a_ca_whose_files_do_not_belong_together_is_not_used(centre: PaperCentre) -> None:
    centre.home.ca_key.write_bytes(Authority.make("test", NOW).key_pem())
    with pytest.raises(DeploymentError, match="restore both from a backup"):
        Authority.load(centre.home)


@pytest.mark.parametrize("content", [b"", b"text", SigningKey.generate().pem()])
def test_what_is_no_ec_key_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(DeploymentError, match="not an EC private key"):
        load_private(path)
    with pytest.raises(DeploymentError, match="cannot read"):
        load_private(tmp_path / "nothing")


def test_the_token_is_of_this_ca_and_the_roster_is_empty(centre: PaperCentre) -> None:
    assert centre.token.pins(certificates.der(centre.ca))
    assert RosterBook(centre.home).read() == Roster(federation=centre.federation)


def test_a_second_federation_is_not_put_over_the_first(centre: PaperCentre) -> None:
    before = {path: path.read_bytes() for path in centre.home.keys.iterdir()}
    with pytest.raises(ConfigError, match="holds a federation already"):
        found(centre.home, CentreConfig(name="again", host="x"), (), NOW)
    assert {path: path.read_bytes() for path in centre.home.keys.iterdir()} == before


def test_keys_without_settings_are_not_overwritten_either(centre: PaperCentre) -> None:
    centre.home.settings.unlink()
    with pytest.raises(ConfigError, match="holds a federation already"):
        found(centre.home, CentreConfig(name="again", host="x"), (), NOW)


@pytest.mark.parametrize("fails", range(11))
def test_a_founding_that_was_cut_short_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    home, config = CentreHome(tmp_path / "centre"), CentreConfig(name="test", host="x")
    from common.trust import storing

    real, left = storing.replace, [fails]

    def failing(path: Path, content: bytes, mode: int = 0o600) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise DeploymentError("cannot write: full")
        real(path, content, mode)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "replace", failing)
        with pytest.raises(DeploymentError, match="full"):
            found(home, config, (), NOW)
    assert not home.settings.exists()
    token = found(home, config, (), NOW)
    assert token.pins(certificates.der(Authority.load(home).certificate))
    assert RosterBook(home).read().number == 0


def test_a_new_token_pins_the_same_ca_and_ends_the_old(centre: PaperCentre) -> None:
    fresh = new_token(centre.home)
    assert fresh.pins(certificates.der(centre.ca))
    assert fresh.text != centre.token.text
    assert centre.home.token.read_text("ascii").strip() == fresh.text


def test_keys_are_not_in_what_is_public(centre: PaperCentre) -> None:
    key = load_private(centre.home.ca_key).private_numbers().private_value.to_bytes(48, "big")
    public = centre.home.ca.read_bytes() + centre.home.server_certificate.read_bytes()
    assert key not in public and base64.b64encode(key) not in public
    assert "PRIVATE" not in public.decode()


def test_time_is_passed_in(tmp_path: Path) -> None:
    made = PaperCentre(tmp_path / "centre", Clock(NOW + 1000 * DAY))
    assert made.ca.not_valid_before_utc > certificates.moment(NOW + 999 * DAY)
