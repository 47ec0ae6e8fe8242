"""The operator's desk: what waits there, how much of it, and whose word counts."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

from client.agent import desk as room
from client.agent.desk import Desk, Price
from common.errors import CharterError
from common.trust.charter import charter_digest
from common.trust.signed import Signed
from tests.small_site import mean_plan, offer


def put(desk: Desk, run: str) -> str:
    told = offer(mean_plan(), run)
    signed = Signed.from_json(told.charter)
    digest = charter_digest(signed)
    desk.wait(digest, signed, told.initial)
    return digest


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    for name in ("waiting", "accepted"):
        (tmp_path / name).mkdir()
    return Desk(tmp_path / "waiting", tmp_path / "accepted")


def test_what_was_put_on_the_desk_is_found_whole_and_privately(desk: Desk) -> None:
    digest, told = put(desk, "r1"), offer(mean_plan(), "r1")
    assert desk.digests() == [digest]
    assert desk.charter(digest) == (Signed.from_json(told.charter), told.initial)
    [path] = desk.waiting.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert put(desk, "r1") == digest
    assert desk.digests() == [digest]


def test_a_centre_that_offers_without_end_fills_no_disk(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_WAITING", 3)
    for number in range(9):
        put(desk, f"r{number}")
    assert len(desk.digests()) == 3


def test_the_operators_word_is_about_one_charter_that_was_seen(desk: Desk) -> None:
    first, second = put(desk, "r1"), put(desk, "r2")
    desk.accept(first)
    assert (desk.approved(first), desk.approved(second)) == (True, False)
    with pytest.raises(CharterError, match="waits here"):
        desk.accept("0" * 64)
    for name in ("", "..", "../accepted", "A" * 64, first + "\n"):
        with pytest.raises(CharterError):
            desk.charter(name)


def test_the_price_that_the_agent_reckoned_lies_beside_the_charter(desk: Desk) -> None:
    first = put(desk, "r1")
    assert desk.told_price(first) is None
    priced = dataclasses.replace(desk, price=lambda signed: Price(2.5, 1e-4))
    second = put(priced, "r2")
    assert desk.told_price(second) == Price(2.5, 1e-4)
    assert desk.charter(second)[1] == offer(mean_plan(), "r2").initial


@pytest.mark.parametrize(
    "price", ["x", {}, {"epsilon": "0", "delta": 1e-4}, {"epsilon": math.inf, "delta": 1e-4}]
)
def test_a_price_that_is_none_is_not_told(desk: Desk, price: object) -> None:
    digest = put(desk, "r1")
    path = desk.waiting / f"{digest}.json"
    table = {**json.loads(path.read_bytes()), "price": price}
    path.write_text(json.dumps(table), "utf-8")
    assert desk.told_price(digest) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"charter": "x", "initial": {}}', b"\xff"]
)
def test_a_damaged_charter_is_told(desk: Desk, content: bytes) -> None:
    digest = put(desk, "r1")
    (desk.waiting / f"{digest}.json").write_bytes(content)
    with pytest.raises(Exception, match=r"damaged|not a signed text|not JSON") as caught:
        desk.charter(digest)
    assert caught.type.__module__ == "common.errors"
