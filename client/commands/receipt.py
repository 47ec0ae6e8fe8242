"""`mascaron-site receipt check`: whether a receipt of an erasure is this site's word."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from client.audit import receipts
from client.commands.audit import own_key, public_key
from client.home import SiteHome
from common.errors import ConfigError

LONGEST = 2**20  # bytes; a receipt of ten thousand people is shorter


def check_receipt(home: SiteHome, path: Path, key: str | None) -> dict[str, Any]:
    """What the receipt in ``path`` says; ``SignatureError`` unless the site signed just this.

    ``key`` is the site's public key; the home's own unless given, so that whoever was erased can
    check a receipt anywhere. ``ConfigError`` if there is no such file.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    if key is None:
        home.check_agent()
    return asdict(receipts.check(text, own_key(home) if key is None else public_key(key)))
