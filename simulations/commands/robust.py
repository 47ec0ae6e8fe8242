"""`mascaron-lab robust`: what training against attacks brings, and what it costs, as triples."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from client.privacy.entropy import Entropy, OsEntropy
from common.bundle import VERSION
from common.console import result
from common.errors import RunError, ScenarioError
from common.evidence.section import About
from common.faces.faceset import FaceSet
from common.faces.splits import parse_folds
from common.models.cache import FeatureCache
from common.models.studio import Lens, Studio
from common.models.tail import Tail
from common.models.trunk import Trunk
from common.outputs import check_file, check_folder
from server.robust_tuning import PublicCrops
from simulations.entropy import SeededEntropy
from simulations.pieces import write_json
from simulations.progress import Bars, stderr_console
from simulations.robust_arms import Arm, Classroom, RobustTraining, arms
from simulations.robust_rates import Contest, Court, Tally, Verdicts, draw_pairs, judge
from simulations.scenario import Invented
from simulations.sources import Sources

SCHEMA = 1
LEVELS = 255


@dataclass(frozen=True, kw_only=True)
class RobustCommand:
    """Everything ``mascaron-lab robust`` may be told; radii are in levels of 255."""

    faces: Path | None = None
    public: Path | None = None
    trunk: Path | None = None
    people: int = Invented().people
    public_people: int = Invented().public
    train_folds: str = "1-4"
    threshold_folds: str = "5"
    report_folds: str = "6-8"
    pictures: int = 6  # of a person, at most
    epsilon: tuple[float, ...] = (8.0,)
    ceiling: bool = False
    seeds: int = 3
    steps: int = 40
    learning_rate: float = 0.1
    objective: str = "contrast"
    train_eps: float = 4.0
    attack: int = 3
    eps: float = 2.0
    attack_steps: int = 20
    pairs: int = 120
    fmr: float = 1e-2
    entropy: str = "seeded"
    aligned: bool = False
    keep_going: bool = False
    cache: Path | None = None
    out: Path | None = None

    @property
    def training(self) -> RobustTraining:
        return RobustTraining(
            steps=self.steps,
            learning_rate=self.learning_rate,
            objective=self.objective,
            attack=self.attack,
            eps=self.train_eps / LEVELS,
        )

    @property
    def contest(self) -> Contest:
        return Contest(
            fmr=self.fmr, eps=self.eps / LEVELS, steps=self.attack_steps, pairs=self.pairs
        )


def robust_command(**options: Any) -> None:
    """Trains and attacks; prints a table to stderr and all figures as JSON to stdout."""
    given = RobustCommand(**options)
    if given.out is not None:
        check_file(given.out)
    if given.cache is not None:
        check_folder(given.cache, "--cache")
    console = stderr_console()
    with Bars(console) as bars:
        figures = robust(given, bars)
    print_table(figures, console)
    if given.out is not None:
        try:
            given.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(figures, given.out)
        except OSError as error:
            raise RunError(f"cannot write {given.out}: {error.strerror}") from error
    result(figures)


def robust(given: RobustCommand, bars: Bars) -> dict[str, Any]:
    """All figures: the triples of every arm, and what each robust arm gained over its control."""
    training, contest = given.training, given.contest
    room, court = _places(given, bars)
    epsilons: tuple[float | None, ...] = (*given.epsilon, *((None,) if given.ceiling else ()))
    done = bars.start("arms trained and attacked", given.seeds * (3 + 3 * len(epsilons)))
    found: dict[tuple[str, float | None], list[tuple[Arm, Verdicts]]] = {}
    judged: dict[str, Verdicts] = {}
    for seed in range(given.seeds):
        drawn = partial(_entropy, given, seed)
        for arm in arms(room, training, epsilons, drawn, seed):
            if arm.tail.hash not in judged:
                judged[arm.tail.hash] = judge(court, arm.tail, contest, seed=0)
            found.setdefault((arm.name, arm.epsilon), []).append((arm, judged[arm.tail.hash]))
            done(1)
    tally = Tally(court, contest)
    about = About(
        trunk=court.trunk.hash,
        tail=room.tail.hash,
        faces=court.tested.digest,
        people=len(court.tested.people),
        invented=given.faces is None,
    )
    return {
        "schema": SCHEMA,
        "kind": "robust_training",
        "version": VERSION,
        "entropy": given.entropy,
        "seeds": given.seeds,
        "about": {name: getattr(about, name) for name in About.__slots__},
        "fmr": contest.fmr,
        "attack": {"name": "pgd", "steps": contest.steps, "norm": "linf", "eps": contest.eps},
        "training": {name: getattr(training, name) for name in RobustTraining.__slots__},
        "private_people": len(room.private.people),
        "public_people": len(room.public.faces.people),
        "rows": [_row(tally, key, found) for key in found],
    }


def _row(
    tally: Tally,
    key: tuple[str, float | None],
    found: dict[tuple[str, float | None], list[tuple[Arm, Verdicts]]],
) -> dict[str, Any]:
    name, epsilon = key
    ours = found[key]
    control = found[ours[0][0].control, epsilon]
    verdicts = [v for _, v in ours]
    row = {"name": name, "epsilon": epsilon, **tally.rates(verdicts)}
    if ours[0][0].control != name:
        gain = tally.gain(verdicts, [v for _, v in control])
        row |= {"control": ours[0][0].control, "gain": gain}
    return row


def _places(given: RobustCommand, bars: Bars) -> tuple[Classroom, Court]:
    """Reads or invents the faces: whom arms learn from, and who is judged; they share nobody."""
    folds = [parse_folds(f) for f in (given.train_folds, given.threshold_folds, given.report_folds)]
    if len(frozenset().union(*folds)) < sum(map(len, folds)):
        raise ScenarioError("--train-folds, --threshold-folds and --report-folds share people")
    sources = Sources(
        faces=given.faces,
        public=given.public,
        trunk=given.trunk,
        aligned=given.aligned,
        keep_going=given.keep_going,
    )
    trunk, tail = sources.load_trunk()
    invented = Invented(people=given.people, public=given.public_people)
    faces, _ = sources.load_faces(invented, bars)
    public, _ = sources.load_public(invented, bars)
    assert faces.fold is not None
    parts = [
        _few(faces.subset(np.flatnonzero(np.isin(faces.fold, list(part)))), given.pictures)
        for part in folds
    ]
    if not all(len(part) for part in parts):
        raise ScenarioError("no pictures in --train-folds, --threshold-folds or --report-folds")
    with TemporaryDirectory() as scratch:
        studio = Studio(trunk, FeatureCache(given.cache or Path(scratch)), bars)
        return _seated(given, (trunk, tail), [*parts, _few(public, given.pictures)], studio)


def _seated(
    given: RobustCommand, model: tuple[Trunk, Tail], parts: list[FaceSet], studio: Studio
) -> tuple[Classroom, Court]:
    trunk, tail = model
    private, others, tested, public = parts
    taken = [studio.shoot(part, Lens(), "features") for part in parts]
    genuine, impostor = draw_pairs(tested.person, given.pairs, np.random.default_rng(0))
    crops = PublicCrops(faces=public, features=taken[3], trunk=trunk)
    room = Classroom(tail=tail, public=crops, private=private, features=taken[0])
    court = Court(
        trunk=trunk,
        tested=tested,
        others=others,
        features=taken[2],
        other_features=taken[1],
        genuine=genuine,
        impostor=impostor,
    )
    return room, court


def _few(faces: FaceSet, most: int) -> FaceSet:
    """At most ``most`` pictures of each person."""
    kept = [faces.pictures_of(int(person))[:most] for person in faces.people]
    return faces.subset(np.sort(np.concatenate([np.empty(0, np.int64), *kept])))


def _entropy(given: RobustCommand, seed: int, what: str) -> Entropy:
    if given.entropy == "os":
        return OsEntropy()
    return SeededEntropy(seed, *what.encode())


def print_table(figures: dict[str, Any], console: Console) -> None:
    """One line an arm: the triple, impostors, and points of robust TAR over its control."""
    plain, attack = not console.is_terminal, figures["attack"]
    table = Table(
        title=f"FMR {figures['fmr']:g} fixed clean on others; PGD-{attack['steps']} within "
        f"{LEVELS * attack['eps']:g}/{LEVELS}; {figures['seeds']} seeds",
        title_justify="left",
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0),
    )
    for column in ("arm", "epsilon", "TAR", "robust TAR", "robust refusals", "points"):
        table.add_column(column, no_wrap=True)
    for row in figures["rows"]:
        epsilon = "-" if row["epsilon"] is None else f"{row['epsilon']:g}"
        gain = _signed(row["gain"]["robust_tar"]) if "gain" in row else ""
        cells = (_told(row[key]) for key in ("tar", "robust_tar", "robust_impostor"))
        table.add_row(row["name"], epsilon, *cells, gain)
    console.print(table)


def _told(figure: dict[str, Any]) -> str:
    low, high = figure["ci95"]
    return f"{figure['value']:.2f} [{low:.2f}, {high:.2f}]"


def _signed(figure: dict[str, Any]) -> str:
    low, high = (100 * end for end in figure["ci95"])
    return f"{100 * figure['value']:+.1f} [{low:+.0f}, {high:+.0f}]"
