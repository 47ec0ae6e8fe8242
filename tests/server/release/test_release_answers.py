"""Members get history, statements and releases by the piece; nobody else, and nothing else."""

import dataclasses
import json
import math
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from common.errors import HistoryError, SplitViewError
from common.evidence.asking import (
    PIECE_BYTES,
    ReleaseQuestion,
    read_news,
    read_piece,
    send_release_question,
)
from common.evidence.bundle import Origin, Release, make_release, read_release
from common.evidence.history import LONGEST_REASON, MOST_SITES, History, Step, read_history
from common.evidence.witnesses import cross, witness_of
from common.trust.admission import LONGEST, WINDOW
from common.trust.keys import SigningKey
from server.admission.answers import Admission, AdmissionLimits
from server.admission.roster import RosterBook
from server.release.registry import Registry
from server.release.seen import seen_by_sites
from server.serving.guard import GatewayLimits
from server.standing import public_key, signing_key
from tests.small_evidence import GRID, PNG, TRUNK, digest_of, sections, tail
from tests.small_federation import NOW, PaperCentre, PaperSite, altered, refusal
from tests.small_gateway import a_centre, read_all, request

REPORT = b"<!doctype html>" + b"x" * (2 * PIECE_BYTES + 77)


@pytest.fixture
def centre(tmp_path: Path) -> PaperCentre:
    return PaperCentre(tmp_path / "centre")


@pytest.fixture
def north(centre: PaperCentre) -> PaperSite:
    return centre.welcome(PaperSite("north"))


def put_in_force(centre: PaperCentre, *steps: Step) -> History:
    registry, key = Registry(centre.home), signing_key(centre.home)
    with registry.changing() as history:
        for step in steps:
            history = history.with_step(step, key, int(NOW))
        registry.write(history)
    return registry.history()


def release(centre: PaperCentre) -> Release:
    """A signed release larger than a piece, on the centre's disk."""
    origin = Origin(federation=centre.federation, run="spring", pool="door", made=int(NOW))
    shown = {"report.html": REPORT, GRID: PNG}
    made = make_release(origin, tail(), TRUNK, list(sections(tail()).values()), shown)
    signed = made.sign(signing_key(centre.home))
    Registry(centre.home).put(signed)
    return signed


def promoted(name: str) -> Step:
    return Step(action="promote", release=digest_of(name), pool="door")


def body(centre: PaperCentre, site: PaperSite, **asked: Any) -> bytes:
    told = {"federation": centre.federation, "ask": "releases", "time": int(NOW), **asked}
    return send_release_question(ReleaseQuestion(**told), site.key).to_json()


def ask(door: Admission, centre: PaperCentre, site: PaperSite, **asked: Any) -> Any:
    return door.answer(asked.get("ask", "releases"), body(centre, site, **asked))


def said(site: PaperSite, history: History, time: float = NOW) -> str:
    return witness_of(history, site.name, int(time)).sign(site.key).to_json()


def test_a_member_fetches_history_and_release_and_both_verify(
    centre: PaperCentre, north: PaperSite
) -> None:
    made = release(centre)
    put_in_force(centre, Step(action="promote", release=made.digest, pool="door"))
    door, key = centre.admission(), public_key(centre.home)
    status, table = ask(door, centre, north)
    news = read_news(table)
    assert (status, news.number, news.witnesses) == (200, 1, {})
    history = read_history(news.entries, key, centre.federation)
    assert history.due("north", "door") == made.digest
    content = b""
    while True:
        asked = {"ask": "release", "release": made.digest, "offset": len(content)}
        status, table = ask(door, centre, north, **asked)
        piece = read_piece(table, len(content))
        content += piece.content
        assert len(piece.content) <= PIECE_BYTES
        if len(content) == piece.size:
            break
    assert len(content) > 2 * PIECE_BYTES
    assert read_release(content, key, centre.federation, made.digest).digest == made.digest


def test_only_news_is_told(centre: PaperCentre, north: PaperSite) -> None:
    put_in_force(centre, *(promoted(f"{n}") for n in range(5)))
    door = centre.admission()
    for after in (0, 3, 5, 9, 2**40):
        news = read_news(ask(door, centre, north, after=after)[1])
        assert (len(news.entries), news.number) == (max(0, 5 - after), 5)


def test_a_promotion_is_told_at_once(centre: PaperCentre, north: PaperSite) -> None:
    door = centre.admission()
    assert read_news(ask(door, centre, north)[1]).number == 0
    put_in_force(centre, promoted("a"))
    assert read_news(ask(door, centre, north)[1]).number == 1


# who is told ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["releases", "release"])
def test_only_admitted_sites_are_answered(centre: PaperCentre, north: PaperSite, name: str) -> None:
    door, stranger, waiting = centre.admission(), PaperSite("odd"), PaperSite("late")
    door.answer("request", waiting.request(centre))
    put_in_force(centre, promoted("a"))
    asked = {"ask": name, "release": digest_of("a")}
    assert refusal(ask(door, centre, stranger, **asked)) == "NOT_KNOWN"
    assert refusal(ask(door, centre, waiting, **asked)) == "NOT_ADMITTED"
    centre.members.revoke("north", "left", NOW)
    assert refusal(ask(door, centre, north, **asked)) == "REVOKED"


def test_old_questions_others_and_those_of_another_federation_are_refused(
    centre: PaperCentre, north: PaperSite
) -> None:
    door = centre.admission()
    for time in (NOW - WINDOW - 2, NOW + WINDOW + 2):
        assert refusal(ask(door, centre, north, time=int(time))) == "CLOCK_SKEW"
    assert refusal(ask(door, centre, north, federation="0" * 64)) == "OTHER_FEDERATION"
    assert refusal(door.answer("release", body(centre, north))) == "INVALID_REQUEST"
    assert refusal(door.answer("releases", north.question(centre))) == "SIGNATURE_INVALID"
    assert refusal(door.answer("status", body(centre, north))) == "SIGNATURE_INVALID"
    for change in ({"after": -1}, {"offset": -1}):
        assert refusal(ask(door, centre, north, **change)) == "INVALID_REQUEST"
    good = body(centre, north)
    forged = json.loads(good)["content"].replace('"after":0', '"after":1')
    assert refusal(door.answer("releases", altered(good, content=forged))) == "SIGNATURE_INVALID"


def test_nothing_but_releases_of_the_history_can_be_reached(
    centre: PaperCentre, north: PaperSite
) -> None:
    unpromoted = release(centre).digest
    put_in_force(centre, promoted("a"))
    names = (unpromoted, "", "0" * 64, "../keys/centre", "history", f"../releases/{unpromoted}")
    door = centre.admission()
    for name in names:
        asked = {"ask": "release", "release": name}
        assert refusal(ask(door, centre, north, **asked)) == "RELEASE_UNKNOWN"
    lost = {"ask": "release", "release": digest_of("a")}  # in the history, and not on the disk
    assert refusal(ask(door, centre, north, **lost)) == "UNAVAILABLE"


def test_an_offset_beyond_the_end_is_refused(centre: PaperCentre, north: PaperSite) -> None:
    made = release(centre)
    put_in_force(centre, Step(action="promote", release=made.digest, pool="door"))
    door, size = centre.admission(), len(made.to_bytes())
    for offset in (size, size + 1, 2**62):
        asked = {"ask": "release", "release": made.digest, "offset": offset}
        assert refusal(ask(door, centre, north, **asked)) == "INVALID_REQUEST"


def test_pieces_are_few_and_cost_no_place_of_status(centre: PaperCentre, north: PaperSite) -> None:
    put_in_force(centre, promoted("a"))
    door = Admission(centre.home, centre.clock, AdmissionLimits(pieces=3, questions=2))
    for _ in range(3):
        assert ask(door, centre, north)[0] == 200
    assert refusal(ask(door, centre, north)) == "RATE_LIMITED"
    assert door.answer("status", north.question(centre))[0] == 200
    limits = AdmissionLimits()
    largest = math.ceil(48 * 2**20 / PIECE_BYTES)
    assert largest < limits.pieces


# split views ----------------------------------------------------------------------------------


def test_what_sites_saw_is_shown_to_all(centre: PaperCentre, north: PaperSite) -> None:
    south = centre.welcome(PaperSite("south", key=SigningKey.generate()))
    history, door = put_in_force(centre, promoted("a")), centre.admission()
    ask(door, centre, north, witness=said(north, history))
    news = read_news(ask(door, centre, south, witness=said(south, history))[1])
    assert set(news.witnesses) == {"north", "south"}
    roster, key = RosterBook(centre.home).read(), public_key(centre.home)
    assert cross(history, news.witnesses, roster, key, NOW).agreeing == ("north", "south")
    centre.members.revoke("north", "left", NOW)
    assert set(read_news(ask(door, centre, south)[1]).witnesses) == {"south"}


def test_a_centre_that_shows_two_histories_is_found_by_sites_whose_statements_cross(
    centre: PaperCentre, north: PaperSite
) -> None:
    south = centre.welcome(PaperSite("south", key=SigningKey.generate()))
    door, key = centre.admission(), public_key(centre.home)
    roster = RosterBook(centre.home).read()
    put_in_force(centre, promoted("a"), promoted("b"))
    seen = read_history(read_news(ask(door, centre, north)[1]).entries, key, centre.federation)
    ask(door, centre, north, witness=said(north, seen))
    centre.home.history.unlink()  # and now the south is shown something else
    other = put_in_force(centre, promoted("a"), promoted("evil"))
    news = read_news(ask(door, centre, south, witness=said(south, other))[1])
    with pytest.raises(SplitViewError, match="north"):
        cross(other, news.witnesses, roster, key, NOW)
    with pytest.raises(SplitViewError, match="south"):
        cross(seen, read_news(ask(door, centre, north)[1]).witnesses, roster, key, NOW)


def test_a_centre_restored_from_an_old_backup_is_found_by_who_saw_more(
    centre: PaperCentre, north: PaperSite, caplog: pytest.LogCaptureFixture
) -> None:
    old = put_in_force(centre, promoted("a"))
    kept = centre.home.history.read_bytes()
    seen = put_in_force(centre, promoted("b"))
    centre.home.history.write_bytes(kept)
    door = centre.admission()
    news = read_news(ask(door, centre, north, witness=said(north, seen), after=2)[1])
    assert news.number == 1
    assert "north was shown another history of releases" in caplog.text
    roster, key = RosterBook(centre.home).read(), public_key(centre.home)
    with pytest.raises(HistoryError):
        cross(old, news.witnesses, roster, key, NOW)


def test_a_false_statement_is_not_kept(centre: PaperCentre, north: PaperSite) -> None:
    history, door = put_in_force(centre, promoted("a")), centre.admission()
    forger = SigningKey.generate()
    made_up = History(centre.federation).with_step(promoted("x"), forger, int(NOW))
    elsewhere = History("ab" * 32).with_step(promoted("a"), signing_key(centre.home), int(NOW))
    for text in (
        said(dataclasses.replace(north, key=forger), history),
        said(dataclasses.replace(north, name="south"), history),
        said(north, made_up),
        said(north, elsewhere),
        said(north, history, NOW + 2 * WINDOW),
        said(north, history, NOW - 2 * WINDOW),
        "{}",
        "x" * 17_000,
    ):
        assert ask(door, centre, north, witness=text)[0] == 200
        assert not centre.home.witnesses.exists()


def test_an_older_statement_takes_nothing_back(centre: PaperCentre, north: PaperSite) -> None:
    first, door = put_in_force(centre, promoted("a")), centre.admission()
    second = put_in_force(centre, promoted("b"))
    newest = said(north, second)
    for text in (said(north, first), newest, said(north, first), said(north, second, NOW - 60)):
        told = read_news(ask(door, centre, north, witness=text)[1]).witnesses
    assert told == {"north": newest}


def test_the_longest_honest_statement_fits_into_a_question(
    centre: PaperCentre, north: PaperSite
) -> None:
    names = tuple(sorted(f"{'n' * 59}{n:04d}" for n in range(MOST_SITES)))
    step = Step(
        action="canary", release="f" * 64, pool="p" * 128, sites=names, share=0.123456789,
        reason="\N{OLD KEY}" * LONGEST_REASON,
    )  # fmt: skip
    history = put_in_force(centre, step)
    sent = body(centre, north, witness=said(north, history))
    assert len(sent) <= LONGEST <= GatewayLimits().admission_body
    door = centre.admission()
    assert "north" in read_news(door.answer("releases", sent)[1]).witnesses


def test_the_centres_own_doctor_finds_what_sites_would(
    centre: PaperCentre, north: PaperSite
) -> None:
    put_in_force(centre, promoted("a"))
    kept = centre.home.history.read_bytes()
    seen = put_in_force(centre, promoted("b"))
    door = centre.admission()
    assert seen_by_sites(centre.home, NOW).silent == ("north",)
    ask(door, centre, north, witness=said(north, seen))
    assert seen_by_sites(centre.home, NOW).agreeing == ("north",)
    centre.home.history.write_bytes(kept)  # an old backup
    with pytest.raises(HistoryError, match="north was shown 2 entries"):
        seen_by_sites(centre.home, NOW)
    centre.home.history.write_text(seen.to_json(), "utf-8")  # as the site kept it
    assert seen_by_sites(centre.home, NOW).agreeing == ("north",)


def test_releases_cross_the_real_gateway_and_only_by_their_two_names(
    centre: PaperCentre, north: PaperSite
) -> None:
    made = release(centre)
    put_in_force(centre, Step(action="promote", release=made.digest, pool="door"))
    with a_centre(centre.home, GatewayLimits()) as gateway:
        gateway.admission.answer = centre.admission().answer  # type: ignore[method-assign]

        def post(name: str, **asked: Any) -> tuple[int, dict[str, Any]]:
            context = ssl.create_default_context(cafile=str(centre.home.ca))
            plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
            sent = request(f"/mascaron/v1/{name}", body=body(centre, north, **asked))
            with context.wrap_socket(plain, server_hostname="centre.example") as connection:
                connection.sendall(sent)
                head, _, told = read_all(connection).partition(b"\r\n\r\n")
            return int(head.split()[1]), json.loads(told or b"{}")

        assert read_news(post("releases")[1]).number == 1
        content = b""
        while len(content) < len(made.to_bytes()):
            asked = {"ask": "release", "release": made.digest, "offset": len(content)}
            content += read_piece(post("release", **asked)[1], len(content)).content
        assert content == made.to_bytes()
        for path in ("release/", f"release/{made.digest}", "releases?after=0", "release%73"):
            assert post(path)[0] == 404
        assert not gateway.superlink.seen
