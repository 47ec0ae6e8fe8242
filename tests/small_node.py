"""Flower's own SuperNode as far as a launcher meets it, and an agent that describes itself."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import uvicorn
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.run import Run
from flwr.supercore.servicer.runtime import runtime_handlers
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode.main import create_app
from flwr.supernode.nodestate import NodeStateFactory

from common import wire
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc

RUN, NODE = 7, 11


class SmallNode:
    """One node's state: what came from the centre and what a launcher answered."""

    def __init__(self, address: str, agent: Path) -> None:
        self._stores = ObjectStoreFactory()
        self.states = NodeStateFactory(objectstore_factory=self._stores)
        self.address = address  # of the Runtime API, host:port
        self._agent = agent
        self.asked = 0  # how often the agent was, by whichever courier
        self.states.state().set_node_id(NODE)

    def receive(self, bundle: bytes, task: str, kind: str = "query.describe") -> str:
        """Puts a message of the centre in the queue, with ``bundle``; the token of its task."""
        state = self.states.state()
        digest = state.store_fab(Fab("", bundle, {}))
        run = Run.create_empty(RUN)
        run.fab_id, run.fab_version, run.fab_hash, run.series_id = "p/q", "1.0.0", digest, RUN
        state.store_run(run)
        context = Context(
            run_id=RUN,
            node_id=NODE,
            node_config={"agent-address": f"unix://{self._agent}"},
            state=RecordDict(),
            run_config={},
        )
        state.set_run_series_context(RUN, context)
        state.create_task(task_type=task, run_id=RUN, fab_hash=digest)
        self._store(question(kind))
        asked = AcquireTaskRequest(supported_task_types=[task])
        return str(runtime_handlers.acquire_task(asked, state).token)

    def reply(self) -> Message | None:
        """What a launcher answered, without its content."""
        replies = self.states.state().get_messages_legacy(is_reply=True)
        return replies[0] if replies else None

    def agent_asked(self) -> None:
        self.asked += 1

    def _store(self, message: Message) -> None:
        state, objects = self.states.state(), self._stores.store()
        with no_object_id_recompute():
            message.metadata.__dict__["_message_id"] = message.object_id
            state.store_message(message)
            objects.preregister(RUN, get_object_tree(message))
            for name, part in get_all_nested_objects(message).items():
                objects.put(name, part.deflate())


def question(kind: str) -> Message:
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = RUN, 1, 1
    content = RecordDict({wire.CONFIG: ConfigRecord({wire.VERSION: wire.PROTOCOL})})
    return Message(content, NODE, kind)


@contextmanager
def small_node(agent: Path) -> Iterator[SmallNode]:
    """The node's Runtime API on loopback, and its agent at the socket ``agent``, until the end."""
    door = socket.create_server(("127.0.0.1", 0))
    host, port = door.getsockname()
    node = SmallNode(f"{host}:{port}", agent)
    app = create_app(state_factory=node.states)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.01)
    try:
        with describing_agent(agent, node.agent_asked):
            yield node
    finally:
        server.should_exit = True
        thread.join(20)
        door.close()


class _Agent(rpc.AgentServicer):  # type: ignore[misc]
    def __init__(self, asked: Callable[[], None]) -> None:
        self._asked = asked

    def Describe(self, request: pb.DescribeRequest, context: Any) -> pb.DescribeResponse:  # noqa: N802
        self._asked()
        return pb.DescribeResponse(protocol=wire.PROTOCOL, camera_type="door", people=20)


@contextmanager
def describing_agent(path: Path, asked: Callable[[], None]) -> Iterator[None]:
    server = grpc.server(ThreadPoolExecutor(1))
    rpc.add_AgentServicer_to_server(_Agent(asked), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"unix://{path}")
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait()
