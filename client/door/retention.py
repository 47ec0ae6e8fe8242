"""The clock of consents: no longer than the site's rule, and nobody kept beyond their own.

At the second a consent runs out its person answers to nothing any more, for every question asks who
is covered now. What is left to do is to destroy what is kept of them, which this finds.
"""

from client.door.rules import DAY, DoorRules
from client.vault.consent import Consent
from client.vault.identity import PersonId
from client.vault.store import Vault
from common.errors import ConsentError, ConsentExpiredError


def check_term(consent: Consent, rules: DoorRules, now: float) -> None:
    """``ConsentError`` for a consent that is not in force at ``now``, or for longer than allowed.

    The term is counted from when it was given: asking again is what makes it longer.
    """
    if now < consent.given:
        raise ConsentError("a consent was given before anything is done by it")
    if now >= consent.expires:
        raise ConsentExpiredError("the consent has run out: ask for another")
    if consent.expires - consent.given > rules.retention:
        raise ConsentError(
            f"a consent is for {rules.retention / DAY:.0f} days at most here: ask again by then"
        )


def overdue(vault: Vault, now: float) -> tuple[PersonId, ...]:
    """Whose consent has run out and who is still kept, in the order of their ids."""
    return tuple(sorted(vault.expired(now)))
