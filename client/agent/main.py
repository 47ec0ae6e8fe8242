"""Serving an agent to its courier: gRPC on a unix socket, or on loopback behind mutual TLS."""

from dataclasses import replace

from google.protobuf.message import Message

from client.agent.service import AgentService
from client.serving import running
from client.serving.listening import OWN_DOOR, Door
from client.serving.running import Offered, Running
from protos.gen import agent_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["Agent"].full_name
REQUESTS: dict[str, type[Message]] = {
    "Describe": pb.DescribeRequest,
    "ReviewCharter": pb.CharterRequest,
    "AcceptCharter": pb.CharterRequest,
    "Train": pb.TrainRequest,
    "Aggregate": pb.AggregateRequest,
    "Evaluate": pb.EvaluateRequest,
    "Status": pb.StatusRequest,
}


def offered(service: AgentService) -> Offered:
    """The agent's service, as it is served."""
    plain = Offered(name=SERVICE, servicer=service, requests=REQUESTS)
    return plain if service.jobs is None else replace(plain, drain=service.jobs.drain)


def serve(service: AgentService, address: str, door: Door = OWN_DOOR) -> Running:
    """Starts answering at ``address``, as ``client.serving.running.serve`` says."""
    return running.serve(offered(service), address, door)
