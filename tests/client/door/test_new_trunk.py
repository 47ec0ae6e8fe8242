"""A site moves to a new trunk, file by file and person by person: nobody enrols because of it who
does not come by, nothing is compared across trunks, and the old one leaves nothing behind."""

import pytest

from client.door.opening import OpenDoor
from client.door.thresholds import Band
from common.errors import ReleaseError
from tests.small_move import LOOSE, MANY, Move, hashes, new_tail
from tests.small_reception import ANYTHING
from tests.small_vault import content, files

EARLY = range(2)  # who come by before the new trunk decides: enough to calibrate on


@pytest.fixture(scope="module")
def move(tmp_path_factory: pytest.TempPathFactory) -> Move:
    return Move(tmp_path_factory.mktemp("move"))


def check_apart(door: OpenDoor, old: str, new: str) -> None:
    """Each gallery holds templates of its own trunk alone, and all of those."""
    held = door.reception._parts.releases.galleries
    for serving in held.all:
        assert serving.trunk in (old, new)
        kept = {bytes(template) for template in serving.gallery._row}
        assert kept == content(door.vault, serving.trunk).keys()


def test_a_site_moves_to_a_new_trunk_and_back_and_there_for_good(move: Move) -> None:
    old, new = hashes(move)
    with move.door() as door:
        ids = [move.show(door, number) for number in range(MANY)]
        door.reception.calibrate(ANYTHING, LOOSE)
        first = move.bands(door, ids)
        own = [row[n] for n, row in enumerate(first[:MANY])]  # type: ignore[index]
        assert own.count(Band.MATCH) > MANY // 2
    move.trunks(new=True, old=True)
    with move.door() as door:
        reception = door.reception
        assert move.bands(door, ids) == first, "the old release decides until another is promoted"
        reception.stage(ANYTHING, new_tail(move), new)
        assert reception.status(ANYTHING).progress == 0
        with pytest.raises(ReleaseError, match="not calibrated"):
            reception.promote(ANYTHING)
        for number in EARLY:
            assert move.show(door, number, ids[number]) == ids[number]
        assert reception.status(ANYTHING).progress == 0.2
        reception.calibrate(ANYTHING, LOOSE)
        before = move.bands(door, ids)
        reception.promote(ANYTHING)
        check_apart(door, old, new)
        moved = move.bands(door, ids)
        assert moved[len(EARLY) : MANY] == before[len(EARLY) : MANY], "by the old one, as before"
        for n in EARLY:
            assert reception.verify(ANYTHING, ids[n], move.pictures[n][0]) == Band.MATCH
        with pytest.raises(ReleaseError, match="alone"):
            reception.retire(ANYTHING)
    with move.door() as door:
        assert move.bands(door, ids) == moved, "over a restart, too"
        door.reception.rollback(ANYTHING)
        assert move.bands(door, ids) == before
        assert door.reception.status(ANYTHING).progress is None
    move.trunks(new=True)
    with pytest.raises(ReleaseError, match="no trunk"), move.door():
        raise AssertionError("it opened without a trunk that its release needs")
    move.trunks(new=True, old=True)
    with move.door() as door:
        door.reception.stage(ANYTHING, new_tail(move), new)
        door.reception.calibrate(ANYTHING, LOOSE)
        door.reception.promote(ANYTHING)
        for number in range(len(EARLY), MANY):
            assert move.show(door, number, ids[number]) == ids[number]
        assert door.reception.status(ANYTHING).progress == 1
        check_apart(door, old, new)
        there = move.bands(door, ids)
        door.reception.retire(ANYTHING)
        assert move.bands(door, ids) == there
        assert not content(door.vault, old)
        late = move.show(door, 0, shown=(0, 0, 0))
        assert door.vault.export(late)["trunks"] == [new], "the old trunk is there, and is not used"
        door.reception.erase(ANYTHING, [late])
        assert door.reception._parts.log.verify().broken is None
    move.trunks(new=True)
    with move.door() as door:
        assert move.bands(door, ids) == there
    left = b"".join(path.read_bytes() for path in files(move.home.vault))
    assert bytes.fromhex(old) not in left and bytes.fromhex(new) in left
