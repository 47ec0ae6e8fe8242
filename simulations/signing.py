"""The keys of a federation in the laboratory: made for it, kept nowhere else."""

from collections.abc import Iterable
from pathlib import Path

from client.agent.aggregation import Member, SecureAggregation
from client.agent.attempts import Attempts
from client.agent.facts import Membership
from common.trust.keys import PublicKey, SigningKey
from common.trust.roster import Roster, SiteEntry
from common.trust.signed import Signed
from server.charter import Charter, Initial, write_charter
from server.runs.register import CENTRE_KEY, ROSTER

FEDERATION = "laboratory"
NEVER = 2**53  # seconds since 1970: a charter of the laboratory does not expire


def publish(
    charter: Charter, initial: Initial, folder: Path, key: SigningKey | None = None
) -> PublicKey:
    """Signs ``charter`` and writes it and the key's public half into ``folder``.

    The key is a new one, or that of a laboratory which has signed more.
    """
    key = key or SigningKey.generate()
    write_charter(folder, sign(charter, initial, key), initial)
    (folder / CENTRE_KEY).write_text(key.public.text + "\n", "utf-8")
    return key.public


def sign(charter: Charter, initial: Initial, key: SigningKey) -> Signed:
    """``charter`` over ``initial`` as the laboratory's centre signs it."""
    return charter.terms(FEDERATION, initial, NEVER).sign(key)


def enrol(sites: Iterable[SiteEntry], key: SigningKey, folder: Path) -> Roster:
    """The roster of ``sites``, signed into ``folder``: whose secure sums there may be."""
    roster = Roster(federation=FEDERATION, number=1, sites=tuple(sites))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ROSTER).write_text(roster.sign(key).to_json() + "\n", "utf-8")
    return roster


def entry(membership: Membership, camera_type: str, people: int) -> SiteEntry:
    """``membership`` as its roster has it."""
    return SiteEntry(
        name=membership.site,
        identity=membership.identity.public.text,
        node=f"node of {membership.site}",
        camera_type=camera_type,
        people=people,
    )


def aggregation(membership: Membership, roster: Roster, folder: Path) -> SecureAggregation:
    """What a site of the laboratory answers secure sums with. Masks come from the system: they
    cancel, so a repeated run has the same sums all the same."""
    who = Member(name=membership.site, key=membership.identity, roster=lambda: roster)
    return SecureAggregation(who, Attempts(folder / f"{membership.site}.attempts"))


def member(site: str, centre: PublicKey) -> Membership:
    """A site of the laboratory, with an identity of its own that dies with its agent."""
    identity = SigningKey.generate()
    return Membership(federation=FEDERATION, site=site, identity=identity, centre=centre)
