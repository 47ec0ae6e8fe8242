"""Features kept on the disk between two starts of the agent, encrypted under a key of their own.

A feature is a face: whoever reads one can draw the other. The key lies in the agent's folder, so
this protects a stolen disk image or backup of the features alone, not a copy of that whole folder.
"""

import hmac
import io
import os
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from common import wire
from common.errors import ConfigError, DeploymentError
from common.trust import storing

KEY, KEY_BYTES, NONCE_BYTES = "features.key", 32, 12
ENDING = ".sealed"


class SealedFeatures:
    """Arrays in ``folder``, each for one trunk and one set of pictures.

    Guarantee: AES-256-GCM with a random nonce; the trunk's hash and the pictures' digest are
    authenticated, so a file moved in the place of another is refused like one that was altered.
    File names are keyed, so they tell nobody which pictures were seen.
    Leaks: how large the arrays are, to whoever can list the folder (0700).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = _key(folder / KEY)

    def load(self, trunk: str, faces: str) -> NDArray[np.float32] | None:
        """The features stored for these two digests; None if there are none that are sound."""
        about = _about(trunk, faces)
        content = storing.read(self._path(about))
        if content is None:
            return None
        nonce, sealed = content[:NONCE_BYTES], content[NONCE_BYTES:]
        try:
            plain = AESGCM(self._key).decrypt(nonce, sealed, about)
            array = np.load(io.BytesIO(plain), allow_pickle=False)
        except (InvalidTag, ValueError, EOFError):
            return None
        return np.asarray(array, np.float32) if array.ndim == 2 else None

    def store(self, trunk: str, faces: str, features: NDArray[np.float32]) -> None:
        """Keeps ``features`` (N, D); ``DeploymentError`` if the disk is full."""
        about, plain = _about(trunk, faces), io.BytesIO()
        np.save(plain, features, allow_pickle=False)
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(self._key).encrypt(nonce, plain.getvalue(), about)
        storing.replace(self._path(about), nonce + sealed)

    def forget_all_but(self, *kept: tuple[str, str]) -> None:
        """Removes what belongs to none of the (trunk, faces) digests of ``kept``.

        So pictures that were taken away are not to be found here after the next start.
        """
        names = {self._path(_about(*pair)) for pair in kept}
        for path in self._folder.glob(f"*{ENDING}"):
            if path not in names:
                storing.remove(path)

    def _path(self, about: bytes) -> Path:
        name = hmac.digest(self._key, about, "sha256").hex()
        return self._folder / f"{name}{ENDING}"


def _about(trunk: str, faces: str) -> bytes:
    return wire.digest("sealed features", trunk, faces).encode()


def _key(path: Path) -> bytes:
    content = storing.read(path)
    if content is None:
        content = os.urandom(KEY_BYTES)
        storing.replace(path, content)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DeploymentError(f"cannot read {path}: {error.strerror}") from None
    if len(content) != KEY_BYTES or mode & 0o077:
        raise ConfigError(f"{path} is not a private key of {KEY_BYTES} bytes: remove it")
    return content
