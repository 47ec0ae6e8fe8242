"""Labels for tests: what a few words say, drawn ones, and where their bytes lie."""

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from client.policy import SitePolicy
from client.vault.identity import PersonId
from client.vault.labels import Labels, Told
from client.vault.records import NewTemplate
from client.vault.store import Vault
from common.text.vocabulary import FEMALE, names
from tests.small_vault import NOW, TRUNK, consent, files, person, template, windows

AGREED = ("verify", "identify", "training", "labels")
ALL_KINDS = SitePolicy(epsilon=8.0, delta=1e-4, heads=("attributes", "age", "gender"))
HAT = Labels(shown={"hat": True, "beard": False}, age=41)
BARE = Labels(shown={"hat": False})

drawn_labels = st.builds(
    lambda shown, age: Labels(shown=shown, age=age) if shown or age is not None else None,
    st.dictionaries(st.sampled_from([*names(), FEMALE]), st.booleans(), max_size=8),
    st.one_of(st.none(), st.integers(0, 120)),
)


def labelled(number: int, labels: Labels | None, trunk: str = TRUNK) -> NewTemplate:
    """Template ``number``, of whose picture ``labels`` are said."""
    plain = template(number, trunk)
    return NewTemplate(trunk=trunk, feature=plain.feature, quality=plain.quality, labels=labels)


def enrol_labelled(vault: Vault, number: int, *labels: Labels | None) -> PersonId:
    """Person ``number``, who agreed to it, with a picture for each of ``labels``."""
    shown = [labelled(number + 1000 * view, one) for view, one in enumerate(labels)]
    vault.enrol(person(number), shown, consent(*AGREED), now=NOW, label=f"L{number}")
    return person(number)


def told(vault: Vault, who: PersonId) -> list[Told]:
    """What is said of a person's pictures, the oldest first."""
    found: list[Told] = vault.export(who)["labels"]
    return found


def sealed_labels(vault: Vault, who: PersonId) -> list[bytes]:
    """The records on the disk."""
    return [row[-1] for row in vault._core.tables.select("labels", who)]


def lies_in(folder: Path, records: list[bytes]) -> bool:
    """Whether any 16 bytes in a row of ``records`` are in a file of ``folder``."""
    held = set[bytes]().union(*(windows(path.read_bytes()) for path in files(folder)))
    return any(not held.isdisjoint(windows(record)) for record in records)


def plain_forms(labels: Labels) -> list[bytes]:
    """The ways in which somebody might have written ``labels`` down."""
    table = labels.table()
    forms: list[Callable[[], str]] = [
        lambda: json.dumps(table),
        lambda: json.dumps(labels.shown, sort_keys=True, separators=(",", ":")),
        lambda: repr(table),
        lambda: ",".join(f"{name}={said}" for name, said in table.items()),
    ]
    return [form().encode() for form in forms]
