"""Files that are replaced whole: whoever reads one sees the old words or the new, never a part."""

import os
import tempfile
from pathlib import Path

from common.errors import DeploymentError

PRIVATE, PUBLIC = 0o600, 0o644


def replace(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Puts ``content`` at ``path``, on the disk when it returns.

    ``mode`` holds from the first byte. Raises ``DeploymentError`` if the folder cannot be written
    or is full; what was there before is then still there.
    """
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        _flush(path.parent)  # the rename too
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise DeploymentError(
            f"cannot write {path}: {error.strerror}; free space there, or run as its owner"
        ) from None


def read(path: Path) -> bytes | None:
    """What is at ``path``, or None if nothing is; ``DeploymentError`` if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DeploymentError(f"cannot read {path}: {error.strerror}; run as its owner") from None


def remove(path: Path) -> None:
    """Takes away what is at ``path``, if anything; ``DeploymentError`` if that cannot be done."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DeploymentError(f"cannot remove {path}: {error.strerror}; run as its owner") from None


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
