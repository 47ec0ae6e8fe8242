"""A hostile centre, all it may try in one list: each thing is refused for the right reason.

The details of each are tried in the rooms beside: charters and heads in client/agent/
test_charters.py, plans and arrays in test_training_refusals.py, secure sums in
test_aggregation_attacks.py, bundles in client/test_launcher.py, rosters in client/
test_admission_lies.py. Here is the list as a site's operator would ask for it.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.agent.training import Training
from client.launcher import REFUSED, Pin
from common import wire
from common.errors import MascaronError
from common.moments.names import FRAME_WEIGHT
from common.trust.keys import SigningKey
from common.trust.signed import Signed
from simulations.flower import identify_task
from tests.small_site import (
    RUN,
    Site,
    accepted,
    frame,
    long_plan,
    mean_plan,
    offer,
    request,
    tail,
)

Attempt = Callable[[Training], Any]


def altered(**changes: Any) -> str:
    signed = Signed.from_json(offer(long_plan()).charter)
    table = {**json.loads(signed.content), **changes}
    return Signed(json.dumps(table, sort_keys=True), signed.signature).to_json()


def unsigned() -> str:
    signed = Signed.from_json(offer(long_plan()).charter)
    return Signed(signed.content, "").to_json()


def with_charter(text: str) -> Attempt:
    return lambda room: room.accept(dataclasses.replace(offer(long_plan()), charter=text))


def moved_frame() -> dict[str, Any]:
    return {**frame(), FRAME_WEIGHT: frame()[FRAME_WEIGHT] + 1}


HOSTILE: dict[str, tuple[str, Attempt]] = {
    "a charter without a signature": ("SIGNATURE_INVALID", with_charter(unsigned())),
    "a charter altered after it was signed": (
        "SIGNATURE_INVALID",
        with_charter(altered(timeout=1.0)),
    ),
    "a charter that another key signed": (
        "SIGNATURE_INVALID",
        lambda room: room.accept(offer(long_plan(), "r2", SigningKey.generate())),
    ),
    "a charter of another federation": (
        "CHARTER_REFUSED",
        lambda room: room.accept(offer(long_plan(), "r2", federation="e" * 64)),
    ),
    "a charter that has expired": (
        "CHARTER_REFUSED",
        lambda room: room.accept(offer(long_plan(), "r2", expires=1)),
    ),
    "an earlier model once more, with other arrays": (
        "REPLAY_MISMATCH",
        lambda room: room.train(RUN, 3, tail(seed=9)),
    ),
    "a first model that is not the charter's": (
        "REPLAY_MISMATCH",
        lambda room: room.train(RUN, 1, moved_frame()),
    ),
    "a frame that is not the charter's": (
        "CHARTER_REFUSED",
        lambda room: _fresh(room).train("r2", 1, moved_frame()),
    ),
    "fewer sites than the operator asks for": (
        "COHORT_TOO_SMALL",
        lambda room: room.accept(offer(mean_plan(cohort=2), "r2")),
    ),
    "a run's id for another plan": (
        "REPLAY_MISMATCH",
        lambda room: room.accept(offer(mean_plan(cohort=3), RUN)),
    ),
    "a run's id for the same plan, signed once more": (
        "REPLAY_MISMATCH",
        lambda room: room.accept(offer(long_plan(cohort=3), RUN, expires=2**41)),
    ),
    "a run that was never accepted": ("NOT_READY", lambda room: room.train("r9", 1, frame())),
    "a round beyond the plan": ("PLAN_REFUSED", lambda room: room.train(RUN, 5, tail())),
    "another trunk": (
        "TRUNK_MISMATCH",
        lambda room: room.accept(offer(mean_plan(cohort=3, trunk="u" * 64), "r2")),
    ),
}


def _fresh(room: Training) -> Training:
    room.accept(offer(mean_plan(cohort=3), "r2"))
    return room


@pytest.mark.parametrize("what", sorted(HOSTILE))
def test_a_hostile_centre_is_refused_by_name_and_nobody_is_charged(
    tmp_path: Path, what: str
) -> None:
    site = Site(tmp_path)
    site.policy = dataclasses.replace(site.policy, cohort=3)
    room = accepted(site, long_plan(cohort=3))
    for number in (1, 2, 3):
        room.train(RUN, number, request(number))
    before = site.ledger.epsilon()
    reason, attempt = HOSTILE[what]
    with pytest.raises(MascaronError) as caught:
        attempt(room)
    assert caught.value.reason == reason
    assert reason in wire.REASONS
    assert site.ledger.epsilon() == before
    assert room.train(RUN, 4, tail())  # and the honest run goes on
    site.ledger.verify()
    site.restart()


def test_another_bundle_is_refused_with_one_word(tmp_path: Path) -> None:
    from flwr.app import ConfigRecord, Message, RecordDict

    ours = b"ours"
    (tmp_path / "fabs").write_text(hashlib.sha256(ours).hexdigest() + "\n", "utf-8")
    pin = Pin(tmp_path / "fabs")
    identify_task(1)
    message = Message(RecordDict({wire.CONFIG: ConfigRecord()}), 2, "query.describe")
    message.metadata.__dict__["_message_id"] = "m"
    for bundle in (ours + b"!", b"", b"PK"):
        pin.install(bundle)
        reply = pin.answer(message, None)
        assert (reply.error.code, reply.error.reason) == (wire.ERROR_CODE, REFUSED)
