"""`site.toml` as `init` writes it once, and adds to it: what an operator wrote there stays."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.home import SiteHome
from client.site_config import SiteConfig
from common.config import build, read_toml
from common.errors import ConfigError
from common.trust import storing

DEFAULTS = {"trunk": "trunk/trunk.toml", "public": "public"}
_SECTION, _KEY = re.compile(r"\s*\[([^\[\]]*)\]"), re.compile(r"\s*([A-Za-z_]+)\s*=")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the operator typed; None where `site.toml` is to say it."""

    centre: str | None = None
    name: str | None = None
    camera_type: str | None = None
    people: int | None = None
    faces: Path | None = None
    trunk: Path | None = None
    public: Path | None = None
    agent: str | None = None
    vault_passphrase_file: Path | None = None
    vault_provider: str | None = None
    aligned: bool | None = None


def settle(home: SiteHome, asked: Asked, needed: Collection[str]) -> SiteConfig:
    """`site.toml` as it is, or as it is now written, with all keys of ``needed``.

    What ``asked`` adds to what is there is added; ``ConfigError`` if the two disagree.
    """
    told = {key: _spelled(value) for key, value in vars(asked).items() if value is not None}
    new = not home.settings.exists()
    written = DEFAULTS if new else _site(home)
    changed = {key: value for key, value in told.items() if written.get(key) != value}
    table = {**written, **changed}
    if missing := [key for key in needed if key not in table]:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in missing)
        raise ConfigError(f"a new site needs {options}")
    if new:
        return _write(home, table, "\n".join(["[site]", *_lines(table), ""]))
    for key in changed:
        mistyped = key == "centre" and not home.ca.exists()  # nobody answered there
        if key in written and not mistyped:
            raise ConfigError(
                f"{home.settings} says another {key} than --{key.replace('_', '-')}: edit the "
                "file, or make another site with --home"
            )
    if not changed:
        return home.config()
    return _write(home, table, _edited(home.settings.read_text("utf-8"), changed))


def _site(home: SiteHome) -> dict[str, Any]:
    table = read_toml(home.settings).get("site", {})
    return table if isinstance(table, dict) else {}


def _write(home: SiteHome, table: dict[str, Any], text: str) -> SiteConfig:
    """Raises ``ConfigError`` before anything is written that could not be read again."""
    build(SiteConfig, table, "init")
    storing.replace(home.settings, text.encode(), storing.PUBLIC)
    return home.config()


def _edited(text: str, changed: dict[str, Any]) -> str:
    """``text`` with other values in its section [site]; comments and other sections stay."""
    kept, section = [], ""
    for line in text.splitlines():
        found = _SECTION.match(line)
        section = found[1].strip() if found else section
        key = _KEY.match(line)
        if section == "site" and key is not None and key[1] in changed:
            continue
        kept.append(line)
        if found and section == "site":
            kept += _lines(changed)
    return "\n".join([*kept, ""])


def _lines(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]


def _spelled(value: Any) -> Any:
    return str(value.expanduser().absolute()) if isinstance(value, Path) else value
