"""The ledger heads of the nodes of a run: shown with every request, kept from every answer."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from flwr.app import ConfigRecord

from common import wire
from common.errors import SignatureError
from common.trust.roster import SiteEntry
from server.runs.register import Register

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodeHeads:
    """The heads that the centre keeps of ``sites``, by node; none without a ``register``.

    Guarantee: a site is held to the newest head it ever signed and the centre heard, before each
    piece of work: a ledger that was restored meanwhile pays for nothing more.
    Leaks: nothing that the site did not say itself.
    """

    register: Register | None
    sites: Mapping[int, SiteEntry]

    def last(self, node: int) -> str:
        """What to show ``node`` with a request, as it travels; empty where nothing is kept."""
        if self.register is None or node not in self.sites:
            return ""
        return self.register.heads.last(self.sites[node].name)

    def keep(self, node: int, answer: ConfigRecord) -> None:
        """Keeps the head that came with the ``answer`` of ``node``, if it is the site's."""
        if self.register is None or node not in self.sites:
            return
        try:
            self.register.heads.keep(self.sites[node], str(answer.get(wire.HEAD, "")))
        except SignatureError as error:
            log.warning("node %d sent no ledger head of its own: %s", node, error.reason)
