"""Ideas of a courier that draws a sum again and again: attempts, restarts, budgets, rosters."""

import dataclasses
import json
import threading
from typing import Any

import grpc

from common.secagg.messages import Survivors
from common.secagg.phases import KEYS, OPENING, SHARES, SURVIVORS, VECTOR
from common.trust.charter import PURPOSE
from common.trust.keys import SigningKey
from common.trust.roster import PURPOSE as ROSTER
from common.trust.signed import Signed, seal
from tests.hostile.couriers import Catch, Scene, attack
from tests.hostile.party import NAMES, SITE, Party, fewer, roster_of, shown

DEAR = 2.0  # noise multiplier: a few such vectors are all that the budget has
HUGE = 10**400
VALUES = (HUGE, -HUGE, 0, -1, 1e308, True, None, "", "\ud800", "x" * 9999, [], [[[]]], {"a": {}})
KEPT: dict[str, Any] = {}  # what one idea leaves to another one, after the agent died


@attack("REPLAY_MISMATCH", "INVALID_REQUEST", "AGGREGATION_REFUSED", "PLAN_REFUSED", releases=1)
def counts_attempts_down_and_without_end(scene: Scene, catch: Catch) -> None:
    party, last = Party(scene, "attempts"), 2**31 - 1
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        party.until(catch, agent, SURVIVORS, attempt=5)
        for attempt in (4, 1, 0, 2**31, 2**32 - 1):
            party.ask(catch, agent, KEYS, attempt=attempt)
        for number in (0, 2, 2**31, 2**32 - 1):
            party.ask(catch, agent, KEYS, round=number)
        party.ask(catch, agent, KEYS, attempt=6)
        party.ask(catch, agent, SURVIVORS, b"", attempt=5)
        party.ask(catch, agent, KEYS, attempt=last)
        for attempt in (5, 6, last - 1):
            party.ask(catch, agent, KEYS, attempt=attempt)


@attack("INVALID_REQUEST")
def sends_a_negative_attempt_in_more_bits_than_it_has(scene: Scene, catch: Catch) -> None:
    """Varints of ten bytes: minus one, and what is one only once cut to 32 bits."""
    party = Party(scene, "negative")
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        head = b"\x08\x01\x12\x08negative\x18\x01\x2a\x04keys"
        for number in (2**64 - 1, 2**63, 2**32, 2**32 - 1, 2**31):
            catch.ask(agent, "Aggregate", head + b"\x20" + _varint(number))


@attack(releases=3)
def draws_a_round_three_times(scene: Scene, catch: Catch) -> None:
    """Each attempt has noise of its own, so each is a row that is paid for."""
    party = Party(scene, "thrice")
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        for attempt in (1, 2, 3):
            party.until(catch, agent, SURVIVORS, attempt)


@attack(releases=1)
def comes_as_far_as_an_opening(scene: Scene, catch: Catch) -> None:
    party = Party(scene, "killed-sum")
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        KEPT["centre"] = party.until(catch, agent, OPENING)
        KEPT["party"] = party


@attack("REPLAY_MISMATCH", "AGGREGATION_REFUSED", releases=1)
def goes_on_as_if_the_agent_had_not_died(scene: Scene, catch: Catch) -> None:
    """The attempt died with the agent's memory; another one is a release of its own."""
    party, centre = KEPT["party"], KEPT["centre"]
    party.scene = scene
    with scene.channel() as agent:
        party.ask(catch, agent, KEYS)
        for phase, payload in (
            (SHARES, centre._cohort.to_bytes()),
            (VECTOR, centre._boxes(SITE).to_bytes()),
            (SURVIVORS, centre._survivors.to_bytes()),
            (OPENING, centre.requests(OPENING)[SITE]),
        ):
            party.ask(catch, agent, phase, payload)
        party.until(catch, agent, SURVIVORS, attempt=2)
        party.ask(catch, agent, OPENING, centre.requests(OPENING)[SITE], attempt=1)


@attack("SIGNATURE_INVALID", "CHARTER_REFUSED", releases=1)
def brings_rosters_of_its_own(scene: Scene, catch: Catch) -> None:
    """Members that are all the courier's own need the centre's key and a number never used."""
    party = Party(scene, "rosters")
    own = {name: SigningKey.generate() for name in party.keys}
    mine, old = roster_of(scene, own), roster_of(scene, own, number=0)
    twice = {"federation": scene.federation, "number": HUGE, "sites": "x"}
    foreign = dataclasses.replace(mine, federation="e" * 64, number=9)
    rosters = [mine.sign(scene.key), mine.sign(SigningKey.generate()), foreign.sign(scene.key)]
    rosters += [seal(scene.key, ROSTER, twice), seal(scene.key, PURPOSE, {"number": 7})]
    texts = [roster.to_json() for roster in rosters] + ["x", "{}", "[" * 9999, "x" * 2**20]
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        for number, text in enumerate(texts):
            other = Party(scene, f"rosters-{number}")
            catch.accept(agent, dataclasses.replace(other.offer, roster=text))
        late = dataclasses.replace(party.offer, roster=old.sign(scene.key).to_json())
        catch.accept(agent, late)  # the centre's own, only old: nothing changes
        party.until(catch, agent, SURVIVORS)
        catch.accept(agent, scene.offer("rosters", party.plan, members={"door": NAMES}, expires=9))


@attack(
    "CHARTER_REFUSED", "PLAN_REFUSED", "INVALID_REQUEST", "SIGNATURE_INVALID", "TRUNK_MISMATCH",
    "AGGREGATION_REFUSED", "COHORT_TOO_SMALL", "CHARTER_PENDING", "PRIVACY_BUDGET_EXHAUSTED",
    "REPLAY_MISMATCH", "CONFIG_INVALID",
    some=True,
)  # fmt: skip
def signs_charters_of_any_shape(scene: Scene, catch: Catch) -> None:
    """The centre's key over what no program writes: a word of the list for each, never INTERNAL."""
    party = Party(scene, "shapes")
    offer, key = party.offer, scene.key
    content = Signed.from_json(offer.charter).content
    with scene.channel() as agent:
        for place in _places(json.loads(content)):
            for value in VALUES:
                table = json.loads(content)
                _put(table, place, value)
                text = seal(key, PURPOSE, table).to_json()
                told = dataclasses.replace(offer, charter=text)
                catch.accept(agent, told, review=True)


@attack(
    "BUSY", "NOT_READY", "REPLAY_MISMATCH", "INVALID_REQUEST", "AGGREGATION_REFUSED",
    "UNAVAILABLE",  # a stream too many is refused by gRPC itself
    some=True, releases=1,
)  # fmt: skip
def asks_all_phases_at_once_from_eight_threads(scene: Scene, catch: Catch) -> None:
    """Boxes of all, and of four dealers: one vector leaves, however they race."""
    party = Party(scene, "crowd")
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        centre = party.until(catch, agent, VECTOR)
        whole = shown(centre, VECTOR)
        asked = [(VECTOR, whole.to_bytes()), (VECTOR, fewer(whole).to_bytes()), (KEYS, b"")]
        asked += [(SURVIVORS, Survivors(NAMES, ()).to_bytes()), (OPENING, b"")]
        waits = [
            threading.Thread(target=_keep_asking, args=(party, agent, catch, asked[n % 5 :]))
            for n in range(8)
        ]
        for wait in waits:
            wait.start()
        for wait in waits:
            wait.join()


@attack("PRIVACY_BUDGET_EXHAUSTED", last=True)
def averages_the_noise_away(scene: Scene, catch: Catch) -> None:
    """Vector after vector of one round: each is charged, and the budget ends it."""
    party = Party(scene, "average", sigma=DEAR)
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        for attempt in range(1, 100):
            centre = party.until(catch, agent, VECTOR, attempt)
            said = party.ask(catch, agent, VECTOR, centre.requests(VECTOR)[SITE], attempt=attempt)
            if said is None:
                break
    catch.note["vectors"] = attempt - 1


@attack("PRIVACY_BUDGET_EXHAUSTED", some=True, last=True)
def accepts_from_eight_threads_at_once(scene: Scene, catch: Catch) -> None:
    """Promises that race: together they stay within what the operator allowed."""
    plans = [Party(scene, f"race-{number}", sigma=4.0).offer for number in range(64)]
    with scene.channel() as agent:

        def accept(first: int) -> None:
            for offer in plans[first::8]:
                catch.accept(agent, offer)

        waits = [threading.Thread(target=accept, args=(first,)) for first in range(8)]
        for wait in waits:
            wait.start()
        for wait in waits:
            wait.join()


def _keep_asking(
    party: Party, agent: grpc.Channel, catch: Catch, asked: list[tuple[str, bytes]]
) -> None:
    for phase, payload in asked * 3:
        party.ask(catch, agent, phase, payload)


def _places(table: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a table, and in the tables and lists in it."""
    inner = table.items() if isinstance(table, dict) else enumerate(table)
    found: list[tuple[Any, ...]] = []
    for key, value in inner:
        found.append((*before, key))
        if isinstance(value, dict | list):
            found += _places(value, (*before, key))
    return found


def _put(table: Any, place: tuple[Any, ...], value: Any) -> None:
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*made, number))
