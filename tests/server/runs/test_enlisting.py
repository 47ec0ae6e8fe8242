"""Only admitted sites that prove themselves take part, one node each, and their heads are kept."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from client.cli import main as site_cli
from common import wire
from common.errors import CohortError, RunError, SignatureError
from common.privacy.plan import MomentMechanism, PrivacyPlan
from common.trust.charter import charter_digest
from common.trust.heads import SignedHead
from common.trust.keys import SigningKey
from common.trust.presence import Presence
from common.trust.roster import Roster, SiteEntry
from common.trust.signed import Signed
from server.charter import Charter
from server.checkpoint import RunState
from server.cli import main as admin_cli
from server.runs.heads import HeadStore
from server.runs.register import Register
from server.strategies.declined import ABSENT, NO_ANSWER, NOT_ADMITTED, REMEDIES, told
from server.strategies.enlisting import Enlisted
from server.strategies.rounds import RoundLoop
from simulations.grid import InProcessGrid
from tests.fakes import TRUNK, reply

FEDERATION, SUM = "f" * 64, "moments.mean.sum"
CENTRE = SigningKey.generate()
KEYS = {name: SigningKey.generate() for name in ("north", "south", "west", "east")}
INITIAL = {
    "tail.weight": np.ones((2, 3), np.float32),
    "tail.bias": np.zeros(2, np.float32),
    "frame.weight": np.ones((2, 3), np.float32),
    "frame.bias": np.zeros(2, np.float32),
}


def roster(**states: Any) -> Roster:
    sites = tuple(
        SiteEntry(
            name=name,
            identity=key.public.text,
            node=f"node {name}",
            camera_type="door",
            people=10,
            state=states.get(name, "admitted"),
            reason="left" if name in states else "",
        )
        for name, key in sorted(KEYS.items())
        if name != "east"  # who asked, and was never admitted
    )
    return Roster(federation=FEDERATION, number=1, sites=sites)


@dataclasses.dataclass
class Nodes:
    """One fake node for each name; ``forge`` changes what a node says of itself."""

    names: tuple[str, ...]
    forge: Callable[[int, dict[str, Any]], None] = lambda number, facts: None
    rows: int = 1
    shown: dict[int, str] = dataclasses.field(default_factory=dict)
    challenges: list[bytes] = dataclasses.field(default_factory=list)
    refuses: dict[int, str] = dataclasses.field(default_factory=dict)
    offered: dict[int, str] = dataclasses.field(default_factory=dict)

    def app(self) -> ClientApp:
        app = ClientApp()

        @app.query("describe")
        def describe(message: Message, context: Context) -> Message:
            number, challenge = self._asked(message, context, wire.CHALLENGE)
            self.challenges.append(challenge)
            facts = self._facts(self.names[number], challenge)
            self.forge(number, facts)
            return Message(RecordDict({wire.CONFIG: ConfigRecord(facts)}), reply_to=message)

        @app.query("accept")
        def accept(message: Message, context: Context) -> Message:
            number, text = self._asked(message, context, wire.CHARTER)
            self.shown[number] = self._asked(message, context, wire.HEAD)[1]
            self.offered[number] = text
            if number in self.refuses:
                return Message(Error(wire.ERROR_CODE, self.refuses[number]), reply_to=message)
            digest = charter_digest(Signed.from_json(text))
            told = ConfigRecord({wire.CHARTER_DIGEST: digest, wire.HEAD: self.head(number)})
            return Message(RecordDict({wire.CONFIG: told}), reply_to=message)

        return app

    def head(self, number: int) -> str:
        return head(self.names[number], self.rows)

    def _asked(self, message: Message, context: Context, key: str) -> tuple[int, Any]:
        config = message.content.config_records[wire.CONFIG]
        return int(context.node_config["partition-id"]), config[key]

    def _facts(self, name: str, challenge: bytes) -> dict[str, Any]:
        me = Presence(federation=FEDERATION, site=name, camera_type="door", trunk=TRUNK, people=10)
        return {
            wire.VERSION: wire.PROTOCOL,
            wire.CAMERA_TYPE: "door",
            wire.TRUNK: TRUNK,
            wire.PEOPLE: 10,
            wire.SITE: name,
            wire.SIGNATURE: me.sign(KEYS[name], challenge),
        }


def head(name: str, rows: int, **changes: Any) -> str:
    told = {"federation": FEDERATION, "site": name, "sequence": rows, "mac": "0" * 64}
    return SignedHead(**{**told, **changes}).sign(KEYS[name]).to_json()


def enlist(folder: Path, nodes: Nodes, register: Register | None = None, **terms: Any) -> Enlisted:
    register = register or Register(roster=roster(), heads=HeadStore(folder / "h", FEDERATION))
    plan = plan_of(**terms)
    charter = Charter(run="r1", plan=plan)
    signed = charter.terms(FEDERATION, INITIAL, 2**40).sign(CENTRE)
    grid = InProcessGrid(nodes.app(), len(nodes.names), {})
    loop = RoundLoop(grid, charter, signed, folder, register=register)
    return loop._enlisting().enlist(list(grid.get_node_ids()), dict(INITIAL))


def plan_of(**terms: Any) -> PrivacyPlan:
    mean = MomentMechanism(kind="mean", sigma=1.0, clip=1.0, name="mean")
    told = {"mechanisms": (mean,), "people": 10, "delta": 1e-4, "trunk": TRUNK, "pooling": "all"}
    return PrivacyPlan(**{**told, **terms})


def enlisted(folder: Path, nodes: Nodes, cohort: int = 1, **states: Any) -> list[str]:
    """The names of the sites that were enlisted."""
    store = HeadStore(folder / "heads", FEDERATION)
    found = enlist(folder, nodes, Register(roster=roster(**states), heads=store), cohort=cohort)
    assert sorted(found.sites) == found.nodes
    return [found.sites[node].name for node in found.nodes]


def test_admitted_sites_take_part_and_each_node_gets_a_challenge_of_its_own(
    tmp_path: Path,
) -> None:
    nodes = Nodes(("north", "south"))
    assert enlisted(tmp_path, nodes) == ["north", "south"]
    assert len(set(nodes.challenges)) == 2
    assert all(len(challenge) == 32 for challenge in nodes.challenges)


def test_unknown_and_revoked_sites_are_left_out(tmp_path: Path) -> None:
    nodes = Nodes(("north", "south", "east"))
    assert enlisted(tmp_path, nodes, south="revoked") == ["north"]
    with pytest.raises(RunError, match="1 sites accepted the plan, the cohort minimum is 2"):
        enlisted(tmp_path, nodes, cohort=2, south="revoked")


def test_one_site_behind_two_nodes_counts_once(tmp_path: Path) -> None:
    assert enlisted(tmp_path, Nodes(("north", "north", "south"))) == ["north", "south"]


FORGERIES: dict[str, dict[str, Any]] = {
    "another site's name": {wire.SITE: "south"},
    "no signature": {wire.SIGNATURE: b""},
    "a signature of text": {wire.SIGNATURE: "x"},
    "more people": {wire.PEOPLE: 0},
    "another trunk": {wire.TRUNK: "u" * 64},
    "another version": {wire.VERSION: 0},
}


@pytest.mark.parametrize("what", sorted(FORGERIES))
def test_a_node_that_says_otherwise_than_its_site_is_left_out(tmp_path: Path, what: str) -> None:
    def forge(number: int, facts: dict[str, Any]) -> None:
        if number == 0:
            facts.update(FORGERIES[what])

    assert enlisted(tmp_path, Nodes(("north", "west"), forge)) == ["west"]


def test_what_counts_is_what_the_roster_says_whatever_a_courier_adds(tmp_path: Path) -> None:
    def forge(number: int, facts: dict[str, Any]) -> None:
        facts.update({wire.PEOPLE: 99_999, wire.CAMERA_TYPE: "else"})

    found = enlist(tmp_path, Nodes(("north",), forge), pooling="camera_type")
    assert found.pools == {"door": [2]}
    assert found.people == {2: 10}


def test_an_answer_heard_at_another_node_proves_nothing(tmp_path: Path) -> None:
    heard: dict[str, Any] = {}

    def forge(number: int, facts: dict[str, Any]) -> None:
        if number == 0:
            heard.update(facts)
        else:
            facts.update(heard)  # the courier of the second node repeats the first one's words

    assert enlisted(tmp_path, Nodes(("north", "south"), forge)) == ["north"]


# Why too few take part.


def test_everyone_who_stays_away_is_named_with_a_reason_and_what_to_do(tmp_path: Path) -> None:
    def forge(number: int, facts: dict[str, Any]) -> None:
        if number == 0:
            facts.update(FORGERIES["another version"])

    nodes = Nodes(("north", "south", "east"), forge, refuses={1: "CHARTER_PENDING"})
    with pytest.raises(CohortError) as got:
        enlisted(tmp_path, nodes)
    told = str(got.value)
    assert told.startswith("0 sites accepted the plan, the cohort minimum is 1; ")
    assert "north: PROTOCOL_VERSION (install the same release" in told
    assert "south: CHARTER_PENDING (" in told
    digest = charter_digest(Signed.from_json(nodes.offered[1]))
    assert f"`mascaron-site charter accept {digest}`" in told
    assert "node 4: not an admitted site" in told
    assert "west: not connected" in told
    assert "east" not in told  # a name that was not proven is not repeated


def test_a_site_with_another_trunk_is_named_for_it(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="north, south: TRUNK_MISMATCH"):
        enlist(tmp_path, Nodes(("north", "south")), trunk="u" * 64)


def test_every_remedy_names_commands_that_there_are() -> None:
    commands = {"mascaron-site": site_cli, "mascaron-admin": admin_cli}
    for reason, remedy in REMEDIES.items():
        assert reason in wire.REASONS or reason in (ABSENT, NO_ANSWER, NOT_ADMITTED)
        for typed in re.findall(r"`([^`]+)`", remedy):
            program, *words = typed.split()
            command: click.Command = commands[program]
            for word in words:
                if isinstance(command, click.Group):
                    command = command.commands[word]
    assert "`mascaron-site charter accept abc`" in told({"north": "CHARTER_PENDING"}, "abc")
    assert told({}, "abc") == ""


# Ledger heads.


def test_a_site_is_shown_its_own_last_head_and_no_other(tmp_path: Path) -> None:
    first = Nodes(("north", "south"))
    enlisted(tmp_path, first)
    assert first.shown == {0: "", 1: ""}
    again = Nodes(("south", "north"), rows=4)
    enlisted(tmp_path, again)
    assert again.shown == {0: head("south", 1), 1: head("north", 1)}
    assert HeadStore(tmp_path / "heads", FEDERATION).last("north") == head("north", 4)


def test_an_older_head_or_one_of_somebody_else_does_not_replace_the_one_kept(
    tmp_path: Path,
) -> None:
    store = HeadStore(tmp_path, FEDERATION)
    [north] = [site for site in roster().sites if site.name == "north"]
    store.keep(north, head("north", 7))
    store.keep(north, head("north", 3))
    for wrong in (
        head("south", 9),
        head("north", 9, site="south"),
        head("north", 9, federation="e" * 64),
        "",
        "{}",
        "x" * 99,
    ):
        with pytest.raises(SignatureError):
            store.keep(north, wrong)
    assert store.last("north") == head("north", 7)
    assert [path.name for path in tmp_path.iterdir()] == ["north.json"]


def test_each_round_shows_a_site_its_own_last_head_and_keeps_the_next(tmp_path: Path) -> None:
    nodes = Nodes(("north", "south"))
    app = nodes.app()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        nodes.rows = 9
        number = int(context.node_config["partition-id"])
        nodes.shown[number] = str(message.content.config_records[wire.CONFIG][wire.HEAD])
        answer = reply(message, {SUM: np.array([1, 2], np.float32)})
        records = {**answer.content, wire.CONFIG: ConfigRecord({wire.HEAD: nodes.head(number)})}
        answer.content = RecordDict(records)
        return answer

    plan = plan_of(cohort=2)
    charter = Charter(run="r1", plan=plan)
    signed = charter.terms(FEDERATION, INITIAL, 2**40).sign(CENTRE)
    store = HeadStore(tmp_path / "heads", FEDERATION)
    register = Register(roster=roster(), heads=store)
    grid = InProcessGrid(app, 2, {})
    state = RoundLoop(grid, charter, signed, tmp_path, register=register).run(
        RunState(plan=plan.digest), dict(INITIAL)
    )
    np.testing.assert_allclose(state.pools["all"][SUM], [2, 4])
    assert nodes.shown == {0: head("north", 1), 1: head("south", 1)}  # those of the acceptance
    assert store.last("south") == head("south", 9)
