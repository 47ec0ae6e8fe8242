"""A courier is told the same through a socket as in one process: a status and a reason."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.agent.charters import Offer, Review
from client.agent.jobs import Jobs
from client.agent.main import REQUESTS, SERVICE, serve
from client.agent.service import AgentService
from client.app import dial
from client.serving.listening import Door
from client.serving.statuses import DOOR, STATUS
from client.serving.tls import Tls, make_end
from common import errors, wire
from common.trust.charter import charter_digest
from common.trust.heads import SignedHead
from common.trust.keys import SigningKey
from common.trust.signed import Signed
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc
from simulations.stub import InProcessStub
from tests.fakes import TRUNK
from tests.small_site import FEDERATION, RUN, Site, frame, mean_plan, offer

CANARY = "/faces/Alice Example/1.jpg"
OURS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.MascaronError)
]


class FakeTrainer:
    """Answers with what it was given, or fails as told."""

    camera_type, trunk, declared_people = "door", TRUNK, 20
    site, usable = "north", True

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error
        self.asked: list[dict[str, np.ndarray]] = []

    def presence(self, challenge: bytes) -> bytes:
        return challenge[::-1]

    def review(self, offer: Offer) -> Review:
        return Review(charter=offer.charter[::-1], epsilon=2.5, automatic=True)

    def accept(self, offer: Offer) -> str:
        return offer.charter[::-1]

    def head(self) -> str:
        return "head"

    def confirm(self, kept: str) -> None:
        self.shown = kept

    def progress(self, run: str, number: int) -> float:
        return 0.25

    def train(self, run: str, number: int, arrays: Any) -> Any:
        self.asked.append(arrays)
        if self._error is not None:
            raise self._error
        return arrays

    evaluate = train


@contextmanager
def in_process(service: AgentService, folder: Path) -> Iterator[Any]:
    yield InProcessStub(service)


@contextmanager
def through_a_socket(service: AgentService, folder: Path) -> Iterator[Any]:
    with (
        serve(service, f"unix:{folder}/a.sock") as agent,
        grpc.insecure_channel(agent.address) as channel,
    ):
        yield rpc.AgentStub(channel)  # type: ignore[no-untyped-call]


@contextmanager
def over_loopback(service: AgentService, folder: Path) -> Iterator[Any]:
    with serve(service, "127.0.0.1:0", Door(tls=ends(folder))) as agent:
        context = SimpleNamespace(
            node_config={"agent-address": agent.address, "agent-tls": str(folder)}
        )
        yield dial(context)  # type: ignore[arg-type]


@pytest.fixture(params=[in_process, through_a_socket, over_loopback])
def reach(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Any], Any]:
    """How a courier reaches a service that calls the given trainer."""
    return lambda trainer: request.param(AgentService(trainer), tmp_path)


def ends(folder: Path) -> Tls:
    for name in ("agent", "courier"):
        make_end(folder, name)
    return Tls(
        key=folder / "agent.key",
        certificate=folder / "agent.crt",
        peer=folder / "courier.crt",
    )


def question(*tensors: pb.Tensor, **changes: Any) -> pb.TrainRequest:
    told: dict[str, Any] = {"protocol": wire.PROTOCOL, "run": RUN, "round": 1, **changes}
    return pb.TrainRequest(tensors=tensors, **told)


def tensor(name: str = "a", **changes: Any) -> pb.Tensor:
    told = {"dtype": "float32", "shape": (2, 3), "data": bytes(24), **changes}
    return pb.Tensor(name=name, **told)


def refusal(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    """The status and reason of a refusal, after making sure that it tells nothing else."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    told = dict(caught.value.trailing_metadata())
    assert CANARY not in str(caught.value)
    assert CANARY not in str(told)
    return caught.value.code(), told["reason"]


def test_an_answer_carries_public_facts_the_digest_and_the_arrays(reach: Any) -> None:
    with reach(FakeTrainer()) as stub:
        facts = stub.Describe(pb.DescribeRequest(protocol=wire.PROTOCOL))
        assert (facts.protocol, facts.camera_type, facts.trunk) == (wire.PROTOCOL, "door", TRUNK)
        assert facts.people == 20  # as declared, whoever is there
        assert (facts.site, facts.signature) == ("north", b"")
        assert stub.Describe(pb.DescribeRequest(protocol=wire.PROTOCOL, challenge=b"ab")).signature
        asked = pb.CharterRequest(protocol=wire.PROTOCOL, charter="abc")
        accepted, review = stub.AcceptCharter(asked), stub.ReviewCharter(asked)
        assert (accepted.charter_digest, accepted.head) == ("cba", "head")
        told = (review.charter_digest, review.epsilon, review.automatic)
        assert told == ("cba", 2.5, True)
        assert stub.Evaluate(pb.EvaluateRequest(protocol=wire.PROTOCOL)).people == 20
        assert stub.Status(pb.StatusRequest(protocol=wire.PROTOCOL)).state == pb.STATE_IDLE
        [back] = stub.Train(question(tensor(data=np.arange(6, dtype="<f4").tobytes()))).tensors
        array = wire.decode(back.dtype, back.shape, back.data)
        np.testing.assert_array_equal(array, np.arange(6).reshape(2, 3))


def test_each_error_of_ours_travels_as_its_status_and_reason_without_its_text(
    reach: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = FakeTrainer()
    with reach(trainer) as stub:
        for error in OURS:
            trainer._error = error(CANARY)
            code, reason = refusal(lambda: stub.Train(question(tensor())))
            assert reason == error.reason
            assert code == (STATUS | DOOR).get(error.reason, grpc.StatusCode.INTERNAL)
    assert CANARY not in caplog.text


def test_every_status_has_a_reason_that_may_cross_to_the_centre() -> None:
    assert set(STATUS) <= wire.REASONS
    assert set(STATUS) <= {error.reason for error in OURS}


@pytest.mark.parametrize(
    "bug",
    [ValueError(CANARY), KeyError(CANARY), MemoryError(CANARY), AssertionError(CANARY), OSError(5)],
)
def test_a_bug_travels_as_internal_and_its_text_is_not_even_logged(
    reach: Any, bug: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with reach(FakeTrainer(bug)) as stub:
        told = refusal(lambda: stub.Train(question(tensor())))
    assert told == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert CANARY not in caplog.text
    assert type(bug).__name__ in caplog.text


@pytest.mark.parametrize("version", [0, wire.PROTOCOL + 1, 2**32 - 1])
def test_another_version_of_the_protocol_is_refused_by_every_method(
    reach: Any, version: int
) -> None:
    with reach(FakeTrainer()) as stub:
        calls: list[Callable[[], Any]] = [
            lambda: stub.Describe(pb.DescribeRequest(protocol=version)),
            lambda: stub.AcceptCharter(pb.CharterRequest(protocol=version)),
            lambda: stub.ReviewCharter(pb.CharterRequest(protocol=version)),
            lambda: stub.Train(question(tensor(), protocol=version)),
            lambda: stub.Evaluate(pb.EvaluateRequest(protocol=version)),
            lambda: stub.Status(pb.StatusRequest(protocol=version)),
        ]
        for call in calls:
            assert refusal(call) == (grpc.StatusCode.FAILED_PRECONDITION, "PROTOCOL_VERSION")


MALFORMED = {
    "unknown dtype": question(tensor(dtype="object")),
    "no dtype": question(tensor(dtype="")),
    "too short": question(tensor(data=bytes(23))),
    "too long": question(tensor(data=bytes(25))),
    "shape that overflows": question(tensor(shape=(2**31, 2**31, 2**31, 2**31), data=b"")),
    "huge and empty": question(tensor(shape=(2**32 - 1,), data=b"")),
    "empty, with an overflow": question(tensor(shape=(0, 2**31, 2**31, 2**31), data=b"")),
    "five dimensions": question(tensor(shape=(1, 1, 1, 1, 1), data=bytes(4))),
    "same name twice": question(tensor(), tensor()),
    "long name": question(tensor(name="n" * 129)),
    "too many": question(*(tensor(name=str(n)) for n in range(65))),
    "no run": question(tensor(), run=""),
    "long run": question(tensor(), run="r" * 129),
    "unprintable run": question(tensor(), run="r\n1"),
    "an id with other letters": question(tensor(), request="xyz"),
    "a long id": question(tensor(), request="0" * 33),
}


@pytest.mark.parametrize("kind", sorted(MALFORMED))
def test_a_malformed_request_is_an_invalid_argument_and_reaches_no_trainer(
    reach: Any, kind: str
) -> None:
    trainer = FakeTrainer()
    with reach(trainer) as stub:
        told = refusal(lambda: stub.Train(MALFORMED[kind]))
        assert told == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        same = pb.EvaluateRequest.FromString(MALFORMED[kind].SerializeToString())
        assert refusal(lambda: stub.Evaluate(same)) == told
        assert not trainer.asked
        assert stub.Train(question(tensor())).tensors


@given(
    dtype=st.sampled_from(["float32", "float64", "int8", ""]),
    shape=st.lists(st.integers(0, 2**32 - 1), max_size=6),
    data=st.binary(max_size=64),
)
def test_whatever_a_tensor_says_it_is_read_or_refused(
    dtype: str, shape: list[int], data: bytes
) -> None:
    stub = InProcessStub(AgentService(FakeTrainer()))
    request = question(tensor(dtype=dtype, shape=shape, data=data))
    try:
        [back] = stub.Train(request).tensors
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    else:
        assert (list(back.shape), back.data) == (shape, data)


def test_a_request_with_a_newer_head_than_the_ledgers_ends_all_releases(
    site: Site, tmp_path: Path
) -> None:
    room = site.training()
    told = {"federation": FEDERATION, "site": "north", "sequence": 9, "mac": "0" * 64}
    newer = SignedHead(**told).sign(site.identity).to_json()  # type: ignore[arg-type]
    forged = SignedHead(**told).sign(SigningKey.generate()).to_json()  # type: ignore[arg-type]
    room.accept(offer(mean_plan()))
    asked = question(run=RUN)
    for name, array in frame().items():
        encoded = wire.encode(array)
        asked.tensors.add(name=name, dtype="float32", shape=encoded.shape, data=encoded.data)
    sums = pb.AggregateRequest(protocol=wire.PROTOCOL, run=RUN, round=1, attempt=1, phase="keys")
    with through_a_socket(AgentService(room, Jobs()), tmp_path) as stub:
        for text, reason in ((forged, "SIGNATURE_INVALID"), ("x" * 2**20, "SIGNATURE_INVALID")):
            asked.head = sums.head = text
            assert refusal(lambda: stub.Train(asked))[1] == reason
            assert refusal(lambda: stub.Aggregate(sums))[1] == reason
        asked.head = newer
        assert refusal(lambda: stub.Train(asked))[1] == "ROLLBACK_DETECTED"
        asked.head = ""  # kept back by whoever is in between: too late
        for call in (lambda: stub.Train(asked), lambda: stub.Aggregate(sums)):
            sums.head = ""
            assert refusal(call)[1] == "ROLLBACK_DETECTED"
        status = stub.Status(pb.StatusRequest(protocol=wire.PROTOCOL))
        assert status.state == pb.STATE_REFUSING
    assert site.kinds() == ["accept"]


def test_a_real_site_answers_the_same_bytes_in_process_and_through_a_socket(
    site: Site, tmp_path: Path
) -> None:
    service = AgentService(site.training())
    signed = offer(mean_plan())
    asking = pb.CharterRequest(protocol=wire.PROTOCOL, charter=signed.charter)
    for name, digest in signed.initial.items():
        asking.initial.add(name=name, digest=digest)
    asked = question()
    for name, array in frame().items():
        encoded = wire.encode(array)
        asked.tensors.add(name=name, dtype="float32", shape=encoded.shape, data=encoded.data)
    InProcessStub(service).AcceptCharter(asking)
    inside = InProcessStub(service).Train(asked)
    with through_a_socket(service, tmp_path) as stub:
        digest = charter_digest(Signed.from_json(signed.charter))
        assert stub.AcceptCharter(asking).charter_digest == digest
        assert stub.Train(asked) == inside
        other = pb.TrainRequest.FromString(asked.SerializeToString())
        other.tensors[0].data = bytes(len(other.tensors[0].data))
        told = refusal(lambda: stub.Train(other))
    assert told == (grpc.StatusCode.ALREADY_EXISTS, "REPLAY_MISMATCH")


def test_the_names_on_the_wire_are_those_of_the_generated_stub() -> None:
    methods = pb.DESCRIPTOR.services_by_name["Agent"].methods_by_name
    assert SERVICE == "mascaron.agent.v1.Agent"
    assert set(methods) == set(REQUESTS)
