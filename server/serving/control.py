"""What the centre asks of its SuperLink about node keys. The only file with Flower's private names.

The command line of Flower would do, at two seconds a key; a SuperLink that starts has to learn all.
"""

import ssl
from dataclasses import dataclass
from typing import Self

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, UnregisterNodeRequest
from flwr.supercore.control import ControlHttpClient

from common.errors import DeploymentError
from common.trust.nodes import node_text, read_node
from server.home import CentreHome

SECONDS = 10.0  # for one answer
REMEDY = "is `mascaron-admin serve` running and well? Its logs are in the folder logs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node key as the SuperLink has it."""

    id: int
    key: str  # one OpenSSH line, as ``node_text`` writes it
    status: str  # registered, online or offline


class Control:
    """A client of the Control API of the SuperLink on ``port`` of this machine.

    Leaks: nothing leaves the machine. The API knows no passwords: whoever can connect to the
    loopback interface of the centre can use it.
    """

    def __init__(self, home: CentreHome, port: int) -> None:
        try:
            context = ssl.create_default_context(cafile=str(home.ca))
        except OSError as error:
            raise DeploymentError(
                f"cannot read {home.ca}: {error.strerror}; run `mascaron-admin init` first"
            ) from None
        self._client = ControlHttpClient(f"https://127.0.0.1:{port}")
        self._client._client.close()  # it would follow the environment's proxies
        self._client._client = httpx.Client(verify=context, timeout=SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def nodes(self) -> tuple[Node, ...]:
        """All keys the SuperLink lets in."""
        try:
            answer = self._client.ListNodes(ListNodesRequest())
        except (httpx.HTTPError, ValueError) as error:
            raise _failed("list the nodes", error) from None
        return tuple(
            Node(id=info.node_id, key=_line(info.public_key), status=info.status)
            for info in answer.nodes_info
            if info.status != "unregistered"
        )

    def register(self, key: str) -> int:
        """Lets the SuperNode with the OpenSSH line ``key`` in; its id. Known keys keep theirs."""
        wanted = node_text(read_node(key))
        known = next((node.id for node in self.nodes() if node.key == wanted), None)
        if known is not None:
            return known
        pem = read_node(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        try:
            return int(self._client.RegisterNode(RegisterNodeRequest(public_key=pem)).node_id)
        except (httpx.HTTPError, ValueError) as error:
            raise _failed("register a node key", error) from None

    def unregister(self, key: str) -> None:
        """Shuts the SuperNode with the OpenSSH line ``key`` out; unknown keys are out already."""
        wanted = node_text(read_node(key))
        for node in self.nodes():
            if node.key == wanted:
                try:
                    self._client.UnregisterNode(UnregisterNodeRequest(node_id=node.id))
                except (httpx.HTTPError, ValueError) as error:
                    raise _failed("unregister a node key", error) from None


def _line(pem: bytes) -> str:
    key = load_pem_public_key(pem)
    return node_text(key) if isinstance(key, EllipticCurvePublicKey) else ""


def _failed(what: str, error: Exception) -> DeploymentError:
    return DeploymentError(f"the SuperLink did not {what} ({type(error).__name__}): {REMEDY}")
