"""A Flower Grid inside one process: the unmodified ServerApp and ClientApp, no daemons, no Ray.

Each site is one ``Context``; a message is answered by calling the ClientApp. Bytes are counted as
they would travel. An exception of a ClientApp becomes the same error reply a SuperNode would send.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from common import wire
from simulations.flower import CENTRE, Run, identify_task, stamp

CLIENT_APP_FAILED = 2  # flwr's code for a ClientApp that raised


class InProcessGrid(Grid):
    """Answers every message at once by calling ``app`` with the context of the addressed site.

    ``run_config`` reaches the apps as Flower's run config would. ``uploaded`` and ``downloaded``
    count array bytes per node. Node ids are 2, 3, ...: 1 is the centre.
    """

    def __init__(self, app: ClientApp, sites: int, run_config: dict[str, object]) -> None:
        self._app, self._run_id = app, 1
        self._contexts = {
            node: Context(
                run_id=self._run_id,
                node_id=node,
                node_config={"partition-id": node - 2, "num-partitions": sites},
                state=RecordDict(),
                run_config=dict(run_config),  # type: ignore[arg-type]
            )
            for node in range(2, sites + 2)
        }
        self._replies: dict[str, Message] = {}
        self._ids = itertools.count(1)
        self.uploaded: dict[int, int] = defaultdict(int)
        self.downloaded: dict[int, int] = defaultdict(int)
        self.watch: Callable[[Message], None] | None = None
        identify_task(self._run_id)

    def server_context(self, run_config: dict[str, object]) -> Context:
        """The context a ServerApp runs with on this grid."""
        return Context(
            run_id=self._run_id,
            node_id=CENTRE,
            node_config={},
            state=RecordDict(),
            run_config=dict(run_config),  # type: ignore[arg-type]
        )

    def set_run(self, run: Run) -> None:
        self._run_id = run.run_id

    @property
    def run(self) -> Run:
        return Run.create_empty(self._run_id)

    def create_message(  # the parameters are those of flwr's abstract method
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        pushed = []
        for message in messages:
            message_id = f"message-{next(self._ids)}"
            reply = self._answer(stamp(message, message_id))
            self._replies[message_id] = stamp(reply, f"reply-{message_id}")
            pushed.append(message_id)
        return pushed

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return [self._replies.pop(i) for i in message_ids if i in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        return self.pull_messages(self.push_messages(messages))

    def _answer(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        self.downloaded[node] += _array_bytes(message)
        try:
            reply = self._app(message, self._contexts[node])
        except Exception as error:  # as a SuperNode reports it
            return Message(Error(CLIENT_APP_FAILED, type(error).__name__), reply_to=message)
        self.uploaded[node] += _array_bytes(reply)
        if self.watch is not None:
            self.watch(reply)
        return reply


def _array_bytes(message: Message) -> int:
    if not message.has_content():
        return 0
    arrays = sum(record.count_bytes() for record in message.content.array_records.values())
    config: Any = message.content.config_records.get(wire.CONFIG, {})
    payload = config.get(wire.PAYLOAD, b"")  # of a secure sum
    return arrays + (len(payload) if isinstance(payload, bytes) else 0)
