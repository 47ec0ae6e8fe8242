"""What sites commit to, countersigned: the last word to each is kept, and shown back to it.

Guarantee: a site that went back to an older audit log, whatever else it went back to with it, is
shown a word on a commitment that it does not know any more.
Leaks: that a site asked, and when; a commitment says nothing of what it is to.
"""

import logging

from common.errors import DeploymentError
from common.trust import storing
from common.trust.commitments import Countersigned
from common.trust.keys import PublicKey, SigningKey
from server.home import CentreHome

log = logging.getLogger(__name__)


class Countersigning:
    """One file a site in `commitments/`, named by its identity's fingerprint."""

    def __init__(self, home: CentreHome, federation: str) -> None:
        self._folder, self._federation = home.commitments, federation
        self._key = SigningKey.load(home.centre_key)

    def answer(self, identity: PublicKey, digest: str, now: float) -> dict[str, str]:
        """The centre's word on ``digest``, and its last one to the same site.

        Empty where it cannot be kept: a site is told how it stands all the same.
        """
        path = self._folder / f"{identity.fingerprint}.json"
        word = Countersigned(
            federation=self._federation, identity=identity.text, digest=digest, time=int(now)
        )
        text = word.sign(self._key).to_json()
        try:
            before = (storing.read(path) or b"").decode("utf-8", "replace")
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            storing.replace(path, text.encode())
        except (OSError, DeploymentError):
            log.error("a commitment cannot be kept; `mascaron-admin doctor` says why")
            return {}
        return {"countersigned": text, "before": before}
