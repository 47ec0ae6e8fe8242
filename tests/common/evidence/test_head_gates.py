"""Planted bad releases with heads: each is stopped by the check that is there for it."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from common.errors import ReleaseError
from common.evidence.bundle import HEADS, Release, cap_of, parse_release
from common.evidence.claims import statement_section
from common.evidence.gates import GATES, check_gates, judge, refused
from common.evidence.limits import Gates, Known, load_gates
from common.evidence.section import About, Section
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes
from common.heads.sentences import bank_digest
from common.models.file_header import metadata
from common.privacy.heads import HeadTerms
from common.text.encoding import open_encoder
from common.trust.keys import SigningKey
from tests.small_evidence import COMMAND, FEDERATION, TRUNK, plan, release, sections, tail
from tests.small_headed import (
    PUBLIC,
    TERMS,
    TRAINED,
    headed_plan,
    headed_release,
    headed_sections,
    heads_of,
    heads_section,
    lost,
    named,
)

LOOSE, STRICT = load_gates(), Gates(most_epsilon=10, least_tar=0.8)
ABOUT = About(trunk=TRUNK, tail=tail().hash, people=160)


def stopped(bad: Release, gates: Gates = LOOSE, known: Known | None = None) -> tuple[str, ...]:
    return refused(judge(bad, gates, known))


def with_figures(**figures: Any) -> Release:
    good = headed_sections(tail())
    good["heads"] = heads_section(ABOUT, **figures)
    return headed_release(good)


def test_heads_that_lost_little_pass_shipped_and_strict_gates() -> None:
    known = Known(trunk=TRUNK, shape=(4, 6), plan=headed_plan().digest, heads=named(PUBLIC))
    for gates in (LOOSE, STRICT):
        verdicts = check_gates(headed_release(), gates, known)
        told = {one.gate: one.detail for one in verdicts}
        assert list(told) == list(GATES)
        assert told["heads"] == f"attributes, age, words; {named(TRAINED)[:12]}"
        assert told["heads-judged"] == "attributes lost 0.001, age lost 0.1" or gates is STRICT


def test_a_release_without_heads_says_so_at_both_gates() -> None:
    told = {one.gate: one.detail for one in judge(release(), STRICT)}
    assert (told["heads"], told["heads-judged"]) == ("no heads", "no heads")
    plain = sections(tail(), terms=headed_plan())
    assert stopped(release(plain)) == ()  # the run trained heads, and its tail ships alone


def test_a_signed_release_brings_its_heads_to_the_bit() -> None:
    made = headed_release().sign(SigningKey.generate())
    read = parse_release(made.to_bytes())
    assert read.files[HEADS] == heads_bytes(TRAINED)
    assert read.heads is not None and read.heads.kinds == TRAINED.kinds
    assert read.heads_file == named(TRAINED)
    assert release().heads is None and release().heads_file == ""


# what is no file of heads for this release ----------------------------------------------------


def altered(change: Callable[[dict[str, Any]], None], heads: Heads = TRAINED) -> bytes:
    """The file of ``heads`` with another description."""
    content = heads_bytes(heads)
    told = json.loads(metadata(content)["heads"])
    change(told)
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    return bytes(save(load(content), metadata={"heads": text}))


def renamed(table: dict[str, Any]) -> None:
    table["heads"]["attributes"]["names"] = ["glasses", "turban"]


def swapped() -> bytes:
    content = heads_bytes(TRAINED)
    arrays = load(content)
    age, bias = "heads.age.weight", "heads.attributes.weight"
    arrays[age], arrays[bias] = arrays[bias], arrays[age]
    return bytes(save(arrays, metadata=dict(metadata(content))))


def infinite() -> bytes:
    content = heads_bytes(TRAINED)
    arrays = load(content)
    arrays["heads.age.bias"] = np.full_like(arrays["heads.age.bias"], np.inf)
    return bytes(save(arrays, metadata=dict(metadata(content))))


UNFIT = {
    "of another trunk": (heads_bytes(heads_of(2, trunk="2b" * 32)), "another trunk"),
    "for longer features": (heads_bytes(heads_of(2, width=7)), "another trunk"),
    "with a forbidden name": (altered(renamed), "religion"),
    "with arrays in one another's place": (swapped(), "arrays are not those"),
    "that are not finite": (infinite(), "finite"),
    "too large": (b"\0" * (cap_of(HEADS) + 1), "too large"),
    "cut off": (heads_bytes(TRAINED)[:-4], "truncated"),
    "spelt otherwise": (altered(lambda table: table["weights"].update(age=1)), "spelt"),
    "empty": (b"", "not a file of heads"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_no_release_can_hold_heads(what: str) -> None:
    content, why = UNFIT[what]
    with pytest.raises(ReleaseError, match=why):
        headed_release(heads=content)


def test_a_forbidden_name_is_not_repeated() -> None:
    with pytest.raises(ReleaseError) as refusal:
        headed_release(heads=altered(renamed))
    assert "turban" not in str(refusal.value)


# heads that are not those of the charter ------------------------------------------------------


def claimed(heads: Heads, terms: Any = None) -> Release:
    """Everything says that these are the heads."""
    return headed_release(headed_sections(tail(), heads, terms), heads)


def test_heads_that_the_statement_does_not_name_are_stopped() -> None:
    other = heads_of(3)
    good = headed_sections(tail())
    good["heads"] = heads_section(ABOUT, other)
    assert stopped(headed_release(good, other)) == ("heads",)
    good = headed_sections(tail())
    good["statement"] = statement_section(headed_plan(), ABOUT, COMMAND)
    assert stopped(headed_release(good)) == ("heads",)


def test_a_statement_that_names_heads_which_are_not_there_is_stopped() -> None:
    good = headed_sections(tail())
    del good["heads"]
    assert stopped(headed_release(good, None)) == ("heads",)


def test_heads_though_the_charter_trains_none_are_stopped() -> None:
    assert stopped(claimed(TRAINED, plan())) == ("heads",)


def test_a_head_that_the_charter_does_not_train_is_stopped() -> None:
    more = (*TERMS, HeadTerms(kind="gender", weight=1.0, shown=(40,), absent=(60,)))
    assert stopped(claimed(heads_of(4, more))) == ("heads",)
    assert stopped(claimed(heads_of(4, more), headed_plan(more))) == ("heads-judged",)  # unmeasured


def test_words_that_the_charter_trains_are_measured_like_the_others() -> None:
    encoder = open_encoder("built-in")
    terms = HeadTerms(
        kind="words", weight=1.0, encoder=encoder.hash, bank=bank_digest(), size=encoder.size
    )
    more = (*TERMS, terms)
    assert stopped(claimed(heads_of(2, more), headed_plan(more))) == ("heads-judged",)
    good = headed_sections(tail(), heads_of(2, more), headed_plan(more))
    good["heads"] = heads_section(ABOUT, heads_of(2, more), words=lost("words", 0.001))
    assert not stopped(headed_release(good, heads_of(2, more)))


@pytest.mark.parametrize(
    "change",
    [
        {"names": ("glasses", "beard")},
        {"names": ("hat", "glasses")},
        {"shown": (30, 6)},
    ],
)
def test_a_head_that_is_not_as_the_charter_has_it_is_stopped(change: Any) -> None:
    other = (dataclasses.replace(TERMS[0], **change), TERMS[1])
    assert stopped(claimed(heads_of(2, other))) == ("heads",)
    assert stopped(claimed(heads_of(2, TERMS[:1]))) == ("heads",)  # the age is missing


@pytest.mark.parametrize("size", [3e38, 1e30, 1e5])
@pytest.mark.parametrize("kind", ["attributes", "age", "words"])
def test_heads_of_absurd_size_are_stopped(size: float, kind: str) -> None:
    grown = {
        name: np.full_like(array, size) if kind in name else array
        for name, array in TRAINED.arrays.items()
    }
    huge = dataclasses.replace(TRAINED, arrays=grown)
    verdicts = judge(claimed(huge), LOOSE)
    assert refused(verdicts) == ("heads",)
    [told] = [one.detail for one in verdicts if not one.held]
    assert f"heads.{kind}." in told and "at most 10000" in told
    assert stopped(claimed(huge), dataclasses.replace(LOOSE, most_norm=1e9)) == (
        () if size < 1e9 else ("heads",)
    )


# what was measured of them --------------------------------------------------------------------


def test_heads_that_read_worse_than_those_the_run_began_with_are_stopped() -> None:
    assert stopped(with_figures(attributes=lost("attributes", 0.06))) == ("heads-judged",)
    assert stopped(with_figures(age=lost("age", 1.2))) == ("heads-judged",)
    assert not stopped(with_figures(age=lost("age", -3.0)))  # better
    wide = {**lost("attributes", 0.0), "lost": {"value": 0.0, "ci95": [-0.02, 0.02]}}
    assert not stopped(with_figures(attributes=wide))
    assert stopped(with_figures(attributes=wide), STRICT) == ("heads-judged",)


def test_a_prettier_loss_than_its_own_figures_is_stopped() -> None:
    pretty = {**lost("attributes", 0.2), "lost": {"value": 0.0, "ci95": [0.0, 0.0]}}
    assert stopped(with_figures(attributes=pretty)) == ("heads-judged",)
    for odd in (-0.1, 1.1):
        strange = {
            "released": {"value": odd, "ci95": [odd, odd]},
            "public": {"value": odd, "ci95": [odd, odd]},
            "lost": {"value": 0.0, "ci95": [0.0, 0.0]},
        }
        assert stopped(with_figures(attributes=strange)) == ("heads-judged",)


@pytest.mark.parametrize("kind", ["attributes", "age"])
@pytest.mark.parametrize("gone", [None, "released", "public", "lost"])
def test_what_was_not_measured_is_stopped(kind: str, gone: str | None) -> None:
    told = lost(kind, 0.0)
    if gone is not None:
        del told[gone]
    assert stopped(with_figures(**{kind: told if gone else None})) == ("heads-judged",)


@pytest.mark.parametrize("value", [None, "x", True, 10**400, [], {"value": 0.0}])
def test_a_figure_of_heads_that_is_none_is_stopped(value: Any) -> None:
    odd = {**lost("age", 0.0), "lost": value}
    assert stopped(with_figures(age=odd)) == ("heads-judged",)
    assert stopped(with_figures(age=value)) == ("heads-judged",)


def test_heads_without_a_section_of_theirs_are_stopped() -> None:
    good = headed_sections(tail())
    del good["heads"]
    assert stopped(headed_release(good)) == ("heads-judged",)


def test_a_section_without_its_heads_is_stopped() -> None:
    good = sections(tail())
    good["heads"] = heads_section(ABOUT)
    assert stopped(release(good)) == ("heads-judged",)


def test_figures_of_other_heads_are_stopped() -> None:
    assert stopped(with_figures(file=named(PUBLIC))) == ("heads-judged",)


def test_the_centre_knows_which_heads_its_run_began_with() -> None:
    known = Known(heads=named(PUBLIC))
    assert not stopped(headed_release(), LOOSE, known)
    assert stopped(with_figures(public=named(TRAINED)), LOOSE, known) == ("heads-judged",)


def test_a_section_of_heads_about_another_tail_or_that_says_it_failed_is_stopped() -> None:
    def spoilt(**changes: Any) -> dict[str, Section]:
        good = headed_sections(tail())
        good["heads"] = dataclasses.replace(good["heads"], **changes)
        return good

    other = dataclasses.replace(ABOUT, tail="1" * 64)
    assert stopped(headed_release(spoilt(about=other))) == ("about",)
    assert stopped(headed_release(spoilt(failed=("something",)))) == ("checks",)


def test_any_altered_byte_of_the_heads_is_noticed() -> None:
    key = SigningKey.generate()
    content = headed_release().sign(key).to_bytes()
    start = content.index(heads_bytes(TRAINED))
    for at in range(start, start + len(heads_bytes(TRAINED)), 97):
        spoilt = content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]
        with pytest.raises(ReleaseError):
            parse_release(spoilt)
    assert parse_release(content).manifest.federation == FEDERATION
