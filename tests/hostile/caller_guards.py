"""Ideas of a guard, one of the two who confirm, and of those whose search it is not."""

from tests.hostile.callers import Haul, Mouth, attack, mouth
from tests.hostile.doorstep import Doorstep


def ticket(site: Doorstep, haul: Haul, name: str = "finder") -> tuple[bytes, bytes]:
    """A search that waits for two, and whom it found."""
    with mouth(site, haul, name) as finder:
        for number in range(4):
            told = finder("Identify", picture=site.picture(number, 1), top=5)
            assert not told.candidates
            if told.ticket:
                return told.ticket, site.people[number]
    raise AssertionError("nobody was found")


@attack("SESSION_UNKNOWN", "INVALID_REQUEST")
def guesses_tickets(site: Doorstep, haul: Haul) -> None:
    real, _ = ticket(site, haul)
    near = bytes([real[0] ^ 1]) + real[1:]
    with mouth(site, haul, "guard-1") as guard:
        for one in (near, real[:-1], real + b"\0", real * 4, bytes(16), b"", real * 5):
            assert guard("Review", ticket=one) is None
            assert guard("Confirm", ticket=one) is None


@attack("ROLE_REFUSED", told=("name",))
def speaks_before_it_looked_and_twice(site: Doorstep, haul: Haul) -> None:
    real, person = ticket(site, haul)
    with mouth(site, haul, "guard-1") as guard:
        assert guard("Confirm", ticket=real, person=person) is None
        guard("Review", ticket=real)
        assert guard("Confirm", ticket=real, person=person) is not None
        for _ in range(3):
            assert guard("Confirm", ticket=real, person=person) is None
            assert guard("Review", ticket=real) is None
    with mouth(site, haul, "finder") as finder:
        told = finder("Outcome", ticket=real)
        assert (told.standing, len(told.candidates)) == (2, 0)


@attack("INVALID_REQUEST", told=("name",))
def names_somebody_who_is_not_under_review(site: Doorstep, haul: Haul) -> None:
    real, _ = ticket(site, haul)
    with mouth(site, haul, "guard-1") as guard:
        shown = {one.person for one in guard("Review", ticket=real).candidates}
        for other in ({*site.people} - shown) | {bytes(16), b"short", bytes(100)}:
            assert guard("Confirm", ticket=real, person=other) is None


@attack("ROLE_REFUSED")
def confirms_what_it_asked_itself(site: Doorstep, haul: Haul) -> None:
    """Who searches and may confirm is no second pair of eyes."""
    real, person = ticket(site, haul, "both")
    with mouth(site, haul, "both") as both:
        assert both("Review", ticket=real) is None
        assert both("Confirm", ticket=real, person=person) is None


@attack("SESSION_UNKNOWN", "ROLE_REFUSED")
def asks_what_became_of_anothers_search(site: Doorstep, haul: Haul) -> None:
    real, _ = ticket(site, haul)
    for name in ("other-finder", "both", "guard-1", "auditor", "operating"):
        with mouth(site, haul, name) as other:
            assert other("Outcome", ticket=real) is None


@attack("ROLE_REFUSED")
def shows_a_ticket_to_who_may_only_look_on(site: Doorstep, haul: Haul) -> None:
    real, _ = ticket(site, haul)
    for name in ("finder", "enroller", "eraser", "auditor", "operating", "camera"):
        with mouth(site, haul, name) as other:
            assert other("Review", ticket=real) is None


@attack(told=("name",))
def tells_the_other_guard_nothing_by_its_word(site: Doorstep, haul: Haul) -> None:
    """The second sees what the first saw; one who says nobody ends it, and nobody is named."""
    real, person = ticket(site, haul)
    with mouth(site, haul, "guard-1") as one, mouth(site, haul, "guard-2") as two:
        first = one("Review", ticket=real).SerializeToString()
        assert one("Confirm", ticket=real) is not None
        assert two("Review", ticket=real).SerializeToString() == first
        assert two("Confirm", ticket=real, person=person) is not None
    with mouth(site, haul, "finder") as finder:
        told = finder("Outcome", ticket=real)
        assert (told.standing, len(told.candidates)) == (3, 0)


@attack("SESSION_UNKNOWN", told=("name",))
def comes_back_to_what_is_over(site: Doorstep, haul: Haul) -> None:
    real, person = ticket(site, haul)
    for name in ("guard-1", "guard-2"):
        with mouth(site, haul, name) as guard:
            _say(guard, real, person)
    with mouth(site, haul, "both") as third:
        assert third("Review", ticket=real) is None
        assert third("Confirm", ticket=real) is None
    with mouth(site, haul, "finder") as finder:
        told = finder("Outcome", ticket=real)
        assert [one.person for one in told.candidates] == [person]
        assert all(not one.label for one in told.candidates)


def _say(guard: Mouth, real: bytes, person: bytes) -> None:
    guard("Review", ticket=real)
    assert guard("Confirm", ticket=real, person=person) is not None
