"""A run to take evidence of: invented people at twenty doors, in the home of a real centre.

It trains the starter's heads with the tail, by what invented people were made from.
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

from client.agent.labels import labels_of
from common.faces.faceset import FaceSet
from common.trust.charter import CharterTerms
from common.trust.keys import PublicKey
from server.admission.founding import found
from server.charter import Charter, load_charter, write_charter
from server.home import CentreConfig, CentreHome
from server.monitor import save_public
from server.public import watched
from server.runs.reading import choose_heads, keep_public
from server.runs.register import CENTRE_KEY
from server.standing import federation_of, signing_key
from simulations.laboratory import Given, Laboratory, Reporter
from simulations.reading import HEADS
from simulations.scenario import Invented, Scenario, load_scenario
from simulations.signing import NEVER

RUN = "demo"
EPSILON = 8.0
TRAIN, TESTED, THRESHOLDS = "1-5", "6,8", "7"  # folds: who train, who are measured, who fix
SITES = 20
SHARE, ROUNDS = 0.1, 3  # of the budget, for gradients that train the heads with the tail
CENTRE, FEDERATION = "centre", "federation"  # folders


@dataclass(frozen=True, eq=False)
class DemoRun:
    """The centre's ``home`` after its run, and all ``faces``, of which some folds trained."""

    home: CentreHome
    faces: FaceSet


def scenario() -> Scenario:
    """Twenty doors with one kind of camera, eight people at each."""
    return dataclasses.replace(
        load_scenario("demo"),
        name="evidence",
        sites=SITES,
        cameras="none",
        seeds=1,
        epsilon=(EPSILON,),
        gradient_share=SHARE,
        gradient_rounds=ROUNDS,
        invented=Invented(people=256, public=80, pictures=4),
    )


def demo_run(out: Path, processes: int, reporter: Reporter) -> DemoRun:
    """Runs the federation into ``out`` with noise of the operating system, and signs its charter
    as a centre founded for it does."""
    given = Given(
        entropy="os",
        train_folds=TRAIN,
        choose_folds="",
        report_folds=TESTED,
        processes=processes,
    )
    asked, laboratory = scenario(), Laboratory(given, out / "features", reporter)
    chosen, faces = choose_heads(HEADS, ()), laboratory.people(asked).faces
    opened = laboratory.run(asked, out / FEDERATION).opened()
    experiment = dataclasses.replace(opened, labels=labels_of(faces), heads=chosen)
    home = CentreHome(out / CENTRE)
    found(home, CentreConfig(name="demo", host="localhost"), (), time.time())
    folder = home.run(RUN)
    step = reporter.start("federation", 1)
    outcome = experiment.federated("local", EPSILON, folder).outcome
    step(1)
    assert outcome is not None
    _sign(home, folder)
    save_public(home.charter(RUN), *watched(experiment.material.public), experiment.reference)
    keep_public(home.charter(RUN), chosen.public)
    return DemoRun(home, faces)


def _sign(home: CentreHome, folder: Path) -> None:
    """The charter in ``folder``, which a laboratory's key signed, by the centre of ``home``."""
    key = PublicKey.of((folder / CENTRE_KEY).read_text("utf-8").strip())
    charter, initial, _ = load_charter(folder, key)
    named: CharterTerms = Charter.terms(
        dataclasses.replace(charter, run=RUN), federation_of(home), initial, NEVER
    )
    write_charter(home.charter(RUN), named.sign(signing_key(home)), initial)
