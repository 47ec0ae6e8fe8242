"""Fingerprints for people: written in groups, read on the telephone, compared by a machine."""

import re

from common.errors import ConfigError

SHORTEST = 32  # hexadecimal digits, 128 bits: nobody makes another key that begins with them
LONGEST = 64
GROUP = 4


def spoken(fingerprint: str) -> str:
    """``fingerprint`` (hexadecimal) in groups of four."""
    return "-".join(fingerprint[at : at + GROUP] for at in range(0, len(fingerprint), GROUP))


def read_typed(typed: str) -> str:
    """The digits of a fingerprint, or of its first eight groups or more, as somebody typed it.

    Case, spaces, hyphens and colons do not count. Raises ``ConfigError`` if it is too short to
    prove anything, or no fingerprint; a fingerprint matches if it begins with what is returned.
    """
    digits = re.sub(r"[\s:-]", "", typed).lower()
    if not re.fullmatch(r"[0-9a-f]+", digits) or not SHORTEST <= len(digits) <= LONGEST:
        raise ConfigError(
            f"a fingerprint is {LONGEST // GROUP} groups of {GROUP} digits 0-9 and letters a-f, "
            f"of which at least the first {SHORTEST // GROUP} have to be typed"
        )
    return digits
