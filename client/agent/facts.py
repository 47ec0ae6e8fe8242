"""What one agent is and has: how its federation knows it, its people, who decides for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from client.agent.aggregation import SecureAggregation
from client.agent.people import SitePeople
from client.agent.rosters import Rosters
from common.trust.keys import PublicKey, SigningKey
from common.trust.signed import Signed

if TYPE_CHECKING:
    from common.text.encoding import TextEncoder


class Participants(Protocol):
    """Whose features the rounds of a run look at."""

    def begin(self, run: str) -> None:
        """Holds ``run`` to the people of this moment, once and for all; before its first round."""

    def of(self, run: str) -> SitePeople:
        """Those of them who still take part."""


class Approvals(Protocol):
    """Where charters wait for the operator, and what the operator said."""

    def approved(self, digest: str) -> bool:
        """Whether the operator accepted the charter of this digest."""

    def wait(self, digest: str, signed: Signed, initial: Mapping[str, str]) -> None:
        """Keeps a charter the operator has to decide about, and the digests of its arrays."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Membership:
    """How this site is known in its federation, and by which key it knows the centre."""

    federation: str
    site: str
    identity: SigningKey
    centre: PublicKey


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SiteFacts:
    """What one agent works with; nothing of it is ever printed."""

    camera_type: str  # as the operator declared it: a public fact
    trunk: str  # hash
    people: Participants
    negatives: NDArray[np.float32]  # (M, D) features of public people
    membership: Membership
    approvals: Approvals | None = None  # without: what the policy leaves to the operator is refused
    aggregation: SecureAggregation | None = None  # without: no part in secure sums
    rosters: Rosters | None = None  # that ``aggregation`` goes by, where they may be offered
    public: str = ""  # digest of the public people's pictures; empty where nobody has to know
    encoder: "TextEncoder | None" = None  # of sentences; without: no words head learns here
