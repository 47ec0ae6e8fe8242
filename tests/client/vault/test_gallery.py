"""A gallery finds what a brute-force search finds, keeps nothing it was told to forget."""

import copy
import itertools
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from client.vault import gallery as galleries
from client.vault.gallery import FEW, TOP, Gallery, Hits
from client.vault.identity import PersonId, TemplateId
from common.errors import GalleryFullError, UnknownPersonError

Rows = NDArray[np.float64]
DIM = 24


def person(number: int) -> PersonId:
    return PersonId(number.to_bytes(16, "big"))


def template(number: int) -> TemplateId:
    return TemplateId(number.to_bytes(16, "little"))


def unit_rows(rng: np.random.Generator, count: int, dim: int = DIM) -> Rows:
    rows = rng.standard_normal((count, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float64)


def filled(rows: Rows, owners: list[int], capacity: int = 4) -> Gallery:
    gallery = Gallery(rows.shape[1], capacity)
    gallery.extend([person(o) for o in owners], [template(i) for i in range(len(rows))], rows)
    return gallery


def brute(
    rows: Rows, owners: list[int], probe: Rows, top: int
) -> list[tuple[PersonId, np.float32]]:
    """What the definition says, on rows rounded to float16, in float64."""
    best: dict[int, np.float32] = {}
    rounded = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    probe = probe / np.linalg.norm(probe)
    for owner, row in zip(owners, rounded.astype(np.float64), strict=True):
        best[owner] = max(best.get(owner, np.float32(-9)), np.float32((row * probe).sum()))
    order = sorted(best.items(), key=lambda one: (-one[1], person(one[0])))
    return [(person(owner), score) for owner, score in order[:top]]


def told(hits: Hits, probe: int = 0) -> list[tuple[PersonId, np.float32]]:
    return list(zip(hits.persons[probe], hits.scores[probe], strict=True))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 3 * FEW),
    people=st.integers(1, 40),
    dim=st.sampled_from([1, 3, 16, 65, 128]),
    top=st.integers(1, TOP),
    spread=st.sampled_from([0.0, 1e-4, 0.1, 3.0]),
)
def test_a_search_finds_what_brute_force_finds(
    seed: int, count: int, people: int, dim: int, top: int, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = unit_rows(rng, 1, dim) + spread * unit_rows(rng, count, dim)
    rows[np.linalg.norm(rows, axis=1) < 1e-3] = unit_rows(rng, 1, dim)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)  # near one another: bounds have to hold
    owners = rng.integers(0, people, count).tolist()
    gallery = filled(rows, owners)
    probes = np.concatenate([unit_rows(rng, 3, dim), rows[:2]])
    hits = gallery.search(probes, top)
    assert hits.exact
    for number, probe in enumerate(probes):
        assert told(hits, number) == brute(rows, owners, probe, top)


def test_equal_scores_are_ordered_by_the_bytes_of_the_id() -> None:
    rng = np.random.default_rng(1)
    row = unit_rows(rng, 1)
    many = 2 * FEW
    owners = rng.permutation(many).tolist()
    gallery = filled(np.repeat(row, many, axis=0), owners)
    assert gallery.search(row).persons[0] == tuple(person(i) for i in range(TOP))
    gallery.remove_person(person(2))
    assert gallery.search(row).persons[0] == tuple(person(i) for i in (0, 1, 3, 4, 5))


def test_an_answer_has_the_same_bits_in_any_company_and_place() -> None:
    rng = np.random.default_rng(2)
    rows, owners = unit_rows(rng, 5000, 512), list(range(5000))
    probes = unit_rows(rng, 300, 512)
    gallery, turned = filled(rows, owners), filled(rows[::-1].copy(), owners[::-1])
    together = gallery.search(probes)
    assert np.array_equal(together.scores, turned.search(probes).scores)
    for number in range(0, 300, 37):
        alone = gallery.search(probes[number : number + 1])
        assert alone.persons[0] == together.persons[number]
        assert np.array_equal(alone.scores[0], together.scores[number])


def test_rows_and_probes_that_are_no_finite_unit_vectors_are_refused() -> None:
    gallery = filled(unit_rows(np.random.default_rng(3), 3), [0, 1, 2])
    good = unit_rows(np.random.default_rng(4), 1)[0]
    bad = [np.zeros(DIM), good * 1.02, good * 0.98, good[:-1], np.append(good, 0)]
    for value in (np.nan, np.inf, -np.inf):
        broken = good.copy()
        broken[5] = value
        bad.append(broken)
    for number, row in enumerate(bad):
        with pytest.raises(ValueError, match="row"):
            gallery.add(person(9), template(90 + number), row)
        with pytest.raises(ValueError, match="row"):
            gallery.search(row[None])
        with pytest.raises(ValueError, match="row"):
            gallery.best(row, person(0))
    assert len(gallery) == 3
    with pytest.raises(ValueError, match="at least one"):
        gallery.search(np.zeros((0, DIM)))
    with pytest.raises(ValueError, match="top"):
        gallery.search(good[None], TOP + 1)


def test_an_addition_that_is_refused_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    gallery = Gallery(DIM, capacity=2, most=4)
    gallery.extend([person(0)] * 3, [template(i) for i in range(3)], unit_rows(rng, 3))
    with pytest.raises(GalleryFullError, match="at most 4"):
        gallery.extend([person(1)] * 2, [template(7), template(8)], unit_rows(rng, 2))
    with pytest.raises(ValueError, match="already"):
        gallery.add(person(1), template(2), unit_rows(rng, 1)[0])
    with pytest.raises(ValueError, match="of its own"):
        gallery.extend([person(1)] * 2, [template(7)] * 2, unit_rows(rng, 2))
    with pytest.raises(UnknownPersonError):
        gallery.best(unit_rows(rng, 1)[0], person(1))
    assert gallery.search(unit_rows(rng, 1)).persons == ((person(0),),)


def test_an_empty_gallery_finds_nobody() -> None:
    hits = Gallery(DIM).search(unit_rows(np.random.default_rng(6), 2))
    assert hits.persons == ((), ())
    assert hits.scores.shape == (2, 0)


def test_verification_takes_the_best_template_or_the_mean_of_the_best_two() -> None:
    rng = np.random.default_rng(7)
    rows = unit_rows(rng, 5)
    gallery = filled(rows, [0, 0, 0, 0, 1])
    probe = unit_rows(rng, 1)[0]
    scores = sorted((rows[:4].astype(np.float16) @ probe).tolist())
    assert gallery.best(probe, person(0)) == pytest.approx(scores[-1], abs=1e-6)
    assert gallery.best(probe, person(0), 2) == pytest.approx(sum(scores[-2:]) / 2, abs=1e-6)
    assert gallery.best(probe, person(1), 2) == pytest.approx(float(rows[4] @ probe), abs=1e-3)


def test_float16_moves_a_score_by_less_than_its_rounding() -> None:
    rng = np.random.default_rng(8)
    rows = unit_rows(rng, 400, 512)
    gallery = filled(rows, list(range(400)))
    for probe in rows[:20]:
        for owner in range(0, 400, 50):
            assert abs(gallery.best(probe, person(owner)) - rows[owner] @ probe) < 2**-11


@pytest.mark.parametrize("share", [0.001, 0.05, 0.9])
def test_a_bitmap_searches_among_some_people_only(share: float) -> None:
    rng = np.random.default_rng(9)
    rows = unit_rows(rng, 4 * FEW)
    owners = (np.arange(4 * FEW) // 2).tolist()
    gallery = filled(rows, owners)
    some = np.flatnonzero(rng.random(2 * FEW) < share).tolist()
    allowed = gallery.bitmap([person(number) for number in some] + [person(99_999)])
    kept = [i for i, owner in enumerate(owners) if owner in set(some)]
    probes = unit_rows(rng, 4)
    hits = gallery.search(probes, allowed=allowed)
    for number, probe in enumerate(probes):
        assert told(hits, number) == brute(rows[kept], [owners[i] for i in kept], probe, TOP)
    assert gallery.search(probes, allowed=gallery.bitmap([])).persons == ((),) * 4


def test_a_filter_asked_for_again_knows_who_came_and_went_meanwhile() -> None:
    rows = unit_rows(np.random.default_rng(3), 6)
    gallery = filled(rows[:3], [0, 1, 2])
    some = frozenset(person(n) for n in (1, 2, 4))
    first = gallery.bitmap(some)
    assert gallery.bitmap(some) is first
    gallery.add(person(4), template(4), rows[4])
    gallery.remove_person(person(2))
    found = gallery.search(rows[4:5], 5, gallery.bitmap(some)).persons[0]
    assert found[0] == person(4) and set(found) == {person(1), person(4)}
    gallery.clear()
    gallery.add(person(0), template(0), rows[0])
    assert gallery.search(rows[:1], 5, gallery.bitmap(some)).persons == ((),)
    changing = {person(0)}
    gallery.bitmap(changing)
    changing.clear()
    assert gallery.search(rows[:1], 5, gallery.bitmap(changing)).persons == ((),)


def test_a_bitmap_never_admits_who_came_after_it() -> None:
    rng = np.random.default_rng(10)
    rows = unit_rows(rng, 3)
    gallery = filled(rows, [0, 1, 2])
    allowed = gallery.bitmap([person(0), person(1)])
    gallery.remove_person(person(1))
    gallery.add(person(3), template(9), rows[1])
    assert gallery.search(rows[1:2], allowed=allowed).persons == ((person(0),),)
    gallery.clear()
    gallery.add(person(4), template(1), rows[0])
    assert gallery.search(rows[:1], allowed=allowed).persons == ((),)
    with pytest.raises(ValueError, match="another gallery"):
        filled(rows, [0, 1, 2]).search(rows[:1], allowed=allowed)


def test_removing_who_is_not_there_says_so_or_does_nothing() -> None:
    gallery = filled(unit_rows(np.random.default_rng(11), 2), [0, 0])
    assert gallery.remove_person(person(5)) == 0
    with pytest.raises(ValueError, match="no template"):
        gallery.remove(template(5))
    assert gallery.remove_person(person(0)) == 2
    assert len(gallery) == 0


def test_a_gallery_and_its_answers_print_nothing_and_cannot_be_copied() -> None:
    rng = np.random.default_rng(12)
    gallery = filled(unit_rows(rng, 2), [0, 1])
    hits = gallery.search(unit_rows(rng, 1))
    assert repr(gallery) == "<Gallery>"
    assert "score" not in repr(hits)
    assert str(float(hits.scores[0, 0])) not in str(hits)
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="memory"):
            spread(gallery)


def test_nothing_is_written_while_a_gallery_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins
    import os

    rng = np.random.default_rng(13)
    rows = unit_rows(rng, 3 * FEW)
    filled(rows, list(range(3 * FEW))).search(rows[:2])  # what has to be imported is imported

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    for module, name in ((builtins, "open"), (os, "open")):
        monkeypatch.setattr(module, name, refuse)
    gallery = filled(rows, list(range(3 * FEW)))
    gallery.search(rows[:40])
    gallery.remove_person(person(1))
    gallery.clear()


def test_searches_go_on_while_people_come_and_go() -> None:
    rng = np.random.default_rng(14)
    rows = unit_rows(rng, 2 * FEW)
    gallery = filled(rows, list(range(2 * FEW)))
    fresh, failures = unit_rows(rng, 300), []
    done = threading.Event()

    def come_and_go() -> None:
        for number in itertools.count(10_000):
            if done.is_set():
                return
            gallery.add(person(number), template(number), fresh[number % 300])
            if number % 3:
                gallery.remove_person(person(number))

    def look() -> None:
        for number in range(60):
            if gallery.search(rows[number : number + 1]).persons[0][0] != person(number):
                failures.append(number)

    writer, readers = threading.Thread(target=come_and_go), [threading.Thread(target=look)] * 1
    readers.append(threading.Thread(target=look))
    writer.start()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    done.set()
    writer.join()
    assert failures == []


def test_few_rows_need_no_torch_and_many_are_never_scored_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(15)
    rows = unit_rows(rng, 20 * FEW, 128)
    gallery = filled(rows, list(range(20 * FEW)))
    scored = []
    exact = galleries.scan.exact

    def counted(matrix: object, index: NDArray[np.intp], probe: Rows) -> NDArray[np.float32]:
        scored.append(len(index))
        return exact(matrix, index, probe)  # type: ignore[arg-type]

    monkeypatch.setattr(galleries.scan, "exact", counted)
    gallery.search(unit_rows(rng, 8, 128))
    assert max(scored) < FEW
