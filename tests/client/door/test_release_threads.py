"""Whoever asks while releases change is answered by one of them, wholly; and nobody waits."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from client.door.galleries import Answers
from client.door.releases import Releases
from tests.small_releases import PEOPLE, TRUNK, deciding, peopled, releases, seen, tail_of
from tests.small_vault import NOW, person


def answers(made: Releases) -> list[Answers]:
    galleries = made.galleries
    return [galleries.search(seen(n, 7, TRUNK)) for n in PEOPLE[:8]]


def test_every_question_is_answered_by_one_release_while_they_take_turns(quick_path: Path) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        first = answers(made)
        made.stage(tail_of(2), TRUNK)
        made.promote()
        second, over = answers(made), threading.Event()
        assert first != second

        def asking() -> list[list[Answers]]:
            found = []
            while not over.is_set():
                found.append(answers(made))
                made.observe(seen(3, 7))
                made.status()
            return found

        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(asking) for _ in range(3)]
            for _ in range(5):
                made.rollback()
                made.stage(tail_of(2), TRUNK)
                made.promote()
            over.set()
        told = [answer for one in asked for answer in one.result()]
        assert len(told) > 10
        assert all(answer in (first, second) for answer in told)
        assert answers(made) == second


def test_who_is_erased_while_questions_are_asked_is_in_no_answer_afterwards(
    quick_path: Path,
) -> None:
    with peopled(quick_path) as vault:
        made = deciding(quick_path, vault)
        made.stage(tail_of(2), TRUNK)
        gone, done = [person(n) for n in range(4)], threading.Event()

        def asking() -> bool:
            clean = True
            while not done.is_set():
                erased = all(one not in made.active.gallery for one in gone)
                found = {one for answer in answers(made) for one, _ in answer}
                clean = clean and not (erased and found.intersection(gone))
            return clean

        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(asking) for _ in range(2)]
            vault.erase(gone, NOW)
            made.erased(gone)
            made.promote()
            made.rollback()
            done.set()
        assert all(one.result() for one in asked)


def test_nobody_is_looked_at_before_a_door_is_open(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peopled(quick_path) as vault:
        before = answers(deciding(quick_path, vault))
        monkeypatch.setattr("client.door.building.PublicPeople.dim", lambda self, trunk: 24)
        monkeypatch.setattr("client.door.building.PublicPeople.of", None)
        assert answers(releases(quick_path, vault)) == before
