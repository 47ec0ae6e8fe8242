"""A charter from budget to seal: what is solved, what is said, and what is never signed."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.errors import CharterError, ConfigError
from common.privacy.accountant import epsilon
from common.privacy.cells import person_cells, rates
from common.privacy.plan import EvaluationMechanism
from common.synthetic.generate import synthetic_faces
from common.trust.charter import charter_digest, read_charter
from server.charter import CHARTER, INITIAL, load_charter
from server.cli import main
from server.commands.charter import list_command, seconds_of, show_command, sign_command
from server.monitor import PUBLIC, find_monitor, save_public
from server.runs.meaning import bytes_of, error_of_rate, noise_in_clips
from server.runs.proposal import PROPOSAL, read_proposal
from server.standing import federation_of, public_key, roster_of
from tests.small_centre import NOW, admit, asked, centre, initial, proposed, signed

STARTER = Path(__file__).parents[3] / "simulations" / "starter" / "trunk.toml"


def ask(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from common.faces.store import save_pack

    path = tmp_path_factory.mktemp("faces") / "public.npz"
    save_pack(path, synthetic_faces(6, 3, 5))
    return path


def test_a_proposal_spends_its_epsilon_and_says_what_it_means(tmp_path: Path, faces: Path) -> None:
    home = centre(tmp_path / "home")
    admit(home, 4)
    options = ["--run", "autumn", "--epsilon", 8, "--people", 240, "--cohort", 3, "--rounds", 2]
    options += ["--adversarial-steps", 2, "--adversarial-eps", 0.5]
    sources = ["--public", faces, "--trunk", STARTER, "--steps", 2]
    told = ask("charter", "propose", "--home", home.folder, *options, *sources)
    assert told.exit_code == 0, told.output
    answer = json.loads(told.stdout)
    terms, arrays = read_proposal(home.charter("autumn"))
    assert 7.9 <= epsilon(terms.plan.events(), 1e-4) <= 8.0
    assert [m.name for m in terms.plan.mechanisms] == ["mean", "scatter", "gradient"]
    assert answer["epsilon_if_disjoint"] <= 8.0 < answer["epsilon_if_at_every_site"]
    assert answer["sites_counted"] == 4
    assert answer["bytes_a_site_sends"] == sum(bytes_of(terms.plan, arrays).values())
    assert set(answer["releases"]["mean"]["noise_of_average_in_clips"]) == {"1", "3", "16", "64"}
    assert any("No picture" in line for line in answer["in_plain_words"])
    assert answer["releases"]["gradient"]["adversarial"] == {
        "steps": 2, "eps": 0.5, "on": "features"
    }  # fmt: skip
    assert any("attacked features" in line for line in answer["in_plain_words"])
    assert (home.charter("autumn") / PUBLIC).is_file()
    assert not (home.charter("autumn") / CHARTER).exists()


def test_more_sites_or_shared_noise_mean_less_noise(tmp_path: Path) -> None:
    home = centre(tmp_path)
    alone = proposed(home).plan
    mean = alone.mechanisms[0]
    assert noise_in_clips(alone, mean, 1) == pytest.approx(mean.sigma / 240)
    assert noise_in_clips(alone, mean, 16) == pytest.approx(mean.sigma / 240 / 4)
    shared = proposed(home, noise="distributed", honest_sites=3).plan
    assert shared.mechanisms[0].sigma == mean.sigma
    assert noise_in_clips(shared, mean, 3) == pytest.approx(mean.sigma / 240 / 3)


def test_bytes_are_those_of_the_arrays_a_site_answers_with(tmp_path: Path) -> None:
    plan = proposed(centre(tmp_path)).plan
    assert bytes_of(plan, initial()) == {"mean": 4 * 2, "scatter": 4 * 3}


def test_a_signed_charter_is_what_was_proposed_under_the_centres_key(tmp_path: Path) -> None:
    home = centre(tmp_path)
    admit(home, 3)
    terms = proposed(home)
    told = sign_command(home, "r1", NOW)
    charter, arrays, seal = load_charter(home.charter("r1"), public_key(home))
    assert read_charter(seal, public_key(home), federation_of(home), NOW) == terms
    assert told["digest"] == charter_digest(seal)
    assert json.loads(told["content"])["run"] == charter.run == "r1"
    np.testing.assert_array_equal(arrays["tail.weight"], initial()["tail.weight"])
    assert show_command(home, "r1", NOW)["state"] == "signed"
    with pytest.raises(CharterError, match="signed already"):
        sign_command(home, "r1", NOW)


@pytest.mark.parametrize(
    ("sites", "changes", "said"),
    [
        (2, {}, "needs 3 sites and 2 are admitted"),
        (3, {"expires": 60.0}, "expired"),
        (4, {"noise": "distributed", "honest_sites": 3}, "shared by 3 sites"),
        (6, {"cohort": 6, "noise": "local"}, None),
    ],
)
def test_what_could_not_run_is_not_signed(
    tmp_path: Path, sites: int, changes: dict[str, Any], said: str | None
) -> None:
    home = centre(tmp_path)
    admit(home, sites, "ab")
    proposed(home, **changes)
    later = NOW + 61
    if said is None:
        assert sign_command(home, "r1", later)["state"] == "signed"
        return
    with pytest.raises(CharterError, match=said):
        sign_command(home, "r1", later)
    assert not (home.charter("r1") / CHARTER).exists()


def test_a_plan_without_noise_is_never_signed(tmp_path: Path) -> None:
    home = centre(tmp_path)
    admit(home, 3)
    proposed(home)
    path = home.charter("r1") / PROPOSAL
    table = json.loads(path.read_text("utf-8"))
    table["plan"]["noise"] = "none"
    for mechanism in table["plan"]["mechanisms"]:
        mechanism["sigma"] = 0.0
    path.write_text(json.dumps(table), "utf-8")
    with pytest.raises(CharterError, match="protects nobody"):
        sign_command(home, "r1", NOW)


def test_a_proposal_of_another_federation_or_name_is_not_signed(tmp_path: Path) -> None:
    home, other = centre(tmp_path / "one"), centre(tmp_path / "other")
    admit(home, 3)
    proposed(other)
    (home.charters / "r1").symlink_to(other.charter("r1"))
    with pytest.raises(CharterError, match="another federation"):
        sign_command(home, "r1", NOW)
    proposed(home, run="r2")
    (home.charters / "r3").symlink_to(home.charter("r2"))
    with pytest.raises(CharterError, match="of the run r2"):
        sign_command(home, "r3", NOW)


def test_arrays_that_changed_after_the_proposal_are_noticed(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    home = centre(tmp_path)
    admit(home, 3)
    proposed(home)
    save_file({**initial(), "tail.bias": np.ones(2, np.float32)}, home.charter("r1") / INITIAL)
    with pytest.raises(CharterError, match="not what was proposed"):
        sign_command(home, "r1", NOW)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"plan": {}}', "\ud800", '{"plan": 1, "centre": 2}']
)
def test_a_broken_proposal_is_told_with_its_remedy(tmp_path: Path, text: str) -> None:
    home = centre(tmp_path)
    proposed(home)
    (home.charter("r1") / PROPOSAL).write_text(text, "utf-8", "surrogatepass")
    with pytest.raises(CharterError, match="read the proposal"):
        sign_command(home, "r1", NOW)


def test_charters_are_listed_with_their_state(tmp_path: Path) -> None:
    home = centre(tmp_path)
    proposed(home, run="b")
    signed(home, run="a")
    proposed(home, run="old", expires=60.0)
    listed = list_command(home, NOW + 61)["charters"]
    assert {entry["run"]: entry["state"] for entry in listed} == {
        "a": "signed",
        "b": "proposed",
        "old": "expired",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "../up"},
        {"run": "Capital"},
        {"run": ""},
        {"epsilon": 0.0},
        {"epsilon": float("nan")},
        {"delta": 1.0},
        {"rounds": -1},
        {"expires": 1.0},
        {"noise": "distributed"},
        {"release_slot": 1e6},
        {"mean_share": 1.0},
        {"adversarial_steps": 2, "adversarial_eps": 0.5},
    ],
)
def test_what_nobody_can_mean_is_wrong_use(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        _ = asked(**changes).recipe


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1w", "30d d"])
def test_a_time_without_a_unit_is_wrong_use(text: str) -> None:
    with pytest.raises(ConfigError, match="such as 30d"):
        seconds_of(text)
    assert seconds_of("90m") == 1.5 * 3600


def test_a_folder_that_is_no_centre_is_told(tmp_path: Path) -> None:
    told = ask("charter", "sign", "r1", "--home", tmp_path)
    assert told.exit_code == 1
    assert "mascaron-admin init" in told.stderr or "propose" in told.stderr


def test_a_charter_of_shared_noise_is_signed_with_its_members_and_says_what_it_rests_on(
    tmp_path: Path,
) -> None:
    home = centre(tmp_path)
    admit(home, 4)
    terms = proposed(home, noise="distributed", honest_sites=2)
    told = sign_command(home, "r1", NOW)
    charter, _, seal = load_charter(home.charter("r1"), public_key(home))
    [(pool, names)] = charter.members.items()
    assert names == tuple(site.name for site in roster_of(home).admitted)
    assert terms.members == {}
    signed = read_charter(seal, public_key(home), federation_of(home), NOW)
    assert signed.members == charter.members
    assert told["secure_sums"][pool] == {
        "members": list(names),
        "least_sites": 3,
        "sites_that_may_be_lost": 1,
        "sites_that_may_collude": 1,
    }
    words = " ".join(told["in_plain_words"])
    assert "rules that compare sites" in words
    assert "paid for again" in words
    assert "secure_sums" in show_command(home, "r1", NOW)


def test_a_pool_too_small_for_a_secure_sum_is_not_signed(tmp_path: Path) -> None:
    home = centre(tmp_path)
    admit(home, 5, "aab")  # four of one camera type, one of another
    proposed(home, noise="distributed", honest_sites=2)
    with pytest.raises(CharterError, match="honest-sites"):
        sign_command(home, "r1", NOW)
    home = centre(tmp_path / "two")
    admit(home, 3, "ab")
    proposed(home, noise="distributed", honest_sites=2, pooling="all")
    assert sign_command(home, "r1", NOW)["state"] == "signed"


def test_a_proposal_says_what_secure_sums_rest_on_before_it_is_signed(tmp_path: Path) -> None:
    home = centre(tmp_path)
    admit(home, 4)
    proposed(home, noise="distributed", honest_sites=2)
    told = show_command(home, "r1", NOW)
    assert told["state"] == "proposed"
    [pool] = told["secure_sums"].values()
    assert (pool["least_sites"], pool["sites_that_may_be_lost"]) == (3, 1)
    assert any("rules that compare sites" in line for line in told["in_plain_words"])
    admit(home, 5, "aab")
    told = show_command(home, "r1", NOW)
    assert "secure_sums" not in told
    assert "With the sites admitted now it cannot be signed" in told["in_plain_words"][-1]
    assert "--pooling all" in told["in_plain_words"][-1]


def test_an_evaluation_is_bought_out_of_the_budget_and_its_error_is_told(tmp_path: Path) -> None:
    home = centre(tmp_path)
    admit(home, 3)
    terms = proposed(home, evaluation=0.1, evaluate_before=True, thresholds=2)
    assert [m.name for m in terms.plan.mechanisms] == ["before", "mean", "scatter", "after"]
    assert 7.99 <= epsilon(terms.plan.events(), 1e-4) <= 8.0
    last = terms.plan.mechanisms[-1]
    assert isinstance(last, EvaluationMechanism)
    told = show_command(home, "r1", NOW)
    errors = told["releases"]["after"]["standard_error"]
    assert errors["16"] == pytest.approx(error_of_rate(terms.plan, last, 16))
    assert errors["1"] == pytest.approx(4 * errors["16"])
    assert told["releases"]["after"]["bytes"] == 4 * 6
    words = " ".join(told["in_plain_words"])
    assert "First and last tail are judged" in words
    assert f"{100 * errors['16']:.2g} points at 16" in words
    assert "can add to the average position" in words  # the noise is told of what is learnt from


def test_what_the_error_is_told_to_be_is_what_noise_makes_of_a_rate(tmp_path: Path) -> None:
    plan = proposed(centre(tmp_path), evaluation=0.1).plan
    last = plan.mechanisms[-1]
    assert isinstance(last, EvaluationMechanism)
    deviation = np.sqrt(16) * last.sigma * last.clip
    total = 16 * plan.people * person_cells([1.0], [0.01])
    rate = rates(total, deviation).own[0]
    assert rate is not None
    assert rate.error == pytest.approx(error_of_rate(plan, last, 16))


def test_an_evaluation_without_public_people_enough_is_refused_with_what_to_do(
    tmp_path: Path, faces: Path
) -> None:
    home = centre(tmp_path)
    admit(home, 3)
    with pytest.raises(ConfigError, match="bring more --public people"):
        proposed(home, evaluation=0.1, thresholds=0)
    options = ["--run", "few", "--epsilon", 8, "--people", 240, "--cohort", 3]
    few = ["--public", faces, "--trunk", STARTER, "--steps", 1, "--evaluation", 0.1]
    told = ask("charter", "propose", "--home", home.folder, *options, *few)
    assert told.exit_code == 2, told.output
    assert "fewer than 1,000 such pairs" in told.stderr
    assert not (home.charter("few") / PROPOSAL).exists()


def test_an_evaluation_whose_public_people_are_gone_is_not_signed(tmp_path: Path) -> None:
    home = centre(tmp_path)
    admit(home, 3)
    proposed(home, evaluation=0.1)
    with pytest.raises(CharterError, match="public people beside the charter"):
        sign_command(home, "r1", NOW)
    rng = np.random.default_rng(1)
    features = rng.standard_normal((60, 3)).astype(np.float32)
    save_public(home.charter("r1"), features, np.arange(60))
    assert sign_command(home, "r1", NOW)["state"] == "signed"


@pytest.mark.slow
def test_a_proposal_with_an_evaluation_keeps_the_public_people_and_their_statistics(
    tmp_path: Path,
) -> None:
    from common.faces.store import save_pack

    path = tmp_path / "public.npz"
    save_pack(path, synthetic_faces(50, 2, 5))
    home = centre(tmp_path / "home")
    admit(home, 3)
    options = ["--run", "judged", "--epsilon", 8, "--people", 240, "--cohort", 3]
    sources = ["--public", path, "--trunk", STARTER, "--steps", 2, "--evaluation", 0.1]
    told = ask("charter", "propose", "--home", home.folder, *options, *sources)
    assert told.exit_code == 0, told.output
    monitor = find_monitor(home.charter("judged"))
    assert monitor is not None
    assert monitor.reference is not None
    assert len(monitor.rates) == json.loads(told.stdout)["releases"]["after"]["bytes"] // 8 - 1
    assert sign_command(home, "judged", time.time())["state"] == "signed"
