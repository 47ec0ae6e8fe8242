"""A certificate that nobody renewed in time is renewed for the agent, and a failure is told."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from client.centre import renewal as room
from client.centre.admission import fetch
from client.centre.renewal import LATE, Means, Renewal, ask_apart, overdue
from client.home import SiteHome
from tests.paper_wire import Wire, joined
from tests.small_federation import DAY, NOW, PaperCentre

SOON, LATER = NOW + 50 * DAY, NOW + 70 * DAY  # of 90 days


@pytest.fixture
def site(wire: Wire, home: SiteHome, centre: PaperCentre) -> SiteHome:
    joined(home, centre)
    fetch(home, centre.clock)
    return home


def told(home: SiteHome, now: float, answers: list[str], looks: int = 1) -> list[str]:
    """What the operator reads until it has looked so often."""
    said: list[str] = []
    asked, left = threading.Event(), [looks]

    def clock() -> float:
        left[0] -= 1
        if left[0] < 0:
            asked.set()
            return NOW  # well, from now on
        return now

    means = Means(clock=clock, say=said.append, ask=lambda _: answers.pop(0), every=0.01)
    with Renewal(home, means):
        assert asked.wait(10)
    return said


def test_a_certificate_that_somebody_renews_in_time_is_left_alone(site: SiteHome) -> None:
    assert told(site, SOON, []) == []
    assert overdue(site, NOW + 90 * DAY * (1 - LATE) - DAY) == ""


def test_an_overdue_one_is_renewed_and_that_is_told(site: SiteHome) -> None:
    assert told(site, LATER, [""]) == ["the certificate of this site was renewed"]


def test_a_renewal_that_fails_is_told_with_the_day_and_tried_again(site: SiteHome) -> None:
    said = told(site, LATER, ["DEPLOYMENT_FAILED: no route", ""], looks=2)
    assert len(said) == 2
    assert "ends at" in said[0] and said[0].endswith("is not renewed: DEPLOYMENT_FAILED: no route")


def test_a_site_that_was_not_admitted_has_nothing_to_renew(tmp_path: Path) -> None:
    home = SiteHome(tmp_path)
    home.prepare()
    assert overdue(home, NOW) == ""
    home.certificate.write_text("none", "utf-8")
    assert overdue(home, NOW) == ""


def test_the_centre_is_asked_by_another_process_whose_words_are_told(site: SiteHome) -> None:
    """Nobody answers at the address of this home."""
    failed = ask_apart(site)
    assert failed.partition(":")[0].isupper(), failed
    assert "Traceback" not in failed


@pytest.mark.parametrize(
    ("stderr", "code", "expected"),
    [
        ("a line\nError: REVOKED: it is\n", 1, "REVOKED: it is"),
        ("", 1, "no word of why"),
        ("progress", 0, ""),
    ],
)
def test_only_the_last_line_of_a_failure_is_told(
    site: SiteHome, monkeypatch: pytest.MonkeyPatch, stderr: str, code: int, expected: str
) -> None:
    done = subprocess.CompletedProcess([sys.executable], code, "", stderr)
    monkeypatch.setattr(room.subprocess, "run", lambda *_, **__: done)
    assert ask_apart(site) == expected


def test_a_process_that_hangs_is_told(site: SiteHome, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("admission", 1)

    monkeypatch.setattr(room.subprocess, "run", hang)
    assert "TimeoutExpired" in ask_apart(site)
