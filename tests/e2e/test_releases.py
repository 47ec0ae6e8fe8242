"""A release goes from the centre to a member's door and back, as it is typed at both ends."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from client.cli import main as site_main
from client.door.answering import answering
from client.home import SiteHome
from common.evidence import bundle
from common.evidence.bundle import Origin, make_release
from common.evidence.limits import Known, load_gates
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes, read_heads
from common.models.tail import Tail
from common.models.tail_file import tail_bytes
from common.models.trunk import load_trunk
from server.cli import main as admin_main
from server.home import CentreHome
from server.release.promoting import promote, roll_back, sign_release
from server.release.registry import Registry
from server.runs.reading import choose_heads
from server.standing import federation_of
from simulations.reading import HEADS
from tests import small_evidence
from tests.small_headed import headed_plan, headed_sections, named
from tests.small_home import STARTER, pack
from tests.typed_centre import gateway, typed

LARGE = 2_500_000  # bytes of a report: such a release travels in pieces


def trained(seed: int) -> Heads:
    """The starter's heads, as if a federation had trained them on."""
    kept = read_heads(HEADS).only(("attributes", "age", "words"))
    assert kept is not None
    rng = np.random.default_rng(seed)
    moved = {
        name: array + 0.01 * rng.standard_normal(array.shape) for name, array in kept.arrays.items()
    }
    return dataclasses.replace(kept, arrays=moved)


def released(centre: CentreHome, seed: int, heads: Heads | None = None) -> tuple[str, str]:
    """Built, signed and in force: digests of a release and of its tail."""
    trunk, _ = load_trunk(STARTER)
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((32, trunk.feature_dim)).astype(np.float32)
    of = Tail(weight, np.zeros(32, np.float32))
    sections = small_evidence.sections(of, trunk.hash)
    if heads is not None:
        plan = headed_plan(choose_heads(HEADS, ()).terms, trunk.hash)
        sections = headed_sections(of, heads, plan, trunk.hash)
    told: dict[str, Any] = {"run": "spring", "pool": "door", "made": int(time.time())}
    shown = {
        "report.html": small_evidence.REPORT + b" " * LARGE,
        small_evidence.GRID: small_evidence.PNG,
    }
    if heads is not None:
        shown[bundle.HEADS] = heads_bytes(heads)
    origin = Origin(federation=federation_of(centre), **told)
    made = make_release(origin, of, trunk.hash, list(sections.values()), shown)
    Registry(centre).put(made)
    sign_release(centre, made.digest)
    promote(centre, made.digest, (load_gates(), Known()), None, time.time())
    return made.digest, of.hash


def joined(folder: Path, port: int, token: str, centre: CentreHome) -> SiteHome:
    site = SiteHome(folder / "site")
    pack(folder / "public.npz", 3)
    asked = typed(
        site_main, "init", "--home", site.folder, "--token", token, "--people", 240,
        "--centre", f"localhost:{port}", "--name", "north", "--camera-type", "door",
        "--trunk", STARTER, "--public", folder / "public.npz",
    )  # fmt: skip
    typed(admin_main, "admit", "north", asked["fingerprint"], "--home", centre.folder)
    typed(site_main, "admission", "--home", site.folder)
    return site


@pytest.fixture
def centre(tmp_path: Path) -> tuple[CentreHome, str]:
    home = CentreHome(tmp_path / "centre")
    told = typed(admin_main, "init", "--home", home.folder, "--host", "localhost:8443")
    return home, str(told["token"])


def test_a_release_is_fetched_staged_promoted_and_taken_back(
    tmp_path: Path, centre: tuple[CentreHome, str]
) -> None:
    home, token = centre
    with gateway(home) as port:
        site = joined(tmp_path, port, token, home)
        at: Callable[..., dict[str, Any]] = lambda *words: typed(  # noqa: E731
            site_main, "release", *words, "--home", site.folder
        )
        first, old = released(home, 1)
        told = at("fetch")
        assert (told["due"]["release"], told["due"]["passes"]) == (first, True)
        assert told["witnesses"]["agreeing"] == 1
        with answering(site, lambda line: None):
            plain = tmp_path / "plain.safetensors"
            trunk, tail = load_trunk(STARTER)
            plain.write_bytes(tail_bytes(tail, trunk.hash))
            words = ["release", "stage", str(plain), "--home", str(site.folder)]
            refused = CliRunner().invoke(site_main, words)
            assert (refused.exit_code, "RELEASE_UNSIGNED" in refused.stderr) == (1, True)
            staged = at("stage")
            assert (staged["staged"], staged["signed"]) == (old, True)
            assert at("promote")["active"] == old
            second, new = released(home, 2)
            at("fetch")
            assert at("show")["release"] == second
            at("stage", second[:8])
            assert at("promote")["active"] == new
            roll_back(home, first, "worse at night", time.time())
            assert at("fetch")["new"][0]["reason"] == "worse at night"
            told = at("status")
            assert told["active"] == new
            assert "worse at night" in told["centre"]["advice"]
            back = at("rollback")
            assert (back["active"], back["centre"]["advice"]) == (old, "nothing")


def test_heads_reach_a_door_with_their_release_and_leave_it_with_it(
    tmp_path: Path, centre: tuple[CentreHome, str]
) -> None:
    home, token = centre
    heads = trained(3)
    with gateway(home) as port:
        site = joined(tmp_path, port, token, home)
        with site.settings.open("a", encoding="utf-8") as file:
            file.write("\n[door]\ndescribe = true\n")
        at: Callable[..., dict[str, Any]] = lambda *words: typed(  # noqa: E731
            site_main, "release", *words, "--home", site.folder
        )
        kinds = ["attributes", "age", "words"]
        released(home, 1)
        assert at("fetch")["due"]["heads"] is None
        with answering(site, lambda line: None):
            at("stage")
            assert at("promote")["heads"] is None
            _, tail = released(home, 2, heads)
            assert at("fetch")["due"]["heads"] == {"file": named(heads), "kinds": kinds}
            staged = at("stage")
            assert (staged["staged_heads"], staged["heads"]) == (named(heads), None)
            promoted = at("promote")
            read = {"file": named(heads), "of": "release", "kinds": kinds}
            assert (promoted["active"], promoted["heads"]) == (tail, read)
            assert at("show")["heads_read"] == read
        with answering(site, lambda line: None):  # another process: from the shelf
            assert at("status")["heads"] == read
            assert at("rollback")["heads"] is None
        assert at("show")["heads_read"] == "UNREACHABLE"
