"""Whoever can write the vault's files changes nothing it says: it is refused, or of no effect.

A case is one mutation of a closed vault, or of one that was cut off with its log. Refused, or the
same contents at the same generation: anything else is a miss.
"""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.vault.labels import Labels
from client.vault.ring import COUNTERS
from client.vault.store import Vault
from common.errors import MascaronError, VaultError, VaultRollbackError
from tests.small_vault import NOW, OTHER, consent, content, enrol, files, person, place, template

State = dict[str, bytes]  # what is in each file of a vault's folder
DATABASE, LOG = "vault.db", "vault.db-wal"
HAT = Labels(shown={"hat": True})


class World:
    """A vault with a past, one of another site under the same key, and a place to try things."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "case"
        self.folder.mkdir()
        self.past: list[State] = []
        with Vault.create(place(folder / "life", site="north")) as vault:
            (folder / "life.kek").replace(folder / "case.kek")
            for step in self._steps(vault):
                step()
                self.past.append(state(folder / "life"))
            self.contents, self.generation = content(vault), vault.generation
        self.place = place(self.folder)
        self.cut, self.now = self.past[-1], state(folder / "life")
        (folder / "else.kek").write_bytes((folder / "case.kek").read_bytes())
        (folder / "else.kek").chmod(0o600)
        with Vault.create(place(folder / "else", site="south")) as vault:
            enrol(vault, range(4))
        self.elsewhere = state(folder / "else")

    @staticmethod
    def _steps(vault: Vault) -> list[Callable[[], object]]:
        return [
            lambda: enrol(vault, [0, 1]),
            lambda: enrol(vault, [2, 3, 4]),
            lambda: vault.add(person(1), template(9, OTHER)),
            lambda: vault.erase([person(3)], NOW),
            lambda: vault.renew(person(2), consent("training", "labels"), now=NOW),
            lambda: vault.labels.put(person(2), HAT, now=NOW),
            lambda: enrol(vault, [5]),
            lambda: vault.renew(person(5), consent("labels"), now=NOW),
            lambda: vault.labels.put(person(5), Labels(age=50), now=NOW),
            lambda: vault.rotate(NOW),
            lambda: vault.add(person(0), template(10, OTHER)),
        ]

    def lay(self, files_of: State) -> None:
        for path in list(files(self.folder)):
            path.unlink()
        for name, raw in files_of.items():
            (self.folder / name).write_bytes(raw)

    def outcome(self) -> str:
        """``refused`` or ``same``; fails for anything else."""
        try:
            with Vault(self.place) as vault:
                assert content(vault) == self.contents, "a miss: other contents"
                assert vault.generation == self.generation, "a miss: another generation"
        except MascaronError:
            return "refused"
        return "same"


def state(folder: Path) -> State:
    left_out = ("lock", "vault.db-shm")
    return {path.name: path.read_bytes() for path in files(folder) if path.name not in left_out}


@pytest.fixture(scope="module")
def world(quick_module_path: Path) -> World:
    return World(quick_module_path)


@given(data=st.data())
def test_a_flipped_bit_anywhere_is_refused_or_of_no_effect(
    world: World, data: st.DataObject
) -> None:
    whole = dict(data.draw(st.sampled_from((world.now, world.cut)), label="closed or cut off"))
    name = data.draw(st.sampled_from(sorted(whole)))
    raw = bytearray(whole[name])
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    world.lay(whole | {name: bytes(raw)})
    assert world.outcome() == "refused" or name in (DATABASE, LOG, "keyring")


@pytest.mark.parametrize("name", [b"tombstone", b"template", b"CREATE", b"person", b"labels"])
def test_a_name_in_the_schema_that_is_no_text_is_refused(world: World, name: bytes) -> None:
    """The database quotes it in an error that is no text either."""
    whole = world.now[DATABASE]
    first = whole.index(b"CREATE TABLE")
    starts = [at for at in range(first - 200, first + 1500) if whole.startswith(name, at)]
    assert starts
    for at in starts:
        for byte in (0x80, 0xFF):
            raw = bytearray(whole)
            raw[at + 2] = byte
            world.lay(world.now | {DATABASE: bytes(raw)})
            assert world.outcome() == "refused"


def test_every_byte_of_the_keyring_and_of_its_slot_counts(world: World) -> None:
    for name in (name for name in world.now if name.startswith("keyring")):
        for position in range(0, len(world.now[name]), 7):
            raw = bytearray(world.now[name])
            raw[position] ^= 0x10
            world.lay(world.now | {name: bytes(raw)})
            counter = name == "keyring" and position < COUNTERS
            assert world.outcome() == "refused" or counter, "the other counter may do"


def test_an_older_copy_of_either_file_is_refused(world: World) -> None:
    keyrings = [name for name in world.now if name.startswith("keyring")]
    for old in world.past[:-1]:
        world.lay(old | {name: world.now[name] for name in keyrings})
        with pytest.raises(VaultRollbackError):
            Vault(world.place)
    for old in world.past[:-2]:  # the last step left the keyring as it was, but for its counter
        world.lay(world.now | {"keyring": old["keyring"]})
        with pytest.raises(VaultError):
            Vault(world.place)
        world.lay(world.now | {name: raw for name, raw in old.items() if "keyring" in name})
        assert world.outcome() == "refused"


def test_a_damaged_counter_does_not_let_an_older_database_pass(world: World) -> None:
    for position in range(COUNTERS):
        raw = bytearray(world.now["keyring"])
        raw[position] ^= 1
        for old in world.past[:-1]:
            world.lay(world.now | {"keyring": bytes(raw), DATABASE: old[DATABASE], LOG: old[LOG]})
            assert world.outcome() == "refused"


def test_a_missing_file_is_refused(world: World) -> None:
    for name in world.now:
        world.lay({other: raw for other, raw in world.now.items() if other != name})
        assert world.outcome() == "refused"


def test_an_untouched_vault_opens(world: World) -> None:
    for whole in (world.now, world.cut):
        world.lay(whole)
        assert world.outcome() == "same"


Mutation = Callable[[World, random.Random], None]


def flip(world: World, rng: random.Random) -> None:
    whole = dict(rng.choice((world.now, world.cut)))
    name = rng.choice(sorted(whole))
    raw = bytearray(whole[name])
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    world.lay(whole | {name: bytes(raw)})


def truncate(world: World, rng: random.Random) -> None:
    whole = dict(rng.choice((world.now, world.cut)))
    name = rng.choice(sorted(whole))
    world.lay(whole | {name: whole[name][: rng.randrange(len(whole[name]))]})


def roll_back(world: World, rng: random.Random) -> None:
    names = rng.choice(([DATABASE], [DATABASE, LOG], ["keyring"]))
    old = rng.choice(world.past[:-2])
    taken = {name: old[name] for name in names if name in old}
    world.lay({n: raw for n, raw in world.now.items() if n not in names} | taken)


def transplant(world: World, rng: random.Random) -> None:
    name = rng.choice([name for name in world.now if name in world.elsewhere])
    world.lay(world.now | {name: world.elsewhere[name]})


def splice(world: World, rng: random.Random) -> None:
    """A page or a piece of one file, put elsewhere in it, or taken from an older copy."""
    name = rng.choice(sorted(world.now))
    raw, size = bytearray(world.now[name]), rng.choice((16, 76, 4096, 16384))
    source = rng.choice([state[name] for state in world.past if name in state] or [bytes(raw)])
    at = rng.randrange(max(len(raw) - size, 1))
    of = at if rng.random() < 0.5 else rng.randrange(max(len(source) - size, 1))
    raw[at : at + size] = source[of : of + size]
    world.lay(world.now | {name: bytes(raw)})


STATEMENTS = (
    "UPDATE template SET sealed = {any_template} WHERE {pick}",
    "UPDATE person SET sealed = {any_person} WHERE {one}",
    "UPDATE template SET person = {anybody} WHERE {pick}",
    "UPDATE template SET trunk = randomblob(32) WHERE {pick}",
    "UPDATE template SET trunk = {other} WHERE {pick} AND trunk <> {other}",
    "UPDATE template SET row = row + 1 WHERE {pick}",
    "UPDATE template SET dim = dim - 1 WHERE {pick}",
    "UPDATE template SET template = randomblob(16) WHERE {pick}",
    "DELETE FROM template WHERE {pick}",
    "DELETE FROM person WHERE {one}",
    "DELETE FROM tombstone WHERE length(digest) > 0",
    "DELETE FROM head",
    "UPDATE head SET sealed = randomblob(76)",
    "INSERT INTO person VALUES (randomblob(16), randomblob(200))",
    "INSERT INTO tombstone VALUES (1, randomblob(32))",
    "INSERT INTO template SELECT person, randomblob(16), trunk, dim, row, sealed FROM template "
    "ORDER BY random() LIMIT 1",
    "CREATE TRIGGER t AFTER INSERT ON person BEGIN DELETE FROM person; END",
    "CREATE VIEW v AS SELECT * FROM person",
    "CREATE INDEX i ON template (trunk)",
    "DROP TABLE tombstone",
    "UPDATE labels SET sealed = {any_labels} WHERE {said}",
    "UPDATE labels SET sealed = {any_person} WHERE {said}",
    "UPDATE labels SET sealed = randomblob(1052) WHERE {said}",
    "DELETE FROM labels WHERE {said}",
    "INSERT INTO labels SELECT person, template, {any_labels} FROM template WHERE template NOT IN "
    "(SELECT template FROM labels) LIMIT 1",
    "DROP TABLE labels",
    "PRAGMA user_version = 1",
    "PRAGMA user_version = 3",
)
WORDS = {
    "pick": "template = (SELECT template FROM template ORDER BY random() LIMIT 1)",
    "one": "person = (SELECT person FROM person ORDER BY random() LIMIT 1)",
    "any_template": "(SELECT sealed FROM template ORDER BY random() LIMIT 1)",
    "said": "template = (SELECT template FROM labels ORDER BY random() LIMIT 1)",
    "any_labels": "(SELECT sealed FROM labels ORDER BY random() LIMIT 1)",
    "any_person": "(SELECT sealed FROM person ORDER BY random() LIMIT 1)",
    "anybody": "(SELECT person FROM person ORDER BY random() LIMIT 1)",
    "other": f"x'{OTHER}'",
}
ALL = (
    "SELECT * FROM template",
    "SELECT * FROM person",
    "SELECT * FROM tombstone",
    "SELECT * FROM labels",
)


def edit(world: World, rng: random.Random) -> None:
    """What can be said in SQL: rows swapped, moved, changed, doubled, taken away."""
    world.lay(world.now)
    database = sqlite3.connect(world.folder / DATABASE)
    database.execute(rng.choice(STATEMENTS).format(**WORDS))
    database.commit()
    database.close()


MUTATIONS: tuple[Mutation, ...] = (flip, truncate, roll_back, transplant, splice, edit)


def storm(world: World, cases: int, seed: int) -> dict[str, int]:
    rng = random.Random(seed)  # noqa: S311
    refused = dict.fromkeys((mutation.__name__ for mutation in MUTATIONS), 0)
    for _ in range(cases):
        mutation = rng.choice(MUTATIONS)
        mutation(world, rng)
        refused[mutation.__name__] += world.outcome() == "refused"
    return refused


def test_every_statement_that_changes_something_is_refused(world: World) -> None:
    for statement in STATEMENTS:
        world.lay(world.now)
        database = sqlite3.connect(world.folder / DATABASE)
        before = [database.execute(query).fetchall() for query in ALL]
        database.execute(statement.format(**WORDS))
        database.commit()
        changed = ("UPDATE template", "UPDATE person", "UPDATE labels")
        same = statement.startswith(changed) and before == [
            database.execute(query).fetchall() for query in ALL
        ]
        database.close()
        assert world.outcome() == ("same" if same else "refused"), statement


def test_nothing_of_a_storm_is_missed(world: World) -> None:
    refused = storm(world, 150, seed=5)
    assert all(refused.values()), refused


@pytest.mark.slow
def test_nothing_of_a_hundred_thousand_cases_is_missed(world: World) -> None:
    assert all(storm(world, 100_000, seed=6).values())
