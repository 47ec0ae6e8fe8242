"""Sites of a roster whose every answer is decided by site and round, as a replaying agent's is."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from common import wire
from common.moments.names import FRAME_WEIGHT, THRESHOLD, evaluation_sum, sum_name
from common.privacy.cells import cells_of
from common.trust.charter import charter_digest
from common.trust.heads import SignedHead
from common.trust.keys import SigningKey
from common.trust.presence import Presence
from common.trust.roster import Roster, SiteEntry
from common.trust.signed import Signed
from server.home import CentreHome
from server.standing import federation_of, signing_key
from simulations.grid import InProcessGrid
from tests.fakes import TRUNK, refusal

Answers = Callable[[int, int], bool]  # whether site number i answers in round n


@dataclass(kw_only=True)
class SeededSites:
    """``count`` admitted sites of ``home``, whose requests are written to ``asked``.

    A site that is asked twice for a round with other arrays fails the test for good.
    """

    home: CentreHome
    count: int = 3
    types: str = "a"
    answers: Answers = lambda site, number: True
    asked: Path | None = None
    keys: list[SigningKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keys = [SigningKey.generate() for _ in range(self.count)]
        roster = Roster(federation=federation_of(self.home))
        for number in range(self.count):
            roster = roster.with_site(self.entry(number))
        self.home.roster.write_text(roster.sign(signing_key(self.home)).to_json(), "utf-8")

    def entry(self, number: int) -> SiteEntry:
        return SiteEntry(
            name=f"site-{number}",
            identity=self.keys[number].public.text,
            node=f"node-{number}",
            camera_type=self.types[number % len(self.types)],
            people=10,
        )

    def grid(self, connected: int | None = None) -> InProcessGrid:
        return InProcessGrid(self._app(), self.count if connected is None else connected, {})

    def _app(self) -> ClientApp:
        app = ClientApp()

        @app.query("describe")
        def describe(message: Message, context: Context) -> Message:
            entry, key = self._site(context)
            challenge = message.content.config_records[wire.CONFIG][wire.CHALLENGE]
            told = Presence(
                federation=federation_of(self.home),
                site=entry.name,
                camera_type=entry.camera_type,
                trunk=TRUNK,
                people=entry.people,
            )
            facts = ConfigRecord({wire.VERSION: wire.PROTOCOL, wire.SITE: entry.name})
            facts.update({wire.CAMERA_TYPE: entry.camera_type, wire.TRUNK: TRUNK})
            facts.update({wire.PEOPLE: entry.people})
            facts[wire.SIGNATURE] = told.sign(key, challenge)  # type: ignore[arg-type]
            return Message(RecordDict({wire.CONFIG: facts}), reply_to=message)

        @app.query("accept")
        def accept(message: Message, context: Context) -> Message:
            text = str(message.content.config_records[wire.CONFIG][wire.CHARTER])
            answer = ConfigRecord({wire.CHARTER_DIGEST: charter_digest(Signed.from_json(text))})
            answer[wire.HEAD] = self._head(context, 0)
            return Message(RecordDict({wire.CONFIG: answer}), reply_to=message)

        @app.train()
        def train(message: Message, context: Context) -> Message:
            return self._trained(message, context)

        app.evaluate()(train)
        return app

    def _trained(self, message: Message, context: Context) -> Message:
        site = int(context.node_config["partition-id"])
        number = int(message.content.config_records[wire.CONFIG][wire.ROUND])  # type: ignore[arg-type]
        if not self.answers(site, number):
            return refusal(message)
        sent = {n: a.numpy() for n, a in message.content.array_records[wire.ARRAYS].items()}
        self._note(site, number, hashlib.sha256(wire.dump(sent)).hexdigest())
        rng = np.random.default_rng([site, number])
        if FRAME_WEIGHT in sent:
            size = len(sent[FRAME_WEIGHT])
            name, size = ("mean", size) if number == 1 else ("scatter", size * (size + 1) // 2)
            arrays = {sum_name(name): rng.random(size, np.float32)}
        elif THRESHOLD in sent:
            size = cells_of(len(sent[THRESHOLD]))
            arrays = {evaluation_sum("after"): 4 + rng.random(size, np.float32)}
        else:
            tails = {n: a for n, a in sent.items() if n.startswith("tail.")}
            arrays = {f"gradient.{n}": rng.random(a.shape, np.float32) for n, a in tails.items()}
        content = RecordDict(
            {
                wire.ARRAYS: ArrayRecord({n: Array(a) for n, a in arrays.items()}),
                wire.METRICS: MetricRecord({wire.WEIGHT: 1}),
                wire.CONFIG: ConfigRecord({wire.HEAD: self._head(context, number)}),
            }
        )
        return Message(content, reply_to=message)

    def _note(self, site: int, number: int, digest: str) -> None:
        if self.asked is None:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(self.asked, flags, 0o600)
        os.write(descriptor, f"{site} {number} {digest}\n".encode())
        os.close(descriptor)

    def _head(self, context: Context, sequence: int) -> str:
        entry, key = self._site(context)
        head = SignedHead(
            federation=federation_of(self.home),
            site=entry.name,
            sequence=sequence,
            mac="00" * 32,
        )
        return head.sign(key).to_json()

    def _site(self, context: Context) -> tuple[SiteEntry, SigningKey]:
        number = int(context.node_config["partition-id"])
        return self.entry(number), self.keys[number]
