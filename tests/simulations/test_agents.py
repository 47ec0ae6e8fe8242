"""Simulated agents are opened when asked, few at once, and hold no features of their own."""

import numpy as np
import pytest

from client.agent.people import SitePeople
from simulations.agents import Agents, OpenAgent, SharedPeople


def test_few_agents_are_open_at_once_and_the_least_recently_asked_is_closed() -> None:
    started: list[int] = []

    class Books:
        def __init__(self, number: int) -> None:
            self.number, self.open = number, False

        def epsilon(self) -> float:
            return float(self.number)

        def close(self) -> None:
            self.open = False

    books = {n: Books(n) for n in range(4)}

    def start(number: int) -> OpenAgent:
        started.append(number)
        books[number].open = True
        return OpenAgent(service=None, ledger=books[number])  # type: ignore[arg-type]

    with Agents(start, most=2) as agents:
        for number in (0, 1, 0, 2, 0):
            agents.agent(number)
        assert [b.open for b in books.values()] == [True, False, True, False]
        agents.forget(2)
        assert (len(agents), books[2].open, 2 in agents.spent) == (1, False, False)
    assert started == [0, 1, 2]
    assert agents.spent == {0: 0.0, 1: 1.0}
    assert not any(b.open for b in books.values())
    with pytest.raises(ValueError, match="at least one"):
        Agents(start, most=0)


def test_people_who_share_features_are_those_of_a_site_of_its_own_uncopied() -> None:
    features = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    person = np.array([5, 5, 5, 1, 1, 9, 9, 9, 9, 2, 2, 5])
    for rows in (np.arange(3, 9), np.array([11, 0, 3, 1, 4]), np.array([9])):
        shared = SharedPeople(features, person, rows)
        own = SitePeople(features[rows], person[rows])
        assert len(shared) == len(own)
        for mine, theirs in zip(shared.bags(), own.bags(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    whole = SharedPeople(features, person, np.arange(3, 9))
    assert all(np.shares_memory(bag, features) for bag in whole.bags())
    with pytest.raises(ValueError, match="float32"):
        SharedPeople(features.astype(np.float64), person, np.arange(3))
