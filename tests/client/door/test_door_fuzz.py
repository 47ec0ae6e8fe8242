"""Mutated messages at the door: whatever a caller sends, the answer is typed and nobody is lost."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from client.door.main import REQUESTS, offered
from client.serving.running import handlers_of
from client.serving.statuses import DOOR, STATUS
from common import wire
from common.models.tail_file import tail_bytes
from protos.gen import recognition_pb2 as pb
from simulations.stub import AbortedError, _Context
from tests.mutants import filled, mutant
from tests.small_doorway import DimEye
from tests.small_reception import ANYTHING, RULES, Site, picture
from tests.small_releases import TRUNK, tail_of
from tests.small_vault import NOW, consent, person

FEW, MANY = 2_000, 20_000
COSTLY = {"Calibrate", "StageRelease"}  # an honest one compares everybody with everybody
SOME = 100  # of those
MOST_GROWTH = 60 * 2**20  # bytes
WITNESS = person(1)  # of whom no honest message speaks
TYPED = {**DOOR, **STATUS}
KNOWN = {
    "protocol": wire.PROTOCOL,
    "request": "0a",
    "session": bytes(16),
    "ticket": bytes(16),
    "person": person(2),
    "persons": [person(3)],
    "picture": picture(2, 8),
    "after": b"",
    "most": 10,
    "top": 1,
    "query": "glasses and no hat",
    "language": "zh",
    "label": "L",
    "fmr": 0.05,
    "fpir": 0.2,
}


@pytest.fixture
def site(quick_path: Path) -> Iterator[Site]:
    with Site(quick_path) as made:
        yield made


def honest(method: str) -> Message:
    """A message with every field that it has."""
    known = {**KNOWN, "after": 0} if method == "AuditRows" else KNOWN
    message = filled(REQUESTS[method], known)
    if method in ("BeginEnrol", "Renew"):
        agreed = consent()
        message.consent.CopyFrom(
            pb.Consent(
                purposes=sorted(agreed.purposes),
                text_hash=agreed.text_hash,
                given=agreed.given,
                expires=agreed.expires,
            )
        )
    if method in ("AddPicture", "SetLabels"):
        message.labels.CopyFrom(pb.Labels(shown=[pb.Label(name="hat", present=True)], age=40))
    if method == "StageRelease":
        message.tail, message.signed = tail_bytes(tail_of(2), TRUNK), b""
    return message


def storm(site: Site, method: str, times: int, seed: int = 1) -> Counter[str]:
    """How often each reason was the answer to ``times`` mutants; "OK" for none."""
    if method not in COSTLY and not site.vault.people(now=NOW):
        site.open_for(range(1, 13))
    return _storm(site, method, times, seed)


def _storm(site: Site, method: str, times: int, seed: int = 1) -> Counter[str]:
    reception = site.with_parts(eye=DimEye())
    if method in ("AddPicture", "CommitEnrol", "AbortEnrol"):
        KNOWN["session"] = reception.begin(ANYTHING, consent(), "")
    handler = handlers_of(offered(reception, lambda context: ANYTHING))[method].unary_unary
    message, rng, told = honest(method), random.Random(seed), Counter[str]()  # noqa: S311
    for _ in range(times):
        try:
            handler(mutant(message, rng), _Context())
        except AbortedError as error:
            reason = dict(error.trailing_metadata())["reason"]
            assert error.code() is TYPED.get(reason), reason
            assert reason != "INTERNAL"
            told[reason] += 1
        else:
            told["OK"] += 1
    return told


def check_whole(site: Site) -> None:
    """The witness, if there is one, is still enrolled, and the log is whole."""
    site.vault.verify()
    assert WITNESS in site.vault.people(now=NOW) or not site.vault.people(now=NOW)
    assert site.log.verify().broken is None


@pytest.mark.parametrize("method", sorted(REQUESTS))
def test_mutated_messages_get_typed_answers(site: Site, method: str) -> None:
    told = storm(site, method, FEW)
    assert told["INVALID_REQUEST"] + told["PROTOCOL_VERSION"] > FEW / 20, told
    check_whole(site)


@pytest.mark.parametrize("method", sorted(COSTLY))
def test_what_is_costly_is_typed_too_where_everything_is_there(site: Site, method: str) -> None:
    site.open_for(range(1, 13))
    told = _storm(site, method, SOME, 3)
    assert told["OK"], told
    check_whole(site)


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(REQUESTS))
def test_twenty_thousand_mutated_messages_leave_no_memory_behind(site: Site, method: str) -> None:
    storm(site, method, FEW)
    before = resident()
    assert sum(storm(site, method, MANY, 2).values()) == MANY
    assert resident() - before < MOST_GROWTH
    check_whole(site)


def resident() -> int:
    """Bytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


def test_the_rules_of_the_storm_let_everything_happen() -> None:
    assert RULES.identify
    assert RULES.verify
    assert grpc.StatusCode.UNKNOWN not in TYPED.values()
