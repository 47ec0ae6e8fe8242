"""Wherever an act is cut short, the old federation is there or the new one, and goes on."""

import threading
from pathlib import Path
from typing import Any

import pytest

from common.errors import DeploymentError
from common.trust import storing
from common.trust.certificates import key_of, read_certificate, read_revocations
from common.trust.keys import SigningKey
from server.admission.roster import RosterBook
from tests.small_federation import DAY, NOW, PaperCentre, PaperSite


@pytest.fixture
def centre(tmp_path: Path) -> PaperCentre:
    return PaperCentre(tmp_path / "centre")


class PowerCutError(BaseException):
    """Nothing catches it: what a process cannot do any more, it does not do."""


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int, kind: type[BaseException]) -> None:
    """Lets ``after`` writes through and stops at the next one, before or after it is done."""
    left = [after]

    def stopping(real: Any) -> Any:
        def write(*arguments: Any, **keywords: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                raise kind("stopped")
            return real(*arguments, **keywords)

        return write

    monkeypatch.setattr(storing, "replace", stopping(storing.replace))
    monkeypatch.setattr(storing, "remove", stopping(storing.remove))


@pytest.mark.parametrize("kind", [PowerCutError, DeploymentError])
@pytest.mark.parametrize("act", ["admit", "revoke", "renew", "come back"])
def test_wherever_an_act_stops_the_old_federation_or_the_new_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, kind: type[BaseException]
) -> None:
    stops = 0
    while _stopped(tmp_path / f"{stops}", monkeypatch, act, (stops, kind)):
        stops += 1
    assert stops >= 2  # writes that an act is made of


def _stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, act: str, stop: tuple[int, type[BaseException]]
) -> bool:
    """Does ``act`` with one failure; False if it was over before the failure came."""
    folder.mkdir()
    centre, site = PaperCentre(folder / "centre"), PaperSite("north")
    other = centre.welcome(PaperSite("other"))
    door = centre.admission()
    do = _prepare(act, centre, site)
    before = RosterBook(centre.home).read()
    with monkeypatch.context() as patch:
        interrupted(patch, *stop)
        try:
            do()
            over = True
        except (PowerCutError, DeploymentError):
            over = False
    between = RosterBook(centre.home).read()
    assert between.number - before.number in (0, 1)
    assert door.answer("status", other.question(centre))[0] == 200
    centre.admission()  # as `serve` does at its start
    _consistent(centre)
    do()
    after = RosterBook(centre.home).read()
    assert after.number == before.number + 1
    _consistent(centre)
    return not over


def _prepare(act: str, centre: PaperCentre, site: PaperSite) -> Any:
    if act == "admit":
        centre.admission().answer("request", site.request(centre))
        return lambda: centre.admit(site)
    centre.welcome(site)
    if act == "revoke":
        return lambda: centre.members.revoke("north", "left", NOW)
    if act == "renew":
        centre.clock.now = NOW + 70 * DAY
        return lambda: centre.members.renew(site.key.public, centre.clock())
    centre.members.revoke("north", "superseded", NOW)
    (centre.home.heads / "north.json").write_text("{}", "utf-8")
    anew = PaperSite("north")
    centre.admission().answer("request", anew.request(centre))
    return lambda: centre.admit(anew)


def _consistent(centre: PaperCentre) -> None:
    """List, certificates and waiting room say what the roster says."""
    roster = RosterBook(centre.home).read()
    admitted = {entry.identity for entry in roster.admitted}
    kept = [read_certificate(p.read_bytes()) for p in centre.home.certificates.glob("*.crt")]
    listed = read_revocations(centre.home.revocations.read_bytes(), centre.ca)
    out = {cert.serial_number for cert in kept if key_of(cert).text not in admitted}
    assert {line.serial_number for line in listed} == out
    table = centre.members.table(centre.clock())
    assert all("problem" not in entry for entry in table["admitted"])
    assert not list(centre.folder.rglob("*.partial"))


def test_two_administrators_at_once_lose_nothing(centre: PaperCentre) -> None:
    sites = [PaperSite(f"site-{n}", key=SigningKey.generate()) for n in range(6)]
    door = centre.admission()
    for site in sites:
        assert door.answer("request", site.request(centre))[0] == 200
    failures: list[BaseException] = []

    def admit(site: PaperSite) -> None:
        try:
            centre.admit(site)
        except BaseException as error:  # shown below
            failures.append(error)

    threads = [threading.Thread(target=admit, args=(site,)) for site in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    roster = RosterBook(centre.home).read()
    assert (len(roster.admitted), roster.number) == (6, 6)
