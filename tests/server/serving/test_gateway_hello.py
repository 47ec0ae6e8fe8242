"""A gateway says which version of the protocol it speaks, and doctors on both sides understand."""

import shutil
import time
from pathlib import Path

import pytest

from client.doctor.centre import check_centre
from client.doctor.findings import Finding, Machine
from client.home import SiteHome
from client.site_config import SiteConfig
from common.wire import PROTOCOL
from server.serving import gateway
from server.serving.superlink import spoken
from tests.small_gateway import Centre

HELLO = "/mascaron/v1/hello"


def doctor(centre: Centre, folder: Path) -> dict[str, Finding]:
    """What a site's doctor finds at the gateway of ``centre``, whose CA the site pinned."""
    home = SiteHome(folder / "site")
    home.prepare()
    shutil.copy(centre.home.ca, home.ca)
    paths = {"trunk": Path("t"), "faces": Path("f"), "public": Path("p")}
    facts = {"name": "a", "centre": f"localhost:{centre.port}", "camera_type": "door", "people": 5}
    config = SiteConfig(**facts, **paths)  # type: ignore[arg-type]
    machine = Machine(now=time.time, space=lambda path: 2**40, ask_agent=lambda address: "")
    return {finding.name: finding for finding in check_centre(home, config, machine)}


def test_a_gateway_tells_its_version_and_nothing_else(centre: Centre) -> None:
    with centre.client() as client:
        answer = client.get(HELLO)
        assert answer.json() == {"protocol": PROTOCOL}
        assert set(answer.headers) - {"date", "content-length", "content-type"} == {
            name.decode() for name, _ in gateway.HARDENED
        }
        for wrong in (client.post(HELLO), client.get(f"{HELLO}?x=1"), client.head(HELLO)):
            assert wrong.status_code in (404, 405)
    assert centre.quiet


def test_a_site_finds_nothing_wrong_with_a_gateway_of_its_version(
    centre: Centre, tmp_path: Path
) -> None:
    findings = doctor(centre, tmp_path)
    assert set(findings) == {"gateway", "certificate", "clock", "protocol"}
    assert all(finding.ok for finding in findings.values())
    assert spoken(centre.home, centre.port, "127.0.0.1") == PROTOCOL
    assert centre.quiet


def test_a_gateway_of_another_version_is_told_at_the_site_and_at_the_centre(
    centre: Centre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "PROTOCOL", 99)
    findings = doctor(centre, tmp_path)
    assert [name for name, finding in findings.items() if not finding.ok] == ["protocol"]
    assert f"speaks version 99 of the protocol, this site {PROTOCOL}" in findings["protocol"].cause
    assert spoken(centre.home, centre.port, "127.0.0.1") == 99


def test_what_does_not_tell_a_version_has_none(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spoken(centre.home, 1, "127.0.0.1") is None
    monkeypatch.setitem(gateway._PATHS, HELLO, "POST")  # a gateway from before the question
    assert spoken(centre.home, centre.port, "127.0.0.1") is None
