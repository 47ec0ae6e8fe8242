"""Admission as it is typed: two ends, a gateway of its own process, and somebody on the wire."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from client.centre.admission import AdmissionState, fetch
from client.cli import main as site_main
from client.home import SiteHome
from server.cli import main as admin_main
from server.home import CentreHome
from tests.tls_tap import Tap
from tests.typed_centre import gateway, typed


@pytest.fixture
def centre(tmp_path: Path) -> tuple[CentreHome, dict[str, Any]]:
    home = CentreHome(tmp_path / "centre")
    return home, typed(admin_main, "init", "--home", home.folder, "--host", "localhost:8443")


@pytest.fixture
def tapped(centre: tuple[CentreHome, dict[str, Any]]) -> Iterator[Tap]:
    with gateway(centre[0]) as port:
        tap = Tap(centre[0], port)
        yield tap
        tap.close()


def init(site: SiteHome, port: int, token: str) -> dict[str, Any]:
    facts = {"centre": f"localhost:{port}", "name": "hospital-a", "camera-type": "door"}
    options = [part for key, value in facts.items() for part in (f"--{key}", value)]
    return typed(
        site_main, "init", "--home", site.folder, "--token", token, "--people", 240,
        "--faces", site.folder / "faces", *options,
    )  # fmt: skip


def stands(site: SiteHome) -> AdmissionState:
    return fetch(site, time.time)


def test_three_commands_admit_a_site_and_no_key_is_on_the_wire(
    tmp_path: Path, centre: tuple[CentreHome, dict[str, Any]], tapped: Tap
) -> None:
    home, made = centre
    site = SiteHome(tmp_path / "site")
    asked = init(site, tapped.port, made["token"])
    assert (asked["state"], asked["federation"]) == ("waiting", made["federation"])
    assert stands(site).state == "waiting"

    (waits,) = typed(admin_main, "sites", "--home", home.folder)["waiting"]
    assert waits["fingerprint"] == asked["fingerprint"]
    name, fingerprint = waits["name"], asked["fingerprint"]
    admitted = typed(admin_main, "admit", name, fingerprint, "--home", home.folder)
    assert (admitted["admitted"], admitted["people"]) == ("hospital-a", 240)
    assert stands(site) == fetch(site, time.time)
    assert (stands(site).state, stands(site).node_known) == ("admitted", True)
    assert init(site, tapped.port, made["token"])["state"] == "admitted"

    typed(admin_main, "revoke", name, "--reason", "left", "--home", home.folder)
    assert (stands(site).state, stands(site).reason) == ("revoked", "left")

    words = bytes(tapped.plain)
    for told in (b"/mascaron/v1/status", b"hospital-a", b"BEGIN CERTIFICATE"):
        assert told in words  # the tap hears
        assert told not in tapped.raw  # and the wire does not
    secret = secrets_of(home, site)
    assert len(secret) == 8
    for what, needles in secret.items():
        for heard in (words, bytes(tapped.raw)):
            assert not [needle for needle in needles if needle in heard], what


def test_the_search_would_find_a_key_in_any_of_its_forms(
    tmp_path: Path, centre: tuple[CentreHome, dict[str, Any]], tapped: Tap
) -> None:
    home, made = centre
    site = SiteHome(tmp_path / "site")
    init(site, tapped.port, made["token"])
    raw = load_pem_private_key(site.identity_key.read_bytes(), None)
    seed = raw.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())  # type: ignore[call-arg, union-attr]
    needles = secrets_of(home, site)["identity.key"]
    for leak in (
        site.identity_key.read_bytes(),
        b"some words " + seed,
        base64.b64encode(b"x" + seed + b"yz"),
        base64.urlsafe_b64encode(b"xy" + seed),
        json.dumps({"key": seed.hex()}).encode(),
        base64.b64encode(b"in PEM: " + site.identity_key.read_bytes()),
    ):
        assert [needle for needle in needles if needle in leak], leak


def secrets_of(home: CentreHome, site: SiteHome) -> dict[str, list[bytes]]:
    """Every secret of both ends in every form in which it could be hidden in a message."""
    found = {}
    keys = (home.ca_key, home.server_key, home.centre_key, site.identity_key, site.node_key)
    for path in keys:
        content = path.read_bytes()
        load = load_ssh_private_key if b"OPENSSH" in content else load_pem_private_key
        found[path.name] = [form for part in key_parts(load(content, None), content)
                            for form in forms(part)]  # fmt: skip
    letters = home.token.read_text("ascii").strip().replace("-", "")
    token = base64.b32decode(letters)[:16]
    found["token"] = [*forms(token), letters[:25].encode()]
    found["ledger.key"] = forms(site.ledger_key.read_bytes())
    found["policy"] = forms(site.policy.read_bytes()[:60])
    return found


def key_parts(key: Any, content: bytes) -> Iterator[bytes]:
    """The file, its lines, PKCS 8, and the number that is the key."""
    yield content
    yield from (line for line in content.splitlines() if len(line) > 40)
    yield key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    if hasattr(key, "private_numbers"):
        yield key.private_numbers().private_value.to_bytes(48, "big")
    else:
        yield key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def forms(secret: bytes) -> list[bytes]:
    """As it is, in hexadecimal, and in base64 wherever in a text it may begin."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for before in range(3):
        padded = bytes(before) + secret
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.append(encode(padded)[4 if before else 0 : len(padded) // 3 * 4])
    return found


def test_the_commands_of_an_administrator_answer_in_json(
    centre: tuple[CentreHome, dict[str, Any]],
) -> None:
    home, made = centre
    at = ("--home", home.folder)
    assert made["next"].startswith("mascaron-admin serve")
    assert typed(admin_main, "token", *at)["token"] == made["token"]
    assert typed(admin_main, "token", "--replace", *at)["token"] != made["token"]
    assert "expires" in typed(admin_main, "renew", "--alt-name", "other.example", *at)
    assert typed(admin_main, "sites", *at)["admitted"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["init", "--host", "localhost"], 2, "holds a federation already"),
        (["admit", "north", "00"], 2, "groups"),
        (["admit", "north", "0" * 64], 1, "no site with this fingerprint waits"),
        (["admit", "North", "0" * 64], 2, "a site's name"),
        (["revoke", "north", "--reason", "left"], 1, "no site is called north"),
        (["revoke", "north", "--reason", "because"], 2, "Invalid value"),
        (["sites", "--drop", "0" * 64], 1, "no site with this fingerprint waits"),
    ],
)
def test_what_cannot_be_done_is_told_with_its_exit_code(
    centre: tuple[CentreHome, dict[str, Any]], arguments: list[str], code: int, told: str
) -> None:
    done = CliRunner().invoke(admin_main, [*arguments, "--home", str(centre[0].folder)])
    assert (done.exit_code, done.stdout) == (code, "")
    assert told in done.stderr


@pytest.mark.parametrize("command", ["sites", "token", "renew"])
def test_a_folder_that_is_no_centre_is_told(tmp_path: Path, command: str) -> None:
    done = CliRunner().invoke(admin_main, [command, "--home", str(tmp_path)])
    assert done.exit_code == 1
    assert "is not a centre: `mascaron-admin init` makes a centre" in done.stderr


@pytest.mark.parametrize(
    ("host", "told"),
    [("localhost:99999", "port"), ("local host", "host"), ("", "host"), ("a:b:c:d", "host")],
)
def test_an_address_that_is_none_makes_no_federation(tmp_path: Path, host: str, told: str) -> None:
    folder = tmp_path / "centre"
    done = CliRunner().invoke(admin_main, ["init", "--home", str(folder), "--host", host])
    assert done.exit_code == 2
    assert told in done.stderr
    assert not folder.exists()
