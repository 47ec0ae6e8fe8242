"""A whole site without a folder of faces: the courier gets a release made of the vault's people."""

import os
import signal
from pathlib import Path

import grpc
import numpy as np
import pytest

from client.agent.charters import Offer
from client.agent.participants import TAG
from client.audit.events import Event, Kind
from client.audit.log import AuditLog, AuditPlace
from client.door.operator import found_operator
from client.home import SiteHome
from client.vault.consent import Consent
from client.vault.founding import found_vault, vault_place
from client.vault.handles import OVERHEAD
from client.vault.identity import new_person
from client.vault.labels import Labels
from client.vault.records import NewTemplate
from client.vault.store import Vault
from common import wire
from common.heads.planned import planned_shapes
from common.models.tail import BIAS, WEIGHT
from common.moments.names import SHIFT
from common.privacy.heads import CENTRE, SCALE, HeadTerms
from common.privacy.plan import GradientMechanism, PrivacyPlan
from common.trust.charter import CharterTerms, array_digests, arrays_digest
from common.trust.keys import SigningKey
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc
from tests.small_home import POLICY, D, Home, frame, initial, make_home, serving, starter_hash

SECONDS = 60
HEADS = (
    HeadTerms(kind="attributes", weight=0.5, names=("hat",), shown=(5,), absent=(5,)),
    HeadTerms(kind="age", weight=0.25),
)
Arrays = dict[str, np.ndarray]


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


def enrol(home: SiteHome, *purposes: str, labels: Labels | None = None) -> None:
    person, rng = new_person(os.urandom), np.random.default_rng(len(purposes[0]))
    feature = rng.normal(size=D).astype(np.float16)
    template = NewTemplate(trunk=starter_hash(), feature=feature, labels=labels)
    agreed = Consent(purposes=frozenset(purposes), text_hash="a" * 64, given=1.0, expires=9.0e9)
    with Vault(vault_place(home, home.config())) as vault:
        vault.enrol(person, [template], agreed, now=1.0)
    key = SigningKey.load(home.identity_key)
    place = AuditPlace(path=home.audit, key=key, site=home.config().name)
    with AuditLog(place) as log:  # a vault that was changed has a log that says so
        log.append(Event(kind=Kind.ENROL, began=1.0, ended=1.0, outcome="done"))


def trained(made: Home, address: str, offer: Offer, shared: Arrays) -> pb.TrainResponse:
    """The first round of the run "r1", whose charter is accepted first."""
    asked = pb.CharterRequest(protocol=wire.PROTOCOL, charter=offer.charter)
    for name, digest in offer.initial.items():
        asked.initial.add(name=name, digest=digest)
    request = pb.TrainRequest(protocol=wire.PROTOCOL, run="r1", round=1)
    for name, array in shared.items():
        encoded = wire.encode(array)
        request.tensors.add(name=name, dtype="float32", shape=encoded.shape, data=encoded.data)
    with grpc.insecure_channel(address) as channel:
        agent = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        agent.AcceptCharter(asked, timeout=SECONDS)
        answer: pb.TrainResponse = agent.Train(request, timeout=SECONDS)
    return answer


def test_a_served_site_trains_on_who_agreed_to_it_in_the_vault(made: Home) -> None:
    with serving(made) as (process, address):
        [tensor] = trained(made, address, made.offer("r1"), frame()).tensors
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert np.isfinite(wire.decode(tensor.dtype, tensor.shape, tensor.data)).all()
    [path] = made.home.runs.iterdir()
    assert path.stat().st_size == TAG + OVERHEAD  # one agreed, the other did not


def test_a_served_site_trains_heads_on_labels_that_were_kept_by_consent(made: Home) -> None:
    made.home.policy.write_text('heads = ["attributes", "age"]\n' + POLICY, "utf-8")
    said = Labels(shown={"hat": True}, age=50)
    enrol(made.home, "training", "labels", labels=said)
    enrol(made.home, "labels", labels=said)
    with serving(made) as (process, address):
        shared = {**initial(), **heads(), SHIFT: np.zeros(D, np.float32)}
        asked = {name: shared[name] for name in (WEIGHT, BIAS, SHIFT, *heads())}
        left = trained(made, address, head_offer(made), asked).tensors
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert {tensor.name for tensor in left} == {
        f"gradient.{name}" for name in (WEIGHT, BIAS, *(n for h in HEADS for n in h.arrays))
    }
    values = [wire.decode(tensor.dtype, tensor.shape, tensor.data) for tensor in left]
    assert all(np.isfinite(array).all() for array in values)
    [path] = made.home.runs.iterdir()
    assert path.stat().st_size == 3 * TAG + OVERHEAD  # two are trained on, one with labels


def heads() -> Arrays:
    shapes = {**planned_shapes(HEADS, D), CENTRE: (D,)}
    empty = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return {**empty, SCALE: np.ones(D, np.float32)}


def head_offer(made: Home) -> Offer:
    """A charter of one round that trains heads with the tail."""
    steps = GradientMechanism(sigma=3.0, clip=1.0, rate=0.5, rounds=1, negatives=4, heads=HEADS)
    plan = PrivacyPlan(mechanisms=(steps,), people=10, delta=1e-4, trunk=starter_hash())
    arrays = {**initial(), **heads()}
    told = {"federation": made.federation, "expires": 2**40, "plan": plan, "run": "r1"}
    terms = CharterTerms(**told, initial=arrays_digest(arrays))
    return Offer(charter=terms.sign(made.centre).to_json(), initial=array_digests(arrays))
