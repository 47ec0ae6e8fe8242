"""One write fails after another: a vault is found as it was before an operation, or as after."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from client.vault.store import Vault
from common.errors import MascaronError
from tests.dying_disk import DyingDisk
from tests.small_vault import files, place


def failing_writes(
    folder: Path,
    operation: Callable[[Vault], object],
    look: Callable[[Vault], Any],
    *,
    for_good: bool,
) -> Iterator[tuple[int, bool]]:
    """Does ``operation`` on the vault in ``folder``, each time with another write that fails.

    Yields, once the vault was opened again, which write it was and whether nothing had changed.
    ``look`` tells what is in a vault; ``for_good`` fails every write after the first that failed.
    """
    kept = {path.name: path.read_bytes() for path in files(folder)}
    with Vault(place(folder)) as vault:
        before = look(vault)
        operation(vault)
        after = look(vault)
    assert before != after
    fatal, whole, done = 0, False, False
    while not whole:
        fatal += 1
        for path in list(files(folder)):
            path.unlink()
        for file, raw in kept.items():
            (folder / file).write_bytes(raw)
        disk, done = DyingDisk(fatal, for_good=for_good), False
        with contextlib.suppress(MascaronError), Vault(place(folder, disk)) as vault:
            operation(vault)
            done = True
        whole = disk.count < fatal
        with Vault(place(folder)) as vault:
            now = look(vault)
            assert now == after if done else now in (before, after), f"write {fatal}"
            vault.verify()
        yield fatal, now == before
    assert done and fatal > 10, "the last one ran through, after as many failures as it writes"
