"""All the evidence about one model, section by section; what is in the folder already stays."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from client.privacy.entropy import OsEntropy
from common.errors import ConfigError
from common.evidence.section import KINDS, Section
from common.models.studio import Progress
from common.models.tail import Tail
from simulations.evidence.attributes import AttributeOptions, infer
from simulations.evidence.fairness import FairnessOptions, fairness_section
from simulations.evidence.federations import DELTA, federations_of
from simulations.evidence.grouped import group_invented
from simulations.evidence.heads import Compared, heads_section
from simulations.evidence.inversion import InversionOptions, invert
from simulations.evidence.inverted import section_of
from simulations.evidence.keeping import keep_section
from simulations.evidence.marks import marks_of
from simulations.evidence.mechanism import Claim, Effort, audit_mechanism
from simulations.evidence.membership import MembershipPlan, attack_membership
from simulations.evidence.robustness.plan import RobustnessOptions
from simulations.evidence.robustness.report import Neighbours, robustness
from simulations.evidence.subject import Subject
from simulations.evidence.verification import verification_figures

COMMAND = "mascaron-lab evidence"


@dataclass(frozen=True, kw_only=True)
class Depth:
    """How much of each: attacked ``pairs`` at the threshold of ``fmr``, audits at ``epsilon``."""

    robustness: RobustnessOptions
    fmr: float = 1e-2
    epsilon: float = 8.0
    delta: float = 1e-5
    groups: str | None = "skin"  # of invented people
    shadows: int = 15  # federations beside the one whose members are guessed
    gradients: float = 0.5  # of those federations' budget; 0: moments alone
    inverted: int = 60  # people


@dataclass(frozen=True, eq=False)
class Gathering:
    """Takes the evidence about ``subject`` into ``folder``; ``first`` is the tail before training.

    ``command`` stands in the sections for whoever wants to measure again; ``heads`` are those of
    the release, where it has some.
    """

    subject: Subject
    first: Tail
    depth: Depth
    folder: Path
    progress: Progress
    command: str = COMMAND
    heads: Compared | None = None

    def all(self) -> dict[str, Section]:
        """Every section, by kind. ``RunError`` where one cannot be written."""
        makers = self._makers()
        step = self.progress.start("evidence", len(makers))
        found = {}
        for kind, make in makers.items():
            found[kind] = self._kept(kind) or self._keep(make())
            step(1)
        return found

    def _makers(self) -> dict[str, Callable[[], Section]]:
        makers = {
            "verification": self._verification,
            "mechanism": self._mechanism,
            "robustness": self._robustness,
        }
        makers |= {"membership": self._membership, "inversion": self._inversion}
        if self.subject.invented and self.depth.groups:
            makers["fairness"] = self._fairness
        if self.subject.invented:
            makers["attributes"] = self._attributes
        if self.heads is not None:
            makers["heads"] = self._heads
        return makers

    def _kept(self, kind: str) -> Section | None:
        """The section that is there already, if it is about this very model and these people."""
        path = self.folder / f"{kind}.json"
        if not path.exists():
            return None
        try:
            found = Section.from_json(path.read_text("utf-8"))
        except (OSError, ConfigError, UnicodeDecodeError):
            return None
        about = dataclasses.replace(self.subject.about, people=found.about.people)
        same = (found.about.trunk, found.about.tail) == (about.trunk, about.tail)
        faces = found.about.faces in ("", about.faces)
        measured = found.command == self._command(kind) and self._of_these(found)
        return found if same and faces and measured else None

    def _of_these(self, found: Section) -> bool:
        """Whether a section of heads is about the very heads at hand."""
        if self.heads is None or found.kind != "heads":
            return True
        return (found.figures.get("file"), found.figures.get("public")) == self.heads.files

    def _keep(self, section: Section) -> Section:
        keep_section(section, self.folder)
        return section

    def _command(self, kind: str) -> str:
        assert kind in KINDS
        return self.command

    def _verification(self) -> Section:
        seed = self.depth.robustness.seed
        figures = verification_figures(self.subject, seed, self.depth.fmr)
        return self.subject.section("verification", figures, seed=seed, command=self.command)

    def _mechanism(self) -> Section:
        claim = Claim(epsilon=self.depth.epsilon, delta=self.depth.delta)
        found = audit_mechanism(claim, Effort(), OsEntropy)
        section = self.subject.section(
            "mechanism",
            found.figures,
            seed=0,
            command=self.command,
            failed=found.failed,
            minutes=round(found.seconds / 60, 3),
        )
        nobody = dataclasses.replace(section.about, faces="", people=0)
        return dataclasses.replace(section, about=nobody)

    def _robustness(self) -> Section:
        own = None if self.first.hash == self.subject.tail.hash else self.first
        return robustness(
            self.subject,
            self.depth.robustness,
            self.progress,
            neighbours=Neighbours(own=own),
            out=self.folder,
            command=self.command,
        )

    def _membership(self) -> Section:
        began, depth = time.monotonic(), self.depth
        seed = depth.robustness.seed
        plan = MembershipPlan(epsilons=(depth.epsilon,), shadows=depth.shadows, seed=seed)
        with TemporaryDirectory() as scratch:
            made = federations_of(self.subject, Path(scratch), DELTA, self.progress)
            made = dataclasses.replace(made, gradient_share=depth.gradients)
            figures, failed = attack_membership(made, plan, self.progress)
        return self.subject.section(
            "membership",
            figures,
            seed=seed,
            command=self.command,
            failed=failed,
            minutes=round((time.monotonic() - began) / 60, 2),
        )

    def _inversion(self) -> Section:
        began, depth = time.monotonic(), self.depth
        asked = InversionOptions(
            fmr=depth.fmr,
            people=depth.inverted,
            descended=min(depth.inverted, 10),
            epsilon=(depth.epsilon,),
            delta=depth.delta,
            seed=depth.robustness.seed,
        )
        found = invert(self.subject, asked, self.progress)
        return section_of(found, asked, self.command, self.folder, time.monotonic() - began)

    def _attributes(self) -> Section:
        depth, seed = self.depth, self.depth.robustness.seed
        marks = marks_of(self.subject.tested, None, np.random.default_rng([seed, 17]))
        asked = AttributeOptions(epsilon=(depth.epsilon,), delta=depth.delta, seed=seed)
        figures, failed = infer(self.subject, marks, asked, self.progress, self.first)
        return self.subject.section(
            "attributes", figures, seed=seed, command=self.command, failed=failed
        )

    def _heads(self) -> Section:
        assert self.heads is not None
        return heads_section(self.subject, self.heads, self.depth.robustness.seed, self.command)

    def _fairness(self) -> Section:
        assert self.depth.groups is not None
        grouped = group_invented(self.subject, self.depth.groups)
        asked = FairnessOptions(fmr=self.depth.fmr, seed=self.depth.robustness.seed)
        return fairness_section(grouped, asked, self.command)
