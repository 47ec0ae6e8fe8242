"""Serving a door: on a socket to this machine, and at a port to cameras where one is named."""

from typing import TYPE_CHECKING

from google.protobuf.message import Message

from client.door.proofs import Proof
from client.door.service import RecognitionService
from client.serving import running
from client.serving.listening import Door
from client.serving.running import Offered, Running
from protos.gen import recognition_pb2 as pb

if TYPE_CHECKING:
    from client.door.reception import Reception

_METHODS = pb.DESCRIPTOR.services_by_name["Recognition"]
SERVICE = _METHODS.full_name
REQUESTS: dict[str, type[Message]] = {
    method.name: getattr(pb, method.input_type.name) for method in _METHODS.methods
}
MOST = 20 * 2**20  # bytes of a message
SMALL = 64 * 2**10  # bytes of one without a picture or a release
LARGE = frozenset({"AddPicture", "Verify", "Identify", "Describe", "StageRelease"})


def offered(reception: "Reception", proof: Proof) -> Offered:
    """The recognition service, as it is served."""
    return Offered(
        name=SERVICE,
        servicer=RecognitionService(reception, proof),
        requests=REQUESTS,
        most=MOST,
        limits={name: SMALL for name in REQUESTS if name not in LARGE},
    )


def serve(reception: "Reception", address: str, door: Door, proof: Proof) -> Running:
    """Starts answering at ``address``, as ``client.serving.running.serve`` says."""
    return running.serve(offered(reception, proof), address, door)
