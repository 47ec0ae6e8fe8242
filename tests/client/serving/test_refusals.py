"""The same error at both ends of a wire, with nothing but its reason in between."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from client.serving.answers import answers
from client.serving.refusals import refused
from client.serving.statuses import DOOR, STATUS, status_of
from common import errors

CANARY = "canary 4711"


class Aborted(grpc.RpcError):  # type: ignore[misc]
    """What a client sees of an abort."""

    def __init__(self, code: grpc.StatusCode, told: tuple[tuple[str, Any], ...]) -> None:
        super().__init__()
        self._code, self._told = code, told

    def code(self) -> grpc.StatusCode:
        return self._code

    def trailing_metadata(self) -> tuple[tuple[str, Any], ...]:
        return self._told


class Context:
    """What ``answers`` uses of a call."""

    def set_trailing_metadata(self, told: tuple[tuple[str, str], ...]) -> None:
        self._told = told

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        assert CANARY not in details
        raise Aborted(code, self._told)


def over_the_wire(error: BaseException) -> errors.MascaronError:
    @answers
    def method(self: None, request: None, context: Context) -> None:
        raise error

    with pytest.raises(Aborted) as caught:
        method(None, None, Context())
    assert CANARY not in str(caught.value.trailing_metadata())
    return refused(caught.value)


def kinds(kind: type[errors.MascaronError]) -> Iterator[type[errors.MascaronError]]:
    for one in kind.__subclasses__():
        yield one
        yield from kinds(one)


@pytest.mark.parametrize("kind", sorted(set(kinds(errors.MascaronError)), key=lambda k: k.__name__))
def test_every_error_arrives_as_one_of_its_reason(kind: type[errors.MascaronError]) -> None:
    arrived = over_the_wire(kind(CANARY))
    assert arrived.reason == kind.reason
    assert CANARY not in str(arrived)
    assert str(arrived)


def test_what_was_wrong_with_a_picture_arrives() -> None:
    arrived = over_the_wire(errors.QualityError(CANARY, ("blurred", "too_dark")))
    assert isinstance(arrived, errors.QualityError)
    assert arrived.reasons == ("blurred", "too_dark")


def test_how_many_people_are_missing_arrives() -> None:
    arrived = over_the_wire(errors.InsufficientCalibrationError(comparisons=29, people=3))
    assert isinstance(arrived, errors.InsufficientCalibrationError)
    assert (arrived.comparisons, arrived.people) == (29, 3)


@pytest.mark.parametrize("bug", [ValueError(CANARY), KeyError(CANARY), RecursionError(CANARY)])
def test_a_bug_arrives_as_a_hint_at_the_sites_log(bug: Exception) -> None:
    arrived = over_the_wire(bug)
    assert isinstance(arrived, errors.DeploymentError)
    assert "log" in str(arrived)


@pytest.mark.parametrize("code", sorted(grpc.StatusCode, key=lambda code: code.name))
def test_whatever_a_strange_server_says_is_an_error_of_ours(code: grpc.StatusCode) -> None:
    strange: list[Any] = [(), (("reason", CANARY),), (("reason", b"\xff"),)]
    strange += [(("reason", "QUALITY_TOO_LOW"), ("quality", f"{CANARY},blurred,,"))]
    strange += [(("reason", "INSUFFICIENT_CALIBRATION"), ("missing", f"1 {CANARY}"))]
    for told in strange:
        arrived = refused(Aborted(code, told))
        assert isinstance(arrived, errors.MascaronError)
        assert CANARY not in str(arrived)


def test_a_reason_has_one_status() -> None:
    assert not set(STATUS) & set(DOOR)
    assert all(status_of(reason) is code for reason, code in (STATUS | DOOR).items())
    assert status_of("SOMETHING_NEW") is grpc.StatusCode.INTERNAL
