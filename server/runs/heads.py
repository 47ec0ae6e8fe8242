"""The ledger heads that sites signed: kept by the centre, shown back with the next charter."""

from pathlib import Path

from common.errors import MascaronError, SignatureError
from common.trust import storing
from common.trust.heads import SignedHead, read_head
from common.trust.keys import PublicKey
from common.trust.roster import SiteEntry
from common.trust.signed import Signed


class HeadStore:
    """The newest head of each site, one file a site in ``folder``.

    Guarantee: only a head signed by the site's identity key, for this federation, and not older
    than the one kept, takes its place; a file is whole or the one before.
    Leaks: how many rows each ledger has, which follows from what the centre itself asked for.
    """

    def __init__(self, folder: Path, federation: str) -> None:
        self._folder, self._federation = folder, federation

    def last(self, site: str) -> str:
        """The head to show ``site`` with the next charter, as it travels; empty without one."""
        try:
            return self._path(site).read_text("utf-8")
        except FileNotFoundError:
            return ""

    def keep(self, entry: SiteEntry, text: str) -> None:
        """Takes the head of an answer. Raises ``SignatureError`` for one that is not the site's."""
        head = self._read(entry, text)
        kept = self._kept(entry)
        if kept is not None and kept.sequence >= head.sequence:
            return  # an answer that was stored and sent again, or one that came late
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        storing.replace(self._path(entry.name), text.encode())

    def _kept(self, entry: SiteEntry) -> SignedHead | None:
        try:
            return self._read(entry, self.last(entry.name))
        except MascaronError:
            return None  # nothing there, or of an identity the site no longer has

    def _read(self, entry: SiteEntry, text: str) -> SignedHead:
        head = read_head(Signed.from_json(text), PublicKey.of(entry.identity))
        if (head.federation, head.site) != (self._federation, entry.name):
            raise SignatureError("the head is of another site")
        return head

    def _path(self, site: str) -> Path:
        return self._folder / f"{site}.json"
