"""A whole federation over planted canaries: no face, no label and no path gets out anywhere.

Everything that leaves a site or stays behind is searched: replies, log records, the terminal, the
error of the run, and every file in its folder. The same search finds every leak planted on purpose.
"""

import base64
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from client.agent.people import SitePeople
from client.agent.training import Training
from common import wire
from common.errors import MascaronError, WireError
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy.plan import (
    EvaluationMechanism,
    GradientMechanism,
    MomentMechanism,
    PrivacyPlan,
)
from simulations import federation
from simulations.federation import Door, Federation
from simulations.grid import InProcessGrid
from tests.fakes import TRUNK

D, K = 24, 8
LABELS = np.array([731846509321, 902175533147, 618830247765])  # nobody else's numbers
PATH = "/faces/Canary Person/1.jpg"
WINDOW = 16  # bytes: four numbers of a float32 feature
SUM = "moments.mean.sum"


@dataclass
class Seen:
    """Everything one run let anybody see."""

    messages: list[bytes] = field(default_factory=list)
    arrays: list[np.ndarray] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)  # what sites say in secure sums
    texts: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def everything(self) -> Iterator[bytes]:
        yield from self.messages
        yield from self.payloads
        yield from self.files.values()
        yield from (text.encode() for text in self.texts)


def features(site: int) -> np.ndarray:
    return np.random.default_rng([site, 77]).normal(size=(9, D)).astype(np.float32)


def initial() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = {WEIGHT: (K, D), BIAS: (K,), FRAME_WEIGHT: (K, D), FRAME_BIAS: (K,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def plan(cohort: int = 3, **terms: Any) -> PrivacyPlan:
    mean = MomentMechanism(kind="mean", sigma=1.0, clip=1.0, name="mean")
    scatter = MomentMechanism(kind="scatter", sigma=1.0, clip=1.0, name="scatter")
    step = GradientMechanism(sigma=1.0, clip=1.0, rate=0.9, rounds=2, negatives=8)
    mechanisms = (mean, scatter, step, EvaluationMechanism(sigma=1.0))
    told = {"people": 3, "delta": 1e-4, "trunk": TRUNK, "cohort": cohort, **terms}
    return PrivacyPlan(mechanisms=mechanisms, **told)


class BrokenPeople(SitePeople):
    """People whose storage fails with an error that names one of them."""

    def bag(self, index: int) -> Any:
        raise OSError(5, "cannot read", PATH)


@dataclass
class Watched:
    """Runs a federation with eyes everywhere."""

    folder: Path
    caplog: pytest.LogCaptureFixture
    capfd: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def run(self, broken: int | None = None, entropy: str = "os", secure: bool = False) -> Seen:
        seen = Seen()

        class Watching(InProcessGrid):
            def _answer(self, message: Message) -> Message:
                reply = super()._answer(message)
                seen.messages += contents(reply)
                seen.arrays += [a.numpy() for r in records(reply) for a in r.values()]
                seen.payloads += payloads(reply)
                return reply

        self.monkeypatch.setattr(federation, "InProcessGrid", Watching)
        self.caplog.set_level(logging.DEBUG)
        for name in ("flwr", "client", "server", "simulations"):
            self.caplog.set_level(logging.DEBUG, name)
        doors = [self.door(site, broken == site) for site in range(3)]
        how = {"trunk": TRUNK, "negatives": features(9), "entropy": entropy, "secure": secure}
        rng = np.random.default_rng(8)
        how["watched"] = (rng.normal(size=(60, D)).astype(np.float32), np.arange(60))
        run, shared = Federation(doors=doors, **how), {"noise": "distributed", "honest_sites": 3}
        try:
            run.run(plan(**(shared if secure else {})), initial(), self.folder, (1,))
        except MascaronError as error:
            seen.texts.append(f"{error!r} {error.__cause__!r} {error.__context__!r}")
        out, err = self.capfd.readouterr()
        seen.texts += [self.caplog.text, out, err]
        paths = (p for p in self.folder.rglob("*") if p.is_file())
        seen.files = {p.relative_to(self.folder).as_posix(): p.read_bytes() for p in paths}
        return seen

    def door(self, site: int, broken: bool) -> Door:
        kind = BrokenPeople if broken else SitePeople
        people = kind(features(site), np.repeat(LABELS, 3))
        return Door(name=f"site-{site}", camera_type="door", people=people)


@pytest.fixture
def watched(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Watched:
    return Watched(tmp_path / "run", caplog, capfd, monkeypatch)


def records(reply: Message) -> list[Any]:
    return list(reply.content.array_records.values()) if reply.has_content() else []


def payloads(reply: Message) -> list[bytes]:
    if not reply.has_content():
        return []
    words = [record.get(wire.PAYLOAD) for record in reply.content.config_records.values()]
    return [word for word in words if isinstance(word, bytes)]


def contents(reply: Message) -> list[bytes]:
    """Whatever of a reply travels: names, numbers, texts, the error."""
    found = [repr(reply.metadata).encode(), repr(reply).encode()]
    if reply.has_error():
        return [*found, repr((reply.error.code, reply.error.reason)).encode()]
    for record in records(reply):
        for name, array in record.items():
            found += [name.encode(), array.data, array.numpy().tobytes()]
    for kind in (reply.content.config_records, reply.content.metric_records):
        found.append(repr({name: dict(record) for name, record in kind.items()}).encode())
    return found


class Canaries:
    """What must not be found: features as bytes, numbers and text, embeddings, labels, paths."""

    def __init__(self) -> None:
        start, rows = initial(), [features(site) for site in range(3)]
        raw = [a.astype(kind).tobytes() for a in rows for kind in (np.float32, np.float64)]
        self._windows = {r[i : i + WINDOW] for r in raw for i in range(len(r) - WINDOW + 1)}
        faces = [*rows, *(r @ start[FRAME_WEIGHT].T + start[FRAME_BIAS] for r in rows)]
        faces += [r @ start[WEIGHT].T + start[BIAS] for r in rows]
        self._points = np.concatenate([fours(row) for face in faces for row in face])
        numbers = [str(value)[:9] for r in rows for value in r.ravel()]
        coded = [r.tobytes() for rows_of in rows for r in rows_of]
        self._texts = [n.encode() for n in numbers if len(n) == 9]
        self._texts += [r.hex()[: 2 * WINDOW].encode() for r in coded]
        self._texts += [base64.b64encode(r)[:20] for r in coded]
        self._texts += [str(label).encode() for label in LABELS]
        self._texts += [label.astype(t).tobytes() for label in LABELS for t in ("<i8", ">i8")]
        self._texts += [PATH.encode(), b"Canary"]

    def found_in(self, content: bytes) -> bool:
        if any(text in content for text in self._texts):
            return True
        windows = (content[i : i + WINDOW] for i in range(len(content) - WINDOW + 1))
        return not self._windows.isdisjoint(windows)

    def near(self, array: np.ndarray) -> bool:
        """Whether four numbers in a row are those of a feature or an embedding, to 1e-4."""
        windows = fours(array.ravel())
        return bool((np.abs(windows[:, None] - self._points).max(axis=2) < 1e-4).any())

    def leaks(self, seen: Seen) -> int:
        found = sum(self.found_in(content) for content in seen.everything())
        return found + sum(self.near(array) for array in seen.arrays)


def fours(values: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, WINDOW // 4)


CANARIES = Canaries()


@pytest.mark.parametrize("entropy", ["os", "seeded"])
def test_nothing_of_a_face_leaves_a_site_or_stays_in_the_runs_folder(
    watched: Watched, entropy: str
) -> None:
    seen = watched.run(entropy=entropy)
    assert len(seen.arrays) == 3 * (1 + 1 + 2 * 2 + 1)  # sites, moments, steps, an evaluation
    assert {"checkpoint.safetensors", "charter.json", "site-0.db"} <= set(seen.files)
    assert any("released" in text for text in seen.texts)
    assert CANARIES.leaks(seen) == 0


def test_nothing_of_a_face_leaves_a_site_in_secure_sums(watched: Watched) -> None:
    seen = watched.run(secure=True)
    assert seen.arrays == []  # no update of a single site travels as numbers
    assert len(seen.payloads) == 3 * 5 * 5  # sites, phases, rounds
    assert any("masked bytes released" in text for text in seen.texts)
    assert "checkpoint.safetensors" in seen.files
    assert CANARIES.leaks(seen) == 0


def test_a_site_whose_people_cannot_be_read_says_neither_who_nor_where(watched: Watched) -> None:
    seen = watched.run(broken=1)
    assert any(b"INTERNAL" in message for message in seen.messages)
    assert any("2 sites answered" in text for text in seen.texts)
    assert CANARIES.leaks(seen) == 0


def test_replies_name_no_folder_of_the_machine(watched: Watched) -> None:
    seen = watched.run(broken=2)
    assert not any(str(watched.folder).encode() in message for message in seen.messages)
    assert not any(b".py" in message for message in seen.messages)


# The search itself: each of these leaks something on purpose, and each is found.

Leak = Callable[[Training, dict[str, Any], Path], dict[str, Any]]


def first_bag(training: Training) -> np.ndarray:
    return np.asarray(training._facts.people.bag(0))


def returns_a_feature(training: Training, left: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {name: np.resize(first_bag(training), array.shape) for name, array in left.items()}


def returns_an_embedding(training: Training, left: dict[str, Any], folder: Path) -> dict[str, Any]:
    start = initial()
    point = first_bag(training)[0] @ start[FRAME_WEIGHT].T + start[FRAME_BIAS]
    return {SUM: point} if SUM in left else left


def hides_a_feature_in_a_tail_of_noise(
    training: Training, left: dict[str, Any], folder: Path
) -> dict[str, Any]:
    for array in left.values():
        array.ravel()[-4:] = first_bag(training)[0, 5:9]
    return left


def logs_numbers(training: Training, left: dict[str, Any], folder: Path) -> dict[str, Any]:
    logging.getLogger("client.agent").debug("bag %s", first_bag(training)[0])
    return left


def logs_a_label(training: Training, left: dict[str, Any], folder: Path) -> dict[str, Any]:
    logging.getLogger("client.agent").info("sampled %d", LABELS[1])
    return left


def logs_an_error(training: Training, left: dict[str, Any], folder: Path) -> dict[str, Any]:
    try:
        raise OSError(5, "cannot read", PATH)
    except OSError:
        logging.getLogger("client.agent").exception("skipped")
    return left


def prints(training: Training, left: dict[str, Any], folder: Path) -> dict[str, Any]:
    import sys

    sys.stdout.write(f"{first_bag(training)[0, 0]!s}\n")
    return left


def keeps_a_file(training: Training, left: dict[str, Any], folder: Path) -> dict[str, Any]:
    np.save(folder / "cache.npy", first_bag(training).astype(np.float64))
    return left


def raises_a_reason(training: Training, left: dict[str, Any], folder: Path) -> dict[str, Any]:
    error = WireError("malformed")
    error.reason = PATH
    raise error


LEAKS: list[Leak] = [
    returns_a_feature,
    returns_an_embedding,
    hides_a_feature_in_a_tail_of_noise,
    logs_numbers,
    logs_a_label,
    logs_an_error,
    prints,
    keeps_a_file,
    raises_a_reason,
]


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_a_leak_planted_on_purpose_is_found(watched: Watched, leak: Leak) -> None:
    folder = watched.folder

    class Mutant(Training):
        def train(self, run: str, number: int, arrays: Any) -> Any:
            return leak(self, super().train(run, number, arrays), folder)

    watched.monkeypatch.setattr(federation, "Training", Mutant)
    assert CANARIES.leaks(watched.run()) > 0


def test_a_leak_in_a_secure_sum_is_found(watched: Watched) -> None:
    class Mutant(Training):
        def aggregate(self, asked: Any) -> bytes:
            return super().aggregate(asked) + first_bag(self)[0, :4].tobytes()

    watched.monkeypatch.setattr(federation, "Training", Mutant)
    assert CANARIES.leaks(watched.run(secure=True)) > 0
