"""The RPCs at the door: who asks, what they ask, what they are told. No logic, no text of a bug.

Guarantee: every call names its caller before anything of it is looked at; what leaves is a
decision, a band, an id, or a word of our own. No score, feature, rate or count is in any message
there is.
"""

import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc

from client.door import messages as m
from client.door.callers import Caller
from client.door.proofs import Proof
from client.door.thresholds import Band
from client.serving.answers import answers
from common.errors import UnknownPersonError, WireError
from common.models.tail_file import parse_tail
from protos.gen import recognition_pb2 as pb
from protos.gen import recognition_pb2_grpc as rpc

if TYPE_CHECKING:
    from client.door.reception import Reception

Asked = Callable[[Any, Caller, Any], Any]
Call = Callable[[Any, Any, grpc.ServicerContext], Any]


def _asked(method: Asked) -> Call:
    """``method`` is called with who asks, once both are known to be right."""

    @answers
    @functools.wraps(method)
    def call(self: "RecognitionService", request: Any, context: grpc.ServicerContext) -> Any:
        caller = self.proof(context)
        m.check(request)
        return method(self, caller, request)

    return call


class RecognitionService(rpc.RecognitionServicer):
    """Implements protos/recognition.proto for those whom ``proof`` knows."""

    def __init__(self, reception: "Reception", proof: Proof) -> None:
        self._reception, self.proof = reception, proof

    @_asked
    def BeginEnrol(  # noqa: N802
        self, caller: Caller, request: pb.BeginEnrolRequest
    ) -> pb.BeginEnrolResponse:
        begun = self._reception.begin(caller, *m.enrolment_of(request))
        return pb.BeginEnrolResponse(session=begun)

    @_asked
    def AddPicture(  # noqa: N802
        self, caller: Caller, request: pb.AddPictureRequest
    ) -> pb.AddPictureResponse:
        session, picture = m.handle_of(request.session), m.picture_of(request.picture)
        looked = self._reception.look(caller, session, picture, m.labels_of(request.labels))
        return pb.AddPictureResponse(
            accepted=looked.accepted, reasons=looked.reasons, pictures=looked.pictures
        )

    @_asked
    def CommitEnrol(  # noqa: N802
        self, caller: Caller, request: pb.CommitEnrolRequest
    ) -> pb.CommitEnrolResponse:
        session = m.handle_of(request.session)
        enrolled = self._reception.commit(
            caller, session, despite_duplicate=request.despite_duplicate
        )
        return pb.CommitEnrolResponse(person=enrolled.person, unchecked=not enrolled.checked)

    @_asked
    def AbortEnrol(  # noqa: N802
        self, caller: Caller, request: pb.AbortEnrolRequest
    ) -> pb.AbortEnrolResponse:
        self._reception.abort(caller, m.handle_of(request.session))
        return pb.AbortEnrolResponse()

    @_asked
    def Verify(self, caller: Caller, request: pb.VerifyRequest) -> pb.VerifyResponse:  # noqa: N802
        person, picture = m.person_of(request.person), m.picture_of(request.picture)
        try:
            band = self._reception.verify(caller, person, picture)
        except UnknownPersonError:  # erased while they were looked for: as a stranger
            band = Band.NO
        return pb.VerifyResponse(band=m.BANDS[band])

    @_asked
    def Identify(  # noqa: N802
        self, caller: Caller, request: pb.IdentifyRequest
    ) -> pb.IdentifyResponse:
        picture, top = m.picture_of(request.picture), m.number_of(request.top, m.MOST_TOP)
        return m.identified(self._reception.identify(caller, picture, top))

    @_asked
    def Review(self, caller: Caller, request: pb.TicketRequest) -> pb.IdentifyResponse:  # noqa: N802
        return m.identified(self._reception.review(caller, m.handle_of(request.ticket)))

    @_asked
    def Confirm(self, caller: Caller, request: pb.ConfirmRequest) -> pb.ConfirmResponse:  # noqa: N802
        person = m.person_of(request.person) if request.person else None
        self._reception.confirm(caller, m.handle_of(request.ticket), person)
        return pb.ConfirmResponse()

    @_asked
    def Outcome(self, caller: Caller, request: pb.TicketRequest) -> pb.IdentifyResponse:  # noqa: N802
        return m.identified(self._reception.outcome(caller, m.handle_of(request.ticket)))

    @_asked
    def Describe(  # noqa: N802
        self, caller: Caller, request: pb.DescribeRequest
    ) -> pb.DescribeResponse:
        picture, language = m.picture_of(request.picture), m.language_of(request.language)
        return m.described(self._reception.describe(caller, picture, language))

    @_asked
    def Search(self, caller: Caller, request: pb.SearchRequest) -> pb.SearchResponse:  # noqa: N802
        query, top = m.query_of(request.query), m.number_of(request.top, m.MOST_LOOKING)
        return m.looking(self._reception.search(caller, query, top))

    @_asked
    def Erase(self, caller: Caller, request: pb.EraseRequest) -> pb.EraseResponse:  # noqa: N802
        receipt = self._reception.erase(caller, m.persons_of(request.persons))
        return pb.EraseResponse(receipt=receipt.to_json())

    @_asked
    def Export(self, caller: Caller, request: pb.ExportRequest) -> pb.ExportResponse:  # noqa: N802
        record = self._reception.export(caller, m.person_of(request.person))
        return pb.ExportResponse(record=json.dumps(record, sort_keys=True))

    @_asked
    def Renew(self, caller: Caller, request: pb.RenewRequest) -> pb.RenewResponse:  # noqa: N802
        person, consent = m.person_of(request.person), m.consent_of(request.consent)
        self._reception.renew(caller, person, consent)
        return pb.RenewResponse()

    @_asked
    def Relabel(  # noqa: N802
        self, caller: Caller, request: pb.RelabelRequest
    ) -> pb.RelabelResponse:
        person, label = m.person_of(request.person), m.label_of(request.label)
        self._reception.relabel(caller, person, label)
        return pb.RelabelResponse()

    @_asked
    def SetLabels(  # noqa: N802
        self, caller: Caller, request: pb.SetLabelsRequest
    ) -> pb.SetLabelsResponse:
        person, told = m.person_of(request.person), m.labels_of(request.labels)
        self._reception.set_labels(caller, person, told)
        return pb.SetLabelsResponse()

    @_asked
    def List(self, caller: Caller, request: pb.ListRequest) -> pb.ListResponse:  # noqa: N802
        after = m.person_of(request.after) if request.after else b""
        most = m.number_of(request.most, m.MOST_LISTED)
        return m.listed(self._reception.people(caller, after, most))

    @_asked
    def Calibrate(  # noqa: N802
        self, caller: Caller, request: pb.CalibrateRequest
    ) -> pb.CalibrateResponse:
        told = self._reception.calibrate(caller, m.target_of(request.fmr, request.fpir))
        return pb.CalibrateResponse(
            release=told.release, fmr=told.fmr, fpir=told.fpir or 0.0, made=told.made
        )

    @_asked
    def StageRelease(  # noqa: N802
        self, caller: Caller, request: pb.StageReleaseRequest
    ) -> pb.ReleaseResponse:
        if bool(request.tail) == bool(request.signed):
            raise WireError("either a tail or a signed release is staged")
        if request.signed:
            self._reception.stage_signed(caller, request.signed)
        else:
            self._reception.stage(caller, *parse_tail(request.tail, "the release"))
        return m.standing(self._reception.status(caller))

    @_asked
    def PromoteRelease(  # noqa: N802
        self, caller: Caller, request: pb.ReleaseRequest
    ) -> pb.ReleaseResponse:
        self._reception.promote(caller)
        return m.standing(self._reception.status(caller))

    @_asked
    def RollbackRelease(  # noqa: N802
        self, caller: Caller, request: pb.ReleaseRequest
    ) -> pb.ReleaseResponse:
        self._reception.rollback(caller)
        return m.standing(self._reception.status(caller))

    @_asked
    def UnstageRelease(  # noqa: N802
        self, caller: Caller, request: pb.ReleaseRequest
    ) -> pb.ReleaseResponse:
        self._reception.unstage(caller)
        return m.standing(self._reception.status(caller))

    @_asked
    def RetireTrunk(  # noqa: N802
        self, caller: Caller, request: pb.ReleaseRequest
    ) -> pb.ReleaseResponse:
        self._reception.retire(caller)
        return m.standing(self._reception.status(caller))

    @_asked
    def Status(self, caller: Caller, request: pb.ReleaseRequest) -> pb.ReleaseResponse:  # noqa: N802
        return m.standing(self._reception.status(caller))

    @_asked
    def AuditHead(  # noqa: N802
        self, caller: Caller, request: pb.AuditHeadRequest
    ) -> pb.AuditHeadResponse:
        head = self._reception.audit_head(caller)
        return pb.AuditHeadResponse(
            index=head.index, hash=head.hash, signature=head.signature, at=head.at
        )

    @_asked
    def AuditRows(  # noqa: N802
        self, caller: Caller, request: pb.AuditRowsRequest
    ) -> pb.AuditRowsResponse:
        most = m.number_of(request.most, m.MOST_ROWS)
        return m.rows(self._reception.audit_rows(caller, m.index_of(request.after), most))

    @_asked
    def Rotate(self, caller: Caller, request: pb.RotateRequest) -> pb.RotateResponse:  # noqa: N802
        self._reception.rotate(caller)
        return pb.RotateResponse()
