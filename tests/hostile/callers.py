"""A caller gone bad: it tries one idea after the other at a door, and keeps what it gets.

Each idea is a function of ``Doorstep`` and ``Haul`` in one of the rooms beside.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from client.door.main import REQUESTS, SERVICE
from client.door.proofs import TOKEN
from common import wire
from protos.gen import recognition_pb2 as pb
from tests.hostile.doorstep import Doorstep

SECONDS = 30.0
ANSWERS = {
    method.name: getattr(pb, method.output_type.name)
    for method in pb.DESCRIPTOR.services_by_name["Recognition"].methods
}


@dataclass
class Haul:
    """What one idea brought in: every byte, reasons of refusals, how often it was answered."""

    content: list[bytes] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)

    def take(self, told: object) -> None:
        self.content.append(
            told if isinstance(told, bytes) else str(told).encode("utf-8", "replace")
        )

    def ask(
        self,
        channel: grpc.Channel,
        method: str,
        request: Any,
        metadata: Any = (),
        seconds: float = SECONDS,
    ) -> Any:
        """The door's answer, or None."""
        raw = request if isinstance(request, bytes) else filled(method, request)
        call = channel.unary_unary(f"/{SERVICE}/{method}")
        try:
            answer, info = call.with_call(raw, timeout=seconds, metadata=metadata)
        except grpc.RpcError as error:
            self.refusal(error)
            return None
        self.answered[method] += 1
        self.take(answer)
        self.take((info.initial_metadata(), info.trailing_metadata(), info.details()))
        return ANSWERS[method].FromString(answer)

    def refusal(self, error: Any) -> None:
        told = dict(error.trailing_metadata() or ())
        self.reasons.append(str(told.get("reason", error.code().name)))
        self.take((error.code(), error.details(), error.trailing_metadata(), str(error)))


@dataclass
class Mouth:
    """One caller's way of asking."""

    channel: grpc.Channel
    haul: Haul
    token: str

    def __call__(self, method: str, seconds: float = SECONDS, **fields: Any) -> Any:
        return self.haul.ask(self.channel, method, fields, ((TOKEN, self.token),), seconds=seconds)

    def raw(self, method: str, content: bytes) -> Any:
        return self.haul.ask(self.channel, method, content, ((TOKEN, self.token),))


def filled(method: str, fields: Any) -> bytes:
    """A request of the right kind and version."""
    request = REQUESTS[method](**{"protocol": wire.PROTOCOL, **fields})
    return bytes(request.SerializeToString())


@contextmanager
def socket_of(site: Doorstep) -> Iterator[grpc.Channel]:
    """A connection that is not shared with others of this process."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"unix://{site.home.door_socket()}", options) as channel:
        yield channel


@contextmanager
def mouth(site: Doorstep, haul: Haul, name: str) -> Iterator[Mouth]:
    """``name`` at the socket."""
    with socket_of(site) as channel:
        yield Mouth(channel, haul, site.tokens[name])


Idea = Callable[[Doorstep, Haul], None]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One idea and what has to be the answer. With ``some`` not all reasons have to be met with.

    ``told`` are kinds of canaries that its caller may be told: a label is for who confirms.
    """

    do: Idea
    reasons: frozenset[str]
    some: bool = False
    told: frozenset[str] = frozenset()


ATTACKS: dict[str, Attack] = {}


def attack(*reasons: str, some: bool = False, told: tuple[str, ...] = ()) -> Callable[[Idea], Idea]:
    """Registers an idea under its name; each of ``reasons`` has to be met with, no other may."""

    def register(idea: Idea) -> Idea:
        ATTACKS[idea.__name__] = Attack(
            do=idea, reasons=frozenset(reasons), some=some, told=frozenset(told)
        )
        return idea

    return register


def ideas() -> list[str]:
    """The names of all of them."""
    import tests.hostile.caller_cameras
    import tests.hostile.caller_enrollers
    import tests.hostile.caller_floods
    import tests.hostile.caller_guards
    import tests.hostile.caller_neighbours
    import tests.hostile.caller_operators  # noqa: F401

    return list(ATTACKS)
