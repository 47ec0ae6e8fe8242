"""A courier gone bad, as a process: it tries one idea after the other and keeps what it gets.

It works for a centre gone bad as well, so it has the key that signs charters. Each idea is a
function of ``Scene`` and ``Catch`` in one of the rooms beside; whatever one lays hands on is kept.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from client.agent.charters import Offer
from common import wire
from common.privacy.plan import Mechanism, MomentMechanism, PrivacyPlan
from common.trust.charter import CharterTerms, array_digests, arrays_digest
from common.trust.keys import SigningKey
from protos.gen import agent_pb2 as pb
from tests.small_home import frame, initial

SERVICE = pb.DESCRIPTOR.services_by_name["Agent"].full_name
SECONDS = 20.0
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What courier and centre know of a site between them."""

    home: Path
    address: str
    pid: int  # of the process that has the faces
    owner: int  # its OS user
    trunk: str
    federation: str
    centre: str = ""  # file with the key that signs charters
    identity: str = ""  # the site's public key, as in the roster
    loot: Path = Path()  # folder for what is caught

    def to_json(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items()}, default=str)

    @classmethod
    def of(cls, line: str) -> "Scene":
        told = json.loads(line)
        return cls(**{**told, "home": Path(told["home"]), "loot": Path(told["loot"])})

    @property
    def key(self) -> SigningKey:
        return SigningKey.load(Path(self.centre))

    def plan(self, *mechanisms: Mechanism, **terms: Any) -> PrivacyPlan:
        chosen = mechanisms or (MomentMechanism(kind="mean", sigma=40.0, clip=1.0, name="mean"),)
        told = {"people": 10, "delta": 1e-4, "trunk": self.trunk}
        return PrivacyPlan(mechanisms=chosen, **{**told, **terms})

    def offer(
        self, run: str, plan: PrivacyPlan, key: SigningKey | None = None, **terms: Any
    ) -> Offer:
        """A charter for ``plan``, signed by the centre unless ``key`` is another's."""
        arrays = terms.pop("arrays", None) or initial()
        told = {"federation": self.federation, "expires": 2**40, "plan": plan, "run": run}
        told |= {"initial": arrays_digest(arrays), **terms}
        signed = CharterTerms(**told).sign(key or self.key)
        return Offer(charter=signed.to_json(), initial=array_digests(arrays))

    @contextmanager
    def channel(self, **options: Any) -> Iterator[grpc.Channel]:
        with grpc.insecure_channel(self.address, **options) as channel:
            yield channel


@dataclass
class Catch:
    """What one idea brought in: bytes on disk, reasons of refusals, digests of releases."""

    file: Path
    reasons: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    denied: int = 0
    note: dict[str, Any] = field(default_factory=dict)

    def take(self, content: bytes | str) -> None:
        raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        with self.file.open("ab") as file:
            file.write(raw + b"\n")

    def read(self, path: Path | str, most: int = 2**22) -> bool:
        """Takes what is in a file; says whether it could be read."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - paths that are no paths
                self.take(file.read(most))
        except OSError as error:
            self.take(str(error))
            self.denied += 1
            return False
        return True

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Around what the system has to refuse."""
        try:
            yield
        except (OSError, ValueError) as error:
            self.take(str(error))
            self.denied += 1

    def ask(
        self, channel: grpc.Channel, method: str, request: Any, seconds: float | None = SECONDS
    ) -> Any:
        """The agent's answer, or None; takes every byte, reason, detail and piece of metadata."""
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        try:
            answer, call = channel.unary_unary(f"/{SERVICE}/{method}").with_call(
                raw, timeout=seconds
            )
        except grpc.RpcError as error:
            self.refusal(error)
            return None
        self.take(answer)
        self.take(repr((call.initial_metadata(), call.trailing_metadata(), call.details())))
        return self.parsed(method, answer)

    def refusal(self, error: Any) -> None:
        told = dict(error.trailing_metadata() or ())
        self.reasons.append(str(told.get("reason", error.code().name)))
        self.take(repr((error.code(), error.details(), error.trailing_metadata(), str(error))))

    def parsed(self, method: str, answer: bytes) -> Any:
        if method in ("Train", "Evaluate"):
            kind = pb.TrainResponse if method == "Train" else pb.EvaluateResponse
            told = kind.FromString(answer)
            arrays = {t.name: wire.decode(t.dtype, t.shape, t.data) for t in told.tensors}
            if method == "Train" or arrays:
                self.released.append(hashlib.sha256(wire.dump(arrays)).hexdigest())
            self.note.setdefault("arrays", []).extend(a.ravel().tolist() for a in arrays.values())
            return told
        kinds: dict[str, Any] = {"Describe": pb.DescribeResponse}
        kinds |= {"AcceptCharter": pb.AcceptResponse, "ReviewCharter": pb.ReviewResponse}
        kinds |= {"Status": pb.StatusResponse, "Aggregate": pb.AggregateResponse}
        return kinds[method].FromString(answer) if method in kinds else answer

    def accept(self, channel: grpc.Channel, offer: Offer, review: bool = False) -> Any:
        words = {"charter": offer.charter, "head": offer.head, "roster": offer.roster}
        request = pb.CharterRequest(protocol=wire.PROTOCOL, **words)
        for name, digest in offer.initial.items():
            request.initial.add(name=name, digest=digest)
        return self.ask(channel, "ReviewCharter" if review else "AcceptCharter", request)

    def train(
        self, channel: grpc.Channel, run: str, number: int = 1, arrays: Arrays | None = None
    ) -> Any:
        return self.ask(channel, "Train", train_request(run, number, arrays))


Idea = Callable[[Scene, Catch], None]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One idea, what has to be the answer to it, and whether it needs a user of its own.

    With ``some`` not all of ``reasons`` have to be met with. ``dies``: it kills its own process.
    ``slow`` ones take more than a few seconds; a ``last`` one leaves the site to no other.
    """

    do: Idea
    reasons: frozenset[str] = frozenset()
    some: bool = False
    separate: bool = False
    releases: int = 0
    dies: bool = False
    slow: bool = False
    last: bool = False


ATTACKS: dict[str, Attack] = {}


def attack(*reasons: str, **facts: Any) -> Callable[[Idea], Idea]:
    """Registers an idea under its name; each of ``reasons`` has to be met with, no other may."""

    def register(idea: Idea) -> Idea:
        ATTACKS[idea.__name__] = Attack(do=idea, reasons=frozenset(reasons), **facts)
        return idea

    return register


def train_request(run: str, number: int = 1, arrays: Arrays | None = None) -> pb.TrainRequest:
    request = pb.TrainRequest(protocol=wire.PROTOCOL, run=run, round=number)
    for name, array in (frame() if arrays is None else arrays).items():
        encoded = wire.encode(array)
        request.tensors.add(name=name, dtype=encoded.dtype, shape=encoded.shape, data=encoded.data)
    return request


def load_rooms() -> None:
    """All ideas: also what an interpreter of root's cannot load any more under another user."""
    import tests.hostile.courier_askers
    import tests.hostile.courier_attempts
    import tests.hostile.courier_evaluations
    import tests.hostile.courier_floods
    import tests.hostile.courier_heads
    import tests.hostile.courier_relays
    import tests.hostile.courier_thieves  # noqa: F401


def work(user: int | None, group: int | None) -> None:
    """Reads a scene, then names of attacks; answers each with a line of JSON. Never returns."""
    load_rooms()
    warm_up()
    if user is not None and group is not None:
        become(user, group)
    print("ready", flush=True)  # noqa: T201 - the harness reads it
    for line in sys.stdin:
        name, told = json.loads(line)
        scene = Scene.of(told)
        catch = Catch(file=scene.loot / name)
        with suppress(FileNotFoundError):
            catch.file.unlink()
        catch.file.touch()
        ATTACKS[name].do(scene, catch)
        told = {k: v for k, v in asdict(catch).items() if k != "file"}
        print(json.dumps(told), flush=True)  # noqa: T201
    os._exit(0)


def warm_up() -> None:
    """Loads what the interpreter would otherwise load when it is another user already."""
    "".encode("idna")
    with suppress(grpc.RpcError), grpc.insecure_channel("unix:/nowhere") as channel:
        channel.unary_unary("/x/y")(b"", timeout=0.2)
    np.random.default_rng(0).normal(size=2)


def become(user: int, group: int, others: tuple[int, ...] = ()) -> None:
    """Turns this process into another user for good."""
    os.setgroups([group, *others])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
