"""The first caller of a site's door: its operator, whose commands ask there like everybody else."""

from client.door.callers import Caller, CallerBook, Role
from client.home import SiteHome
from client.vault.identity import Random
from common.errors import CallerError
from common.trust import storing

NAME = "operator"
ROLES = frozenset(Role) - {Role.CONFIRM}  # that is for two people, by name and one at a time
BUDGET = 600, 5_000  # queries an hour, and a day


def found_operator(home: SiteHome, random: Random) -> None:
    """Makes the operator a caller, with the token in a file of mode 0600; once.

    Where the token and the list of callers are of different days, the token is made anew.
    """
    book, content = CallerBook(home.callers), storing.read(home.operator_token)
    if content is not None:
        try:
            book.of_token(content.decode("ascii", "replace").strip())
        except CallerError:
            pass
        else:
            return
    if any(caller.name == NAME for caller in book.callers()):
        book.remove(NAME)
    hourly, daily = BUDGET
    caller = Caller(name=NAME, roles=ROLES, hourly=hourly, daily=daily)
    storing.replace(home.operator_token, f"{book.add(caller, random)}\n".encode())
