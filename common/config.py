"""Settings: TOML into frozen dataclasses, every mistake named with file, section and key.

Unknown keys are errors on purpose: a misspelt privacy setting that is silently ignored is a
privacy bug.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any, TypeVar

from common.errors import ConfigError

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """The whole TOML file at ``path``; ``ConfigError`` if it cannot be read or parsed."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def load(schema: type[T], path: Path, section: str | None = None) -> T:
    """Reads ``[section]`` of the TOML file at ``path`` (or the whole file) as a ``schema``."""
    table = read_toml(path)
    where = str(path)
    if section is not None:
        if not isinstance(table.get(section), dict):
            raise ConfigError(f"{path} has no [{section}] section")
        table, where = table[section], f"{path} [{section}]"
    return build(schema, table, where)


def build(schema: type[T], table: Mapping[str, Any], where: str) -> T:
    """Makes a ``schema`` dataclass of ``table``; ``where`` begins every error message.

    Nested dataclasses, ``tuple[X, ...]``, ``tuple[float, float]`` and ``X | None`` are understood.
    """
    fields = {f.name: f for f in dataclasses.fields(schema) if f.init}  # type: ignore[arg-type]
    hints = typing.get_type_hints(schema)
    check_keys(table, fields, where)
    values = {key: _cast(value, hints[key], f"{where} {key}") for key, value in table.items()}
    missing = [
        name
        for name, f in fields.items()
        if f.default is MISSING and f.default_factory is MISSING and name not in values
    ]
    if missing:
        raise ConfigError(f"{where}: missing {', '.join(missing)}")
    try:
        return schema(**values)
    except ConfigError as error:
        raise type(error)(f"{where}: {error}") from None


def check_keys(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raises ``ConfigError`` for a key that is not ``known``, with the nearest one that is."""
    there = list(known)
    for key in given:
        if key not in there:
            near = difflib.get_close_matches(key, there, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{where}: unknown key {key!r}{hint}")


def _cast(value: Any, expected: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        inner = [a for a in arguments if a is not type(None)]
        return _cast(value, inner[0], where)
    if origin is tuple:
        return _cast_tuple(value, arguments, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected a table, got {value!r}")
        return value
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(f"{where}: expected one of {list(arguments)}, got {value!r}")
        return value
    if dataclasses.is_dataclass(expected):
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected a table, got {value!r}")
        return build(typing.cast("type[Any]", expected), value, where)
    if expected is float and type(value) is int:
        return _float(value, where)
    if expected is Path and type(value) is str:
        return Path(value)
    if expected is not Any and type(value) is not expected:
        raise ConfigError(
            f"{where}: expected {getattr(expected, '__name__', expected)}, got {value!r}"
        )
    return value


def _float(value: int, where: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ConfigError(f"{where}: the number is too large") from None


def _cast_tuple(value: Any, arguments: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: expected a list, got {value!r}")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_cast(v, arguments[0], f"{where}[{i}]") for i, v in enumerate(value))
    if len(value) != len(arguments):
        raise ConfigError(f"{where}: expected {len(arguments)} values, got {len(value)}")
    pairs = zip(value, arguments, strict=True)
    return tuple(_cast(v, a, f"{where}[{i}]") for i, (v, a) in enumerate(pairs))
