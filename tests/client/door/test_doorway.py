"""A door from the other side: what programs ask, what they are told, and what they never are."""

import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from client.door.answers import Identification
from client.door.callers import Role
from client.door.main import LARGE, MOST, REQUESTS, SERVICE, SMALL
from client.door.proofs import TOKEN
from client.door.service import RecognitionService
from client.door.thresholds import Band
from client.recognition import Recognition
from client.serving.statuses import DOOR, STATUS
from common import errors, wire
from common.models.tail_file import tail_bytes
from common.trust.signed import Signed
from protos.gen import recognition_pb2 as pb
from tests.small_doorway import Doorway, doorway
from tests.small_reception import RULES, picture
from tests.small_releases import TRUNK, tail_of
from tests.small_vault import NOW, consent, person

FOUR_EYES = dataclasses.replace(RULES, four_eyes=True)
NOBODY = person(99)
CANARY = "canary 4711"


@pytest.fixture
def way(quick_path: Path) -> Iterator[Doorway]:
    with doorway(quick_path) as made:
        yield made


def enrolled(door: Recognition, number: int, label: str = "") -> bytes:
    session = door.begin(consent(), label)
    for view in (3, 4, 5):
        assert door.add(session, picture(number, view)).accepted
    return door.commit(session).person


def reason(call: Callable[[], Any]) -> str:
    with pytest.raises(errors.MascaronError) as caught:
        call()
    return caught.value.reason


def test_a_person_comes_is_known_and_goes(way: Doorway) -> None:
    with way.at() as door:
        who = enrolled(door, 40, CANARY)
        assert door.verify(who, picture(40, 8)) is Band.MATCH
        assert door.verify(who, picture(41, 8)) is Band.NO
        found = door.identify(picture(40, 8), top=5)
        assert (found.state, found.persons[0]) == ("confirmed", (who, Band.MATCH))
        assert [one.label for one in door.people() if one.person == who] == [CANARY]
        assert door.export(who)["templates"] == 3
        receipt = Signed.from_json(door.erase([who]))
        assert who.hex() not in receipt.content
        assert door.verify(who, picture(40, 8)) is Band.NO
        assert door.identify(picture(40, 8)).state == "unknown"
        assert reason(lambda: door.export(who)) == "UNKNOWN_PERSON"


def test_a_person_comes_again_and_nobody_else_does(way: Doorway) -> None:
    with way.at() as door:
        who = enrolled(door, 40, CANARY)
        session = door.begin(person=who)
        for view in (6, 7, 8):
            assert door.add(session, picture(40, view)).accepted
        assert door.commit(session).person == who
        assert (door.export(who)["templates"], door.export(who)["label"]) == (6, CANARY)
        door.erase([who])
        for gone, face in ((who, 40), (NOBODY, 40), (person(3), 50)):
            session = door.begin(person=gone)
            looked = door.add(session, picture(face, 6))
            assert (looked.accepted, looked.reasons) == (False, ("unlike_the_person",))
        for wrong in ({"label": "x"}, {"consent": consent()}):
            assert reason(lambda wrong=wrong: door.begin(**wrong, person=who)) == "INVALID_REQUEST"
        assert reason(lambda: door.begin(person=b"short")) == "INVALID_REQUEST"
        assert reason(lambda: door.begin()) == "CONSENT_MISSING"


def test_who_never_was_and_who_was_erased_are_refused_alike(way: Doorway) -> None:
    told = []
    with way.at() as door:
        who = enrolled(door, 40)
        door.erase([who])
        for gone in (who, NOBODY):
            for call in (door.export, lambda one: door.erase([one])):
                with pytest.raises(errors.UnknownPersonError) as caught:
                    call(gone)
                told.append(str(caught.value))
        assert len(set(told)) == 1
        assert door.verify(NOBODY, picture(40, 8)) is Band.NO


def test_a_picture_that_is_refused_is_refused_with_its_reasons(way: Doorway) -> None:
    with way.at() as door:
        session = door.begin(consent())
        looked = door.add(session, b"blurred")
        assert (looked.accepted, looked.reasons, looked.pictures) == (False, ("blurred",), 0)
        with pytest.raises(errors.QualityError, match="blurred") as caught:
            door.verify(person(1), b"blurred")
        assert caught.value.reasons == ("blurred",)
        door.abort(session)
        assert reason(lambda: door.add(session, picture(1))) == "SESSION_UNKNOWN"


def test_somebody_who_looks_enrolled_is_enrolled_again_only_if_a_human_insists(
    way: Doorway,
) -> None:
    with way.at() as door:
        session = door.begin(consent())
        for view in (3, 4, 5):
            door.add(session, picture(1, view))
        assert reason(lambda: door.commit(session)) == "DUPLICATE_PERSON"
        made = door.commit(session, despite_duplicate=True)
        assert made.checked


def test_two_humans_confirm_before_anybody_is_named(quick_path: Path) -> None:
    with doorway(quick_path, FOUR_EYES) as way:
        camera, *guards = (
            way.at(way.token(name, role))
            for name, role in (
                ("camera", Role.IDENTIFY),
                ("guard-1", Role.CONFIRM),
                ("guard-2", Role.CONFIRM),
            )
        )
        asked = camera.identify(picture(2, 8))
        assert asked == Identification(ticket=asked.ticket, state="pending")
        for guard in guards:
            assert camera.outcome(asked.ticket).state == "pending"
            shown = guard.review(asked.ticket)
            assert (shown.persons[0], shown.labels[0]) == ((person(2), Band.MATCH), "L2")
            guard.confirm(asked.ticket, person(2))
        told = camera.outcome(asked.ticket)
        assert (told.state, told.persons) == ("confirmed", ((person(2), Band.MATCH),))
        assert set(told.labels) == {""}  # the camera is told no label
        for one in (camera, *guards):
            one.close()


def test_a_release_is_staged_promoted_and_sent_back(way: Doorway) -> None:
    with way.at() as door:
        first = door.status().active
        staged = door.stage(tail_bytes(tail_of(2), TRUNK))
        assert (staged.active, staged.staged) == (first, tail_of(2).hash)
        assert staged.staged_calibrated
        door.verify(person(1), picture(1, 8))
        assert door.status().probes == 1
        assert door.promote().active == tail_of(2).hash
        assert door.rollback().active == first
        door.stage(tail_bytes(tail_of(2), TRUNK))
        assert door.unstage().staged == ""
        assert reason(lambda: door.stage(b"no tail")) == "MODEL_INVALID"


def test_calibrating_tells_what_was_asked_for_and_how_many_people_are_missing(
    way: Doorway,
) -> None:
    with way.at() as door:
        told = door.calibrate(0.05, 0.2)
        assert (told.fmr, told.fpir, told.made) == (0.05, 0.2, NOW)
        with pytest.raises(errors.InsufficientCalibrationError) as caught:
            door.calibrate(1e-6)
        assert caught.value.people > 0
        assert f"{caught.value.comparisons:,} comparisons are missing" in str(caught.value)
        assert reason(lambda: door.calibrate(0.9)) == "INVALID_REQUEST"


def test_rows_of_the_log_and_its_signed_end_are_told_to_who_may_read_them(way: Doorway) -> None:
    with way.at() as door:
        door.verify(person(1), picture(1, 8))
        head, rows = door.audit_head(), door.audit_rows()
        assert (rows[-1].kind, rows[-1].outcome) == ("verify", "match")
        assert head.index == rows[-1].index
        assert person(1) not in rows[-1].SerializeToString()
        door.rotate()
        assert door.audit_rows(head.index + 1)[-1].kind == "rotate"
        door.renew(person(1), consent("verify"))
        door.relabel(person(1), "another")
        assert door.export(person(1))["purposes"] == ["verify"]


def test_everybody_is_listed_page_by_page(way: Doorway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.recognition.PAGE", 5)
    with way.at() as door:
        assert [one.person for one in door.people()] == [person(n) for n in range(1, 13)]


@pytest.mark.parametrize("token", ["", "wrong", "x" * 5000])
def test_nothing_is_answered_without_the_token_of_a_caller(way: Doorway, token: str) -> None:
    with way.at(token) as door:
        for call in (door.status, lambda: door.verify(person(1), picture(1))):
            assert reason(call) == "CALLER_UNKNOWN"


def test_two_tokens_are_none(way: Doorway) -> None:
    with grpc.insecure_channel(f"unix://{way.socket}") as channel:
        call = channel.unary_unary(f"/{SERVICE}/Status")
        raw = pb.ReleaseRequest(protocol=wire.PROTOCOL).SerializeToString()
        good = (TOKEN, way.everything)
        call(raw, metadata=(good,), timeout=10)
        with pytest.raises(grpc.RpcError) as caught:
            call(raw, metadata=(good, good), timeout=10)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_caller_who_is_removed_is_refused_at_once(way: Doorway) -> None:
    with way.at(way.token("gate", Role.VERIFY)) as door:
        assert door.verify(person(1), picture(1, 8)) is Band.MATCH
        assert reason(door.status) == "ROLE_REFUSED"
        way.book.remove("gate")
        assert reason(lambda: door.verify(person(1), picture(1, 8))) == "CALLER_UNKNOWN"


def test_a_query_budget_ends(way: Doorway) -> None:
    with way.at(way.token("gate", Role.VERIFY, hourly=2)) as door:
        for _ in range(2):
            door.verify(person(1), picture(1, 8))
        assert reason(lambda: door.verify(person(1), picture(1, 8))) == "QUERY_BUDGET_EXHAUSTED"


def test_nobody_answers_where_there_is_no_door(tmp_path: Path) -> None:
    door = Recognition.at(tmp_path / "none.sock", "token")
    with door, pytest.raises(errors.DeploymentError, match="mascaron-site serve"):
        door.status()


@pytest.mark.parametrize("method", sorted(REQUESTS))
def test_a_message_that_is_too_large_is_refused(way: Doorway, method: str) -> None:
    most = MOST if method in LARGE else SMALL
    with grpc.insecure_channel(f"unix://{way.socket}") as channel:
        call = channel.unary_unary(f"/{SERVICE}/{method}")
        with pytest.raises(grpc.RpcError) as caught:
            call(bytes(most + 1), metadata=((TOKEN, way.everything),), timeout=30)
    large = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.code() == (large if method in LARGE else grpc.StatusCode.INVALID_ARGUMENT)


class Failing:
    """A reception that does nothing but fail."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> Any:
            raise self.error

        return fail


class Context:
    """What a method uses of a ``grpc.ServicerContext``."""

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.told = dict(metadata)

    def abort(self, code: grpc.StatusCode, details: str) -> Any:
        self.code, self.details = code, details
        raise grpc.RpcError


def asked(error: BaseException, method: str = "Verify") -> Context:
    service = RecognitionService(Failing(error), lambda context: None)  # type: ignore[arg-type]
    request = pb.VerifyRequest(protocol=wire.PROTOCOL, person=person(1), picture=b"1 1")
    context = Context()
    with pytest.raises(grpc.RpcError):
        service.Verify(request, context)
    return context


def test_the_text_of_a_bug_is_neither_told_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for bug in (ValueError(CANARY), KeyError(CANARY), MemoryError(CANARY), OSError(CANARY)):
        context = asked(bug)
        assert (context.code, context.told) == (grpc.StatusCode.INTERNAL, {"reason": "INTERNAL"})
        assert CANARY not in context.details
    assert CANARY not in caplog.text


def test_messages_of_errors_stay_at_the_site(caplog: pytest.LogCaptureFixture) -> None:
    context = asked(errors.VaultError(CANARY))
    assert (context.code, context.details) == (grpc.StatusCode.DATA_LOSS, "VAULT_CORRUPT")
    assert CANARY not in caplog.text + str(context.told)


def test_somebody_erased_while_they_are_verified_is_a_stranger() -> None:
    service = RecognitionService(
        Failing(errors.UnknownPersonError("")),  # type: ignore[arg-type]
        lambda context: None,  # type: ignore[arg-type, return-value]
    )
    request = pb.VerifyRequest(protocol=wire.PROTOCOL, person=person(1), picture=b"1 1")
    assert service.Verify(request, Context()).band == pb.BAND_NO


def test_no_reason_of_the_door_is_one_that_may_cross_to_the_centre() -> None:
    assert not set(DOOR) & (set(STATUS) | wire.REASONS)


def test_no_message_has_a_place_for_a_score_or_a_vector() -> None:
    numbers = {"double", "float"}
    found = {
        f"{message.name}.{field.name}"
        for message in pb.DESCRIPTOR.message_types_by_name.values()
        if message.name.endswith("Response") or message.name in {"Candidate", "Listed", "AuditRow"}
        for field in message.fields
        if {1: "double", 2: "float"}.get(field.type) in numbers
    }
    assert found == {
        "Listed.expires",
        "CalibrateResponse.fmr",
        "CalibrateResponse.fpir",
        "CalibrateResponse.made",
        "ReleaseResponse.alike",
        "ReleaseResponse.progress",
        "AuditHeadResponse.at",
        "AuditRow.began",
        "AuditRow.ended",
    }
