from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_IDLE: _ClassVar[State]
    STATE_WORKING: _ClassVar[State]
    STATE_DRAINING: _ClassVar[State]
    STATE_REFUSING: _ClassVar[State]
STATE_UNSPECIFIED: State
STATE_IDLE: State
STATE_WORKING: State
STATE_DRAINING: State
STATE_REFUSING: State

class Tensor(_message.Message):
    __slots__ = ("name", "dtype", "shape", "data")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    dtype: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, name: _Optional[str] = ..., dtype: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ("protocol", "challenge", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    challenge: bytes
    request: str
    def __init__(self, protocol: _Optional[int] = ..., challenge: _Optional[bytes] = ..., request: _Optional[str] = ...) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("protocol", "camera_type", "trunk", "people", "site", "signature")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CAMERA_TYPE_FIELD_NUMBER: _ClassVar[int]
    TRUNK_FIELD_NUMBER: _ClassVar[int]
    PEOPLE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    camera_type: str
    trunk: str
    people: int
    site: str
    signature: bytes
    def __init__(self, protocol: _Optional[int] = ..., camera_type: _Optional[str] = ..., trunk: _Optional[str] = ..., people: _Optional[int] = ..., site: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ArrayDigest(_message.Message):
    __slots__ = ("name", "digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class CharterRequest(_message.Message):
    __slots__ = ("protocol", "charter", "head", "initial", "roster", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    CHARTER_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    INITIAL_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    charter: str
    head: str
    initial: _containers.RepeatedCompositeFieldContainer[ArrayDigest]
    roster: str
    request: str
    def __init__(self, protocol: _Optional[int] = ..., charter: _Optional[str] = ..., head: _Optional[str] = ..., initial: _Optional[_Iterable[_Union[ArrayDigest, _Mapping]]] = ..., roster: _Optional[str] = ..., request: _Optional[str] = ...) -> None: ...

class ReviewResponse(_message.Message):
    __slots__ = ("charter_digest", "epsilon", "automatic")
    CHARTER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    AUTOMATIC_FIELD_NUMBER: _ClassVar[int]
    charter_digest: str
    epsilon: float
    automatic: bool
    def __init__(self, charter_digest: _Optional[str] = ..., epsilon: _Optional[float] = ..., automatic: _Optional[bool] = ...) -> None: ...

class AcceptResponse(_message.Message):
    __slots__ = ("charter_digest", "head")
    CHARTER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    charter_digest: str
    head: str
    def __init__(self, charter_digest: _Optional[str] = ..., head: _Optional[str] = ...) -> None: ...

class TrainRequest(_message.Message):
    __slots__ = ("protocol", "run", "round", "tensors", "head", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    run: str
    round: int
    tensors: _containers.RepeatedCompositeFieldContainer[Tensor]
    head: str
    request: str
    def __init__(self, protocol: _Optional[int] = ..., run: _Optional[str] = ..., round: _Optional[int] = ..., tensors: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., head: _Optional[str] = ..., request: _Optional[str] = ...) -> None: ...

class TrainResponse(_message.Message):
    __slots__ = ("tensors", "head")
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    tensors: _containers.RepeatedCompositeFieldContainer[Tensor]
    head: str
    def __init__(self, tensors: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., head: _Optional[str] = ...) -> None: ...

class AggregateRequest(_message.Message):
    __slots__ = ("protocol", "run", "round", "attempt", "phase", "payload", "tensors", "head", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    run: str
    round: int
    attempt: int
    phase: str
    payload: bytes
    tensors: _containers.RepeatedCompositeFieldContainer[Tensor]
    head: str
    request: str
    def __init__(self, protocol: _Optional[int] = ..., run: _Optional[str] = ..., round: _Optional[int] = ..., attempt: _Optional[int] = ..., phase: _Optional[str] = ..., payload: _Optional[bytes] = ..., tensors: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., head: _Optional[str] = ..., request: _Optional[str] = ...) -> None: ...

class AggregateResponse(_message.Message):
    __slots__ = ("payload", "head")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    head: str
    def __init__(self, payload: _Optional[bytes] = ..., head: _Optional[str] = ...) -> None: ...

class EvaluateRequest(_message.Message):
    __slots__ = ("protocol", "run", "round", "tensors", "head", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    run: str
    round: int
    tensors: _containers.RepeatedCompositeFieldContainer[Tensor]
    head: str
    request: str
    def __init__(self, protocol: _Optional[int] = ..., run: _Optional[str] = ..., round: _Optional[int] = ..., tensors: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., head: _Optional[str] = ..., request: _Optional[str] = ...) -> None: ...

class EvaluateResponse(_message.Message):
    __slots__ = ("people", "tensors", "head")
    PEOPLE_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    people: int
    tensors: _containers.RepeatedCompositeFieldContainer[Tensor]
    head: str
    def __init__(self, people: _Optional[int] = ..., tensors: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., head: _Optional[str] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("protocol", "request")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    request: str
    def __init__(self, protocol: _Optional[int] = ..., request: _Optional[str] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("state", "protocol", "progress")
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    state: State
    protocol: int
    progress: float
    def __init__(self, state: _Optional[_Union[State, str]] = ..., protocol: _Optional[int] = ..., progress: _Optional[float] = ...) -> None: ...
