"""What an operator leaves out is the careful choice; what cannot be kept is refused."""

from pathlib import Path

import pytest

from client.door.rules import DoorRules
from common.config import build
from common.errors import ConfigError


def test_searching_is_off_and_four_eyes_are_on_until_somebody_says_otherwise() -> None:
    rules = build(DoorRules, {}, "site.toml [door]")
    assert rules.verify and not rules.identify and rules.four_eyes
    assert (rules.distance, rules.pooling) == ("cosine", "best")
    assert rules.retention == 3 * 365 * 86_400
    told = build(DoorRules, {"identify": True, "detector": "y.onnx", "fmr": 0.001}, "[door]")
    assert told.identify and told.detector == Path("y.onnx") and told.fmr == 0.001


@pytest.mark.parametrize(
    "wrong",
    [
        {"distance": "manhattan"},
        {"pooling": "mean"},
        {"fmr": 0.0},
        {"fmr": 0.5},
        {"fpir": float("nan")},
        {"least_quality": 1.0},
        {"least_quality": 0.5, "enrol_quality": 0.4},
        {"enrol_quality": float("nan")},
        {"least_pictures": 0},
        {"least_pictures": 5, "most_pictures": 4},
        {"most_pictures": 9},
        {"retention_days": 0},
        {"retention_days": 1096},
        {"address": "door"},
        {"address": "door:0"},
        {"address": "door:65536"},
        {"idenfity": True},
        {"verify": 1},
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        build(DoorRules, wrong, "site.toml [door]")


@pytest.mark.parametrize("address", ["", "127.0.0.1:4433", "[::1]:4433", "door.example:1"])
def test_a_door_has_a_socket_or_an_address(address: str) -> None:
    assert DoorRules(address=address).address == address
