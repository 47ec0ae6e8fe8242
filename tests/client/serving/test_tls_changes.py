"""A certificate is told to gRPC when it changed and never again: it frees what it is told anew."""

from pathlib import Path

import pytest

from client.serving.tls import Tls, _Changes, make_end


@pytest.fixture
def ours(tmp_path: Path) -> Tls:
    for name in ("agent", "courier"):
        make_end(tmp_path, name)
    paths = {"key": "agent.key", "certificate": "agent.crt", "peer": "courier.crt"}
    return Tls(**{what: tmp_path / name for what, name in paths.items()})


def test_what_did_not_change_is_not_told_again(ours: Tls) -> None:
    changes = _Changes(ours._material, ours._material())
    assert [changes() for _ in range(3)] == [None] * 3


def test_another_certificate_is_told_once(ours: Tls, tmp_path: Path) -> None:
    changes = _Changes(ours._material, ours._material())
    make_end(tmp_path, "courier")
    assert changes() is not None
    assert changes() is None
