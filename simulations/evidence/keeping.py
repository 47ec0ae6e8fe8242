"""Where a section is kept: its file in a folder of evidence, whole or not at all."""

from pathlib import Path

from common.errors import RunError
from common.evidence.section import Section
from simulations.pieces import write_whole


def keep_section(section: Section, folder: Path, picture: tuple[str, bytes] | None = None) -> None:
    """Writes ``section`` into ``folder``, after the ``picture`` (name, content) beside it.

    Raises ``RunError`` where they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if picture is not None:
            write_whole(folder / picture[0], picture[1])
        write_whole(folder / f"{section.kind}.json", section.to_json().encode())
    except OSError as error:
        raise RunError(f"cannot write into {folder}: {error.strerror}") from error
