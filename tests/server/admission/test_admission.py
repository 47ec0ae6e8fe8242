"""Who gets into the waiting room, who is told what, and what is never told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import SignatureError
from common.trust.certificates import key_of, read_certificate, read_revocations
from common.trust.refusals import REFUSALS
from common.trust.roster import read_roster
from common.trust.signed import Signed
from common.trust.token import Token
from server.admission import waiting
from server.admission.answers import Admission, AdmissionLimits
from server.admission.founding import new_token
from server.admission.roster import RosterBook
from tests.small_federation import (
    NOW,
    PaperCentre,
    PaperSite,
    altered,
    certificate_of,
    refusal,
)


@pytest.fixture
def centre(tmp_path: Path) -> PaperCentre:
    return PaperCentre(tmp_path / "centre")


# asking ---------------------------------------------------------------------------------------


def test_a_site_waits_until_it_is_admitted_and_then_gets_all_it_needs(centre: PaperCentre) -> None:
    site, door = PaperSite(), centre.admission()
    assert door.answer("request", site.request(centre)) == (
        200,
        {"state": "waiting", "now": int(NOW)},
    )
    assert door.answer("status", site.question(centre))[1]["state"] == "waiting"
    centre.admit(site)
    status, told = door.answer("status", site.question(centre))
    assert (status, told["state"]) == (200, "admitted")
    bound = key_of(read_certificate(told["centre"].encode()))
    roster = read_roster(Signed.from_json(told["roster"]), bound)
    entry = roster.site("north")
    assert entry is not None
    assert (entry.identity, entry.node) == (site.key.public.text, site.node)
    assert key_of(certificate_of(told)) == site.key.public
    assert list(read_revocations(told["crl"].encode(), centre.ca)) == []


def test_asking_twice_is_asking_once(centre: PaperCentre) -> None:
    site, door = PaperSite(), centre.admission()
    for _ in range(3):
        assert door.answer("request", site.request(centre))[0] == 200
    assert len(centre.members.table(NOW)["waiting"]) == 1


def test_a_site_may_correct_what_it_declared_while_it_waits(centre: PaperCentre) -> None:
    site, door = PaperSite(), centre.admission()
    door.answer("request", site.request(centre))
    door.answer("request", site.request(centre, people=9))
    (waits,) = centre.members.table(NOW)["waiting"]
    assert waits["people"] == 9


def test_without_the_tokens_secret_nobody_waits(centre: PaperCentre) -> None:
    site, door = PaperSite(), centre.admission()
    other = Token.generate(centre.home.ca.read_bytes())
    bodies = [
        site.request(centre, other),
        altered(site.request(centre), proof=""),
        altered(site.request(centre), proof="0" * 64),
        altered(site.request(centre), proof="é\ud800"),
    ]
    for body in bodies:
        assert refusal(door.answer("request", body)) == "TOKEN_WRONG"
    assert not centre.members.table(NOW)["waiting"]


def test_a_replaced_token_lets_nobody_in(centre: PaperCentre) -> None:
    door = centre.admission()
    new = new_token(centre.home)
    assert refusal(door.answer("request", PaperSite().request(centre))) == "TOKEN_WRONG"
    assert door.answer("request", PaperSite().request(centre, new))[0] == 200


def test_each_key_that_is_named_has_signed(centre: PaperCentre) -> None:
    """Somebody with the token cannot speak for another's identity key or node key."""
    site, thief, door = PaperSite(), PaperSite(), centre.admission()
    stolen_csr = thief.request(centre, csr=site.asked(centre.federation).csr)
    stolen_node = thief.request(centre, node=site.node)
    for body in (stolen_csr, stolen_node):
        assert refusal(door.answer("request", body)) == "SIGNATURE_INVALID"


def test_a_request_for_another_federation_is_told(centre: PaperCentre) -> None:
    body = PaperSite().request(centre, federation="0" * 64)
    assert refusal(centre.admission().answer("request", body)) == "OTHER_FEDERATION"
    body = PaperSite().question(centre, federation="0" * 64)
    assert refusal(centre.admission().answer("status", body)) == "OTHER_FEDERATION"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "INVALID_REQUEST"),
        (b"{}", "PROTOCOL_VERSION"),
        (b'{"protocol": 2}', "PROTOCOL_VERSION"),
        (b'{"protocol": 1}', "INVALID_REQUEST"),
        (b"[" * 30000, "INVALID_REQUEST"),
        (b"\xff\xfe", "INVALID_REQUEST"),
        (b" " * 40000, "INVALID_REQUEST"),
        (b'{"protocol": ' + b"9" * 9000 + b"}", "INVALID_REQUEST"),
    ],
)
def test_a_body_that_is_none_is_told(centre: PaperCentre, body: bytes, code: str) -> None:
    for name in ("request", "status", "renew"):
        assert refusal(centre.admission().answer(name, body)) == code


def test_a_request_nobody_knows_is_told(centre: PaperCentre) -> None:
    body = PaperSite().question(centre)
    assert refusal(centre.admission().answer("roster", body)) == "INVALID_REQUEST"


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Admission, dict[str, bytes]]:
    """One centre for all examples: what is refused changes nothing."""
    centre, site = PaperCentre(tmp_path_factory.mktemp("paper") / "centre"), PaperSite()
    centre.welcome(site)
    asked = PaperSite("south").request(centre)
    questions = {ask: site.question(centre, ask) for ask in ("status", "renew")}
    limits = AdmissionLimits(requests=10**6, questions=10**6)
    return Admission(centre.home, centre.clock, limits), {"request": asked, **questions}


@given(st.sampled_from(["request", "status", "renew"]), st.floats(0, 0.9999), st.binary(max_size=3))
def test_whatever_is_changed_in_a_body_it_is_refused(
    bodies: tuple[Admission, dict[str, bytes]], name: str, place: float, put: bytes
) -> None:
    door, honest = bodies[0], bodies[1][name]
    at = int(place * len(honest))
    changed = honest[:at] + put + honest[at + 1 :]
    status, table = door.answer(name, changed)
    if _meaning(changed) == json.loads(honest):
        assert status == 200
    else:
        assert table["refused"] in REFUSALS


def _meaning(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


# limits ---------------------------------------------------------------------------------------


def test_the_waiting_room_has_an_end_and_those_who_wait_keep_their_places(
    centre: PaperCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PLACES", 2)
    door = centre.admission()
    first, second, third = (PaperSite(name) for name in ("a", "b", "c"))
    for site in (first, second):
        assert door.answer("request", site.request(centre))[0] == 200
    assert refusal(door.answer("request", third.request(centre))) == "WAITING_ROOM_FULL"
    assert door.answer("request", first.request(centre))[0] == 200
    centre.clock.now += waiting.PATIENCE + 1
    assert door.answer("request", third.request(centre))[0] == 200
    assert [w["name"] for w in centre.members.table(centre.clock())["waiting"]] == ["c"]


def test_who_asks_too_often_waits_and_others_do_not(centre: PaperCentre) -> None:
    limits = AdmissionLimits(questions=2, question_seconds=10)
    door = Admission(centre.home, centre.clock, limits)
    busy, calm = centre.welcome(PaperSite("a")), centre.welcome(PaperSite("b"))
    for _ in range(2):
        assert door.answer("status", busy.question(centre))[0] == 200
    assert refusal(door.answer("status", busy.question(centre))) == "RATE_LIMITED"
    assert door.answer("status", calm.question(centre))[0] == 200
    centre.clock.now += 10
    assert door.answer("status", busy.question(centre))[0] == 200


def test_a_flood_without_the_token_keeps_nobody_out(centre: PaperCentre) -> None:
    door = Admission(centre.home, centre.clock, AdmissionLimits(requests=1))
    for _ in range(50):
        wrong = altered(PaperSite().request(centre), proof="0" * 64)
        assert refusal(door.answer("request", wrong)) == "TOKEN_WRONG"
    assert door.answer("request", PaperSite("a").request(centre))[0] == 200
    assert refusal(door.answer("request", PaperSite("b").request(centre))) == "RATE_LIMITED"


@pytest.mark.parametrize("skew", [-301, 301])
def test_an_old_question_is_none_and_the_centres_time_is_told(
    centre: PaperCentre, skew: int
) -> None:
    site, door = centre.welcome(PaperSite()), centre.admission()
    answer = door.answer("status", site.question(centre, time=int(NOW) + skew))
    assert refusal(answer) == "CLOCK_SKEW"
    assert answer[1]["now"] == int(NOW)


def test_a_strangers_key_learns_nothing(centre: PaperCentre) -> None:
    centre.welcome(PaperSite("north"))
    door = centre.admission()
    for name in ("north", "south"):
        stranger = PaperSite(name)
        assert refusal(door.answer("status", stranger.question(centre))) == "NOT_KNOWN"
        assert refusal(door.answer("renew", stranger.question(centre, "renew"))) == "NOT_KNOWN"


def test_asking_under_a_name_that_is_taken_looks_like_asking_under_any_other(
    centre: PaperCentre,
) -> None:
    centre.welcome(PaperSite("north"))
    door = centre.admission()
    taken, free = (door.answer("request", PaperSite(n).request(centre)) for n in ("north", "south"))
    assert taken == free
    tells = {w["name"]: w["name_taken"] for w in centre.members.table(NOW)["waiting"]}
    assert tells == {"north": True, "south": False}


def test_a_question_for_one_thing_is_none_for_another(centre: PaperCentre) -> None:
    site, door = centre.welcome(PaperSite()), centre.admission()
    assert refusal(door.answer("renew", site.question(centre, "status"))) == "INVALID_REQUEST"


def test_a_broken_home_answers_that_it_cannot(centre: PaperCentre) -> None:
    door = centre.admission()
    centre.home.token.write_text("nonsense", "utf-8")
    assert refusal(door.answer("request", PaperSite().request(centre))) == "UNAVAILABLE"


def test_a_roster_that_was_altered_is_not_shown(centre: PaperCentre) -> None:
    site, door = centre.welcome(PaperSite()), centre.admission()
    text = centre.home.roster.read_text("utf-8")
    centre.home.roster.write_text(text.replace("north", "south"), "utf-8")
    assert "refused" in door.answer("status", site.question(centre))[1]
    with pytest.raises(SignatureError):
        RosterBook(centre.home).read()
