"""Every way in which a centre cannot be reached or believed has its words and its remedy."""

import socket
import threading
import time
from pathlib import Path

import pytest

from client.centre import contact
from client.centre.contact import Centre, fetch_ca
from common.errors import AdmissionError, DeploymentError, MascaronError
from common.trust.refusals import REFUSALS
from server.admission.authority import renew_server
from server.home import CentreHome
from tests.small_door import free_port
from tests.small_federation import DAY, Clock, PaperCentre
from tests.tls_door import Answer, door, table

ASKED = b"{}"


def made(folder: Path, days_ago: float = 0.0) -> PaperCentre:
    return PaperCentre(folder, Clock(time.time() - days_ago * DAY))


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> PaperCentre:
    return made(tmp_path_factory.mktemp("federation") / "centre")


def ask(federation: PaperCentre, port: int, host: str = "localhost") -> object:
    return Centre(host, port, federation.home.ca.read_bytes()).ask("status", ASKED)


def test_a_centre_of_the_pinned_ca_is_asked(federation: PaperCentre) -> None:
    heard = []

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        heard.append((path, body))
        return 200, b'{"state": "waiting"}'

    with door(federation.home, answer) as port:
        for host in ("localhost", "127.0.0.1"):
            assert ask(federation, port, host) == {"state": "waiting"}
    assert heard == [("/mascaron/v1/status", ASKED)] * 2


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_a_refusal_is_told_in_our_own_words(federation: PaperCentre, code: str) -> None:
    answer = table(REFUSALS[code].status, refused=code, now=0, message="\x1b[2J rm -rf")
    with door(federation.home, answer) as port, pytest.raises(AdmissionError) as caught:
        ask(federation, port)
    assert caught.value.reason == code
    assert REFUSALS[code].remedy in str(caught.value)
    assert "rm -rf" not in str(caught.value)


def test_a_code_nobody_knows_is_not_repeated(federation: PaperCentre) -> None:
    answer = table(400, refused="\x1b[31mRUN_THIS")
    with door(federation.home, answer) as port, pytest.raises(AdmissionError) as caught:
        ask(federation, port)
    assert caught.value.reason == "UNAVAILABLE"
    assert "RUN_THIS" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        (404, b"", "no gateway of mascaron"),
        (200, b"<html>", "no gateway of mascaron"),
        (200, b"[]", "no gateway of mascaron"),
        (200, b"[" * 100_000, "no gateway of mascaron"),
        (302, b"", "no gateway of mascaron"),
        (413, b"", "no gateway of mascaron"),
        (503, b"", "the centre cannot answer now"),
    ],
)
def test_another_server_of_the_right_certificate_is_told(
    federation: PaperCentre, status: int, content: bytes, told: str
) -> None:
    with (
        door(federation.home, lambda path, body: (status, content)) as port,
        pytest.raises(MascaronError, match=told),
    ):
        ask(federation, port)


def test_an_endless_answer_is_cut(federation: PaperCentre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, "LONGEST", 1000)
    with (
        door(federation.home, lambda path, body: (200, b" " * 2000)) as port,
        pytest.raises(DeploymentError, match="too long"),
    ):
        ask(federation, port)


def test_the_wrong_ca_is_told(federation: PaperCentre, tmp_path: Path) -> None:
    other = made(tmp_path / "other")
    heard: list[bytes] = []

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        heard.append(body)
        return 200, b"{}"

    with (
        door(other.home, answer) as port,
        pytest.raises(DeploymentError, match="not of this federation's CA: another server"),
    ):
        ask(federation, port)
    assert not heard  # nothing was sent


def test_the_wrong_host_is_told(tmp_path: Path) -> None:
    federation = made(tmp_path / "centre")
    with (
        door(federation.home, table(200)) as port,
        pytest.raises(DeploymentError, match=r"renew --alt-name 127\.0\.0\.2"),
    ):
        _by_another_name(federation, port)
    renew_server(federation.home, time.time(), ("127.0.0.2",), due=False)
    with door(federation.home, table(200)) as port:
        assert _by_another_name(federation, port) == {}


def _by_another_name(federation: PaperCentre, port: int) -> object:
    """127.0.0.2 is this machine as well; the door listens on 127.0.0.1, so a relay is between."""
    relay = socket.create_server(("127.0.0.2", 0))

    def pass_on() -> None:
        site, _ = relay.accept()
        centre = socket.create_connection(("127.0.0.1", port))
        back = threading.Thread(target=_copy, args=(centre, site))
        back.start()
        _copy(site, centre)
        back.join()
        site.close()
        centre.close()

    thread = threading.Thread(target=pass_on)
    thread.start()
    try:
        return ask(federation, int(relay.getsockname()[1]), "127.0.0.2")
    finally:
        thread.join()
        relay.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.mark.parametrize(
    ("days_ago", "told"),
    [(500, "has expired by this machine's clock"), (-2, "is not in force yet")],
)
def test_a_server_certificate_out_of_its_time_is_told_with_both_remedies(
    tmp_path: Path, days_ago: float, told: str
) -> None:
    federation = made(tmp_path / "centre", max(days_ago, 0))
    if days_ago < 0:  # the CA holds, its server's certificate does not yet
        renew_server(federation.home, time.time() - days_ago * DAY, due=False)
    with (
        door(federation.home, table(200)) as port,
        pytest.raises(DeploymentError, match=told) as caught,
    ):
        ask(federation, port)
    assert "timedatectl set-ntp true" in str(caught.value)


def test_a_port_that_speaks_no_tls_is_told(federation: PaperCentre) -> None:
    with (
        door(None, table(200)) as port,
        pytest.raises(DeploymentError, match="does not speak TLS as a centre does"),
    ):
        ask(federation, port)


def test_a_port_where_nothing_listens_is_told(federation: PaperCentre) -> None:
    with pytest.raises(DeploymentError, match="nothing listens at localhost"):
        ask(federation, free_port())


def test_a_host_that_there_is_not_is_told(federation: PaperCentre) -> None:
    with pytest.raises(DeploymentError, match="no host is called nowhere"):
        ask(federation, 1, "nowhere.invalid")


def test_a_silent_host_is_told(federation: PaperCentre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, "SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(DeploymentError, match="check the address and the firewalls"),
    ):
        ask(federation, int(silent.getsockname()[1]))


def test_a_connection_that_breaks_off_is_told(federation: PaperCentre) -> None:
    def hang_up(path: str, body: bytes) -> tuple[int, bytes]:
        raise ConnectionError

    with (
        door(federation.home, hang_up) as port,
        pytest.raises(DeploymentError, match="it breaks off"),
    ):
        ask(federation, port)


# first contact --------------------------------------------------------------------------------


def shows_ca(home: CentreHome) -> Answer:
    return lambda path, body: (200, home.ca.read_bytes())


def test_the_ca_is_taken_from_anybody_who_has_the_pinned_one(
    federation: PaperCentre, tmp_path: Path
) -> None:
    """A server under another certificate shows it: no harm, for what follows is verified."""
    other = made(tmp_path / "other")
    with door(other.home, shows_ca(federation.home)) as port:
        found = fetch_ca("localhost", port, federation.token)
    assert found == federation.home.ca.read_bytes()


def test_another_ca_is_refused_as_somebody_in_between(
    federation: PaperCentre, tmp_path: Path
) -> None:
    other = made(tmp_path / "other")
    with (
        door(other.home, shows_ca(other.home)) as port,
        pytest.raises(AdmissionError, match="somebody is in between"),
    ):
        fetch_ca("localhost", port, federation.token)


@pytest.mark.parametrize("content", [b"", b"text", b"-----BEGIN CERTIFICATE-----"])
def test_what_is_no_certificate_is_no_ca(federation: PaperCentre, content: bytes) -> None:
    with (
        door(federation.home, lambda path, body: (200, content)) as port,
        pytest.raises(DeploymentError, match="shows no CA certificate"),
    ):
        fetch_ca("localhost", port, federation.token)


def test_a_chain_is_no_ca_even_if_it_begins_with_the_pinned_one(
    federation: PaperCentre, tmp_path: Path
) -> None:
    other = made(tmp_path / "other")
    both = federation.home.ca.read_bytes() + other.home.ca.read_bytes()
    with (
        door(federation.home, lambda path, body: (200, both)) as port,
        pytest.raises(DeploymentError, match="shows no CA certificate"),
    ):
        fetch_ca("localhost", port, federation.token)


def test_a_server_without_admission_is_told(federation: PaperCentre) -> None:
    with (
        door(federation.home, table(404)) as port,
        pytest.raises(DeploymentError, match="it answers 404"),
    ):
        fetch_ca("localhost", port, federation.token)
