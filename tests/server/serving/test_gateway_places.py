"""Places at the gateway are few, and nobody without a site's key can keep a site from them."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.home import CentreHome
from server.serving.guard import HERE, GatewayLimits, Guard, Members, Places, address
from tests.small_gateway import PULL, Centre, a_centre, framed, read_all, request, wait_for

SITE = "127.0.0.77"
FEW = GatewayLimits(connections=12, address_connections=4, requests=4, address_requests=2)


@pytest.fixture
def small(home: CentreHome) -> Iterator[Centre]:
    with a_centre(home, FEW) as made:
        yield made


@contextmanager
def silent(centre: Centre, host: str, number: int) -> Iterator[None]:
    """Connections of ``host`` that never speak, not even TLS."""
    with ExitStack() as stack:
        for _ in range(number):
            to = ("127.0.0.1", centre.port)
            one = socket.create_connection(to, timeout=20, source_address=(host, 0))
            stack.enter_context(one)
        yield


def test_silence_before_tls_holds_a_bounded_number_of_places_and_gives_them_back(
    small: Centre,
) -> None:
    with silent(small, "127.0.0.2", 30):
        wait_for(lambda: small.tally.total["connections of one address"] == 26)
        assert small.held == FEW.address_connections
        with small.client() as client:
            assert client.get("/mascaron/v1/ca").status_code == 200
    wait_for(lambda: small.held == 0)


def test_strangers_from_many_addresses_leave_half_of_the_places_to_members(small: Centre) -> None:
    with small.client(SITE) as client:
        assert client.post(PULL).status_code == 200  # the SuperLink knew the key: a member
    wait_for(lambda: small.held == 0)
    with ExitStack() as stack:
        for last in range(2, 12):
            stack.enter_context(silent(small, f"127.0.0.{last}", 4))
        wait_for(lambda: small.tally.total["connections of strangers"] > 0)
        wait_for(lambda: small.held == FEW.connections // 2)
        for sender in (SITE, "127.0.0.1"):  # a site, and the supervisor of the gateway
            with small.client(sender) as client:
                assert client.post(PULL).status_code == 200
    assert sum(small.tally.total.values()) == 34


def test_strangers_hold_at_most_half_of_the_requests(small: Centre) -> None:
    small.guard.members.note(SITE)
    small.superlink.hold.clear()
    with ExitStack() as stack:
        for last in (2, 3, 4):
            stranger = stack.enter_context(small.connect(f"127.0.0.{last}"))
            stranger.sendall(request(PULL))
            if last < 4:
                assert small.superlink.arrived.acquire(timeout=20)
            else:
                assert read_all(stranger).startswith(b"HTTP/1.1 503")
        member = stack.enter_context(small.connect(SITE))
        member.sendall(request(PULL))
        assert small.superlink.arrived.acquire(timeout=20)
        small.superlink.hold.set()
        assert read_all(member).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("path", "status"), [("/health", 200), (PULL, 401)])
def test_only_who_the_superlink_knows_becomes_a_member(
    small: Centre, path: str, status: int
) -> None:
    small.superlink.status = status
    with small.client(SITE) as client:
        answer = client.post(path) if path == PULL else client.get(path)
    assert answer.status_code == status
    assert SITE not in small.guard.members


def test_an_answer_that_is_read_a_little_at_a_time_ends_in_time(home: CentreHome) -> None:
    """Every piece is taken soon enough, and the whole would take minutes."""
    with a_centre(home, GatewayLimits(answer_seconds=3.0, send_seconds=20.0)) as centre:
        centre.superlink.answer = bytes(32 * 2**20)
        with centre.connect() as connection:
            connection.sendall(request(PULL))
            taken = 0
            while centre.tally.total["lost"] == 0:
                taken += len(connection.recv(65536))
                time.sleep(0.02)
                assert taken < 2**24, "all of it was waited for"
        assert taken > 2**17
        assert centre.guard.requests._held.total() == 0


def test_who_asks_and_asks_and_never_reads_is_cut_off_at_once(home: CentreHome) -> None:
    """The answers fill every buffer, so that not even a refusal can be sent."""
    limits = GatewayLimits(answer_seconds=1.0, send_seconds=0.5, idle_seconds=2.0)
    with a_centre(home, limits) as centre:
        with centre.connect() as connection:
            connection.settimeout(1)
            with suppress(OSError):
                while True:
                    connection.sendall(framed("/mascaron/v1/ca", "X: y", method="GET") * 20)
            wait_for(lambda: centre.held == 0)  # and the other side is still open
        assert centre.tally.total["lost"] == 1
        assert centre.guard.requests._held.total() == 0


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef")), max_size=60),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_places_are_never_more_than_there_are(
    steps: list[tuple[bool, str]], most: int, each: int
) -> None:
    members = Members(lambda: 0.0)
    for sender in "ab":
        members.note(sender)
    places, has = Places("places", most, each, members), Counter[str]()
    for takes, sender in steps:
        if takes:
            strangers = sum(has[who] for who in "cdef")
            free = has.total() < most and has[sender] < each
            free = free and (sender in "ab" or strangers < (most + 1) // 2)
            assert (places.take(sender) is None) == free
            has[sender] += free
        elif has[sender]:
            places.leave(sender)
            has[sender] -= 1
        assert places._held == +has


def test_members_are_forgotten_after_a_day_and_when_they_are_too_many() -> None:
    now = [0.0]
    members = Members(lambda: now[0], seconds=10.0, most=2)
    for sender in "abac":
        members.note(sender)
    assert [sender in members for sender in "abc"] == [True, False, True]
    now[0] = 10.5
    members.note("c")
    assert [sender in members for sender in "abc"] == [False, False, True]


def test_addresses_are_counted_by_what_one_host_may_fill() -> None:
    assert address({"client": ("10.1.2.3", 5)}) == "10.1.2.3"
    first = address({"client": ("2001:db8::1", 5)})
    assert first == address({"client": ("2001:db8::ffff:2", 6)})
    assert first != address({"client": ("2001:db8:0:1::1", 5)})
    assert address({"client": ("::1", 5), "server": ("::1", 443)}) == HERE
    assert address({}) == address({"client": ("", 0)}) == "unknown"


def test_a_guard_counts_connections_and_requests_apart() -> None:
    guard = Guard.of(FEW, time.monotonic)
    assert [guard.requests.take("a") for _ in range(3)][2] == "requests of one address"
    assert guard.connections.take("a") is None
