"""Whatever comes and goes, a gallery answers like a list, and nothing freed stays in memory."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from client.vault import gallery as galleries
from client.vault.gallery import Gallery
from client.vault.identity import PersonId, TemplateId
from client.vault.matrix import Matrix
from client.vault.prefilter import Prefilter

DIM = 16
PEOPLE = st.integers(0, 6).map(lambda number: PersonId(bytes([number] * 16)))


class Coming(RuleBasedStateMachine):
    """Adds, removes and searches at random, beside a dict that is searched by definition."""

    @initialize(signs=st.booleans(), few=st.sampled_from([0, 512]))
    def open(self, signs: bool, few: int) -> None:
        self.few, galleries.FEW = galleries.FEW, few  # 0: every search goes over codes
        self.gallery = Gallery(DIM, capacity=1)
        if signs:
            self.gallery.use(Prefilter(DIM, threshold=0.9, most=2))
        self.rows: dict[TemplateId, tuple[PersonId, NDArray[np.float64]]] = {}
        self.born = 0
        self.outgrown: list[NDArray[np.generic]] = []

    def teardown(self) -> None:
        if hasattr(self, "few"):
            galleries.FEW = self.few

    @property
    def matrix(self) -> Matrix:
        return self.gallery._matrix

    @rule(person=PEOPLE, seed=st.integers(0, 2**20), count=st.integers(1, 4))
    def add(self, person: PersonId, seed: int, count: int) -> None:
        rows = np.random.default_rng(seed).standard_normal((count, DIM))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        names = [TemplateId((self.born + i).to_bytes(16, "big")) for i in range(count)]
        self.born += count
        self.outgrown += self.matrix._arrays.values()
        self.gallery.extend([person] * count, names, rows)
        live = {id(array) for array in self.matrix._arrays.values()}
        self.outgrown = [array for array in self.outgrown if id(array) not in live]
        self.rows |= {name: (person, row) for name, row in zip(names, rows, strict=True)}

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.rows)))
        self.gallery.remove(name)
        del self.rows[name]

    @rule(person=PEOPLE)
    def remove_person(self, person: PersonId) -> None:
        gone = [name for name, (owner, _) in self.rows.items() if owner == person]
        assert self.gallery.remove_person(person) == len(gone)
        for name in gone:
            del self.rows[name]

    @rule(seed=st.integers(0, 2**20), top=st.integers(1, 5), among=st.sets(PEOPLE))
    def search(self, seed: int, top: int, among: set[PersonId]) -> None:
        probe = np.random.default_rng(seed).standard_normal(DIM)
        probe /= np.linalg.norm(probe)
        hits = self.gallery.search(probe[None], top, self.gallery.bitmap(among), exact=True)
        best: dict[PersonId, np.float32] = {}
        for person, row in self.rows.values():
            if person in among:
                score = np.float32((row.astype(np.float16).astype(np.float64) * probe).sum())
                best[person] = max(best.get(person, np.float32(-9)), score)
        order = sorted(best, key=lambda person: (-best[person], person))[:top]
        assert hits.persons[0] == tuple(order)
        assert np.allclose(hits.scores[0], [best[person] for person in order], atol=1e-6)

    @invariant()
    def freed_rows_are_zero(self) -> None:
        if not hasattr(self, "gallery"):
            return
        assert len(self.gallery) == len(self.rows)
        for array in self.matrix._arrays.values():
            assert not array[self.matrix.count :].any()
        assert not any(array.any() for array in self.outgrown)

    @invariant()
    def every_row_is_where_it_is_said_to_be(self) -> None:
        if not hasattr(self, "gallery"):
            return
        for name, (_, row) in self.rows.items():
            stored = self.matrix["rows"][self.gallery._row[name]]
            assert np.array_equal(stored, row.astype(np.float16))


Coming.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestComing = Coming.TestCase
