"""Clusters are where the similarities put them, and are judged by the definitions."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.metrics.clustering import TRIED, Agreement, Tree, choose_similarity

GROUPS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)
RATES = (
    *("pairwise_precision", "pairwise_recall", "pairwise_f1"),
    *("bcubed_precision", "bcubed_recall", "bcubed_f1", "mutual_information"),
)


def plane(*degrees: float) -> NDArray[np.float64]:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_hand_computed_agreement() -> None:
    # Clusters {a a b} {a b b}: three pairs each, one right in each.
    # Pairwise precision 2/6; persons a and b have three pairs each, two found: recall 2/6.
    # B-cubed precision: four pictures see 2/3 of their cluster, two see 1/3: (8/3 + 2/3) / 6.
    # Recall is the same, by symmetry: 5/9.
    found = Agreement.of([1, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 1])
    assert (found.clusters, found.people) == (2, 2)
    assert found.pairwise_precision == pytest.approx(1 / 3)
    assert found.pairwise_recall == pytest.approx(1 / 3)
    assert found.pairwise_f1 == pytest.approx(1 / 3)
    assert found.bcubed_precision == pytest.approx(5 / 9)
    assert found.bcubed_recall == pytest.approx(5 / 9)
    assert found.bcubed_f1 == pytest.approx(5 / 9)
    # Entropies log 2 each; together 2/6 twice and 1/6 twice.
    both = -(2 / 3 * log(1 / 3) + 1 / 3 * log(1 / 6))
    assert found.mutual_information == pytest.approx((2 * log(2) - both) / log(2))


def test_hand_computed_agreement_of_a_split_person() -> None:
    # One person in clusters of 3 and 1, another alone: precision 1 throughout.
    # Pairwise recall 3/6; B-cubed recall (3 * 3/4 + 1/4 + 1) / 5 = .7.
    found = Agreement.of([7, 7, 7, 8, 9], [0, 0, 0, 0, 1])
    assert (found.clusters, found.people) == (3, 2)
    assert (found.pairwise_precision, found.bcubed_precision) == (1, 1)
    assert found.pairwise_recall == pytest.approx(0.5)
    assert found.pairwise_f1 == pytest.approx(2 / 3)
    assert found.bcubed_recall == pytest.approx(0.7)
    assert found.bcubed_f1 == pytest.approx(1.4 / 1.7)


def test_undefined_figures_are_none() -> None:
    alone = Agreement.of([0, 1, 2], [0, 1, 2])
    assert (alone.pairwise_precision, alone.pairwise_recall, alone.pairwise_f1) == (None,) * 3
    assert (alone.bcubed_f1, alone.mutual_information) == (1, 1)
    assert Agreement.of([0, 0], [5, 5]).mutual_information is None
    nothing = Agreement.of([], [])
    assert {getattr(nothing, rate) for rate in RATES} == {None}


def test_average_linkage_of_a_hand_computed_row() -> None:
    # Pictures at 0, 20 and 60 degrees. 0 and 20 join at cos 20 = .940; with 60 they have the
    # mean similarity (cos 60 + cos 40) / 2 = .633, where single linkage would see .766.
    tree = Tree.of(plane(0, 20, 60))
    assert tree.joins[:, 2] == pytest.approx(
        [1 - np.cos(np.radians(20)), 1 - (0.5 + np.cos(np.radians(40))) / 2], abs=1e-6
    )
    assert len(set(tree.cut(0.95))) == 3
    assert tree.cut(0.7)[0] == tree.cut(0.7)[1] != tree.cut(0.7)[2]
    assert len(set(tree.cut(0.6))) == 1


def test_no_picture_and_a_single_picture_are_sorted_too() -> None:
    assert Tree.of(np.empty((0, 3))).cut(0.5).tolist() == []
    single = Tree.of([[1.0, 0.0]])
    assert single.cut(0.5).tolist() == [0]
    assert choose_similarity(single, [4]) is None


def test_chosen_threshold_lies_between_people_and_serves_others() -> None:
    # People 90 degrees apart with pictures 10 degrees apart: any threshold between will do.
    made = plane(0, 10, 90, 100, 180, 190)
    tree = Tree.of(made)
    similarity = choose_similarity(tree, [0, 0, 1, 1, 2, 2])
    assert similarity is not None
    assert np.cos(np.radians(80)) < similarity < np.cos(np.radians(10))
    others = Tree.of(plane(30, 45, 140, 155)).cut(similarity)
    assert Agreement.of(others, [0, 0, 1, 1]).bcubed_f1 == 1


def test_choice_prefers_everybody_alone_when_the_embedder_is_blind() -> None:
    tree = Tree.of(plane(0, 90, 1, 91))
    similarity = choose_similarity(tree, [0, 0, 1, 1])
    assert similarity is not None
    worth = [Agreement.of(tree.cut(s), [0, 0, 1, 1]).bcubed_f1 for s in tree.similarities()]
    chosen = Agreement.of(tree.cut(similarity), [0, 0, 1, 1]).bcubed_f1
    assert chosen == max(w for w in worth if w is not None)


def test_at_most_so_many_thresholds_are_tried_and_the_ends_are_among_them() -> None:
    tree = Tree.of(np.random.default_rng(0).standard_normal((700, 5)))
    tried = tree.similarities()
    assert len(tried) <= TRIED
    assert tried == sorted(tried)
    assert len(set(tree.cut(tried[0]))) == 1
    assert len(set(tree.cut(tried[-1]))) == 700


@given(groups=GROUPS)
def test_agreement_counts_what_the_definitions_count(groups: list[tuple[int, int]]) -> None:
    cluster, person = zip(*groups, strict=True)
    found = Agreement.of(cluster, person)
    n = len(groups)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    together = [p for p in pairs if cluster[p[0]] == cluster[p[1]]]
    same = [p for p in pairs if person[p[0]] == person[p[1]]]
    right = len(set(together) & set(same))
    assert found.pairwise_precision == (right / len(together) if together else None)
    assert found.pairwise_recall == (right / len(same) if same else None)
    precision = recall = 0.0
    for c, p in groups:
        both = groups.count((c, p))
        precision += both / cluster.count(c) / n
        recall += both / person.count(p) / n
    assert found.bcubed_precision == pytest.approx(precision)
    assert found.bcubed_recall == pytest.approx(recall)


@given(groups=GROUPS, seed=st.integers(0, 99))
def test_agreement_does_not_depend_on_names_or_order(
    groups: list[tuple[int, int]], seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(groups))
    cluster, person = np.array(groups).T
    found, other = (
        Agreement.of(cluster, person),
        Agreement.of(100 - 7 * cluster[order], person[order] + 40),
    )
    mirrored = Agreement.of(person, cluster)
    for rate in RATES:
        value = getattr(found, rate)
        assert getattr(other, rate) == pytest.approx(value)
        assert value is None or 0 <= value <= 1 + 1e-12
    assert mirrored.pairwise_precision == found.pairwise_recall
    assert mirrored.bcubed_precision == pytest.approx(found.bcubed_recall)
    assert mirrored.mutual_information == pytest.approx(found.mutual_information)


@given(seed=st.integers(0, 10**6), n=st.integers(2, 40))
def test_fewer_clusters_at_lower_similarity_and_each_inside_a_larger(seed: int, n: int) -> None:
    tree = Tree.of(np.random.default_rng(seed).standard_normal((n, 4)))
    finer = tree.cut(0.5)
    coarser = tree.cut(0.2)
    assert len(set(coarser)) <= len(set(finer))
    assert len(set(zip(finer, coarser, strict=True))) == len(set(finer))


@given(seed=st.integers(0, 10**6))
def test_norms_and_order_of_pictures_do_not_change_the_clusters(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((25, 6))
    order = rng.permutation(25)
    cut = Tree.of(made).cut(0.3)[order]
    other = Tree.of(3.5 * made[order]).cut(0.3)
    assert len(set(zip(cut, other, strict=True))) == len(set(cut)) == len(set(other))
