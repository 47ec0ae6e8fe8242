import numpy as np
import pytest

from common.synthetic.clutter import draw_clutter, scrambled
from common.synthetic.collages import Collage, Collages, CollageSize
from common.synthetic.cutouts import HEIGHT, TALL, WIDTH, Cutout, draw_cutout, head_alone
from common.synthetic.leaves import draw_leaves

SIZE = CollageSize(side=128, largest=100)


@pytest.fixture(scope="module")
def people() -> list[Cutout]:
    return [draw_cutout(number, 5) for number in (0, 7)]


@pytest.fixture(scope="module")
def collages(people: list[Cutout]) -> Collages:
    place = np.full((160, 200, 3), 90, np.uint8)
    return Collages(people, [place], SIZE)


@pytest.fixture(scope="module")
def drawn(collages: Collages) -> list[Collage]:
    return [collages.draw(np.random.default_rng(seed)) for seed in range(24)]


def test_a_person_cut_out_is_opaque_where_the_face_is_and_nowhere_near_the_edge(
    people: list[Cutout],
) -> None:
    for one in people:
        assert one.copies[0].shape == (HEIGHT, WIDTH, 4)
        assert [copy.shape[0] for copy in one.copies] == [HEIGHT, HEIGHT // 2, HEIGHT // 4]
        x, y = one.landmarks.mean(axis=0).astype(int)
        assert one.copies[0][y - 10 : y + 10, x - 10 : x + 10, 3].min() > 250
        assert one.copies[0][:8, :, 3].max() == 0
        left, top, wide, tall = one.box
        assert 0.5 * TALL < tall < 1.4 * TALL
        assert (one.landmarks >= [left - 1, top]).all()
        assert (one.landmarks <= [left + wide + 1, top + tall]).all()


def test_the_same_chance_makes_the_same_collage(collages: Collages, drawn: list[Collage]) -> None:
    again = collages.draw(np.random.default_rng(4))
    assert np.array_equal(again.picture, drawn[4].picture)
    assert np.array_equal(again.landmarks, drawn[4].landmarks)
    assert not np.array_equal(drawn[5].picture, drawn[4].picture)


def test_collages_show_nobody_one_or_several_of_all_sizes(drawn: list[Collage]) -> None:
    counts = [len(one.boxes) for one in drawn]
    assert min(counts) == 0
    assert max(counts) >= 3
    heights = np.concatenate([one.boxes[:, 3] for one in drawn])
    assert heights.min() < 18
    assert heights.max() > 60


def test_eyes_stay_left_to_right_as_the_viewer_sees_them(drawn: list[Collage]) -> None:
    """Mirrored people too; but for heads turned by more than a right angle, which are not drawn."""
    for one in drawn:
        for points in one.landmarks:
            eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
            right = points[1] - points[0]
            down = mouth - eyes
            assert right[0] * down[1] - right[1] * down[0] > 0


def test_a_face_behind_another_is_doubtful(people: list[Cutout]) -> None:
    collages = Collages(people, [np.zeros((64, 64, 3), np.uint8)], SIZE)
    chance = np.random.default_rng(0)
    seen = [collages.draw(chance) for _ in range(60)]
    assert any(one.doubtful.any() for one in seen)
    assert sum(int(one.doubtful.sum()) for one in seen) < 0.3 * sum(len(one.boxes) for one in seen)


def test_a_scrambled_face_keeps_its_place_and_not_its_looks(people: list[Cutout]) -> None:
    for seed in range(12):
        spoiled = scrambled(people[0], np.random.default_rng(seed))
        assert spoiled.copies[0].shape == people[0].copies[0].shape
        left, top, wide, tall = (round(v) for v in people[0].box)
        inner = slice(top, top + tall), slice(left, left + wide)
        before, after = (c.copies[0][inner].astype(int) for c in (people[0], spoiled))
        assert np.abs(before - after).mean() > 4


def test_clutter_is_never_twice_the_same() -> None:
    one, other = (draw_clutter(64, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.shape == (64, 64, 3)
    assert one.dtype == np.uint8
    assert not np.array_equal(one, other)


def test_collages_of_nobody_are_refused(people: list[Cutout]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Collages([], [], SIZE)
    with pytest.raises(ValueError, match="at least one"):
        Collages(people, [], SIZE)


@pytest.mark.parametrize("oval", [False, True])
def test_a_head_alone_keeps_the_face_and_loses_the_body(people: list[Cutout], oval: bool) -> None:
    for one in people:
        head = head_alone(one, 1.1, oval)
        for halved, (before, after) in enumerate(zip(one.copies, head.copies, strict=True)):
            left, top, wide, tall = (value / 2**halved for value in one.box)
            inner = (
                slice(round(top + 0.3 * tall), round(top + 0.8 * tall)),
                slice(round(left + 0.25 * wide), round(left + 0.75 * wide)),
            )
            assert np.array_equal(before[inner], after[inner])
            assert after[round(top + 1.2 * tall) :].max() == 0
            assert before[round(top + 1.2 * tall) :].max() == 255
        above = slice(0, round(one.box[1] - 0.2 * one.box[3]))
        assert (head.copies[0][above] == (0 if oval else one.copies[0][above])).all()


def test_leaves_lie_over_one_another_at_all_sizes() -> None:
    grain = np.full((96, 96, 3), 128, np.uint8)
    drawn = [draw_leaves(96, grain, np.random.default_rng(seed)) for seed in range(8)]
    for one in drawn:
        assert (one.shape, one.dtype) == (grain.shape, np.uint8)
        assert len(np.unique(one.reshape(-1, 3), axis=0)) > 30
    assert (grain == 128).all()
    assert np.array_equal(drawn[3], draw_leaves(96, grain, np.random.default_rng(3)))
    assert not np.array_equal(drawn[3], drawn[4])
