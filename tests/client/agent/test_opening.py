"""An agent opens its site from the home; its features are kept sealed and noticed when moved."""

import hashlib
import os
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from client.agent import faces
from client.agent.opening import open_site, open_speech
from client.agent.sealed import ENDING, KEY, SealedFeatures
from client.policy import SitePolicy
from client.vault.consent import Consent
from client.vault.founding import found_vault, vault_place
from client.vault.identity import new_person
from client.vault.records import NewTemplate
from client.vault.store import Vault
from common.errors import ConfigError, ModelError
from common.faces.store import save_pack
from common.text.encoder import Network, built_in, encoder_bytes
from tests.small_heads import labelled_faces
from tests.small_home import POLICY, D, make_home, starter_hash

TRUNK, OTHER, FACES = "t" * 64, "u" * 64, "f" * 64


def test_a_site_opens_with_its_people_and_its_budget(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    site = open_site(made.home)
    try:
        assert len(site.facts.people) == 4
        assert site.facts.people.bag(0).shape == (2, D)
        assert site.facts.negatives.shape == (6, D)
        assert (site.facts.camera_type, site.facts.membership.site) == ("door", "north")
        assert site.facts.membership.federation == made.federation
        assert (site.ledger.budget.epsilon, site.ledger.durable) == (8.0, True)
    finally:
        site.ledger.close()


def test_features_are_computed_once_kept_sealed_and_forgotten_with_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_home(tmp_path)
    site = open_site(made.home)
    site.ledger.close()
    first = np.concatenate(site.facts.people.bags())
    files = {p.name: p.read_bytes() for p in made.home.features.glob(f"*{ENDING}")}
    assert len(files) == 2
    whole = b"".join(files.values())
    assert not any(row.tobytes()[:32] in whole for row in first)
    assert all(p.stat().st_mode & 0o077 == 0 for p in made.home.features.iterdir())

    def never(*args: object) -> None:
        raise AssertionError("computed again")

    with monkeypatch.context() as patch:
        patch.setattr(faces, "_batches", never)
        site = open_site(made.home)
        site.ledger.close()
    np.testing.assert_array_equal(np.concatenate(site.facts.people.bags()), first)
    (tmp_path / "faces.npz").write_bytes((tmp_path / "public.npz").read_bytes())
    open_site(made.home).ledger.close()
    assert len(list(made.home.features.glob(f"*{ENDING}"))) == 1


def test_without_faces_the_people_are_those_of_the_vault(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    lines = made.home.settings.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("faces")]
    made.home.settings.write_text("\n".join(kept) + "\n", "utf-8")
    with pytest.raises(ConfigError, match="names no faces to train on"):
        open_site(made.home)
    found_vault(made.home, made.home.config())
    person, feature = new_person(os.urandom), np.arange(D, dtype=np.float16)
    agreed = {"purposes": frozenset({"training"}), "text_hash": "a" * 64}
    with Vault(vault_place(made.home, made.home.config())) as vault:
        template = NewTemplate(trunk=starter_hash(), feature=feature)
        vault.enrol(person, [template], Consent(**agreed, given=1.0, expires=9.0), now=1.0)
        site = open_site(made.home, vault=vault, clock=lambda: 2.0)
        with closing(site.ledger):
            site.facts.people.begin("r1")
            [bag] = site.facts.people.of("r1").bags()
    np.testing.assert_array_equal(bag, feature[None])
    assert len(list(made.home.features.glob(f"*{ENDING}"))) == 1  # of the public people


def test_sentences_are_made_where_the_policy_lets_words_learn_and_with_the_sites_encoder(
    tmp_path: Path,
) -> None:
    made = make_home(tmp_path)
    assert open_speech(made.home.config(), SitePolicy(epsilon=8.0, delta=1e-4)) is None
    policy = SitePolicy(epsilon=8.0, delta=1e-4, heads=("words",), denied_attributes=("hat",))
    speech = open_speech(made.home.config(), policy)
    assert speech is not None
    assert (speech.encoder.hash, speech.denied) == (built_in().hash, ("hat",))
    own = made.home.folder / "own.safetensors"
    own.write_bytes(encoder_bytes(Network(), {}))
    settings = made.home.settings.read_text("utf-8")
    named = settings.replace("[site]\n", '[site]\nencoder = "own.safetensors"\n')
    made.home.settings.write_text(named, "utf-8")
    other = open_speech(made.home.config(), policy)
    assert other is not None
    assert other.encoder.hash == hashlib.sha256(own.read_bytes()).hexdigest()
    own.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not a text encoder"):
        open_speech(made.home.config(), policy)


def test_a_site_opens_with_words_and_without(tmp_path: Path) -> None:
    made = make_home(tmp_path, POLICY.replace("[auto_accept]", 'heads = ["words"]\n[auto_accept]'))
    site = open_site(made.home)
    with closing(site.ledger):
        assert site.facts.encoder is built_in()
    made.home.policy.write_text(POLICY, "utf-8")
    site = open_site(made.home)
    with closing(site.ledger):
        assert site.facts.encoder is None


@pytest.mark.parametrize(
    ("kinds", "learnt"),
    [("", ()), ('"words"', ()), ('"attributes", "words"', ("names", "attributes", "words"))],
)
def test_of_a_folders_labels_only_those_of_kinds_switched_on_are_opened(
    tmp_path: Path, kinds: str, learnt: tuple[str, ...]
) -> None:
    made = make_home(tmp_path, POLICY.replace("[auto_accept]", f"heads = [{kinds}]\n[auto_accept]"))
    save_pack(tmp_path / "faces.npz", labelled_faces(people=4, pictures=2))
    lines = made.home.settings.read_text("utf-8")
    made.home.settings.write_text(f"{lines}aligned = true\n", "utf-8")
    site = open_site(made.home)
    with closing(site.ledger):
        said = site.facts.people.of("r1").labels(0)
    if not learnt:
        assert said is None
        return
    assert said is not None
    told = {
        name
        for name in ("names", "attributes", "age", "gender", "words")
        if getattr(said, name) is not None
    }
    assert told == set(learnt)


def test_people_declared_twice_differently_are_told(tmp_path: Path) -> None:
    made = make_home(tmp_path, POLICY.replace("10\n[", "11\n["))
    with pytest.raises(ConfigError, match="declared_people = 11"):
        open_site(made.home)


@pytest.mark.parametrize("missing", ["policy", "identity_key", "ledger_key", "ca", "centre_key"])
def test_a_home_that_lacks_something_says_what(tmp_path: Path, missing: str) -> None:
    made = make_home(tmp_path)
    getattr(made.home, missing).unlink()
    with pytest.raises(ConfigError):
        open_site(made.home)


@pytest.mark.parametrize("line", ["epsilom = 1.0", "trunks = ['x']", "[refresh]\nyearly = true"])
def test_a_policy_with_a_wrong_key_is_refused(tmp_path: Path, line: str) -> None:
    made = make_home(tmp_path, POLICY.replace("[auto_accept]", f"{line}\n[auto_accept]"))
    with pytest.raises(ConfigError, match=r"policy\.toml"):
        open_site(made.home)


# The sealed cache alone.


def test_what_was_sealed_opens_only_for_its_own_trunk_and_pictures(tmp_path: Path) -> None:
    cache, features = SealedFeatures(tmp_path), np.arange(6, dtype=np.float32).reshape(2, 3)
    cache.store(TRUNK, FACES, features)
    again = SealedFeatures(tmp_path)
    np.testing.assert_array_equal(again.load(TRUNK, FACES), features)
    assert again.load(OTHER, FACES) is None
    [path] = tmp_path.glob(f"*{ENDING}")
    assert FACES not in path.name
    path.rename(again._path(b"elsewhere"))
    assert again.load(TRUNK, FACES) is None


@pytest.mark.parametrize("at", [0, 12, 40, -1])
def test_an_altered_or_cut_file_is_as_good_as_none(tmp_path: Path, at: int) -> None:
    cache = SealedFeatures(tmp_path)
    cache.store(TRUNK, FACES, np.ones((2, 3), np.float32))
    [path] = tmp_path.glob(f"*{ENDING}")
    content = bytearray(path.read_bytes())
    for spoiled in (content[: len(content) // 2], b"", _flipped(content, at)):
        path.write_bytes(spoiled)
        assert cache.load(TRUNK, FACES) is None


def _flipped(content: bytearray, at: int) -> bytes:
    content[at] ^= 1
    return bytes(content)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    SealedFeatures(tmp_path)
    (tmp_path / KEY).chmod(0o644)
    with pytest.raises(ConfigError, match="private key"):
        SealedFeatures(tmp_path)
