"""Ideas of a courier that relays a secure sum falsely: keys, boxes, survivors, and arrays."""

import dataclasses
import struct

import numpy as np

from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.secagg.messages import Boxes, Cohort, Consent, Consents, SiteKeys, Survivors
from common.secagg.phases import KEYS, OPENING, PHASES, SHARES, SURVIVORS, VECTOR
from common.trust.keys import SigningKey
from server.strategies.aggregating import Aggregation
from tests.hostile.couriers import Catch, Scene, attack
from tests.hostile.party import (
    COLLUDER,
    FRIEND,
    MESSAGES,
    NAMES,
    PEERS,
    SITE,
    Party,
    aggregate_request,
    fewer,
    shown,
)
from tests.small_home import D, K, initial

P = 2**255 - 19
ORDER_8 = (
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
)
SMALL_ORDER = (
    *(number.to_bytes(32, "little") for number in (0, 1, P - 1, P, P + 1)),
    *map(bytes.fromhex, ORDER_8),
)


@attack("AGGREGATION_REFUSED", "INVALID_REQUEST", "NOT_READY")
def skips_phases_of_a_sum(scene: Scene, catch: Catch) -> None:
    party = Party(scene, "skips")
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        for phase in PHASES[1:]:
            party.ask(catch, agent, phase)
        party.ask(catch, agent, KEYS)
        for phase in (VECTOR, SURVIVORS, OPENING, "unmask", "", "keys ", "VECTOR"):
            party.ask(catch, agent, phase)
        party.until(catch, agent, VECTOR)
        for phase in (SURVIVORS, OPENING):
            party.ask(catch, agent, phase, Survivors(NAMES, ()).to_bytes())


@attack("REPLAY_MISMATCH", "INVALID_REQUEST", releases=1)
def asks_a_phase_again_with_other_words(scene: Scene, catch: Catch) -> None:
    """Another cohort, other boxes, other survivors and signers; the same words get the same."""
    party, same = Party(scene, "twice-asked"), []
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        centre = Aggregation(party.context(), party.roster)
        for phase in PHASES:
            payload = centre.requests(phase)[SITE]
            said = party.take(catch, agent, centre, phase)
            lies = [payload + b"\0", b"\xff" * 40]
            if phase == SURVIVORS:
                lies.append(Survivors(NAMES[1:], NAMES[:1]).to_bytes())
            elif phase != KEYS:
                lies.append(fewer(MESSAGES[phase].from_bytes(payload)).to_bytes())
            for lie in lies:
                party.ask(catch, agent, phase, lie)
            same.append(party.ask(catch, agent, phase, payload) == said)
    catch.note["same"] = all(same)


@attack("COHORT_TOO_SMALL", "AGGREGATION_REFUSED", releases=1)
def makes_a_cohort_of_two(scene: Scene, catch: Catch) -> None:
    """In the charter, in the keys, in the dealers, and among those that survived."""
    party = Party(scene, "two")
    with scene.channel() as agent:
        for names, cohort in ((NAMES[3:], 4), (NAMES[3:], 2), (NAMES[2:], 4)):
            plan = dataclasses.replace(party.plan, cohort=cohort, honest_sites=2)
            catch.accept(agent, scene.offer("two", plan, members={"door": names}))
        catch.accept(agent, party.offer)
        centre = party.until(catch, agent, SHARES)
        for phase in (SHARES, VECTOR):
            for least in (5, 4, 3, 2):
                party.ask(catch, agent, phase, fewer(shown(centre, phase), least).to_bytes())
            party.take(catch, agent, centre, phase)


@attack("SIGNATURE_INVALID", "AGGREGATION_REFUSED")
def puts_other_keys_into_the_cohort(scene: Scene, catch: Catch) -> None:
    """Its own ones, those of another attempt, this site's twice, and points of small order."""
    party = Party(scene, "keys")
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        centre = party.until(catch, agent, SHARES)
        cohort, context = shown(centre, SHARES), party.context()
        ash, beech, own = cohort.keys[0], cohort.keys[1], cohort.keys[-1]
        made, strange = SiteKeys(b"m" * 32, b"s" * 32), SigningKey.generate()
        colluder, friend = party.keys[COLLUDER], party.keys[FRIEND]
        for name, lie in (
            (FRIEND, made.signed(FRIEND, strange, context)),
            (FRIEND, made.signed(FRIEND, scene.key, context)),
            (FRIEND, made.signed(FRIEND, colluder, context)),
            (FRIEND, made.signed(COLLUDER, colluder, context)),
            (FRIEND, beech.signed(FRIEND, friend, party.context(2))),
            (FRIEND, beech.signed(FRIEND, friend, party.context(charter="0" * 64))),
            (FRIEND, beech.signed(FRIEND, friend, party.context(run="keys-too"))),
            (FRIEND, ash),
            (SITE, made),
            (SITE, dataclasses.replace(own, masks=ash.masks)),
            (SITE, made.signed(SITE, colluder, context)),
        ):
            party.ask(catch, agent, SHARES, _with(cohort, name, lie))
        twins = [SiteKeys(own.masks, own.shares), SiteKeys(ash.masks, own.masks)]
        twins += [SiteKeys(ash.masks, ash.masks), SiteKeys(beech.masks, ash.shares)]
        twins += [SiteKeys(point, ash.shares) for point in SMALL_ORDER]
        twins += [SiteKeys(ash.masks, point) for point in SMALL_ORDER]
        for twin in twins:
            lie = twin.signed(COLLUDER, colluder, context)
            party.ask(catch, agent, SHARES, _with(cohort, COLLUDER, lie))
        for lie in (
            Cohort((*cohort.names, SITE), (*cohort.keys, own)),
            Cohort((SITE, *cohort.names[1:]), (own, *cohort.keys[1:])),
            Cohort(cohort.names[::-1], cohort.keys[::-1]),
            Cohort((*cohort.names, "zz"), (*cohort.keys, ash)),
        ):
            party.ask(catch, agent, SHARES, lie.to_bytes())
        catch.note["honest"] = party.ask(catch, agent, SHARES, cohort.to_bytes()) is not None


@attack("AGGREGATION_REFUSED", "COHORT_TOO_SMALL", releases=1)
def swaps_boxes_between_dealers(scene: Scene, catch: Catch) -> None:
    """Nothing is charged before every box opened, and holds two shares, not more or less."""
    party = Party(scene, "boxes")
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        centre = party.until(catch, agent, VECTOR)
        told, size = shown(centre, VECTOR), len(NAMES)
        assert all(told.boxes[:-1])
        turned = (*range(1, size - 1), 0, size - 1)
        boxes, checks = (tuple(part[at] for at in turned) for part in (told.boxes, told.checks))
        flipped = (told.boxes[0][:-1] + bytes([told.boxes[0][-1] ^ 1]), *told.boxes[1:])
        for lie in (
            Boxes(told.dealers, boxes, told.checks),
            Boxes(told.dealers, boxes, checks),
            Boxes(told.dealers, told.boxes, checks),
            Boxes(told.dealers, flipped, told.checks),
            Boxes(told.dealers, (b"",) * size, told.checks),
            Boxes(told.dealers, told.boxes, (b"",) * size),
            *(Boxes(told.dealers, (bytes(n), *told.boxes[1:]), told.checks) for n in (1, 31, 96)),
            Boxes(told.dealers[::-1], told.boxes, told.checks),
            Boxes((FRIEND,) * size, told.boxes, told.checks),
            Boxes((*told.dealers[:-1], "zz"), told.boxes, told.checks),
            fewer(told, 2),
        ):
            party.ask(catch, agent, VECTOR, lie.to_bytes())
        party.take(catch, agent, centre, VECTOR)


@attack("AGGREGATION_REFUSED", "COHORT_TOO_SMALL", releases=1)
def says_that_sites_are_dead_and_alive(scene: Scene, catch: Catch) -> None:
    party, others = Party(scene, "zombies"), tuple(name for name in NAMES if name != SITE)
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        centre = party.until(catch, agent, SURVIVORS)
        for alive, dead in (
            (NAMES, (SITE,)),
            (NAMES, NAMES),
            (others, (SITE,)),
            (others, ()),
            (NAMES[1:], ()),
            ((*NAMES, "zz"), ()),
            ((*NAMES, COLLUDER), ()),
            (NAMES[::-1], ()),
            (NAMES[3:], NAMES[:3]),
            ((), NAMES),
        ):
            party.ask(catch, agent, SURVIVORS, Survivors(alive, dead).to_bytes())
        party.take(catch, agent, centre, SURVIVORS)


@attack(
    "REPLAY_MISMATCH", "AGGREGATION_REFUSED", "SIGNATURE_INVALID", "NOT_READY", "PLAN_REFUSED",
    releases=2,
)  # fmt: skip
def wants_seed_and_mask_key_of_one_dealer(scene: Scene, catch: Catch) -> None:
    """One list of survivors has been signed: a second, in whatever dress, is opened for nobody."""
    party, twin = Party(scene, "both"), Party(scene, "both-too")
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        catch.accept(agent, twin.offer)
        centre = party.until(catch, agent, OPENING)
        other, context = Survivors(NAMES[1:], NAMES[:1]), party.context()
        party.ask(catch, agent, SURVIVORS, other.to_bytes())
        view = other.view(centre._dealers_view)
        signed = [Consent().signed(name, party.keys[name], context, view) for name in PEERS]
        forged, honest = Consents(PEERS, tuple(signed)).to_bytes(), shown(centre, OPENING)
        party.ask(catch, agent, OPENING, forged)
        said = party.take(catch, agent, centre, OPENING)
        few, honest = fewer(honest).to_bytes(), honest.to_bytes()
        for lie in (forged, few):
            party.ask(catch, agent, OPENING, lie)
        for phase, lie in ((SURVIVORS, other.to_bytes()), (OPENING, honest), (OPENING, forged)):
            party.ask(catch, agent, phase, lie, attempt=2)
            twin.ask(catch, agent, phase, lie)
            party.ask(catch, agent, phase, lie, round=2)
        twin.until(catch, agent, SURVIVORS)
        for lie in (honest, forged):
            twin.ask(catch, agent, OPENING, lie)
        catch.accept(agent, scene.offer("both", party.plan, members={"door": NAMES}, expires=2**41))
        catch.note["once"] = said is not None


@attack("CHARTER_REFUSED", "INVALID_REQUEST", releases=1)
def smuggles_settings_into_a_vector(scene: Scene, catch: Catch) -> None:
    """Other arrays than the charter's, arrays that are settings, settings in unknown fields."""
    party, one = Party(scene, "smuggled"), np.zeros(1, np.float32)
    moved = {**party.frame, FRAME_WEIGHT: party.frame[FRAME_WEIGHT] + 1}
    wide = {**party.frame, FRAME_BIAS: np.zeros(K + 1, np.float32)}
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        party.ask(catch, agent, KEYS, arrays={"sigma": one})
        centre = party.until(catch, agent, VECTOR)
        payload = centre.requests(VECTOR)[SITE]
        for arrays in (
            moved,
            wide,
            {},
            {**party.frame, "sigma": one},
            {**party.frame, "q": one + 1},
            {"moments.mean.sum": one},
            {name: array.astype(np.float64) for name, array in party.frame.items()},
            {name: array * np.nan for name, array in party.frame.items()},
        ):
            party.ask(catch, agent, VECTOR, payload, arrays=arrays)
        words = {"run": party.run, "round": 1, "attempt": 1, "phase": VECTOR}
        request = aggregate_request(payload, party.frame, **words)
        extra = _field(31, b"sigma=0") + _field(32, b"rate=1") + _field(33, struct.pack("<d", 0))
        answer = catch.ask(agent, "Aggregate", request.SerializeToString() + extra)
        said = party.ask(catch, agent, VECTOR, payload)
        catch.note["same"] = answer is not None and answer.payload == said


@attack("AGGREGATION_REFUSED")
def takes_one_kind_of_run_for_the_other(scene: Scene, catch: Catch) -> None:
    """A plain one asked as a sum; a share of the noise asked by itself; sums without members."""
    party = Party(scene, "shared")
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("plain", scene.plan()))
        for phase in PHASES:
            party.ask(catch, agent, phase, run="plain")
        catch.accept(agent, party.offer)
        catch.train(agent, "shared")
        catch.accept(agent, scene.offer("memberless", party.plan))


@attack("REPLAY_MISMATCH", releases=1)
def asks_for_a_vector_again_of_other_arrays(scene: Scene, catch: Catch) -> None:
    party = Party(scene, "vector-again")
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        centre = party.until(catch, agent, VECTOR)
        payload = centre.requests(VECTOR)[SITE]
        said = party.ask(catch, agent, VECTOR, payload)
        for arrays in ({}, {**party.frame, FRAME_WEIGHT: -party.frame[FRAME_WEIGHT]}):
            party.ask(catch, agent, VECTOR, payload, arrays=arrays)
        catch.note["same"] = party.ask(catch, agent, VECTOR, payload) == said


@attack(releases=1)
def sums_numbers_that_overflow_for_some_people_only(scene: Scene, catch: Catch) -> None:
    """An error for some faces and none for others would tell one from the other."""
    arrays = initial()
    arrays[FRAME_WEIGHT] = np.full((K, D), np.finfo(np.float32).max, np.float32)
    arrays[FRAME_WEIGHT][:, ::2] *= -1
    party = Party(scene, "loud-sum", arrays=arrays)
    with scene.channel() as agent:
        catch.accept(agent, party.offer)
        party.until(catch, agent, SURVIVORS)


def _with(cohort: Cohort, name: str, keys: SiteKeys) -> bytes:
    at = cohort.names.index(name)
    return Cohort(cohort.names, (*cohort.keys[:at], keys, *cohort.keys[at + 1 :])).to_bytes()


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes that the message does not have."""
    key = number << 3 | 2
    return bytes((key & 0x7F | 0x80, key >> 7, len(content))) + content
