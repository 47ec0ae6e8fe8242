"""Code that somebody names in a setting, as ``package.module:name``: imported, and called by us.

Whoever may write the setting runs code with the rights of the process, so it is only ever read from
a file that its owner writes.
"""

import importlib
from collections.abc import Callable
from typing import Any

from common.errors import ConfigError


def imported(name: str, what: str) -> Callable[..., Any]:
    """The class or function called ``name``; ``ConfigError``, which begins with ``what``, if there
    is none."""
    module, separator, attribute = name.partition(":")
    if not separator or not module or not attribute:
        raise ConfigError(f"{what} {name!r} must be written as package.module:name")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} {name!r} cannot be imported: {error}") from error
    if not callable(found):
        raise ConfigError(f"{what} {name!r} is not a class or function")
    made: Callable[..., Any] = found
    return made
