"""`mascaron-lab describe|search`: pictures by their number, never by whom they show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from common.console import result
from common.errors import ConfigError
from common.faces.detect import make_detector
from common.faces.folder import FolderOptions
from common.heads.gender import GenderHead
from common.text.describe import Description, describe
from common.text.grammar import LEAST
from common.text.parsing import parse
from common.text.search import Ranking, Searcher
from common.text.vocabulary import Language
from simulations.progress import Bars
from simulations.reading import Shown, invented, of_folder, of_picture, open_reader


@dataclass(frozen=True, kw_only=True)
class Whom:
    """Whose faces are read, and by which heads: exactly one of the first three."""

    picture: Path | None = None
    faces: Path | None = None
    people: int | None = None  # invented ones
    trunk: Path | None = None
    heads: Path | None = None
    detector: Path | None = None
    aligned: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.picture, self.faces, self.people)) != 1:
            raise ConfigError("say whose faces: those of a file or folder, or --invented NUMBER")

    def shown(self, bars: Bars) -> Shown:
        """Their crops."""
        if self.people is not None:
            return invented(self.people, self.seed, bars)
        if self.faces is not None:
            return of_folder(self.faces, self.aligned)
        detector = None if self.aligned else make_detector(self.detector)
        options = FolderOptions(aligned=self.aligned, detector=detector)
        return of_picture(self.picture or Path(), options)


def describe_command(whom: Whom, language: Language = "en", least: float = LEAST) -> None:
    """Prints a sentence a picture to stderr, and all that is said of each as JSON."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    reader = open_reader(whom.trunk, whom.heads)
    with Bars(console) as bars:
        shown = whom.shown(bars)
    readings = reader.read(shown.crops)
    told = []
    for row in range(len(shown.crops)):
        found = describe(readings, row, least=least, language=language)
        console.print(f"{row}: {found.sentence}")
        truth = {} if shown.truth is None else {"truth": shown.truth[row]}
        told.append({"picture": row, **_as_json(found), **truth})
    result({"pictures": told})


def search_command(whom: Whom, query: str, top: int, encoder: str) -> None:
    """Prints the best pictures as a table to stderr and as JSON to stdout."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    reader = open_reader(whom.trunk, whom.heads)
    asked = parse(query, gender=GenderHead.kind in reader.heads.kinds)
    with Bars(console) as bars:
        shown = whom.shown(bars)
    found = Searcher(reader.encoder(encoder)).rank(asked, reader.read(shown.crops))
    best = [_hit(found, int(row), shown) for row in found.order[:top]]
    console.print(_table(best))
    told = {"asked": found.asked, "unread": found.unread, "unasked": asked.unasked}
    strange = len(asked.remainder.split())
    result({"pictures": len(shown.crops), **told, "strange_words": strange, "found": best})


def _as_json(found: Description) -> dict[str, Any]:
    said = {one.name: [one.present, round(one.probability, 3)] for one in found.said}
    age = None if found.age is None else round(found.age, 1)
    between = None if found.age_range is None else [round(years, 1) for years in found.age_range]
    return {"sentence": found.sentence, "said": said, "age": age, "age_range": between}


def _hit(found: Ranking, row: int, shown: Shown) -> dict[str, Any]:
    chances = zip(found.asked, found.chances[row].tolist(), strict=True)
    return {
        "picture": row,
        "score": round(float(found.fused[row]), 3),
        "chances": {name: round(chance, 3) for name, chance in chances},
        "text": None if found.text is None else round(float(found.text[row]), 3),
        **({} if shown.truth is None else {"truth": shown.truth[row]}),
    }


def _table(hits: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE)
    for head in ("picture", "score", "chances", "text", "truth"):
        table.add_column(head)
    for hit in hits:
        chances = ", ".join(f"{name} {chance:.2f}" for name, chance in hit["chances"].items())
        text = "-" if hit["text"] is None else f"{hit['text']:.2f}"
        table.add_row(
            str(hit["picture"]), f"{hit['score']:.2f}", chances, text, hit.get("truth", "-")
        )
    return table
