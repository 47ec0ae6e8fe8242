"""The vault keeps what it was given, for as long and for what the person agreed to."""

import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.vault.identity import PersonId, new_person
from client.vault.store import Enrolment, Vault
from common.errors import (
    BusyError,
    ConsentError,
    ConsentExpiredError,
    DuplicatePersonError,
    ModelError,
    SealedError,
    UnknownPersonError,
    VaultError,
)
from tests.small_vault import (
    LATER,
    NOW,
    OTHER,
    TRUNK,
    consent,
    content,
    enrol,
    enrolled,
    filled,
    person,
    place,
    template,
)


def test_what_was_enrolled_is_there_after_reopening(quick_path: Path) -> None:
    filled(quick_path / "v", range(3))
    with Vault(place(quick_path / "v")) as vault:
        assert enrolled(vault) == {0, 1, 2} and vault.generation == 3 and vault.epoch == 1
        assert vault.label(person(1)) == "L1" and vault.consent(person(1)) == consent()
        added = vault.add(person(1), template(7, OTHER))
        assert {s.template for s in vault.templates(OTHER)} == {added}
        held = vault.export(person(1))
        assert held["templates"] == 3 and held["trunks"] == sorted((TRUNK, OTHER))
        vault.remove(person(1), added)
        assert not list(vault.templates(OTHER)) and enrolled(vault) == {0, 1, 2}
        vault.verify()
        before = content(vault)
        vault.rotate(NOW)
        assert content(vault) == before and vault.epoch == 2
    with Vault(place(quick_path / "v")) as vault:
        assert content(vault) == before and vault.generation == 6


def test_nobody_is_enrolled_without_a_consent_in_force(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        for bad, error in (
            (None, ConsentError),
            ({"purposes": ["verify"]}, ConsentError),
            (consent(expires=NOW), ConsentExpiredError),
        ):
            with pytest.raises(error):
                vault.enrol(person(1), [template(1)], bad, now=NOW)  # type: ignore[arg-type]
        with pytest.raises(ConsentError):
            vault.enrol(person(1), [template(1)], consent(), now=0.5)
        assert not vault.people(now=NOW) and vault.generation == 0


def test_people_are_those_whose_consent_covers_the_purpose_and_lasts(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        vault.enrol(person(1), [template(1)], consent("verify"), now=NOW)
        vault.enrol(person(2), [template(2)], consent("training", expires=1500.0), now=NOW)
        assert vault.people(now=NOW) == {person(1), person(2)}
        assert vault.people(purpose="training", now=NOW) == {person(2)}
        assert vault.people(purpose="training", now=1500.0) == frozenset()
        assert vault.expired(1500.0) == {person(2)} and not vault.expired(1499.0)
        vault.renew(person(2), consent("verify", expires=LATER), now=1600.0)
        assert vault.people(purpose="verify", now=1600.0) == {person(1), person(2)}
        with pytest.raises(ConsentError):
            vault.people(purpose="advertising", now=NOW)
        with pytest.raises(ConsentExpiredError):
            vault.renew(person(2), consent(expires=1500.0), now=1600.0)
        vault.relabel(person(2), "two")
    with Vault(place(quick_path / "v")) as vault:
        assert vault.label(person(2)) == "two" and vault.people(now=1600.0) == {
            person(1),
            person(2),
        }


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["enrol", "renew", "erase", "ask"]),
            st.integers(0, 2),
            st.sampled_from(["verify", "training"]),
            st.integers(2, 9),
        ),
        max_size=12,
    )
)
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_who_is_covered_is_looked_up_again_once_it_may_differ(
    quick_path: Path, steps: list[tuple[str, int, str, int]]
) -> None:
    model: dict[int, tuple[str, int]] = {}
    free = iter(range(100, 200))
    named: dict[int, PersonId] = {}
    folder = quick_path / os.urandom(8).hex()
    with Vault.create(place(folder)) as vault:
        for kind, number, purpose, time in steps:
            agreed = consent(purpose, expires=float(time + 1))
            if kind == "enrol" and number not in model:
                named[number] = person(next(free))
                vault.enrol(named[number], [template(1)], agreed, now=float(time))
                model[number] = (purpose, time + 1)
            elif kind == "renew" and number in model:
                vault.renew(named[number], agreed, now=float(time))
                model[number] = (purpose, time + 1)
            elif kind == "erase" and number in model:
                vault.erase([named[number]], float(time))
                del model[number]
            for asked in (None, "verify", "training"):
                for now in (float(time), 5.5, 0.5):
                    expected = {
                        named[n]
                        for n, (what, end) in model.items()
                        if 1.0 <= now < end and asked in (None, what)
                    }
                    assert vault.people(purpose=asked, now=now) == expected


def test_ids_are_used_once_and_strangers_are_unknown(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        enrol(vault, [1, 2])
        vault.erase([person(2)], NOW)
        for taken in (1, 2):
            with pytest.raises(DuplicatePersonError):
                enrol(vault, [taken])
        one = Enrolment(person=person(3), templates=[template(3)], consent=consent())
        with pytest.raises(DuplicatePersonError):
            vault.enrol_all([one, one], NOW)
        with pytest.raises(ModelError):
            vault.enrol(person(3), [], consent(), now=NOW)
        for stranger in (person(2), new_person(os.urandom)):
            for ask in (vault.consent, vault.label, vault.export):
                with pytest.raises(UnknownPersonError, match="nobody is enrolled under this id"):
                    ask(stranger)
            with pytest.raises(UnknownPersonError, match="nobody is enrolled under this id"):
                vault.erase([person(1), stranger], NOW)
        assert vault.people(now=NOW) == {person(1)}


def test_many_are_erased_in_one_rotation(quick_path: Path) -> None:
    filled(quick_path / "v", range(6))
    with Vault(place(quick_path / "v")) as vault:
        done = vault.erase([person(n) for n in (1, 3, 5)], NOW)
        assert (done.epoch_before, done.epoch_after, done.generation) == (1, 2, 7)
        assert done.keyring_before != done.keyring_after
        assert enrolled(vault) == {0, 2, 4}


def test_one_process_has_it(quick_path: Path) -> None:
    filled(quick_path / "v", [1])
    with Vault(place(quick_path / "v")) as vault:
        with pytest.raises(BusyError):
            Vault(place(quick_path / "v"))
        child = multiprocessing.get_context("fork").Process(
            target=use_and_expect_refusal, args=(vault,)
        )
        child.start()
        child.join()
        assert child.exitcode == 0
    with pytest.raises(VaultError):
        vault.people(now=NOW)
    with pytest.raises(VaultError):
        Vault.create(place(quick_path / "v"))


def use_and_expect_refusal(vault: Vault) -> None:
    with pytest.raises(VaultError):
        vault.people(now=NOW)


def test_another_key_or_site_opens_nothing(quick_path: Path) -> None:
    filled(quick_path / "v", [1])
    with pytest.raises(VaultError):
        Vault(place(quick_path / "v", site="south"))
    (quick_path / "v.kek").write_bytes(os.urandom(32))
    with pytest.raises(SealedError):
        Vault(place(quick_path / "v"))


def test_the_vault_shows_nobody(quick_path: Path) -> None:
    with Vault.create(place(quick_path / "v")) as vault:
        vault.enrol(person(1), [template(1)], consent(), now=NOW, label="Gertrude")
        (stored,) = vault.templates(TRUNK)
        one = Enrolment(
            person=person(1), templates=[template(1)], consent=consent(), label="Gertrude"
        )
        shown = f"{vault!r} {vault._core.keyring!r} {stored!r} {one!r} {vault._core.place!r}"
        assert "Gertrude" not in shown and "array" not in shown
    assert (quick_path / "v" / "vault.db").stat().st_mode & 0o777 == 0o600
    assert (quick_path / "v" / "keyring").stat().st_mode & 0o777 == 0o600
