"""Ideas of a courier that asks how well a tail does, to learn from the figure who is there."""

import json
from typing import Any

import grpc
import numpy as np

from common import wire
from common.models.tail import BIAS, WEIGHT
from common.moments.names import SHIFT, THRESHOLD
from common.privacy.plan import EvaluationMechanism
from common.trust.charter import PURPOSE
from common.trust.keys import SigningKey
from common.trust.signed import Signed, seal
from protos.gen import agent_pb2 as pb
from tests.hostile.courier_heads import signed_head
from tests.hostile.couriers import Arrays, Catch, Scene, attack, train_request
from tests.small_home import D, K, initial

MOST = np.finfo(np.float32).max


def paid(**terms: Any) -> EvaluationMechanism:
    return EvaluationMechanism(**{"sigma": 40.0, "thresholds": 1, **terms})


def aimed(at: int = 0, threshold: float = 0.5) -> dict[str, np.ndarray]:
    """A tail that looks in one direction only, and where a pair passes."""
    weight = np.zeros((K, D), np.float32)
    weight[0, at] = 1.0
    return {WEIGHT: weight, BIAS: initial()[BIAS], THRESHOLD: np.full(1, threshold, np.float32)}


def evaluate(
    catch: Catch, agent: grpc.Channel, run: str, arrays: Arrays, number: int = 1, head: str = ""
) -> Any:
    asked = train_request(run, number, arrays)
    request = pb.EvaluateRequest(protocol=wire.PROTOCOL, run=run, round=number, head=head)
    request.tensors.extend(asked.tensors)
    return catch.ask(agent, "Evaluate", request)


@attack("REPLAY_MISMATCH", "PLAN_REFUSED", "NOT_READY", releases=1)
def probes_labels_through_an_evaluation(scene: Scene, catch: Catch) -> None:
    """One figure was paid for: no second tail, threshold, round or run is looked at for it."""
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("probe", scene.plan(paid())))
        first = evaluate(catch, agent, "probe", aimed())
        for at in range(5):
            evaluate(catch, agent, "probe", aimed(at + 1))
            evaluate(catch, agent, "probe", aimed(threshold=0.5 + at / 1000 + 1e-3))
        for number in (0, 2, 2**32 - 1):
            evaluate(catch, agent, "probe", aimed(), number)
        evaluate(catch, agent, "probe-again", aimed())
        again = evaluate(catch, agent, "probe", aimed())
        catch.note["same"] = again.tensors == first.tensors


@attack("PLAN_REFUSED", releases=1)
def asks_one_kind_of_round_by_the_call_for_the_other(scene: Scene, catch: Catch) -> None:
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("kinds", scene.plan(*scene.plan().mechanisms, paid())))
        evaluate(catch, agent, "kinds", aimed(), 1)
        catch.train(agent, "kinds", 2, aimed())
        evaluate(catch, agent, "kinds", aimed(), 2)


@attack("INVALID_REQUEST", "SIGNATURE_INVALID", releases=1)
def evaluates_at_thresholds_that_are_none(scene: Scene, catch: Catch) -> None:
    """Numbers that are none, too many of them, other arrays, and a call without a run."""
    good = aimed()
    with scene.channel() as agent:
        catch.accept(agent, scene.offer("odd", scene.plan(paid())))
        for value in (np.nan, np.inf, -np.inf, 1.5, -2.0, MOST):
            evaluate(catch, agent, "odd", {**good, THRESHOLD: np.full(1, value, np.float32)})
        for count in (0, 2, 8, 100_000):
            evaluate(catch, agent, "odd", {**good, THRESHOLD: np.zeros(count, np.float32)})
        for arrays in ({}, {**good, "who": np.zeros(1, np.float32)}, {**good, SHIFT: good[BIAS]}):
            evaluate(catch, agent, "odd", arrays)
        for run in ("", "r\n1", "r" * 129):
            evaluate(catch, agent, run, good)
        evaluate(catch, agent, "odd", good, head=signed_head(scene, SigningKey.generate()))
        evaluate(catch, agent, "odd", good)


@attack(releases=2)
def evaluates_tails_that_overflow_or_say_nothing(scene: Scene, catch: Catch) -> None:
    """Embeddings without end for some people, of no length for all: an answer like any other."""
    loud, silent = aimed(), aimed()
    loud[WEIGHT] = np.full((K, D), MOST, np.float32)
    loud[WEIGHT][:, ::2] *= -1
    silent[WEIGHT][:] = 0
    with scene.channel() as agent:
        for run, arrays in (("loud-tail", loud), ("silent-tail", silent)):
            catch.accept(agent, scene.offer(run, scene.plan(paid())))
            evaluate(catch, agent, run, arrays)


@attack("PLAN_REFUSED", "PRIVACY_BUDGET_EXHAUSTED", "NOT_READY")
def says_that_an_evaluation_costs_less(scene: Scene, catch: Catch) -> None:
    """A clip below what one person adds, no noise, more thresholds than there are: no plan."""
    offer = scene.offer("cheap", scene.plan(paid()))
    content = Signed.from_json(offer.charter).content
    with scene.channel() as agent:
        for changes in (
            {"clip": 1e-3},
            {"sigma": 0.0},
            {"sigma": -1.0},
            {"thresholds": 0},
            {"thresholds": 9},
            {"thresholds": 2**40},
            {"rounds": 100},
            {"rate": 0.01},
        ):
            table = json.loads(content)
            table["plan"]["mechanisms"][0].update(changes)
            text = seal(scene.key, PURPOSE, table).to_json()
            catch.ask(agent, "AcceptCharter", _request(text, offer.initial))
        catch.accept(agent, scene.offer("cheap", scene.plan(paid(sigma=0.05))))
        evaluate(catch, agent, "cheap", aimed())


def _request(charter: str, initial: Any) -> pb.CharterRequest:
    digests = [pb.ArrayDigest(name=name, digest=digest) for name, digest in initial.items()]
    return pb.CharterRequest(protocol=wire.PROTOCOL, charter=charter, initial=digests)
