"""How much of the gateway anybody may hold: places are few, and members come before strangers."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Self

from server.serving.tally import Tally


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayLimits:
    """What one gateway bears. Sizes in bytes, times in seconds."""

    body: int = 32 * 2**20  # Flower cuts arrays into objects of 5 MiB
    admission_body: int = 64 * 2**10
    buffered: int = 256 * 2**20  # of all bodies together
    requests: int = 256  # at a time
    address_requests: int = 64  # at a time, of one address; several sites may share one
    connections: int = 1024
    address_connections: int = 256
    idle_seconds: float = 30.0  # until a connection has sent a whole request head
    body_seconds: float = 120.0
    send_seconds: float = 60.0  # for one piece of an answer to be taken
    answer_seconds: float = 300.0  # for all of it
    upstream_seconds: float = 60.0  # for one piece of the SuperLink's answer to come
    look_seconds: float = 10.0  # between two looks for a renewed certificate


HERE = "here"  # this machine, from which the supervisor asks whether all is well


class Members:
    """Addresses from which a site's courier has spoken, for a day after it last did; and ours."""

    def __init__(self, now: Callable[[], float], seconds: float = 86400.0, most: int = 4096):
        self._now, self._seconds, self._most = now, seconds, most
        self._seen: OrderedDict[str, float] = OrderedDict()

    def note(self, sender: str) -> None:
        """Remembers ``sender``; of too many, those that spoke longest ago are forgotten."""
        self._seen[sender] = self._now()
        self._seen.move_to_end(sender)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)

    def __contains__(self, sender: str) -> bool:
        spoke = self._seen.get(sender, -float("inf"))
        return sender == HERE or self._now() - spoke <= self._seconds


class Places:
    """``most`` places called ``name``: at most ``each`` for one address, half for all strangers.

    Guarantee: whoever has no key of a site can keep no member out, from however many addresses.
    Leaks: who sends from the very address of a site shares its places; a site that is not admitted
    yet is a stranger, and has to try again while others hold theirs.
    """

    def __init__(self, name: str, most: int, each: int, members: Members) -> None:
        self._name, self._most, self._each = name, most, each
        self._members = members
        self._held: Counter[str] = Counter()

    def take(self, sender: str) -> str | None:
        """Takes a place for ``sender``; if there is none, why, in words of our own."""
        if self._held.total() >= self._most:
            return self._name
        if self._held[sender] >= self._each:
            return f"{self._name} of one address"
        if sender not in self._members:
            strangers = sum(n for who, n in self._held.items() if who not in self._members)
            if strangers >= (self._most + 1) // 2:
                return f"{self._name} of strangers"
        self._held[sender] += 1
        return None

    def leave(self, sender: str) -> None:
        """Gives a place of ``sender`` back."""
        self._held[sender] -= 1
        if not self._held[sender]:
            del self._held[sender]


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """What all connections and requests of one gateway share."""

    limits: GatewayLimits
    tally: Tally
    members: Members
    connections: Places
    requests: Places
    cuts: dict[object, Callable[[], None]] = field(default_factory=dict)  # by address and port

    def cut(self, client: object) -> None:
        """Ends the connection of ``client`` now, whatever is still to be sent or read."""
        self.cuts.get(client, lambda: None)()

    @classmethod
    def of(cls, limits: GatewayLimits, now: Callable[[], float]) -> Self:
        """A guard that has seen nobody yet; ``now`` only has to grow, in seconds."""
        members = Members(now)
        each = limits.address_connections
        return cls(
            limits=limits,
            tally=Tally(now),
            members=members,
            connections=Places("connections", limits.connections, each, members),
            requests=Places("requests", limits.requests, limits.address_requests, members),
        )


def address(scope: Mapping[str, Any]) -> str:
    """Who is counted together: one IPv4 address, or one /64 of IPv6, which one host may fill.

    ``scope`` has who called under "client", and whom under "server", host first.
    """
    host = (scope.get("client") or ("",))[0]
    if host and host == (scope.get("server") or ("",))[0]:
        return HERE
    try:
        found = ip_address(host)
    except ValueError:
        return "unknown"
    return host if found.version == 4 else found.exploded[:19]
