"""A whole site without a folder of faces: the courier gets a release made of the vault's people."""

import os
import signal
from pathlib import Path

import grpc
import numpy as np
import pytest

from client.agent.participants import TAG
from client.audit.events import Event, Kind
from client.audit.log import AuditLog, AuditPlace
from client.door.operator import found_operator
from client.home import SiteHome
from client.vault.consent import Consent
from client.vault.founding import found_vault, vault_place
from client.vault.handles import OVERHEAD
from client.vault.identity import new_person
from client.vault.records import NewTemplate
from client.vault.store import Vault
from common import wire
from common.trust.keys import SigningKey
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc
from tests.small_home import D, Home, frame, make_home, serving, starter_hash

SECONDS = 60


@pytest.fixture
def made(tmp_path: Path) -> Home:
    """A member whose `site.toml` names no faces; one of two people agreed to training."""
    made = make_home(tmp_path)
    lines = made.home.settings.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("faces")]
    made.home.settings.write_text("\n".join(kept) + "\n", "utf-8")
    found_vault(made.home, made.home.config())
    found_operator(made.home, os.urandom)
    for purpose in ("training", "verify"):
        enrol(made.home, purpose)
    return made


def enrol(home: SiteHome, purpose: str) -> None:
    person, rng = new_person(os.urandom), np.random.default_rng(len(purpose))
    template = NewTemplate(trunk=starter_hash(), feature=rng.normal(size=D).astype(np.float16))
    agreed = Consent(purposes=frozenset({purpose}), text_hash="a" * 64, given=1.0, expires=9.0e9)
    with Vault(vault_place(home, home.config())) as vault:
        vault.enrol(person, [template], agreed, now=1.0)
    key = SigningKey.load(home.identity_key)
    place = AuditPlace(path=home.audit, key=key, site=home.config().name)
    with AuditLog(place) as log:  # a vault that was changed has a log that says so
        log.append(Event(kind=Kind.ENROL, began=1.0, ended=1.0, outcome="done"))


def trained(made: Home, address: str, run: str) -> pb.TrainResponse:
    """The first round of ``run``, whose charter is accepted first."""
    offer = made.offer(run)
    asked = pb.CharterRequest(protocol=wire.PROTOCOL, charter=offer.charter)
    for name, digest in offer.initial.items():
        asked.initial.add(name=name, digest=digest)
    request = pb.TrainRequest(protocol=wire.PROTOCOL, run=run, round=1)
    for name, array in frame().items():
        encoded = wire.encode(array)
        request.tensors.add(name=name, dtype="float32", shape=encoded.shape, data=encoded.data)
    with grpc.insecure_channel(address) as channel:
        agent = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        agent.AcceptCharter(asked, timeout=SECONDS)
        answer: pb.TrainResponse = agent.Train(request, timeout=SECONDS)
    return answer


def test_a_served_site_trains_on_who_agreed_to_it_in_the_vault(made: Home) -> None:
    with serving(made) as (process, address):
        [tensor] = trained(made, address, "r1").tensors
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert np.isfinite(wire.decode(tensor.dtype, tensor.shape, tensor.data)).all()
    [path] = made.home.runs.iterdir()
    assert path.stat().st_size == TAG + OVERHEAD  # one agreed, the other did not
