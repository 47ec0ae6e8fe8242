"""Why a site is not admitted: stable codes, and the words and the remedy each end prints itself.

Only the code crosses. What a centre answers is therefore never printed as it came.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from common.errors import AdmissionError


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason to refuse: the HTTP status that carries it, its cause and what to do."""

    status: int
    cause: str
    remedy: str


REFUSALS: Mapping[str, Refusal] = MappingProxyType(
    {
        "INVALID_REQUEST": Refusal(
            400, "the request cannot be read", "use the same release of mascaron at both ends"
        ),
        "PROTOCOL_VERSION": Refusal(
            400,
            "the other end speaks another version of admission",
            "use the same release of mascaron at both ends",
        ),
        "SIGNATURE_INVALID": Refusal(
            401,
            "the request is not signed by the keys it names",
            "restore the keys of this home, or make a new one with `mascaron-site init`",
        ),
        "TOKEN_WRONG": Refusal(
            401,
            "the token is not the one in force",
            "ask the administrator for the token that `mascaron-admin init` printed",
        ),
        "CLOCK_SKEW": Refusal(
            401,
            "the clocks of site and centre differ by more than five minutes",
            "set both by NTP (`timedatectl set-ntp true`)",
        ),
        "OTHER_FEDERATION": Refusal(
            409,
            "the request is for another federation",
            "compare the address and the token with the administrator's",
        ),
        "NOT_KNOWN": Refusal(
            404,
            "the centre has no request of this site: it was dropped or never arrived",
            "run `mascaron-site init` again with the token",
        ),
        "NOT_ADMITTED": Refusal(
            403,
            "the administrator has not admitted this site yet",
            "read the fingerprint to the administrator, who runs `mascaron-admin admit`",
        ),
        "REVOKED": Refusal(
            403,
            "the administrator revoked this site's key",
            "to join again, make a new home with `mascaron-site init` and be admitted anew",
        ),
        "CERTIFICATE_EXPIRED": Refusal(
            403,
            "this site's certificate expired before it was renewed",
            "read the fingerprint to the administrator, who runs `mascaron-admin admit` again",
        ),
        "RELEASE_UNKNOWN": Refusal(
            404,
            "the centre's history does not name such a release",
            "fetch the history first: `mascaron-site release fetch`",
        ),
        "RATE_LIMITED": Refusal(429, "too many requests", "wait a minute and try again"),
        "WAITING_ROOM_FULL": Refusal(
            503,
            "too many sites wait for admission",
            "ask the administrator to look at `mascaron-admin sites`, then try again",
        ),
        "UNAVAILABLE": Refusal(
            503,
            "the centre cannot answer now",
            "ask the administrator to run `mascaron-admin doctor`, then try again",
        ),
    }
)


def refused(code: str, detail: str = "") -> AdmissionError:
    """The error for ``code``, which becomes its ``reason``; ``detail`` is added to the cause."""
    refusal = REFUSALS.get(code, REFUSALS["UNAVAILABLE"])
    error = AdmissionError(f"{refusal.cause}{detail}; {refusal.remedy}")
    error.reason = code if code in REFUSALS else "UNAVAILABLE"
    return error
