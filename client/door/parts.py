"""What the reception is made of: the rooms behind it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from client.audit.log import AuditLog
from client.door.eye import Eye
from client.door.labelling import LabelRules
from client.door.releases import Releases
from client.door.rules import DoorRules
from client.door.vouching import Vouching
from client.door.wording import Wording
from client.vault.identity import Random
from client.vault.store import Vault
from common.trust.keys import SigningKey


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Parts:
    """All of one site. ``clock`` tells Unix seconds, ``uptime`` seconds that only ever pass;
    ``identity`` signs receipts of erasures, ``vouching`` is asked about releases, and ``words`` say
    what faces are described by, ``labels`` what may be said of pictures."""

    vault: Vault
    eye: Eye
    releases: Releases
    log: AuditLog
    rules: DoorRules
    clock: Callable[[], float]
    random: Random
    identity: SigningKey
    vouching: Vouching
    words: Wording = field(default_factory=Wording)
    labels: LabelRules = field(default_factory=LabelRules)
    uptime: Callable[[], float] = time.monotonic
