from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Band(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BAND_UNSPECIFIED: _ClassVar[Band]
    BAND_MATCH: _ClassVar[Band]
    BAND_NEAR: _ClassVar[Band]
    BAND_NO: _ClassVar[Band]

class Standing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STANDING_UNSPECIFIED: _ClassVar[Standing]
    STANDING_CONFIRMED: _ClassVar[Standing]
    STANDING_PENDING: _ClassVar[Standing]
    STANDING_UNKNOWN: _ClassVar[Standing]

class Sureness(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SURENESS_UNSPECIFIED: _ClassVar[Sureness]
    SURENESS_PROBABLE: _ClassVar[Sureness]
    SURENESS_LIKELY: _ClassVar[Sureness]
    SURENESS_CERTAIN: _ClassVar[Sureness]
BAND_UNSPECIFIED: Band
BAND_MATCH: Band
BAND_NEAR: Band
BAND_NO: Band
STANDING_UNSPECIFIED: Standing
STANDING_CONFIRMED: Standing
STANDING_PENDING: Standing
STANDING_UNKNOWN: Standing
SURENESS_UNSPECIFIED: Sureness
SURENESS_PROBABLE: Sureness
SURENESS_LIKELY: Sureness
SURENESS_CERTAIN: Sureness

class Consent(_message.Message):
    __slots__ = ("purposes", "text_hash", "given", "expires")
    PURPOSES_FIELD_NUMBER: _ClassVar[int]
    TEXT_HASH_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    purposes: _containers.RepeatedScalarFieldContainer[str]
    text_hash: str
    given: float
    expires: float
    def __init__(self, purposes: _Optional[_Iterable[str]] = ..., text_hash: _Optional[str] = ..., given: _Optional[float] = ..., expires: _Optional[float] = ...) -> None: ...

class BeginEnrolRequest(_message.Message):
    __slots__ = ("protocol", "consent", "label", "person", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    consent: Consent
    label: str
    person: bytes
    request: str
    def __init__(self, protocol: _Optional[int] = ..., consent: _Optional[_Union[Consent, _Mapping]] = ..., label: _Optional[str] = ..., person: _Optional[bytes] = ..., request: _Optional[str] = ...) -> None: ...

class BeginEnrolResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: bytes
    def __init__(self, session: _Optional[bytes] = ...) -> None: ...

class AddPictureRequest(_message.Message):
    __slots__ = ("protocol", "session", "picture", "labels", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    session: bytes
    picture: bytes
    labels: Labels
    request: str
    def __init__(self, protocol: _Optional[int] = ..., session: _Optional[bytes] = ..., picture: _Optional[bytes] = ..., labels: _Optional[_Union[Labels, _Mapping]] = ..., request: _Optional[str] = ...) -> None: ...

class Labels(_message.Message):
    __slots__ = ("shown", "age")
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    shown: _containers.RepeatedCompositeFieldContainer[Label]
    age: int
    def __init__(self, shown: _Optional[_Iterable[_Union[Label, _Mapping]]] = ..., age: _Optional[int] = ...) -> None: ...

class Label(_message.Message):
    __slots__ = ("name", "present")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    present: bool
    def __init__(self, name: _Optional[str] = ..., present: _Optional[bool] = ...) -> None: ...

class AddPictureResponse(_message.Message):
    __slots__ = ("accepted", "reasons", "pictures")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    reasons: _containers.RepeatedScalarFieldContainer[str]
    pictures: int
    def __init__(self, accepted: _Optional[bool] = ..., reasons: _Optional[_Iterable[str]] = ..., pictures: _Optional[int] = ...) -> None: ...

class CommitEnrolRequest(_message.Message):
    __slots__ = ("protocol", "session", "despite_duplicate", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    DESPITE_DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    session: bytes
    despite_duplicate: bool
    request: str
    def __init__(self, protocol: _Optional[int] = ..., session: _Optional[bytes] = ..., despite_duplicate: _Optional[bool] = ..., request: _Optional[str] = ...) -> None: ...

class CommitEnrolResponse(_message.Message):
    __slots__ = ("person", "unchecked")
    PERSON_FIELD_NUMBER: _ClassVar[int]
    UNCHECKED_FIELD_NUMBER: _ClassVar[int]
    person: bytes
    unchecked: bool
    def __init__(self, person: _Optional[bytes] = ..., unchecked: _Optional[bool] = ...) -> None: ...

class AbortEnrolRequest(_message.Message):
    __slots__ = ("protocol", "session", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    session: bytes
    request: str
    def __init__(self, protocol: _Optional[int] = ..., session: _Optional[bytes] = ..., request: _Optional[str] = ...) -> None: ...

class AbortEnrolResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("protocol", "person", "picture", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    person: bytes
    picture: bytes
    request: str
    def __init__(self, protocol: _Optional[int] = ..., person: _Optional[bytes] = ..., picture: _Optional[bytes] = ..., request: _Optional[str] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("band",)
    BAND_FIELD_NUMBER: _ClassVar[int]
    band: Band
    def __init__(self, band: _Optional[_Union[Band, str]] = ...) -> None: ...

class IdentifyRequest(_message.Message):
    __slots__ = ("protocol", "picture", "top", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    picture: bytes
    top: int
    request: str
    def __init__(self, protocol: _Optional[int] = ..., picture: _Optional[bytes] = ..., top: _Optional[int] = ..., request: _Optional[str] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("person", "band", "label")
    PERSON_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    person: bytes
    band: Band
    label: str
    def __init__(self, person: _Optional[bytes] = ..., band: _Optional[_Union[Band, str]] = ..., label: _Optional[str] = ...) -> None: ...

class IdentifyResponse(_message.Message):
    __slots__ = ("ticket", "standing", "candidates")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    ticket: bytes
    standing: Standing
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    def __init__(self, ticket: _Optional[bytes] = ..., standing: _Optional[_Union[Standing, str]] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ...) -> None: ...

class TicketRequest(_message.Message):
    __slots__ = ("protocol", "ticket", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    ticket: bytes
    request: str
    def __init__(self, protocol: _Optional[int] = ..., ticket: _Optional[bytes] = ..., request: _Optional[str] = ...) -> None: ...

class ConfirmRequest(_message.Message):
    __slots__ = ("protocol", "ticket", "person", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    ticket: bytes
    person: bytes
    request: str
    def __init__(self, protocol: _Optional[int] = ..., ticket: _Optional[bytes] = ..., person: _Optional[bytes] = ..., request: _Optional[str] = ...) -> None: ...

class ConfirmResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ("protocol", "picture", "language", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    picture: bytes
    language: str
    request: str
    def __init__(self, protocol: _Optional[int] = ..., picture: _Optional[bytes] = ..., language: _Optional[str] = ..., request: _Optional[str] = ...) -> None: ...

class Said(_message.Message):
    __slots__ = ("name", "present", "sureness")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    SURENESS_FIELD_NUMBER: _ClassVar[int]
    name: str
    present: bool
    sureness: Sureness
    def __init__(self, name: _Optional[str] = ..., present: _Optional[bool] = ..., sureness: _Optional[_Union[Sureness, str]] = ...) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("sentence", "said")
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    SAID_FIELD_NUMBER: _ClassVar[int]
    sentence: str
    said: _containers.RepeatedCompositeFieldContainer[Said]
    def __init__(self, sentence: _Optional[str] = ..., said: _Optional[_Iterable[_Union[Said, _Mapping]]] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("protocol", "query", "top", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    query: str
    top: int
    request: str
    def __init__(self, protocol: _Optional[int] = ..., query: _Optional[str] = ..., top: _Optional[int] = ..., request: _Optional[str] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("candidates", "unasked")
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    UNASKED_FIELD_NUMBER: _ClassVar[int]
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    unasked: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., unasked: _Optional[_Iterable[str]] = ...) -> None: ...

class EraseRequest(_message.Message):
    __slots__ = ("protocol", "persons", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PERSONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    persons: _containers.RepeatedScalarFieldContainer[bytes]
    request: str
    def __init__(self, protocol: _Optional[int] = ..., persons: _Optional[_Iterable[bytes]] = ..., request: _Optional[str] = ...) -> None: ...

class EraseResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: str
    def __init__(self, receipt: _Optional[str] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("protocol", "person", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    person: bytes
    request: str
    def __init__(self, protocol: _Optional[int] = ..., person: _Optional[bytes] = ..., request: _Optional[str] = ...) -> None: ...

class ExportResponse(_message.Message):
    __slots__ = ("record",)
    RECORD_FIELD_NUMBER: _ClassVar[int]
    record: str
    def __init__(self, record: _Optional[str] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("protocol", "person", "consent", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    person: bytes
    consent: Consent
    request: str
    def __init__(self, protocol: _Optional[int] = ..., person: _Optional[bytes] = ..., consent: _Optional[_Union[Consent, _Mapping]] = ..., request: _Optional[str] = ...) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RelabelRequest(_message.Message):
    __slots__ = ("protocol", "person", "label", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    person: bytes
    label: str
    request: str
    def __init__(self, protocol: _Optional[int] = ..., person: _Optional[bytes] = ..., label: _Optional[str] = ..., request: _Optional[str] = ...) -> None: ...

class RelabelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetLabelsRequest(_message.Message):
    __slots__ = ("protocol", "person", "labels", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    person: bytes
    labels: Labels
    request: str
    def __init__(self, protocol: _Optional[int] = ..., person: _Optional[bytes] = ..., labels: _Optional[_Union[Labels, _Mapping]] = ..., request: _Optional[str] = ...) -> None: ...

class SetLabelsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("protocol", "after", "most", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    after: bytes
    most: int
    request: str
    def __init__(self, protocol: _Optional[int] = ..., after: _Optional[bytes] = ..., most: _Optional[int] = ..., request: _Optional[str] = ...) -> None: ...

class Listed(_message.Message):
    __slots__ = ("person", "label", "expires", "templates", "trunks")
    PERSON_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    TRUNKS_FIELD_NUMBER: _ClassVar[int]
    person: bytes
    label: str
    expires: float
    templates: int
    trunks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, person: _Optional[bytes] = ..., label: _Optional[str] = ..., expires: _Optional[float] = ..., templates: _Optional[int] = ..., trunks: _Optional[_Iterable[str]] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("people",)
    PEOPLE_FIELD_NUMBER: _ClassVar[int]
    people: _containers.RepeatedCompositeFieldContainer[Listed]
    def __init__(self, people: _Optional[_Iterable[_Union[Listed, _Mapping]]] = ...) -> None: ...

class CalibrateRequest(_message.Message):
    __slots__ = ("protocol", "fmr", "fpir", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    FMR_FIELD_NUMBER: _ClassVar[int]
    FPIR_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    fmr: float
    fpir: float
    request: str
    def __init__(self, protocol: _Optional[int] = ..., fmr: _Optional[float] = ..., fpir: _Optional[float] = ..., request: _Optional[str] = ...) -> None: ...

class CalibrateResponse(_message.Message):
    __slots__ = ("release", "fmr", "fpir", "made")
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    FMR_FIELD_NUMBER: _ClassVar[int]
    FPIR_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    release: str
    fmr: float
    fpir: float
    made: float
    def __init__(self, release: _Optional[str] = ..., fmr: _Optional[float] = ..., fpir: _Optional[float] = ..., made: _Optional[float] = ...) -> None: ...

class StageReleaseRequest(_message.Message):
    __slots__ = ("protocol", "tail", "signed", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    tail: bytes
    signed: bytes
    request: str
    def __init__(self, protocol: _Optional[int] = ..., tail: _Optional[bytes] = ..., signed: _Optional[bytes] = ..., request: _Optional[str] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("protocol", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    request: str
    def __init__(self, protocol: _Optional[int] = ..., request: _Optional[str] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("active", "staged", "probes")
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    STAGED_FIELD_NUMBER: _ClassVar[int]
    PROBES_FIELD_NUMBER: _ClassVar[int]
    active: Band
    staged: Band
    probes: int
    def __init__(self, active: _Optional[_Union[Band, str]] = ..., staged: _Optional[_Union[Band, str]] = ..., probes: _Optional[int] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("active", "staged", "previous", "calibrated", "outgrown", "alike", "probes", "progress", "staged_calibrated", "changes", "active_heads", "staged_heads", "previous_heads", "heads", "kinds")
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    STAGED_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATED_FIELD_NUMBER: _ClassVar[int]
    OUTGROWN_FIELD_NUMBER: _ClassVar[int]
    ALIKE_FIELD_NUMBER: _ClassVar[int]
    PROBES_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    STAGED_CALIBRATED_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_HEADS_FIELD_NUMBER: _ClassVar[int]
    STAGED_HEADS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HEADS_FIELD_NUMBER: _ClassVar[int]
    HEADS_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    active: str
    staged: str
    previous: str
    calibrated: bool
    outgrown: bool
    alike: float
    probes: int
    progress: float
    staged_calibrated: bool
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    active_heads: str
    staged_heads: str
    previous_heads: str
    heads: str
    kinds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, active: _Optional[str] = ..., staged: _Optional[str] = ..., previous: _Optional[str] = ..., calibrated: _Optional[bool] = ..., outgrown: _Optional[bool] = ..., alike: _Optional[float] = ..., probes: _Optional[int] = ..., progress: _Optional[float] = ..., staged_calibrated: _Optional[bool] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., active_heads: _Optional[str] = ..., staged_heads: _Optional[str] = ..., previous_heads: _Optional[str] = ..., heads: _Optional[str] = ..., kinds: _Optional[_Iterable[str]] = ...) -> None: ...

class AuditHeadRequest(_message.Message):
    __slots__ = ("protocol", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    request: str
    def __init__(self, protocol: _Optional[int] = ..., request: _Optional[str] = ...) -> None: ...

class AuditHeadResponse(_message.Message):
    __slots__ = ("index", "hash", "signature", "at")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    index: int
    hash: bytes
    signature: bytes
    at: float
    def __init__(self, index: _Optional[int] = ..., hash: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., at: _Optional[float] = ...) -> None: ...

class AuditRowsRequest(_message.Message):
    __slots__ = ("protocol", "after", "most", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    after: int
    most: int
    request: str
    def __init__(self, protocol: _Optional[int] = ..., after: _Optional[int] = ..., most: _Optional[int] = ..., request: _Optional[str] = ...) -> None: ...

class AuditRow(_message.Message):
    __slots__ = ("index", "kind", "began", "ended", "reference", "subject", "input", "outcome", "actors", "signature")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BEGAN_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ACTORS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    index: int
    kind: str
    began: float
    ended: float
    reference: str
    subject: bytes
    input: bytes
    outcome: str
    actors: _containers.RepeatedScalarFieldContainer[bytes]
    signature: bytes
    def __init__(self, index: _Optional[int] = ..., kind: _Optional[str] = ..., began: _Optional[float] = ..., ended: _Optional[float] = ..., reference: _Optional[str] = ..., subject: _Optional[bytes] = ..., input: _Optional[bytes] = ..., outcome: _Optional[str] = ..., actors: _Optional[_Iterable[bytes]] = ..., signature: _Optional[bytes] = ...) -> None: ...

class AuditRowsResponse(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[AuditRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[AuditRow, _Mapping]]] = ...) -> None: ...

class RotateRequest(_message.Message):
    __slots__ = ("protocol", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    request: str
    def __init__(self, protocol: _Optional[int] = ..., request: _Optional[str] = ...) -> None: ...

class RotateResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
