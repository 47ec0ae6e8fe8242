"""Two histories cannot both be believed by sites that hear of one another."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import HistoryError, SignatureError, SplitViewError
from common.evidence.history import History, Step
from common.evidence.witnesses import OLD, Witness, cross, read_witness, witness_of
from common.trust.keys import SigningKey
from common.trust.roster import Roster, SiteEntry
from tests.small_evidence import FEDERATION, MADE, digest_of

CENTRE = SigningKey.generate()
KEYS = {name: SigningKey.generate() for name in ("east", "north", "south")}


def entry(name: str, **told: str) -> SiteEntry:
    return SiteEntry(
        name=name,
        identity=KEYS[name].public.text,
        node=f"node {name}",
        camera_type="door",
        people=9,
        **told,  # type: ignore[arg-type]
    )


ROSTER = Roster(federation=FEDERATION, sites=tuple(entry(name) for name in KEYS))


def grown(*names: str) -> History:
    found = History(FEDERATION)
    for name in names:
        told = Step(action="promote", release=digest_of(name), pool="door")
        found = found.with_step(told, CENTRE, MADE)
    return found


def said(name: str, history: History, time: int = MADE) -> str:
    return witness_of(history, name, time).sign(KEYS[name]).to_json()


def crossed(history: History, shown: dict[str, str], now: float = MADE) -> object:
    return cross(history, shown, ROSTER, CENTRE.public, now)


@given(data=st.data())
def test_two_sites_that_were_shown_two_histories_find_out_once_one_hears_the_other(
    data: st.DataObject,
) -> None:
    shared = [f"{n}" for n in range(data.draw(st.integers(0, 3)))]
    left = grown(*shared, *(f"l{n}" for n in range(data.draw(st.integers(1, 3)))))
    right = grown(*shared, *(f"r{n}" for n in range(data.draw(st.integers(1, 3)))))
    told = {"north": said("north", left), "south": said("south", right)}
    refusals = 0
    for view in (left, right):
        with pytest.raises(HistoryError) as caught:
            crossed(view, told)
        refusals += isinstance(caught.value, SplitViewError)
    assert refusals >= 1  # the longer side has the proof; the shorter one learns that it is behind


def test_a_history_that_others_saw_more_of_is_refused() -> None:
    with pytest.raises(HistoryError, match="keeps news"):
        crossed(grown("a"), {"north": said("north", grown("a", "b"))})


def test_sites_that_are_behind_agree() -> None:
    told = {"north": said("north", grown()), "south": said("south", grown("a"))}
    assert crossed(grown("a", "b"), told) == dataclasses.replace(
        cross(grown("a", "b"), told, ROSTER, CENTRE.public, MADE),
        agreeing=("north", "south"),
        old=(),
        silent=("east",),
    )


def test_statements_kept_back_or_shown_again_are_seen_as_silence_and_age() -> None:
    told = {"north": said("north", grown("a"), MADE - int(OLD) - 1), "south": "{}"}
    found = cross(grown("a", "b"), told, ROSTER, CENTRE.public, MADE)
    assert (found.agreeing, found.old, found.silent) == (("north",), ("north",), ("east", "south"))


def test_no_site_can_make_up_an_entry_and_no_centre_a_statement() -> None:
    forger = SigningKey.generate()
    made_up = History(FEDERATION).with_step(
        Step(action="promote", release=digest_of("x"), pool="door"), forger, MADE
    )
    other = witness_of(grown("a"), "north", MADE).sign(forger).to_json()
    swapped = said("north", grown("b"))
    for text in (said("north", made_up), other, "", "[]"):
        found = cross(grown("a"), {"north": text}, ROSTER, CENTRE.public, MADE)
        assert "north" in found.silent  # neither proof nor alarm
    # one site's statement is not another's
    assert "south" in cross(grown("a"), {"south": swapped}, ROSTER, CENTRE.public, MADE).silent


def test_a_revoked_site_and_another_federation_say_nothing() -> None:
    out = entry("north", state="revoked", reason="left")
    roster = Roster(federation=FEDERATION, sites=(out,))
    split = {"north": said("north", grown("b"))}
    assert cross(grown("a"), split, roster, CENTRE.public, MADE).agreeing == ()
    elsewhere = Witness(federation="ab" * 32, site="north", time=MADE)
    told = {"north": elsewhere.sign(KEYS["north"]).to_json()}
    assert "north" in cross(grown("a"), told, ROSTER, CENTRE.public, MADE).silent


def test_a_statement_is_read_only_with_both_signatures() -> None:
    text = said("north", grown("a"))
    witness, head = read_witness(text, KEYS["north"].public, CENTRE.public)
    assert (witness.site, head) == ("north", grown("a").head)
    for site, centre in ((KEYS["south"], CENTRE), (KEYS["north"], KEYS["south"])):
        with pytest.raises(SignatureError):
            read_witness(text, site.public, centre.public)
