"""The private names of flwr that a Flower federation inside one process needs, all in one place.

Tests pin them to the flwr minor of pyproject: an upgrade that moves one fails there, not in a run.
"""

from flwr.app import Message
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

__all__ = ["CENTRE", "Run", "identify_task", "stamp"]

CENTRE = 1  # node id under which the ServerApp sends


def identify_task(run_id: int) -> None:
    """Lets this process build messages as the ServerApp of run ``run_id``."""
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = run_id, 1, CENTRE


def stamp(message: Message, message_id: str) -> Message:
    """Gives ``message`` the id that a SuperLink would."""
    message.metadata.__dict__["_message_id"] = message_id
    return message
