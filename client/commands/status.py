"""`mascaron-site status`: whether the agent answers, what is spent, and what it still affords."""

import math
from typing import Any

from client.commands.ledger import Book
from client.home import SiteHome
from common.config import load

SECONDS = 2.0  # that the agent has to answer


def show_status(home: SiteHome) -> dict[str, Any]:
    """The agent's state ("UNREACHABLE" where none answers), the budget, and what is left of it.

    ``runs_left`` says how many more runs with the plan of the last one fit; None before the first.
    Raises ``ConfigError`` for a home that is not set up, ``LedgerError`` for an altered ledger.
    """
    from client.policy import SitePolicy

    config, policy = home.config(), load(SitePolicy, home.policy)
    told: dict[str, Any] = {
        "site": config.name,
        "agent": _state(f"unix://{home.socket(config)}"),
        "budget": {"epsilon": policy.epsilon, "delta": policy.delta},
    }
    if not home.ledger.is_file():
        return {**told, "epsilon": 0.0, "runs_left": None}
    spending = Book(path=home.ledger, key=home.ledger_key, delta=policy.delta).read()
    spent, plan = spending.epsilon(policy.delta), spending.last_plan
    left = None
    if plan is not None:
        left = spending.affords(plan, policy.epsilon, policy.delta)
    return {**told, "epsilon": spent if math.isfinite(spent) else None, "runs_left": left}


def _state(address: str) -> str:
    import grpc

    from common import wire
    from protos.gen import agent_pb2 as pb
    from protos.gen import agent_pb2_grpc as rpc

    with grpc.insecure_channel(address) as channel:
        stub = rpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        try:
            answer = stub.Status(pb.StatusRequest(protocol=wire.PROTOCOL), timeout=SECONDS)
        except grpc.RpcError:
            return "UNREACHABLE"
    return str(pb.State.Name(answer.state)).removeprefix("STATE_")
