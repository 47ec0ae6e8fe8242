"""`mascaron-site enrol`: one person from pictures, or many from a folder with a folder for each."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from client.commands.asking import Asking, person_of, picture_of, pictures_in, to_terminal
from client.commands.labels import labels_for
from client.recognition import Recognition
from client.vault.consent import Consent
from client.vault.labels import NOTHING, Told
from common.errors import ConfigError, MascaronError

Shown = Iterator[tuple[bytes, Told]]  # pictures, and what is said of each


def enrol_one(
    asking: Asking,
    pictures: Sequence[Path],
    given: tuple[Consent, str],
    labels: str | None = None,
    *,
    insist: bool,
) -> dict[str, Any]:
    """Enrols one person by ``given`` consent, under that label. ``insist``: though they look
    enrolled already. ``labels`` are said of the pictures, as ``labels_for`` reads them.

    What was wrong with a picture that was refused is told by its number on the command line.
    """
    said = labels_for(labels, pictures)
    with asking.door() as door:
        return _enrolled(door, _shown(pictures, said), given, insist)


def enrol_again(
    asking: Asking, pictures: Sequence[Path], person: str, labels: str | None = None
) -> dict[str, Any]:
    """Adds pictures to those of somebody enrolled, who keeps id, consent and label."""
    known, said = person_of(person), labels_for(labels, pictures)
    with asking.door() as door:
        session = door.begin(person=known)
        return _committed(door, session, _shown(pictures, said), insist=False)


def enrol_folder(
    asking: Asking, folder: Path, consent: Consent, labels: str | None = None, *, insist: bool
) -> dict[str, Any]:
    """Enrols everybody in ``folder``: one folder a person, by their names' order.

    A person's label is that number: names of folders are not looked at twice. Who is refused is
    told by number and reason, and the others are enrolled.
    """
    try:
        folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"cannot read {folder}: {error.strerror}") from None
    pictures = {one: pictures_in(one) for one in folders}
    said = labels_for(labels, [picture for shown in pictures.values() for picture in shown])
    enrolled, refused = [], []
    with asking.door() as door:
        for number, one in enumerate(folders, 1):
            given = consent, str(number)
            try:
                told = _enrolled(door, _shown(pictures[one], said), given, insist)
            except MascaronError as error:
                _check_goes_on(error)
                refused.append({"folder": number, "reason": error.reason})
            else:
                enrolled.append({"folder": number, **told})
                to_terminal(f"{number} of {len(folders)} enrolled")
    return {"enrolled": enrolled, "refused": refused}


def _shown(pictures: Sequence[Path], said: Mapping[Path, Told]) -> Iterator[tuple[bytes, Told]]:
    """Each picture, read when its turn comes, and what is said of it."""
    for path in pictures:
        yield picture_of(path), said.get(path, NOTHING)


def _enrolled(
    door: Recognition, pictures: Shown, given: tuple[Consent, str], insist: bool
) -> dict[str, Any]:
    return _committed(door, door.begin(*given), pictures, insist=insist)


def _committed(
    door: Recognition, session: bytes, pictures: Shown, *, insist: bool
) -> dict[str, Any]:
    accepted, refused = 0, list[dict[str, Any]]()
    try:
        for number, (picture, labels) in enumerate(pictures, 1):
            looked = door.add(session, picture, labels)
            accepted = looked.pictures
            if not looked.accepted:
                refused.append({"picture": number, "reasons": list(looked.reasons)})
        for one in refused:
            to_terminal(f"picture {one['picture']} was refused: {', '.join(one['reasons'])}")
        made = door.commit(session, despite_duplicate=insist)
    except BaseException:
        _forget(door, session)
        raise
    return {
        "person": made.person.hex(),
        "pictures": accepted,
        "refused": refused,
        "checked": made.checked,
    }


def _forget(door: Recognition, session: bytes) -> None:
    try:
        door.abort(session)
    except MascaronError:  # it ends by itself
        return


def _check_goes_on(error: MascaronError) -> None:
    """Raises what would happen to everybody else, too."""
    of_one_person = {
        "DUPLICATE_PERSON",
        "CONFIG_INVALID",
        "INVALID_REQUEST",
        "NO_SINGLE_FACE",
        "PICTURE_REFUSED",
        "QUALITY_TOO_LOW",
    }
    if error.reason not in of_one_person:
        raise error
