"""`mascaron-site doctor`: looks at everything that keeps a site from taking part."""

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from client.doctor.agent import check_agent, check_door
from client.doctor.centre import check_centre
from client.doctor.door import AT_THE_DOOR
from client.doctor.findings import DoorTold, Finding, Machine, examine
from client.doctor.releases import check_releases
from client.doctor.site import ON_THIS_MACHINE, check_node
from client.ends import channel_to
from client.home import SiteHome
from client.site_config import SiteConfig
from common import wire
from common.errors import MascaronError
from protos.gen import agent_pb2 as pb
from protos.gen import agent_pb2_grpc as rpc

if TYPE_CHECKING:
    from client.recognition import Standing

SECONDS = 5.0
CHECKS = (
    *ON_THIS_MACHINE,
    *AT_THE_DOOR,
    check_releases,
    check_door,
    check_agent,
    check_node,
    check_centre,
)


def doctor_command(home: SiteHome) -> list[Finding]:
    """Everything found about the site in ``home``, from near to far."""
    machine = Machine(now=time.time, space=free_space, ask_agent=ask_agent, ask_door=ask_door)
    return examine(home, machine, CHECKS)


def show(findings: list[Finding], console: Console) -> None:
    """The findings as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "check", "cause", "remedy"):
        table.add_column(heading)
    for finding in findings:
        mark = "ok" if finding.ok else "WRONG"
        words = (mark, finding.name, finding.cause, finding.remedy)
        table.add_row(*(Text(word) for word in words))  # no markup in a path or an answer
    console.print(table)


def free_space(path: Path) -> int:
    """Bytes that may still be written where ``path`` is."""
    return shutil.disk_usage(path).free


def ask_agent(home: SiteHome, config: SiteConfig) -> str:
    """Asks the agent of ``home`` to describe itself; its reason if it does not, else "".

    Raises ``DeploymentError`` for a user who holds the key of neither end of its port.
    """
    with channel_to(home, config) as channel:
        stub = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        try:
            stub.Describe(pb.DescribeRequest(protocol=wire.PROTOCOL), timeout=SECONDS)
        except grpc.RpcError as error:
            told = dict(error.trailing_metadata() or ())
            reason = str(told.get("reason", "UNAVAILABLE"))
            return reason if reason in wire.REASONS else "UNAVAILABLE"
    return ""


def ask_door(home: SiteHome, config: SiteConfig) -> DoorTold:
    """What the door of ``home`` tells its operator; "UNAVAILABLE" where none answers."""
    from client.recognition import Recognition

    token = home.operator_token.read_text("ascii").strip() if home.operator_token.exists() else ""
    try:
        with Recognition.at(home.door_socket(), token) as door:
            standing = door.status()
            ends = [person.expires for person in door.people()]
    except MascaronError as error:
        return DoorTold(reason=error.reason)
    return DoorTold(
        active=bool(standing.active),
        calibrated=standing.calibrated,
        outgrown=standing.outgrown,
        heads=_heads(standing),
        first_end=min(ends, default=None),
    )


def _heads(standing: "Standing") -> str:
    from client.commands.release import heads_read

    found = heads_read(standing)
    return "" if found is None else f"{found['file'][:12]} of the {found['of']}"
