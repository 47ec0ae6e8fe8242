"""What a site operator types about people: enrol, verify, identify, erase, and who is enrolled."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from client.home import DEFAULT, VARIABLE, SiteHome
from common.console import home_option, result, told

if TYPE_CHECKING:
    from client.commands.asking import Agreed, Asking

FILE = click.Path(path_type=Path)
CALLER = "MASCARON_CALLER"
at_home = home_option(SiteHome, DEFAULT, VARIABLE, "site")
as_caller = click.option(
    "--token",
    type=FILE,
    envvar=CALLER,
    help=f"File with a caller's token, in place of the operator's; {CALLER} names it as well.",
)
person_argument = click.argument("person")
picture_argument = click.argument("picture", type=FILE)


def agreed(required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The three options by which a consent is typed."""
    day = click.DateTime(["%Y-%m-%d"])
    purposes = "Of verify, identify, training, text, labels; commas."
    ends, words = "The day (UTC) on which it ends, and they are erased.", "The words agreed to."
    options = (
        click.option("--expires", type=day, required=required, help=ends),
        click.option("--consent-text", type=FILE, required=required, help=words),
        click.option("--purposes", required=required, help=purposes),
    )

    def take(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in options:
            command = option(command)
        return command

    return take


@click.command()
@click.argument("pictures", nargs=-1, type=FILE)
@click.option("--folder", type=FILE, help="One folder a person, in place of PICTURES.")
@click.option("--label", default="", help="Your own word for the person; sealed with the rest.")
@click.option("--labels", help="What is said of each picture, glasses=yes,age=40, or a labels.csv.")
@click.option("--again", help="Somebody enrolled: new pictures, by the consent there is.")
@agreed(required=False)
@click.option("--despite-duplicate", is_flag=True, help="Though somebody alike is enrolled.")
@as_caller
@at_home
@told
def enrol(
    pictures: tuple[Path, ...], folder: Path | None, label: str, home: SiteHome, **typed: Any
) -> None:
    """Enrol a person from three or more PICTURES, by their consent."""
    from client.commands.enrol import enrol_again, enrol_folder, enrol_one

    if bool(pictures) == (folder is not None):
        raise click.UsageError("name pictures of one person, or --folder")
    asking, insist = asking_of(home, typed), typed.pop("despite_duplicate")
    again, words = typed.pop("again"), ("purposes", "consent_text", "expires")
    labels = typed.pop("labels")
    if folder and labels and not labels.endswith(".csv"):
        raise click.UsageError("--folder is of many people: name a labels.csv")
    if again is not None:
        if folder or label or insist or any(typed[word] for word in words):
            raise click.UsageError("--again takes a person and pictures, and keeps all else")
        result(enrol_again(asking, pictures, again, labels))
        return
    if not all(typed[word] for word in words):
        raise click.UsageError("name --purposes, --consent-text and --expires, or --again PERSON")
    consent = _agreed(typed).consent(time.time())
    if folder is not None:
        result(enrol_folder(asking, folder, consent, labels, insist=insist))
        return
    result(enrol_one(asking, pictures, (consent, label), labels, insist=insist))


@click.command()
@person_argument
@picture_argument
@as_caller
@at_home
@told
def verify(person: str, picture: Path, home: SiteHome, **typed: Any) -> None:
    """Say whether PICTURE is of PERSON: match, near or no."""
    from client.commands.recognise import verify_person

    result(verify_person(asking_of(home, typed), person, picture))


@click.command()
@picture_argument
@click.option("--top", type=click.IntRange(1, 5), default=1, show_default=True, help="People.")
@as_caller
@at_home
@told
def identify(picture: Path, top: int, home: SiteHome, **typed: Any) -> None:
    """Say who PICTURE is of, if anybody. Where two have to confirm, a ticket."""
    from client.commands.recognise import identify_person

    result(identify_person(asking_of(home, typed), picture, top))


@click.command()
@picture_argument
@click.option(
    "--language", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Of it."
)
@as_caller
@at_home
@told
def describe(picture: Path, language: Any, home: SiteHome, **typed: Any) -> None:
    """Say what is to be seen of the face in PICTURE, as sure as it is."""
    from client.commands.recognise import describe_picture

    result(describe_picture(asking_of(home, typed), picture, language))


@click.command()
@click.argument("query")
@click.option("--top", type=click.IntRange(1, 20), default=5, show_default=True, help="People.")
@as_caller
@at_home
@told
def search(query: str, top: int, home: SiteHome, **typed: Any) -> None:
    """Find people by how they look: QUERY is a sentence, English or Chinese.

    Of those who agreed to `text` alone: "woman with glasses, no beard, about forty".
    """
    from client.commands.recognise import search_people

    result(search_people(asking_of(home, typed), query, top))


@click.command()
@click.argument("ticket")
@click.argument("person", required=False)
@click.option("--nobody", is_flag=True, help="It is none of them.")
@as_caller
@at_home
@told
def confirm(ticket: str, person: str | None, nobody: bool, home: SiteHome, **typed: Any) -> None:
    """Confirm as one of two that TICKET found PERSON. Without PERSON: look at the candidates."""
    from client.commands.recognise import confirm_ticket

    result(confirm_ticket(asking_of(home, typed), ticket, person, nobody=nobody))


@click.command()
@click.argument("ticket")
@as_caller
@at_home
@told
def outcome(ticket: str, home: SiteHome, **typed: Any) -> None:
    """Say what two people confirmed about TICKET."""
    from client.commands.recognise import show_outcome

    result(show_outcome(asking_of(home, typed), ticket))


@click.command()
@click.argument("persons", nargs=-1, required=True)
@click.option("--receipt", type=FILE, help="Where the signed receipt goes; give it to them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_caller
@at_home
@told
def erase(
    persons: tuple[str, ...], receipt: Path | None, yes: bool, home: SiteHome, **typed: Any
) -> None:
    """Destroy the keys of PERSONS for good, with a receipt."""
    from client.commands.people import erase_people

    if not yes and sys.stdin.isatty():
        click.confirm("Erase for good? It cannot be undone", abort=True, err=True)
    result(erase_people(asking_of(home, typed), persons, receipt))


@click.command()
@person_argument
@click.option("--to", type=FILE, help="File for the whole record, with labels.")
@as_caller
@at_home
@told
def export(person: str, to: Path | None, home: SiteHome, **typed: Any) -> None:
    """Print what is held of PERSON, for them to read."""
    from client.commands.people import export_person

    result(export_person(asking_of(home, typed), person, to))


@click.command()
@as_caller
@at_home
@told
def people(home: SiteHome, **typed: Any) -> None:
    """List who is enrolled. Labels are shown on a terminal alone."""
    from client.commands.people import list_people

    result(list_people(asking_of(home, typed)))


@click.command()
@person_argument
@agreed()
@as_caller
@at_home
@told
def renew(person: str, home: SiteHome, **typed: Any) -> None:
    """Put another consent of PERSON in the place of the one there is."""
    from client.commands.people import renew_person

    asking = asking_of(home, typed)
    result(renew_person(asking, person, _agreed(typed), time.time()))


@click.command()
@person_argument
@click.argument("label")
@as_caller
@at_home
@told
def relabel(person: str, label: str, home: SiteHome, **typed: Any) -> None:
    """Put LABEL, your own word for PERSON, in the place of the one there is; "" for none."""
    from client.commands.people import relabel_person

    result(relabel_person(asking_of(home, typed), person, label))


@click.command()
@person_argument
@click.argument("words", required=False)
@click.option("--none", "nothing", is_flag=True, help="Nothing is said of them any more.")
@as_caller
@at_home
@told
def labels(person: str, words: str | None, nothing: bool, home: SiteHome, **typed: Any) -> None:
    """Say WORDS (glasses=yes,hat=no,age=40) of all pictures kept of PERSON, and nothing else.

    Of who agreed to `labels`: heads learn from them where `heads` of policy.toml allows it.
    """
    from client.commands.labels import label_person

    if bool(words) == nothing:
        raise click.UsageError("name words such as glasses=yes,age=40, or --none")
    result(label_person(asking_of(home, typed), person, words or ""))


@click.command()
@click.argument("source")
@click.option("--person", help="Verify that it is this one; otherwise identify.")
@click.option(
    "--every", type=click.FloatRange(0.05), default=0.5, show_default=True, help="Seconds."
)
@click.option("--once", is_flag=True, help="What is in the folder now, and no more.")
@as_caller
@at_home
@told
def watch(source: str, person: str | None, home: SiteHome, **typed: Any) -> None:
    """Decide about each new picture of SOURCE, a folder or the number of a camera."""
    from client.commands.watch import Watch, watch_source

    asking = asking_of(home, typed)
    watch_source(asking, Watch(source=source, person=person, **typed), result)


def asking_of(home: SiteHome, typed: dict[str, Any]) -> "Asking":
    """Takes the token's file out of what was typed."""
    from client.commands.asking import Asking

    return Asking(home=home, token=typed.pop("token"))


def _agreed(typed: dict[str, Any]) -> "Agreed":
    """Takes the consent out of what was typed."""
    from client.commands.asking import Agreed

    words = {key: typed.pop(key) for key in ("purposes", "consent_text", "expires")}
    return Agreed(**words)


COMMANDS = (
    enrol,
    verify,
    identify,
    describe,
    search,
    confirm,
    outcome,
    erase,
    export,
    people,
    renew,
    relabel,
    labels,
    watch,
)
