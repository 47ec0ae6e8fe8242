"""Mutated messages: whatever a hostile courier sends, the answer is typed and nothing grows."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import DecodeError, Message

from client.agent.jobs import Jobs
from client.agent.main import REQUESTS, offered
from client.agent.service import AgentService
from client.agent.training import Training
from client.serving.running import handlers_of
from client.serving.statuses import STATUS
from common import wire
from common.secagg.phases import PHASES, VECTOR
from protos.gen import agent_pb2 as pb
from simulations.stub import AbortedError, _Context
from tests.mutants import filled, mutant
from tests.small_site import RUN, Arrays, Site, evaluation_plan, frame, judged, mean_plan, offer
from tests.small_sums import Sharing, shared_mean

FEW, MANY = 300, 20_000
EACH = 200  # messages to one attempt at a secure sum: bent ones soon end it
MOST_GROWTH = 50 * 2**20  # bytes
TYPED = {code for reason, code in STATUS.items() if reason != "INTERNAL"}
PAID = {"accept", "reserve", "release", "masked"}
OTHERS = sorted(set(REQUESTS) - {"Aggregate"})


def tensors(arrays: Arrays) -> list[pb.Tensor]:
    encoded = {name: wire.encode(array) for name, array in arrays.items()}
    return [
        pb.Tensor(name=name, dtype=one.dtype, shape=one.shape, data=one.data)
        for name, one in encoded.items()
    ]


def honest(method: str, **words: object) -> Message:
    """A message with every field that it has: an honest one, but for those nobody here knows."""
    told = offer(mean_plan())
    digests = [pb.ArrayDigest(name=name, digest=digest) for name, digest in told.initial.items()]
    known = {"protocol": wire.PROTOCOL, "request": "0a", "run": RUN, "round": 1, "attempt": 1}
    known |= {"charter": told.charter, "initial": digests, "head": "", "roster": ""}
    known |= {"challenge": bytes(32), "tensors": tensors(frame())}
    return filled(REQUESTS[method], {**known, **words})


def storm(room: Training, method: str, message: Message, times: int, seed: int = 1) -> Counter[str]:
    """How often each reason was the answer to ``times`` mutants of ``message``; "OK" for none."""
    handler = handlers_of(offered(AgentService(room, Jobs())))[method].unary_unary
    rng, told = random.Random(seed), Counter[str]()  # noqa: S311
    for _ in range(times):
        try:
            handler(mutant(message, rng), _Context())
        except AbortedError as error:
            [(_, reason)] = error.trailing_metadata()
            assert reason in wire.REASONS
            assert error.code() in TYPED, reason
            told[reason] += 1
        else:
            told["OK"] += 1
    return told


def site_storm(site: Site, method: str, times: int, seed: int = 1) -> Counter[str]:
    """At the small site, whose run was accepted where a method is about rounds."""
    room, words = site.training(), dict[str, object]()
    if method == "Train":
        room.accept(offer(mean_plan()))
    if method == "Evaluate":
        room.accept(offer(evaluation_plan()))
        words = {"tensors": tensors(judged())}
    return storm(room, method, honest(method, **words), times, seed)


def sums_storm(folder: Path, times: int, seed: int = 1) -> Counter[str]:
    """At a site in the middle of secure sums: every phase of ever new federations in turn."""
    told = Counter[str]()
    for number in range(-(-times // EACH)):
        phase, place = PHASES[number % len(PHASES)], folder / f"{seed}-{number}"
        place.mkdir()
        four = Sharing(place)
        four.accept(shared_mean())
        payload = four.until(phase).requests(phase)["north"]
        words = {"phase": phase, "payload": payload}
        words |= {"tensors": tensors(frame()) if phase == VECTOR else []}
        message, count = honest("Aggregate", **words), min(EACH, times - number * EACH)
        told += storm(four.rooms["north"], "Aggregate", message, count, seed * 1000 + number)
        check_paid(four.kinds("north"))
        for ledger in four.ledgers.values():
            ledger.verify()
        four.close()
    return told


def check_paid(kinds: list[str]) -> None:
    assert set(kinds) <= PAID
    assert kinds.count("accept") <= 1  # only the honest words were ever signed
    assert kinds.count("release") + kinds.count("masked") <= kinds.count("reserve")


@pytest.mark.parametrize("method", OTHERS)
def test_mutated_messages_get_typed_answers_and_charge_nobody_wrongly(
    site: Site, method: str
) -> None:
    told = site_storm(site, method, FEW)
    assert told["INVALID_REQUEST"] > FEW / 20, told
    check_paid(site.kinds())
    assert site.kinds().count("reserve") <= 1
    site.ledger.verify()


def test_mutated_messages_to_every_phase_of_a_secure_sum_get_typed_answers(tmp_path: Path) -> None:
    told = sums_storm(tmp_path, len(PHASES) * EACH)
    assert told["INVALID_REQUEST"] > FEW / 20, told
    assert {"OK", "AGGREGATION_REFUSED", "NOT_READY", "REPLAY_MISMATCH"} <= set(told), told


def grown(storm: Callable[[int, int], Counter[str]]) -> int:
    """Bytes that 20,000 mutants leave behind, after some that make everything warm."""
    storm(FEW, 1)
    before = resident()
    told = storm(MANY, 2)
    assert sum(told.values()) == MANY
    return resident() - before


@pytest.mark.slow
@pytest.mark.parametrize("method", OTHERS)
def test_twenty_thousand_mutated_messages_leave_no_memory_behind(site: Site, method: str) -> None:
    assert grown(lambda times, seed: site_storm(site, method, times, seed)) < MOST_GROWTH
    site.ledger.verify()


@pytest.mark.slow
def test_twenty_thousand_mutated_messages_to_secure_sums_leave_no_memory_behind(
    tmp_path: Path,
) -> None:
    assert grown(lambda times, seed: sums_storm(tmp_path, times, seed)) < MOST_GROWTH


def resident() -> int:
    """Bytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


@pytest.mark.parametrize("method", sorted(REQUESTS))
def test_every_field_that_a_message_has_is_bent(method: str) -> None:
    message, rng, changed = honest(method), random.Random(3), set()  # noqa: S311
    assert {field.name for field, _ in message.ListFields()} >= {"protocol", "request"}
    for _ in range(2000):
        try:
            other = REQUESTS[method].FromString(mutant(message, rng))
        except DecodeError:
            continue
        for field in message.DESCRIPTOR.fields:
            if getattr(other, field.name) != getattr(message, field.name):
                changed.add(field.name)
    assert changed == {field.name for field in message.DESCRIPTOR.fields}


def test_a_status_that_no_reason_has_would_be_noticed() -> None:
    assert grpc.StatusCode.INTERNAL not in TYPED
    assert grpc.StatusCode.UNKNOWN not in TYPED
