"""What daemons get of the environment of whoever starts them: next to nothing."""

from collections.abc import Mapping

KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")  # of the caller's environment; none can load code
QUIET = {  # of Flower, and of onnxruntime
    "ORT_DISABLE_TELEMETRY": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}  # what a daemon says is heard when it says it


def scrubbed(
    outer: Mapping[str, str], extra: Mapping[str, str], more: tuple[str, ...] = ()
) -> dict[str, str]:
    """The environment of a daemon: the few of ``outer`` that are KEPT or ``more``, and ``extra``.

    Guarantee: no PATH, PYTHONPATH, proxy, preload or key of the caller reaches the daemon.
    """
    kept = {name: outer[name] for name in (*KEPT, *more) if name in outer}
    return {**kept, **QUIET, **extra}
