"""Ideas of other users of the machine, and of somebody in the network at the door's port."""

import datetime
import json
import os
import random
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from client.commands.caller import remove_caller
from client.door.proofs import TOKEN
from client.serving.tls import NAME, Tls
from tests.hostile.caller_cameras import everything
from tests.hostile.callers import Haul, Mouth, attack, mouth
from tests.hostile.couriers import become
from tests.hostile.deployed import environment, separable
from tests.hostile.doorstep import Doorstep

OTHER = 65_534  # a user without rights
PEEK = """
import sys
from tests.hostile.caller_neighbours import peek
peek(*sys.argv[1:])
"""


def peek(home: str, pid: str, seen: str) -> None:
    """As another user: whatever of ``seen`` and of the process can be opened; names, as JSON."""
    paths = json.loads(Path(seen).read_text("utf-8"))
    about = [f"/proc/{pid}/{name}" for name in ("mem", "environ", "maps", "auxv", "stack")]
    opened, denied = [], 0
    become(OTHER, OTHER)
    for path in (*paths, *about):
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                if file.read(1):
                    opened.append(path)
        except OSError:
            denied += 1
    for path in paths:
        for write in (lambda path: open(path, "ab").close(), os.unlink):  # noqa: PTH123
            with suppress(OSError):
                write(path)
                opened.append(path)
    reached = []
    for name in ("door.sock",):
        with socket.socket(socket.AF_UNIX) as one, suppress(OSError):
            one.connect(f"{home}/run/{name}")
            reached.append(name)
    print(json.dumps([opened, denied, reached]))  # noqa: T201 - the test reads it


@attack()
def is_another_user_of_the_machine(site: Doorstep, haul: Haul) -> None:
    """Nothing of the site opens but what is public; no memory, no environment, no socket."""
    if not separable():
        pytest.skip("needs root, to become another user")
    paths = [str(path) for path in site.home.folder.rglob("*") if path.is_file()]
    seen = site.folder / "paths.json"
    seen.write_text(json.dumps(paths), "utf-8")
    words = [str(site.home.folder), str(site.process.pid), str(seen)]
    done = subprocess.run(
        [sys.executable, "-c", PEEK, *words],
        capture_output=True,
        env=environment(),
        text=True,
        check=True,
    )
    opened, denied, reached = json.loads(done.stdout)
    public = {str(site.home.settings), str(site.home.door_certificate)}
    assert set(opened) <= public
    assert (denied > 10, reached) == (True, [])
    for path in public:
        haul.take(Path(path).read_bytes())


@attack()
def looks_at_the_process_from_outside(site: Doorstep, haul: Haul) -> None:
    """No token or key on the command line or in the environment; no core file; not dumpable."""
    about = Path(f"/proc/{site.process.pid}")
    for name in ("cmdline", "environ", "comm", "status", "limits"):
        haul.take((about / name).read_bytes())
    assert "Max core file size 0 0" in " ".join((about / "limits").read_text("ascii").split())
    for one in about.glob("fd/*"):
        with suppress(OSError):
            target = os.readlink(one)  # noqa: PTH115
            assert "deleted" not in target or target.startswith("/memfd"), target


@attack("UNAVAILABLE")
def comes_to_the_port_without_a_certificate_of_ours(site: Doorstep, haul: Haul) -> None:
    stranger, gate = site.end("stranger"), site.end("gate")
    root = gate.peer.read_bytes()
    bare = grpc.ssl_channel_credentials(root)
    own = grpc.ssl_channel_credentials(
        root, stranger.key.read_bytes(), stranger.certificate.read_bytes()
    )
    for credentials in (bare, own):
        with _port(site, credentials) as door:
            haul.ask(door, "Verify", everything(site)["Verify"], seconds=5)
    with grpc.insecure_channel(f"127.0.0.1:{site.port}") as door:
        haul.ask(door, "Status", {}, ((TOKEN, site.tokens["operating"]),), seconds=5)
    assert not haul.answered


@attack("CALLER_UNKNOWN", "UNAVAILABLE", some=True)
def makes_certificates_with_a_cameras_key(site: Doorstep, haul: Haul) -> None:
    """A pinned certificate signs others, with its own name and with another's: none is pinned."""
    gate = site.end("gate")
    for name in ("mascaron gate", "mascaron operator", "mascaron door", "\x1b[2J"):
        key, leaf = _issued(gate, name)
        chain = leaf + gate.certificate.read_bytes()
        credentials = grpc.ssl_channel_credentials(gate.peer.read_bytes(), key, chain)
        with _port(site, credentials) as door:
            haul.ask(door, "Verify", everything(site)["Verify"], seconds=5)
    assert not haul.answered


@attack("ROLE_REFUSED")
def shows_a_stolen_token_at_the_port(site: Doorstep, haul: Haul) -> None:
    """A gate is a gate, whatever it says: the certificate alone counts."""
    operator = site.home.operator_token.read_text("ascii").strip()
    with _port(site, _own(site, "gate")) as door:
        for token in (operator, site.tokens["eraser"]):
            for method, fields in everything(site).items():
                if method != "Verify":
                    haul.ask(door, method, fields, ((TOKEN, token),))
    assert not haul.answered


@attack("CALLER_UNKNOWN")
def goes_on_after_it_was_removed(site: Doorstep, haul: Haul) -> None:
    """On a connection that was made before; at the socket as well."""
    with _port(site, _own(site, "fired")) as door, mouth(site, haul, "fired") as fired:
        words = {"person": site.people[0], "picture": site.picture(0)}
        assert haul.ask(door, "Verify", words) is not None
        assert fired("Verify", **words) is not None
        remove_caller(site.home, "fired")
        assert haul.ask(door, "Verify", words) is None
        assert fired("Verify", **words) is None


@attack()
def says_half_a_hello(site: Doorstep, haul: Haul) -> None:
    """Plain bytes, half of TLS, another's protocol versions; the port answers cameras meanwhile."""
    rng = random.Random(3)  # noqa: S311
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    held = []
    for number in range(60):
        one = socket.create_connection(("127.0.0.1", site.port), timeout=5)
        held.append(one)
        with suppress(OSError):
            one.sendall((hello if number % 2 else b"") + rng.randbytes(rng.randrange(200)))
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    raw = socket.create_connection(("127.0.0.1", site.port), timeout=5)
    with raw, suppress(OSError), old.wrap_socket(raw) as one:
        one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        haul.take(one.recv(4096))
    with _port(site, _own(site, "gate")) as door:
        gate = Mouth(door, haul, "")
        told = haul.ask(gate.channel, "Verify", everything(site)["Verify"])
        assert told is not None
    for one in held:
        one.close()


@contextmanager
def _port(site: Doorstep, credentials: grpc.ChannelCredentials) -> Iterator[grpc.Channel]:
    options = [("grpc.ssl_target_name_override", NAME), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"127.0.0.1:{site.port}", credentials, options) as channel:
        yield channel


def _own(site: Doorstep, name: str) -> grpc.ChannelCredentials:
    end = site.end(name)
    files = (end.peer, end.key, end.certificate)
    return grpc.ssl_channel_credentials(*(path.read_bytes() for path in files))


def _issued(gate: Tls, name: str) -> tuple[bytes, bytes]:
    """Key and certificate of ``name``, by the key of ``gate``."""
    signer = serialization.load_pem_private_key(gate.key.read_bytes(), None)
    parent = x509.load_pem_x509_certificate(gate.certificate.read_bytes())
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    leaf = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent.subject)
        .public_key(key.public_key())
        .serial_number(parent.serial_number)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, form, plain)
    return private, leaf.public_bytes(serialization.Encoding.PEM)
