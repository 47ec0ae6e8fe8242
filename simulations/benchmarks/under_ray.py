"""The toy federation under Flower's own simulation: the same apps, agents and ledgers, on Ray.

A virtual client is any process of the pool, so an agent is opened for one message and closed
again: its ledger belongs to one process at a time.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from numpy.typing import NDArray

from client.agent.facts import SiteFacts
from client.agent.service import AgentService
from client.agent.training import Training
from client.app import make_app
from client.privacy.entropy import OsEntropy
from client.privacy.ledger import Budget
from common.privacy.accountant import epsilon
from server.app import app as server_app
from server.charter import Charter
from server.checkpoint import read_checkpoint
from server.runs.register import laboratory_key
from simulations.benchmarks import toy
from simulations.federation import LaboratoryLedger, LaboratoryPolicy, open_ledger
from simulations.signing import member, publish
from simulations.stub import InProcessStub

CORES = 2
POLL = 0.05  # seconds


class BriefStub:
    """Has the methods of an ``AgentStub``; the agent lives for one call."""

    def __init__(self, folder: Path, site: int, sites: int) -> None:
        self._folder, self._site, self._sites = folder, site, sites

    def __getattr__(self, method: str) -> Any:
        def call(request: Any, timeout: float | None = None) -> Any:
            plan = toy.toy_plan(self._sites, "none")
            budget = Budget(epsilon(plan.events(), plan.delta), plan.delta)
            name = f"site-{self._site}"
            with open_ledger(self._folder, name, budget, LaboratoryLedger) as ledger:
                features = toy.toy_features(self._site + 1)
                person = np.arange(len(features)) // toy.PICTURES
                facts = SiteFacts(
                    camera_type="door",
                    trunk=toy.TRUNK,
                    people=toy.toy_people(features, person, self._site),
                    negatives=toy.toy_negatives(),
                    membership=member(name, laboratory_key(self._folder)),
                )
                policy = LaboratoryPolicy(
                    epsilon=50.0, delta=plan.delta, declared_people=toy.PEOPLE
                )
                service = AgentService(Training(facts, policy, ledger, OsEntropy()))
                return getattr(InProcessStub(service), method)(request, timeout)

        return call


def run_under_ray(sites: int, folder: str) -> dict[str, NDArray[Any]]:
    """The shared arrays after three rounds without noise; raises what Flower raises."""
    from flwr.simulation import run_simulation

    home, plan = Path(folder), toy.toy_plan(sites, "none")
    publish(Charter(run="run-1-2", plan=plan), dict(toy.toy_initial()), home)
    config = {"charter": folder, "folder": folder, "resume": False}
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])  # for the processes of the pool
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        while len(list(grid.get_node_ids())) < sites:  # they register while this already runs
            time.sleep(POLL)
        context.run_config = {**context.run_config, **config}  # type: ignore[dict-item]
        server_app(grid, context)

    def connect(context: Context) -> BriefStub:
        return BriefStub(home, int(context.node_config["partition-id"]), sites)

    resources: dict[str, Any] = {"num_cpus": 1, "num_gpus": 0.0}
    run_simulation(
        server_app=app,
        client_app=make_app(connect),
        num_supernodes=sites,
        backend_config={
            "client_resources": resources,
            "init_args": {"num_cpus": CORES, "include_dashboard": False},
        },
    )
    state = read_checkpoint(home, plan.digest)
    if state is None or state.round != len(plan.rounds):
        raise RuntimeError("the run under Ray did not end")
    return {name: np.asarray(array) for name, array in state.pools["door"].items()}
