"""A device of one's own opens the vault; what goes wrong in it is told without its words."""

import sys
from pathlib import Path

import pytest

from client.commands.init import init_alone
from client.commands.settings import Asked
from client.home import SiteHome
from client.vault.founding import vault_place
from client.vault.providers import plugged_in
from client.vault.store import Vault
from common.errors import ConfigError, SealedError

CODE = """
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY, down = bytes(range(32)), False

class Device:
    def wrap(self, key, about):
        return bytes(12) + AESGCM(KEY).encrypt(bytes(12), key, about)

    def unwrap(self, wrapped, about):
        if down:
            raise RuntimeError(KEY.hex())
        return AESGCM(KEY).decrypt(wrapped[:12], wrapped[12:], about)

class Mute(Device):
    def wrap(self, key, about):
        return None

class Half:
    def wrap(self, key, about): ...

class Gone:
    def __init__(self):
        raise OSError(KEY.hex())
"""


@pytest.fixture(autouse=True)
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "our_device.py").write_text(CODE, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "our_device", raising=False)


@pytest.fixture
def home(tmp_path: Path) -> SiteHome:
    home = SiteHome(tmp_path / "site")
    init_alone(home, Asked(name="north", vault_provider="our_device:Device"))
    return home


def test_a_device_opens_the_vault_and_no_key_file_is_made(home: SiteHome) -> None:
    assert not home.vault_key.exists()
    Vault(vault_place(home, home.config())).close()


def test_a_device_that_fails_leaves_the_vault_sealed_and_its_words_untold(home: SiteHome) -> None:
    sys.modules["our_device"].down = True  # type: ignore[attr-defined]
    with pytest.raises(SealedError, match="RuntimeError") as refused:
        Vault(vault_place(home, home.config()))
    assert "0001" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("our_device", "package.module:name"),
        ("our_device:Nothing", "cannot be imported"),
        ("our_device:Half", "lacks wrap or unwrap"),
        ("our_device:Gone", "cannot be made: OSError"),
    ],
)
def test_what_is_no_device_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        plugged_in(name)
    assert "0001" not in str(refused.value)


def test_an_answer_that_is_no_bytes_is_none() -> None:
    with pytest.raises(SealedError, match="no bytes"):
        plugged_in("our_device:Mute").wrap(b"key", b"about")


def test_one_thing_opens_a_vault(home: SiteHome) -> None:
    with home.settings.open("a", encoding="utf-8") as file:
        file.write('vault_passphrase_file = "words"\n')
    with pytest.raises(ConfigError, match="one thing opens"):
        home.config()
