"""Ideas of who may enrol: labels that move a terminal, consents of no end, others' sessions."""

import math
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from protos.gen import recognition_pb2 as pb
from tests.hostile.callers import Haul, Mouth, attack, mouth
from tests.hostile.doorstep import PEOPLE, VIEWS, Doorstep

YEAR = 365 * 86_400.0
LABELS = (
    "\x1b[2J\x1b[1;1H",
    "\x1b]0;title\x07",
    "\x9b31m",
    "one\rtwo",
    "one\ntwo",
    "\0",
    "\x7f",
    "\u202etxt.exe",  # turns what follows around
    "\u2066x\u2069",
    "a\u200bb",
    "\ufeff",
    "one\u2028two",
    "\ue000",
    "a\u00a0b",
    "x" * 65,
    "\U0001f600" * 65,
)


def agreed(**other: Any) -> pb.Consent:
    now = time.time()
    told = {"purposes": ["verify"], "text_hash": "a" * 64, "given": now - 1, "expires": now + YEAR}
    return pb.Consent(**{**told, **other})


def begun(enroller: Mouth, **words: Any) -> bytes:
    return bytes(enroller("BeginEnrol", **{"consent": agreed(), **words}).session)


def _shown(site: Doorstep, enroller: Mouth, person: int) -> bytes:
    session = begun(enroller)
    told = [
        enroller("AddPicture", session=session, picture=site.picture(person, view))
        for view in range(VIEWS)
    ]
    assert told[-1].pictures >= 3
    return session


@attack("INVALID_REQUEST")
def writes_on_a_terminal_by_a_label(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "enroller") as enroller:
        for label in LABELS:
            assert enroller("BeginEnrol", consent=agreed(), label=label) is None


@attack("CONSENT_MISSING", "CONSENT_EXPIRED", "INVALID_REQUEST")
def writes_a_consent_that_is_none(site: Doorstep, haul: Haul) -> None:
    now = time.time()
    bent: tuple[dict[str, Any], ...] = (
        *({"expires": value} for value in (math.inf, math.nan, 1e308, 4e11, -1.0, 0.0, now - 1)),
        *({"given": value} for value in (math.inf, math.nan, -1.0, now + 3600, 0.0)),
        {"given": now - 1, "expires": now + 20 * YEAR},
        {"expires": 253_402_300_799.0},
        {"purposes": []},
        {"purposes": ["everything"]},
        {"purposes": ["verify\n"]},
        {"purposes": ["VERIFY"]},
        {"purposes": ["verify", "verify"]},
        {"purposes": ["verify", "training", "x" * 10_000]},
        *({"text_hash": value} for value in ("", "A" * 64, "a" * 63, "a" * 65, "\x1b" * 64)),
        {"given": now - 1, "expires": now - 0.5},
    )
    with mouth(site, haul, "enroller") as enroller:
        for words in bent:
            assert enroller("BeginEnrol", consent=agreed(**words)) is None, words
        assert enroller("BeginEnrol") is None


@attack("TOPIC_FORBIDDEN", "LABEL_REFUSED", "INVALID_REQUEST")
def says_of_people_what_is_never_said(site: Doorstep, haul: Haul) -> None:
    """In a picture's labels and in somebody's; the answer repeats none of it."""
    forbidden = ("skin_tone", "sk\u200bin t\u2060one", "\uff33kin-tone", "\u75be\u75c5", "gay")
    bent = (
        *([pb.Label(name=name, present=True)] for name in forbidden),
        *([pb.Label(name=name)] for name in ("hat", "nonsense", "", "\x1b[2J", "hat\u202e")),
        [pb.Label(name="x" * 65)],
        [pb.Label(name="x" * 50_000)],
        [pb.Label(name=f"hat{n}") for n in range(65)],
        [pb.Label(name="hat"), pb.Label(name="hat", present=True)],
        [pb.Label(name="age", present=True)],
    )
    with mouth(site, haul, "enroller") as enroller:
        session = begun(enroller, consent=agreed(purposes=["verify", "labels"]))
        for shown in bent:
            labels = pb.Labels(shown=shown)
            assert enroller("SetLabels", person=site.people[0], labels=labels) is None
            words = {"session": session, "picture": site.picture(PEOPLE), "labels": labels}
            assert enroller("AddPicture", **words) is None
        assert enroller("SetLabels", person=site.people[0], labels=pb.Labels(age=2**32 - 1)) is None
        enroller("AbortEnrol", session=session)
    said = b"\n".join(haul.content)
    assert not any(name.encode() in said for name in (*forbidden, "nonsense"))


@attack("CONSENT_MISSING", "INVALID_REQUEST")
def looks_for_people_by_taking_their_labels_away(site: Doorstep, haul: Haul) -> None:
    """Who is here and did not agree, and who never was, are refused in the same bytes."""
    told = []
    with mouth(site, haul, "enroller") as enroller:
        for person in (*site.people, bytes(range(16)), bytes(16)):
            before = len(haul.content)
            assert enroller("SetLabels", person=person, labels=pb.Labels()) is None
            told.append(tuple(haul.content[before:]))
        assert enroller("SetLabels", person=b"short") is None
    assert len({_timeless(answer) for answer in told}) == 1


def _timeless(answer: tuple[bytes, ...]) -> bytes:
    """What was told, without the moment at which this side heard it."""
    return re.sub(rb"created_time:.*?[,}]", b"", b"".join(answer))


@attack("SESSION_UNKNOWN", "INVALID_REQUEST")
def goes_on_with_anothers_session(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "enroller") as owner, mouth(site, haul, "other-enroller") as other:
        session = begun(owner)
        for one in (session, session[:-1], session + b"\0", bytes(16), b"", session * 5):
            assert other("AddPicture", session=one, picture=site.picture(PEOPLE)) is None
            assert other("CommitEnrol", session=one, despite_duplicate=True) is None
            assert other("AbortEnrol", session=one) is None
        assert owner("AddPicture", session=session, picture=site.picture(PEOPLE)).accepted
        owner("AbortEnrol", session=session)
        assert owner("AddPicture", session=session, picture=site.picture(PEOPLE)) is None


@attack("QUALITY_TOO_LOW")
def enrols_from_too_few_pictures(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "enroller") as enroller:
        session = begun(enroller)
        for view in range(3):
            assert enroller("CommitEnrol", session=session, despite_duplicate=True) is None
            if view < 2:
                enroller("AddPicture", session=session, picture=site.picture(PEOPLE, view))
        enroller("AbortEnrol", session=session)


@attack()
def mixes_two_people_in_one(site: Doorstep, haul: Haul) -> None:
    """Of everybody else shown, somebody at least is told apart."""
    refused = []
    with mouth(site, haul, "enroller") as enroller:
        for other in range(1, PEOPLE):
            session = begun(enroller)
            assert enroller("AddPicture", session=session, picture=site.picture(0)).accepted
            told = enroller("AddPicture", session=session, picture=site.picture(other))
            refused += list(told.reasons)
            enroller("AbortEnrol", session=session)
    assert "unlike_the_others" in refused


@attack("DUPLICATE_PERSON")
def looks_for_people_by_enrolling_them(site: Doorstep, haul: Haul) -> None:
    """A likeness is said, each time in the log, of whom is not, and nobody is there twice."""
    before = site.kinds()["enrol"]
    with mouth(site, haul, "enroller") as enroller:
        session = _shown(site, enroller, 0)
        for _ in range(3):
            assert enroller("CommitEnrol", session=session) is None
        enroller("AbortEnrol", session=session)
    assert site.kinds()["enrol"] == before + 6
    assert not any(person in told for told in haul.content for person in site.people)


@attack("SESSION_UNKNOWN")
def commits_one_session_many_times_at_once(site: Doorstep, haul: Haul) -> None:
    """One person comes of it. The eraser takes them away again."""
    with mouth(site, haul, "enroller") as enroller, ThreadPoolExecutor(6) as pool:
        session = _shown(site, enroller, PEOPLE)
        words = {"session": session, "despite_duplicate": True}
        told = list(pool.map(lambda _: enroller("CommitEnrol", **words), range(6)))
    (made,) = [one.person for one in told if one is not None]
    with mouth(site, haul, "eraser") as eraser:
        assert eraser("Erase", persons=[made]) is not None


@attack("BUSY", "TOO_MANY_OPEN", some=True)
def begins_more_than_can_be_ended(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "enroller") as enroller:
        sessions = [enroller("BeginEnrol", consent=agreed()) for _ in range(40)]
        for one in sessions:
            if one is not None:
                enroller("AbortEnrol", session=one.session)
        assert enroller("BeginEnrol", consent=agreed()) is not None


@attack("UNKNOWN_PERSON", "INVALID_REQUEST")
def erases_whom_it_does_not_know(site: Doorstep, haul: Haul) -> None:
    """One unknown among them, and nobody is erased; never was and was once are the same words."""
    with mouth(site, haul, "eraser") as eraser:
        assert eraser("Erase", persons=[site.people[3], bytes(16)]) is None
        assert eraser("Export", person=bytes(16)) is None
        assert eraser("Erase", persons=[]) is None
        assert eraser("Erase", persons=[site.people[3]] * 1001) is None
        assert eraser("Erase", persons=[site.people[3], b"short"]) is None
    with mouth(site, haul, "camera") as camera:
        assert camera("Verify", person=site.people[3], picture=site.picture(3, 1)).band == 1


@attack("ROLE_REFUSED")
def changes_what_somebody_agreed_to(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "enroller") as enroller, mouth(site, haul, "eraser") as eraser:
        for one in (enroller, eraser):
            words = agreed(purposes=["training", "identify", "verify"])
            assert one("Renew", person=site.people[4], consent=words) is None
        assert enroller("Export", person=site.people[4]) is None
