"""Every idea of a hostile caller, tried on a real door: nothing comes out, all is paid and told.

Cameras, guards, enrollers, operators, other users of the machine, somebody in the network.
"""

from collections.abc import Iterator

import pytest

from client.audit.events import Kind
from protos.gen import recognition_pb2 as pb
from tests.hostile.callers import ATTACKS, Haul, ideas
from tests.hostile.doorstep import Doorstep, doorstep

LEAST = 40  # ideas
QUERIES = {"Verify": "verify", "Identify": "identify"}
CHANGES = frozenset(Kind) - {Kind.VERIFY, Kind.IDENTIFY, Kind.CONFIRM, Kind.LIST, Kind.AUDIT}
TIMES = {"given", "expires", "fmr", "fpir", "made", "at", "began", "ended", "alike", "progress"}


@pytest.fixture(scope="module")
def site() -> Iterator[Doorstep]:
    with doorstep() as made:
        yield made
        made.check_log()


@pytest.mark.parametrize("name", ideas())
def test_a_hostile_caller_gets_nothing(site: Doorstep, name: str) -> None:
    attack, haul = ATTACKS[name], Haul()
    kinds, files = site.kinds(), site.changing()
    attack.do(site, haul)
    met = set(haul.reasons)
    assert met <= attack.reasons if attack.some else met == attack.reasons, met ^ attack.reasons
    assert site.canaries.found_in(b"\n".join(haul.content)) <= attack.told
    now = site.kinds()
    for method, kind in QUERIES.items():
        assert now[kind] - kinds[kind] >= haul.answered[method]
    if site.changing() != files:
        assert sum(now[kind] - kinds[kind] for kind in CHANGES) > 0
    site.check_answers()
    site.check_log()


def test_there_are_enough_ideas() -> None:
    assert len(ATTACKS) >= LEAST


def test_no_message_has_room_for_a_score() -> None:
    """Numbers with a fraction are times, rates that were asked for, and two shares in status."""
    found = {
        field.name
        for message in pb.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
        if field.type in (field.TYPE_DOUBLE, field.TYPE_FLOAT)
    }
    assert found <= TIMES
