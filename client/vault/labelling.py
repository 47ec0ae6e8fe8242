"""Labels of the people in an open vault: put, taken away, and read by whoever learns from them.

Guarantee: labels are kept and read only of people whose consent covers ``labels`` at that moment;
a consent that does not, an erasure or the end of a template ends them. What was taken away, or is
covered no more, is in no page of the database when the call returns, nor after a crash once the
vault is open again. Labels that others take the place of are zeroed where they stood, as
``Vault.remove`` does it.
Leaks: of how many templates something is said, to who reads the files.
"""

from collections.abc import Collection

from client.vault.consent import Consent
from client.vault.core import Core
from client.vault.identity import PersonId, TemplateId
from client.vault.labels import PURPOSE, Labels
from common.errors import ConsentError


class Labelling:
    """What is said of the pictures of people; safe for threads, as the vault is."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def put(self, person: PersonId, labels: Labels, *, now: float) -> None:
        """Says ``labels`` of every picture that is kept of ``person``, and nothing else any more.

        ``ConsentError`` unless their consent covers it at ``now``, ``UnknownPersonError`` for who
        is not enrolled.
        """
        core = self._core
        with core.guard():
            key = core.keyring.key(person)
            check_covered(core.particulars(person).consent, now)
            rows = core.tables.select("template", person)
            with core.changing():
                with core.tables.change(core.keyring.epoch):
                    core.tables.delete("labels", person)
                    for row in rows:
                        core.insert_labels(key, person, TemplateId(row[1]), labels)
                core.tables.clean()
                core.settle()

    def take_away(self, person: PersonId) -> None:
        """Of ``person`` nothing is said any more; writes the whole database anew if it was.

        ``UnknownPersonError`` for who is not enrolled.
        """
        core = self._core
        with core.guard():
            core.keyring.key(person).wipe()
            if not core.tables.select("labels", person):
                return
            with core.changing():
                with core.tables.change(core.keyring.epoch):
                    core.tables.delete("labels", person)
                core.tables.rebuild()
                core.settle()

    def of(self, persons: Collection[PersonId], *, now: float) -> dict[TemplateId, Labels]:
        """What is said of the templates of those of ``persons`` whose consent covers it at
        ``now``. Who is erased meanwhile is left out."""
        core, found = self._core, dict[TemplateId, Labels]()
        for person in persons:
            with core.guard():
                if person in core.keyring and person in core.covered(PURPOSE, now):
                    found |= core.labels(person)
        return found


def check_covered(consent: Consent, now: float) -> None:
    """``ConsentError`` unless labels may be kept by ``consent`` at ``now``."""
    if not consent.covers(PURPOSE, now):
        raise ConsentError("labels are kept of those alone who agreed to `labels`")
