"""Who may call, in the log: nobody is answered of whom no row tells that they may ask.

Guarantee: a caller that was added has a row, with its roles and budgets, before its first call is
answered, and so has everybody who may call when a door opens; one that is gone or may do something
else has a row before the next call of anybody.
Leaks: names stay out of the rows: a caller is its tag.
"""

from client.audit.events import Kind
from client.door.callers import Caller, Callers
from client.door.recording import Recorder


class RollCall:
    """Writes a row for each caller that is not as it was; raises where it cannot."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._opened = recorder, False

    def __call__(self, before: Callers, after: Callers) -> None:
        for name in sorted({*before, *after}):
            old, new = before.get(name), after.get(name)
            if new is None and old is not None:
                self._note(old[0], "removed")
            elif new is not None and new != old:
                word = "changed" if old else "added"
                self._note(new[0], word if self._opened else "present")
        self._opened = True

    def _note(self, caller: Caller, how: str) -> None:
        """What the caller may do, and how often, stands where a row tells of the release."""
        state, _, _ = self._recorder.reference(None).partition(":")
        with self._recorder.row(caller, Kind.CALLER) as note:
            note.outcome = how
            roles = "+".join(sorted(caller.roles))
            note.reference = f"{state}:{roles}/{caller.hourly}/{caller.daily}"
