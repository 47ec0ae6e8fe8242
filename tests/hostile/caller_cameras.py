"""Ideas of a camera with a token: other calls, other people, other tokens, pictures that bite."""

import json
import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from client.door.main import REQUESTS
from client.door.proofs import TOKEN
from common import wire
from common.models.tail_file import tail_bytes
from common.models.trunk import load_trunk
from protos.gen import recognition_pb2 as pb
from tests.hostile.callers import Haul, attack, filled, mouth, socket_of
from tests.hostile.doorstep import PEOPLE, Doorstep
from tests.small_home import STARTER

NOBODY = bytes(range(16))


def everything(site: Doorstep) -> dict[str, dict[str, object]]:
    """A sound request of every call there is."""
    trunk, tail = load_trunk(STARTER)
    consent = pb.Consent(purposes=["verify"], text_hash="a" * 64, given=1.7e9, expires=1.75e9)
    person, picture, ticket = site.people[0], site.picture(0), b"t" * 16
    told: dict[str, dict[str, object]] = {name: {} for name in REQUESTS}
    told |= {
        "BeginEnrol": {"consent": consent},
        "AddPicture": {"session": ticket, "picture": picture},
        "CommitEnrol": {"session": ticket, "despite_duplicate": True},
        "AbortEnrol": {"session": ticket},
        "Verify": {"person": person, "picture": picture},
        "Identify": {"picture": picture, "top": 5},
        "Describe": {"picture": picture},
        "Search": {"query": "glasses", "top": 5},
        "Review": {"ticket": ticket},
        "Confirm": {"ticket": ticket, "person": person},
        "Outcome": {"ticket": ticket},
        "Erase": {"persons": [person]},
        "Export": {"person": person},
        "Renew": {"person": person, "consent": consent},
        "Relabel": {"person": person, "label": "x"},
        "SetLabels": {"person": person, "labels": pb.Labels(age=40)},
        "List": {"most": 10_000},
        "Calibrate": {"fmr": 0.25, "fpir": 0.25},
        "StageRelease": {"tail": tail_bytes(tail, trunk.hash)},
        "AuditRows": {"most": 1000},
    }
    return told


@attack("ROLE_REFUSED")
def asks_for_all_that_is_not_its_own(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "camera") as camera:
        for method, fields in everything(site).items():
            if method != "Verify":
                assert camera(method, **fields) is None


@attack("CALLER_UNKNOWN")
def calls_without_a_token_or_with_many(site: Doorstep, haul: Haul) -> None:
    good = site.tokens["camera"]
    kept = json.loads(site.home.callers.read_bytes())["callers"]["camera"]["token"]
    shown = ("", "x", good[:-1], good + "a", f"{good} ", good.lower(), "a" * 5000, kept)
    with socket_of(site) as door:
        for method, fields in everything(site).items():
            haul.ask(door, method, fields)
        for words in [[(TOKEN, one)] for one in shown]:
            haul.ask(door, "Verify", everything(site)["Verify"], words)
        haul.ask(door, "Verify", everything(site)["Verify"], [(TOKEN, good), (TOKEN, good)])
        haul.ask(door, "Verify", everything(site)["Verify"], [(f"{TOKEN}-bin", good.encode())])
        haul.ask(door, "Verify", everything(site)["Verify"], [("authorization", f"Bearer {good}")])
    assert not haul.answered


@attack()
def cannot_tell_who_is_not_there(site: Doorstep, haul: Haul) -> None:
    """The same bytes, one row, no line more in the log: never there, not agreed, not they."""
    stranger, said, before = site.picture(PEOPLE), site.said(), len(site.rows())
    claims = [site.people[1], NOBODY, os.urandom(16), bytes(16), site.people[5]]
    with mouth(site, haul, "camera") as camera:
        answers = [camera("Verify", person=one, picture=stranger) for one in claims]
        own = camera("Verify", person=site.people[5], picture=site.picture(5))
    assert {one.SerializeToString() for one in (*answers, own)} == {b"\x08\x03"}
    assert (site.said(), len(site.rows())) == (said, before + 6)
    rows = [row.event for row in site.rows()[before:]]
    assert len({(row.kind, row.outcome, row.reference, row.actors) for row in rows}) == 1


@attack("PICTURE_REFUSED")
def learns_nothing_of_a_claim_from_a_picture_that_is_none(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "camera") as camera:
        for person in (site.people[0], site.people[5], NOBODY):
            assert camera("Verify", person=person, picture=b"\xff\xd8 nothing") is None
    refusals = {told for told in haul.content if b"PICTURE" in told}
    assert len({told.split(b"peer")[0] for told in refusals}) == 1


@attack("INVALID_REQUEST")
def names_people_by_any_length(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "camera") as camera:
        for size in (0, 1, 15, 17, 32, 60_000):
            camera("Verify", person=bytes(size), picture=site.picture(0))


@attack("INVALID_REQUEST", "PROTOCOL_VERSION")
def speaks_otherwise(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "camera") as camera:
        for word in ("\x1b[2J", "x" * 33, "A", "0\n", "a" * 1000, "../..", "%n%s"):
            camera("Status", request=word)
        for version in (0, wire.PROTOCOL + 1, 2**32 - 1):
            camera("Status", protocol=version)


@attack("PICTURE_REFUSED", "INVALID_REQUEST", "RESOURCE_EXHAUSTED")
def shows_files_that_are_no_pictures(site: Doorstep, haul: Haul) -> None:
    sound = site.picture(0)
    files = (
        sound[: len(sound) // 2],
        b"GIF89a" + bytes(100),
        b"<svg xmlns='x'><image href='file:///etc/passwd'/></svg>",
        b"%!PS\n(/etc/passwd) (r) file",
        b"PK\x03\x04" + bytes(100),
        b"\x93NUMPY" + bytes(200),
        b"RIFF\xff\xff\xff\xffWEBPVP8L" + b"\xff" * 50,
        bytes(1),
        b"",
        bytes(16 * 2**20 + 1),
        bytes(21 * 2**20),
    )
    with mouth(site, haul, "camera") as camera:
        for content in files:
            assert camera("Verify", person=NOBODY, picture=content) is None


@attack("PICTURE_REFUSED", "NO_SINGLE_FACE", some=True)
def shows_pictures_that_grow(site: Doorstep, haul: Haul) -> None:
    """Small files of many pixels; many at once may not fill the memory."""
    bombs = [*_bombs()]
    before = _most_memory(site)
    with mouth(site, haul, "camera") as camera, ThreadPoolExecutor(4) as pool:
        for content in bombs:
            assert camera("Verify", person=NOBODY, picture=content) is None
        allowed = _png(7000, 7000)
        for one in [
            pool.submit(camera, "Verify", person=NOBODY, picture=allowed) for _ in range(8)
        ]:
            one.result()
    assert _most_memory(site) - before < 2**30


@attack("QUERY_BUDGET_EXHAUSTED")
def asks_more_often_than_it_may(site: Doorstep, haul: Haul) -> None:
    """Over many connections at once, and again after them."""

    def once(_: int) -> None:
        with mouth(site, haul, "poor") as camera:
            camera("Verify", person=NOBODY, picture=site.picture(0))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(once, range(12)))
    assert haul.answered["Verify"] <= 3


@attack("DEADLINE_EXCEEDED", "CANCELLED", some=True)
def goes_away_before_the_answer(site: Doorstep, haul: Haul) -> None:
    """Who hangs up has asked all the same: the row is there."""
    before = site.kinds()["verify"]
    with mouth(site, haul, "camera") as camera:
        for number in range(20):
            camera("Verify", seconds=0.002 * number, person=NOBODY, picture=site.picture(0))
    assert site.kinds()["verify"] >= before + haul.answered["Verify"]


@attack()
def asks_the_same_again(site: Doorstep, haul: Haul) -> None:
    """One request id three times is three questions."""
    before = site.kinds()["verify"]
    with mouth(site, haul, "camera") as camera:
        words = {"person": site.people[0], "picture": site.picture(0), "request": "ab"}
        answers = {camera("Verify", **words).SerializeToString() for _ in range(3)}
    assert (len(answers), site.kinds()["verify"] - before) == (1, 3)


@attack("UNIMPLEMENTED")
def calls_what_is_not_there(site: Doorstep, haul: Haul) -> None:
    paths = ("mascaron.agent.v1.Agent/Train", "mascaron.agent.v1.Agent/Status", "x/y", "/")
    with socket_of(site) as door:
        for path in (
            *paths,
            "mascaron.recognition.v1.Recognition/verify",
            "grpc.health.v1.Health/Check",
        ):
            try:
                haul.take(door.unary_unary(f"/{path}")(filled("Status", {}), timeout=10))
            except grpc.RpcError as error:
                haul.refusal(error)


@attack("INVALID_REQUEST")
def wants_more_people_than_are_told(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "finder") as finder:
        for top in (0, 6, 2**31, 2**32 - 1):
            finder("Identify", picture=site.picture(0), top=top)


@attack()
def finds_nobody_who_did_not_agree_to_it(site: Doorstep, haul: Haul) -> None:
    """Who may only be verified is a stranger to a search, and so is a stranger."""
    with mouth(site, haul, "finder") as finder:
        told = [finder("Identify", picture=site.picture(4, view), top=1) for view in range(4)]
        told += [finder("Identify", picture=site.picture(PEOPLE + 1), top=5)]
    assert all(not one.candidates for one in told)
    tickets = [one.ticket for one in told if one.ticket]
    with mouth(site, Haul(), "guard-1") as guard:
        for ticket in tickets:
            shown = guard("Review", ticket=ticket).candidates
            assert site.people[4] not in [one.person for one in shown]


def _bombs() -> Iterator[bytes]:
    for size in ((40_000, 40_000), (2**31 - 1, 1), (32_769, 1), (65_535, 65_535)):
        yield _png(*size, rows=4)
    yield b"BM" + struct.pack("<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, 30_000, 30_000, 1, 24, *[0] * 6)


def _png(width: int, height: int, rows: int | None = None) -> bytes:
    """All black, with so many of its rows."""
    line = bytes(1 + 3 * min(width, 40_000))
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(line) for _ in range(height if rows is None else rows))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", body + packer.flush()), (b"IEND", b""))
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _most_memory(site: Doorstep) -> int:
    """Bytes that the process had resident at most."""
    status = Path(f"/proc/{site.process.pid}/status").read_text("ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
