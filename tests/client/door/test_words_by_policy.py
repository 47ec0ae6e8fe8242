"""What a door says of a face follows policy.toml: a member's that is lost is no permission."""

from pathlib import Path

import numpy as np
import pytest

from client.door.opening import open_door
from client.door.words import Words
from client.home import SiteHome
from client.vault.founding import found_vault
from common.errors import LabelError
from common.heads.heads_file import heads_bytes
from common.privacy.heads import HeadTerms
from tests.small_headed import NAMES, heads_of
from tests.small_home import POLICY, D, make_home, starter_hash

GENDERED = (
    HeadTerms(kind="attributes", weight=1.0, names=NAMES, shown=(30, 5), absent=(70, 95)),
    HeadTerms(kind="gender", weight=1.0, shown=(40,), absent=(60,)),
)
DENIED = 'denied_attributes = ["glasses"]\n'
NAMED = '[release]\nheads = ["attributes", "gender"]\n'
MEMBERS = ("centre", "camera_type", "people", "faces")


@pytest.fixture(params=["member", "alone"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> SiteHome:
    """A site whose door describes by a file with a gender head; without a policy yet."""
    made = make_home(tmp_path).home
    if request.param == "alone":
        lines = made.settings.read_text("utf-8").splitlines()
        kept = [line for line in lines if not line.startswith(MEMBERS)]
        made.settings.write_text("\n".join(kept) + "\n", "utf-8")
    file = made.folder / "own.heads.safetensors"
    file.write_bytes(heads_bytes(heads_of(1, GENDERED, starter_hash(), D)))
    with made.settings.open("a", encoding="utf-8") as settings:
        settings.write(f'[door]\ndescribe = true\nheads = "{file.name}"\n')
    found_vault(made, made.config())
    made.policy.unlink()
    return made


def opened(home: SiteHome) -> tuple[Words | None, list[str]]:
    """What it describes by before any release, and what its operator is told."""
    said: list[str] = []
    with open_door(home, said.append) as door:
        parts = door.reception._parts
        if not home.policy.is_file():
            with pytest.raises(LabelError):
                parts.labels.kept({"glasses": True})
        return parts.words.now(None), said


def kinds(words: Words | None) -> set[str]:
    return set() if words is None else set(words.kinds)


def test_a_member_without_its_policy_describes_nobody_and_a_site_alone_by_its_file(
    home: SiteHome,
) -> None:
    words, said = opened(home)
    if home.config().alone:
        assert kinds(words) == {"attributes", "gender", "words"}
        assert said == []
    else:
        assert words is None
        assert [line.partition(":")[0] for line in said] == [
            "nobody is described",
            "no labels are taken",
        ]
        assert str(home.policy) in said[0]


@pytest.mark.parametrize("content", ["epsilon = oops\n", "", 'denied_attributes = "age"\n'])
def test_a_policy_that_cannot_be_read_describes_nobody(home: SiteHome, content: str) -> None:
    home.policy.write_text(content, "utf-8")
    words, said = opened(home)
    assert words is None
    assert said[0].startswith("nobody is described: ")


def test_a_link_to_a_policy_that_is_gone_describes_nobody(home: SiteHome) -> None:
    home.policy.symlink_to(home.folder / "gone.toml")
    assert opened(home)[0] is None


def test_what_a_policy_denies_is_not_said_and_gender_is_where_it_names_it(home: SiteHome) -> None:
    face = np.ones((1, D), np.float32)
    home.policy.write_text(DENIED + POLICY, "utf-8")
    words, said = opened(home)
    assert words is not None and said == []
    assert kinds(words) == {"attributes", "words"}
    read = words.read(face)
    assert read.names == ("hat",) and read.female is None
    assert "gender" in words.asked("a woman with a hat").unasked
    home.policy.write_text(DENIED + POLICY + NAMED, "utf-8")
    words, _ = opened(home)
    assert words is not None and kinds(words) == {"attributes", "gender", "words"}
    assert words.read(face).female is not None


def test_a_file_with_nothing_but_gender_says_nothing_until_the_policy_names_it(
    home: SiteHome,
) -> None:
    alone = heads_of(1, GENDERED[1:], starter_hash(), D).only(("gender",))
    assert alone is not None
    (home.folder / "own.heads.safetensors").write_bytes(heads_bytes(alone))
    home.policy.write_text(POLICY, "utf-8")
    assert opened(home)[0] is None
    home.policy.write_text(POLICY + NAMED, "utf-8")
    assert kinds(opened(home)[0]) == {"gender"}
