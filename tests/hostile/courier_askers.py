"""Ideas of a courier that asks for more than was agreed, with a centre that signs what it likes."""

import dataclasses
import hashlib
import json
import os
import signal
import threading
import time

import numpy as np

from common import wire
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT, SHIFT
from common.privacy.plan import GradientMechanism, MomentMechanism
from common.trust.charter import PURPOSE, array_digests
from common.trust.heads import SignedHead
from common.trust.keys import SigningKey
from common.trust.signed import Signed, seal
from protos.gen import agent_pb2 as pb
from tests.hostile.couriers import SERVICE, Catch, Scene, attack, train_request
from tests.small_home import D, K, frame, initial

MOST = np.finfo(np.float32).max


def mean(sigma: float = 40.0, clip: float = 1.0) -> MomentMechanism:
    return MomentMechanism(kind="mean", sigma=sigma, clip=clip, name="mean")


def steps(**how: object) -> GradientMechanism:
    told = {"sigma": 40.0, "clip": 1.0, "rate": 0.5, "rounds": 1, "negatives": 4}
    return GradientMechanism(**{**told, **how})  # type: ignore[arg-type]


def tail(weight: float = 1.0) -> dict[str, np.ndarray]:
    shapes = {WEIGHT: initial()[WEIGHT] * np.float32(weight), BIAS: initial()[BIAS]}
    return {**shapes, SHIFT: np.zeros(D, np.float32)}


@attack("PLAN_REFUSED", releases=1)
def asks_for_more_rounds_than_agreed(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("extra", scene.plan()))
        for number in (1, 2, 3, 100, 2**32 - 1, 0):
            catch.train(agent, "extra", number)


@attack("PLAN_REFUSED", "PRIVACY_BUDGET_EXHAUSTED", "NOT_READY")
def asks_for_no_noise(scene: Scene, catch: Catch) -> None:
    silent = dataclasses.replace(mean(), sigma=0.0)
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("silent", scene.plan(silent, noise="none")))
        told = json.loads(Signed.from_json(scene.offer("silent", scene.plan()).charter).content)
        told["plan"]["mechanisms"][0]["sigma"] = 0.0
        offer = scene.offer("silent", scene.plan())
        text = seal(scene.key, PURPOSE, told).to_json()
        catch.accept(agent, dataclasses.replace(offer, charter=text))
        for sigma in (1e-9, 1e-3, 0.1):
            catch.accept(agent, scene.offer("whisper", scene.plan(mean(sigma))))
        catch.train(agent, "silent")
        catch.train(agent, "whisper")


@attack("PLAN_REFUSED", "PRIVACY_BUDGET_EXHAUSTED", "NOT_READY")
def asks_for_everybody_in_every_batch(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        for sigma, rounds in ((0.3, 1), (1.0, 9), (5.0, 10_000)):
            plan = scene.plan(steps(rate=1.0, sigma=sigma, rounds=rounds))
            catch.accept(agent, scene.offer("all", plan))
        catch.train(agent, "all", 1, tail())


@attack(releases=1)
def asks_for_a_clip_that_clips_nobody(scene: Scene, catch: Catch) -> None:
    """The noise grows with the clip, so the answer tells no more than any other."""
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("wide", scene.plan(mean(clip=1e9))))
        catch.train(agent, "wide")


@attack(releases=1)
def asks_for_a_batch_of_one_person(scene: Scene, catch: Catch) -> None:
    """One step at the rate at which a single person is expected, and divided by one."""
    plan = scene.plan(steps(rate=0.25, negatives=1, views=1), people=1)
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("one", plan))
        catch.train(agent, "one", 1, tail())


@attack("TRUNK_MISMATCH", "NOT_READY")
def names_another_trunk(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        plan = scene.plan(trunk="0" * 64)
        catch.accept(agent, scene.offer("trunk", plan), review=True)
        catch.accept(agent, scene.offer("trunk", plan))
        catch.train(agent, "trunk")


@attack("NOT_READY", "INVALID_REQUEST")
def trains_a_run_that_nobody_offered(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        for run in ("never", "", "r" * 129, "../ledger", "' OR 1=1 --", "r\x00", "r\n1"):
            catch.train(agent, run)


@attack("REPLAY_MISMATCH", releases=2)
def asks_an_old_round_again_with_other_arrays(scene: Scene, catch: Catch) -> None:
    plan = scene.plan(steps(rounds=2))
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("again", plan))
        catch.train(agent, "again", 1, tail())
        catch.train(agent, "again", 2, tail(0.5))
        catch.train(agent, "again", 2, tail(0.5))
        catch.train(agent, "again", 2, tail(0.25))
        catch.train(agent, "again", 1, tail(0.5))


@attack("CHARTER_PENDING", "NOT_READY")
def trains_before_the_operator_said_yes(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("dear", scene.plan(mean(1.5))))
        catch.train(agent, "dear")


@attack("SIGNATURE_INVALID", "NOT_READY")
def signs_a_charter_itself(scene: Scene, catch: Catch) -> None:
    own = SigningKey.generate()
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("own", scene.plan(), own))
        table = json.loads(Signed.from_json(scene.offer("own", scene.plan()).charter).content)
        for purpose in ("roster", "head", "presence", ""):
            text = seal(scene.key, purpose, table).to_json()
            offer = scene.offer("own", scene.plan())
            catch.accept(agent, dataclasses.replace(offer, charter=text))
        catch.train(agent, "own")


@attack("SIGNATURE_INVALID", "NOT_READY")
def alters_a_charter(scene: Scene, catch: Catch) -> None:
    offer = scene.offer("altered", scene.plan())
    signed = Signed.from_json(offer.charter)
    with scene.channel() as agent:
        for old, new in (('"sigma":40.0', '"sigma":0.01'), ('"altered"', '"another"')):
            assert old in signed.content
            text = Signed(signed.content.replace(old, new), signed.signature).to_json()
            catch.accept(agent, dataclasses.replace(offer, charter=text))
        catch.train(agent, "altered")


@attack("CHARTER_REFUSED", "NOT_READY")
def offers_a_charter_that_expired_or_is_of_another_federation(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("late", scene.plan(), expires=1))
        catch.accept(agent, scene.offer("late", scene.plan(), federation="f" * 64))
        offer = scene.offer("late", scene.plan())
        catch.accept(agent, dataclasses.replace(offer, initial={}))
        catch.train(agent, "late")


@attack("REPLAY_MISMATCH", releases=1)
def signs_the_run_again_with_less_noise(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("twice", scene.plan()))
        catch.accept(agent, scene.offer("twice", scene.plan(mean(30.0))))
        catch.accept(agent, scene.offer("twice", scene.plan(), expires=2**41))
        catch.train(agent, "twice")


@attack("BUSY", releases=2)
def does_two_runs_at_once(scene: Scene, catch: Catch) -> None:
    slot = 0.4
    runs = ("left", "right")
    with scene.channel() as agent:
        for run in runs:
            catch.accept(agent, scene.offer(run, scene.plan(release_slot=slot)))
        waits = [threading.Thread(target=catch.train, args=(agent, run)) for run in runs]
        for wait in waits:
            wait.start()
            time.sleep(slot / 8)  # the first one has begun, and is held back for the slot
        for wait in waits:
            wait.join()
        for run in runs:
            catch.train(agent, run)


@attack("CHARTER_REFUSED", releases=1)
def turns_the_frame_towards_one_person(scene: Scene, catch: Catch) -> None:
    """After the acceptance the frame is fixed; before it, it may be any, and is noised alike."""
    sharp = np.zeros((K, D), np.float32)
    sharp[0, :4] = 1e6
    arrays = {**initial(), FRAME_WEIGHT: sharp, FRAME_BIAS: np.full(K, -1e3, np.float32)}
    aimed = {name: arrays[name] for name in (FRAME_WEIGHT, FRAME_BIAS)}
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("fair", scene.plan()))
        catch.train(agent, "fair", 1, aimed)
        catch.accept(agent, scene.offer("aimed", scene.plan(), arrays=arrays))
        catch.train(agent, "aimed", 1, aimed)


@attack(releases=2)
def sends_numbers_that_overflow_for_some_people_only(scene: Scene, catch: Catch) -> None:
    """A refusal that came for some faces and not for others would tell one from the other."""
    frames = frame()
    frames[FRAME_WEIGHT] = np.full((K, D), MOST, np.float32)
    frames[FRAME_WEIGHT][:, ::2] *= -1
    arrays = {**initial(), **frames, WEIGHT: frames[FRAME_WEIGHT]}
    tails = {WEIGHT: arrays[WEIGHT], BIAS: arrays[BIAS], SHIFT: np.full(D, MOST, np.float32)}
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("loud", scene.plan(mean(), steps()), arrays=arrays))
        catch.train(agent, "loud", 1, frames)
        catch.train(agent, "loud", 2, tails)


@attack()
def probes_with_whatever_answers(scene: Scene, catch: Catch) -> None:
    """Evaluate, Describe and Status say the same, whatever is asked and how often."""
    with scene.channel() as agent:
        told = set()
        for method in ("Evaluate", "Describe", "Status"):
            for _ in range(10):
                request = pb.EvaluateRequest(protocol=wire.PROTOCOL)
                raw = request.SerializeToString() + bytes((0x1A, 3)) + b"who"  # a field of its own
                answer = catch.ask(agent, method, raw)
                told.add((method, str(answer)))
        catch.note["answers"] = len(told)


@attack()
def uses_the_challenge_to_get_other_words_signed(scene: Scene, catch: Catch) -> None:
    """What comes back is good for no charter, head or roster, whatever the challenge was."""
    with scene.channel() as agent:
        content = Signed.from_json(scene.offer("sign", scene.plan()).charter).content.encode()
        for challenge in (content[:64], hashlib.sha256(content).digest(), bytes(64)):
            request = pb.DescribeRequest(protocol=wire.PROTOCOL, challenge=challenge)
            answer = catch.ask(agent, "Describe", request)
            catch.note.setdefault("signed", []).append(
                (challenge.hex(), answer.signature.hex() if answer else "")
            )


@attack("SIGNATURE_INVALID")
def shows_heads_of_its_own(scene: Scene, catch: Catch) -> None:
    told = {"federation": scene.federation, "site": "north", "sequence": 10**6, "mac": "0" * 64}
    head = SignedHead(**told).sign(SigningKey.generate()).to_json()  # type: ignore[arg-type]
    offer = scene.offer("heads", scene.plan())
    with scene.channel() as agent:
        for words in (head, "x", "{}", "[" * 5000):
            catch.accept(agent, dataclasses.replace(offer, head=words))


@attack("INVALID_REQUEST", "PROTOCOL_VERSION", "SIGNATURE_INVALID")
def hopes_that_an_error_says_more(scene: Scene, catch: Catch) -> None:
    """Mistakes of every kind: what a refusal says is a word of a fixed list and nothing else."""
    with scene.channel() as agent:
        catch.ask(agent, "Train", pb.TrainRequest(protocol=99, run="x"))
        catch.ask(agent, "Describe", pb.DescribeRequest(protocol=1, request="not hex"))
        catch.ask(agent, "AcceptCharter", pb.CharterRequest(protocol=1, charter="\x00" * 99))
        request = train_request("x")
        request.tensors[0].name = "../../agent/identity.key"
        request.tensors[1].dtype = "object"
        catch.ask(agent, "Train", request)
        for shape in ([2**32 - 1] * 4, [0, 2**31, 2**31], [1] * 9):
            request = pb.TrainRequest(protocol=1, run="x", round=1)
            request.tensors.add(name="a", dtype="float32", shape=shape, data=b"")
            catch.ask(agent, "Train", request)


@attack(dies=True)
def dies_between_the_charge_and_the_answer(scene: Scene, catch: Catch) -> None:
    """Kills itself while the answer is held back for its slot, so that the ledger may forget."""
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("killed", scene.plan(release_slot=0.6)))
        request = train_request("killed").SerializeToString()
        agent.unary_unary(f"/{SERVICE}/Train").future(request, timeout=20)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)


@attack(releases=1)
def comes_back_for_the_answer(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("killed", scene.plan(release_slot=0.6)))
        catch.train(agent, "killed")


@attack("CHARTER_REFUSED")
def offers_arrays_of_another_shape(scene: Scene, catch: Catch) -> None:
    wide = {FRAME_WEIGHT: np.zeros((2, D), np.float32)}
    offer = scene.offer("wide-arrays", scene.plan(), initial="0" * 64)
    with scene.channel() as agent:
        catch.accept(agent, offer)
        told = {**array_digests(wide), FRAME_WEIGHT: "float32[2048,99999]:" + "0" * 64}
        catch.accept(agent, dataclasses.replace(offer, initial=told))
