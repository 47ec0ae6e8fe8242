"""Whatever keeps a site from its gateway is told apart and comes with a remedy."""

import http.server
import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from client.doctor import centre as doctor_centre
from client.doctor.centre import MOST_SKEW, check_centre
from client.doctor.findings import Finding, Machine
from client.home import SiteHome
from client.site_config import SiteConfig
from common import wire
from tests.small_pki import DAY, Issuer

NAMES = ["gateway", "certificate", "clock", "protocol"]


@pytest.fixture
def home(tmp_path: Path) -> SiteHome:
    home = SiteHome(tmp_path / "site")
    home.prepare()
    return home


@pytest.fixture
def issuer(home: SiteHome, tmp_path: Path) -> Issuer:
    """The authority that the site pinned."""
    issuer = Issuer.make(tmp_path / "pki")
    shutil.copy(issuer.ca, home.ca)
    return issuer


def config(port: int, host: str = "127.0.0.1") -> SiteConfig:
    paths = {"trunk": Path("t"), "faces": Path("f"), "public": Path("p")}
    facts = {"name": "a", "centre": f"{host}:{port}", "camera_type": "door", "people": 5}
    return SiteConfig(**facts, **paths)  # type: ignore[arg-type]


def examined(home: SiteHome, settings: SiteConfig, ahead: float = 0.0) -> dict[str, Finding]:
    machine = Machine(
        now=lambda: time.time() + ahead, space=lambda path: 2**40, ask_agent=lambda address: ""
    )
    return {finding.name: finding for finding in check_centre(home, settings, machine)}


def only_wrong(findings: dict[str, Finding]) -> Finding:
    [finding] = [finding for finding in findings.values() if not finding.ok]
    assert finding.cause and finding.remedy
    return finding


@contextmanager
def gateway(
    files: tuple[Path, Path] | None,
    hello: Any = None,
    status: int = 200,
    date: str | None = None,
) -> Iterator[int]:
    """The port of a server that answers ``hello``; without ``files`` it speaks plain HTTP."""
    content = json.dumps({"protocol": wire.PROTOCOL} if hello is None else hello).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string() if date is None else date

        def log_message(self, *_: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # a refused handshake

    server = Server(("127.0.0.1", 0), Handler)
    if files is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_gateway_as_it_should_be_has_nothing_wrong(home: SiteHome, issuer: Issuer) -> None:
    with gateway(issuer.issue()) as port:
        findings = examined(home, config(port))
    assert list(findings) == NAMES
    assert all(finding.ok for finding in findings.values())


@pytest.mark.parametrize(
    ("life", "told"), [((-2 * DAY, -DAY), "expired"), ((DAY / 2, DAY), "not valid yet")]
)
def test_a_certificate_out_of_its_time_is_told(
    home: SiteHome, issuer: Issuer, life: tuple[float, float], told: str
) -> None:
    with gateway(issuer.issue(life=life)) as port:
        finding = only_wrong(examined(home, config(port)))
    assert finding.name == "certificate"
    assert told in finding.cause


@pytest.mark.parametrize("host", ["other.example", "127.0.0.9"])
def test_a_certificate_for_another_host_is_told(home: SiteHome, issuer: Issuer, host: str) -> None:
    with gateway(issuer.issue(host=host)) as port:
        finding = only_wrong(examined(home, config(port)))
    assert "is not for 127.0.0.1" in finding.cause


def test_a_certificate_of_another_authority_is_told(
    home: SiteHome, issuer: Issuer, tmp_path: Path
) -> None:
    with gateway(Issuer.make(tmp_path / "other", "other").issue()) as port:
        finding = only_wrong(examined(home, config(port)))
    assert "not by this federation's CA" in finding.cause


@pytest.mark.parametrize(("ahead", "told"), [(400.0, "ahead of"), (-400.0, "behind")])
def test_a_clock_that_is_off_is_told(
    home: SiteHome, issuer: Issuer, ahead: float, told: str
) -> None:
    with gateway(issuer.issue()) as port:
        finding = only_wrong(examined(home, config(port), ahead))
        assert finding.name == "clock"
        assert told in finding.cause
        assert all(f.ok for f in examined(home, config(port), MOST_SKEW / 2).values())


@pytest.mark.parametrize("date", ["yesterday", ""])
def test_a_gateway_without_a_date_leaves_the_clock_alone(
    home: SiteHome, issuer: Issuer, date: str
) -> None:
    with gateway(issuer.issue(), date=date) as port:
        assert examined(home, config(port), 9999.0)["clock"].ok


def test_another_version_of_the_protocol_is_told(home: SiteHome, issuer: Issuer) -> None:
    with gateway(issuer.issue(), hello={"protocol": wire.PROTOCOL + 1}) as port:
        finding = only_wrong(examined(home, config(port)))
    assert f"version {wire.PROTOCOL + 1}" in finding.cause


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_does_not_know_the_question_is_no_gateway(
    home: SiteHome, issuer: Issuer, status: int
) -> None:
    with gateway(issuer.issue(), status=status) as port:
        assert "not a gateway" in only_wrong(examined(home, config(port))).cause


@pytest.mark.parametrize("hello", [[], {"protocol": "1"}, {"protocol": None}, "x"])
def test_another_server_on_the_port_is_told(home: SiteHome, issuer: Issuer, hello: Any) -> None:
    with gateway(issuer.issue(), hello=hello) as port:
        finding = only_wrong(examined(home, config(port)))
    assert "not a gateway" in finding.cause


def test_a_port_that_speaks_no_tls_is_told(home: SiteHome, issuer: Issuer) -> None:
    with gateway(None) as port:
        finding = only_wrong(examined(home, config(port)))
    assert (finding.name, "does not speak HTTPS" in finding.cause) == ("gateway", True)


def test_a_port_where_nothing_listens_is_told(home: SiteHome) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        finding = only_wrong(examined(home, config(closed.getsockname()[1])))
    assert "nothing listens" in finding.cause


def test_a_gateway_that_does_not_answer_is_told(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_centre, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        finding = only_wrong(examined(home, config(silent.getsockname()[1])))
    assert "does not answer within" in finding.cause


def test_a_host_that_is_not_known_is_told(home: SiteHome) -> None:
    finding = only_wrong(examined(home, config(1, "no-such-host.invalid")))
    assert "no host is called" in finding.cause
