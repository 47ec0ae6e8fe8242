"""`mascaron-site status`: whether the agent answers, what is spent, and what it still affords."""

import math
from typing import Any

from client.commands.ledger import Book
from client.home import SiteHome
from client.site_config import SiteConfig
from common.config import load
from common.errors import MascaronError
from common.privacy import accountant
from common.trust import storing

SECONDS = 2.0  # that the agent has to answer


def show_status(home: SiteHome) -> dict[str, Any]:
    """The agent's state ("UNREACHABLE" where none answers), the budget, and what is left of it.

    ``epsilon`` is what was lost over the ledger's whole life, ``charged`` what counts against the
    budget: less only where `yearly_refresh` is on, and a year has begun. ``runs_left`` says how
    many more runs with the plan of the last one fit; None before the first. A site that is alone
    spends nothing: of it is told whether its door answers, "OPEN" or "UNREACHABLE".
    Raises ``ConfigError`` for a home that is not set up, ``LedgerError`` for an altered ledger.
    """
    from client.policy import SitePolicy

    home.check_agent()
    config = home.config()
    if config.alone and not home.ledger.is_file():
        return {"site": config.name, "alone": True, "door": _door(home)}
    policy = load(SitePolicy, home.policy)
    period = "year" if policy.yearly_refresh else "life"
    told: dict[str, Any] = {
        "site": config.name,
        "agent": _state(home, config),
        "budget": {"epsilon": policy.epsilon, "delta": policy.delta, "of a": period},
    }
    if not home.ledger.is_file():
        return {**told, "epsilon": 0.0, "charged": 0.0, "runs_left": None}
    spending = Book(path=home.ledger, key=home.ledger_key, delta=policy.delta).read()
    spent, plan = spending.epsilon(policy.delta), spending.last_plan
    left = None
    if plan is not None:
        left = spending.affords(plan, policy.epsilon, policy.delta)
    charged = accountant.epsilon(spending.charged, policy.delta)
    return {**told, "epsilon": _finite(spent), "charged": _finite(charged), "runs_left": left}


def _door(home: SiteHome) -> str:
    from client.recognition import Recognition

    token = storing.read(home.operator_token) or b""
    try:
        with Recognition.at(home.door_socket(), token.decode("ascii", "replace").strip()) as door:
            door.status()
    except MascaronError:
        return "UNREACHABLE"
    return "OPEN"


def _finite(epsilon: float) -> float | None:
    return epsilon if math.isfinite(epsilon) else None


def _state(home: SiteHome, config: SiteConfig) -> str:
    import grpc

    from client.ends import channel_to
    from common import wire
    from protos.gen import agent_pb2 as pb
    from protos.gen import agent_pb2_grpc as rpc

    try:
        with channel_to(home, config) as channel:
            stub = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
            answer = stub.Status(pb.StatusRequest(protocol=wire.PROTOCOL), timeout=SECONDS)
    except (grpc.RpcError, MascaronError):
        return "UNREACHABLE"
    return str(pb.State.Name(answer.state)).removeprefix("STATE_")
