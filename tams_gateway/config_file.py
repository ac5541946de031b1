"""The config as text becomes plain values: TOML, the embedded default, overrides, secrets."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from tams_gateway.plugin.provider import Secret

Table: TypeAlias = dict[str, Any]

EMBEDDED: Final = "embedded default"
"""The source of a config without a file, for messages."""

DEFAULTS: Final[Mapping[str, Table]] = {
    "metadata": {"plugin": "sqlite"},
    "objects": {"main": {"plugin": "filesystem", "default": True}},
}
"""What stands for `[metadata]` and for every `[objects.*]` where the file leaves them out."""

_PREFIX = "TAMS_GATEWAY__"


class ConfigError(Exception):
    """The gateway cannot start as configured; the message is one line: where, what, expected."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class Override(str):
    """Text that an environment variable put in place of a value of the file."""

    variable: str

    def __new__(cls, text: str, variable: str) -> "Override":
        """Keep the variable's name beside its text, for messages."""
        override = super().__new__(cls, text)
        override.variable = variable
        return override


def read(path: Path | None, env: Mapping[str, str]) -> tuple[Table, str]:
    """Return the config's tables and the source of them, for messages.

    Overrides from the environment and defaults are filled in; nothing is converted yet. Raises
    `ConfigError` for a file that cannot be read or is no TOML, and for an override that leads
    nowhere.
    """
    if path is None and env.get("TAMS_GATEWAY_CONFIG"):
        path = Path(env["TAMS_GATEWAY_CONFIG"])
    document, source = ({}, EMBEDDED) if path is None else (_parse(path), str(path))
    in_file = {section for section, table in document.items() if table != {}}
    for variable, text in env.items():
        if variable.upper().startswith(_PREFIX):
            _override(document, variable[len(_PREFIX) :].split("__"), Override(text, variable))
    for section in DEFAULTS.keys() - in_file:
        document[section] = _completed(document.get(section, {}), DEFAULTS[section])
    return document, source


def resolved(option: Any, env: Mapping[str, str], where: str) -> Any:
    """Return a plugin's option with a `Secret` for `{ env = "NAME" }` and `{ file = "PATH" }`.

    They may stand anywhere in lists and tables. `where` is the file and the option's key, for
    messages. Raises `ConfigError` for a secret that is not there.
    """
    match option:
        case {"env": str(name)} if len(option) == 1:
            if name not in env:
                raise ConfigError(f"{where}: the environment variable {name} is not set")
            return Secret(env[name])
        case {"file": str(name)} if len(option) == 1:
            return Secret(_text(Path(name), where).strip())
        case dict():
            return {key: resolved(item, env, f"{where}.{key}") for key, item in option.items()}
        case list():
            return [resolved(item, env, f"{where}[{index}]") for index, item in enumerate(option)]
        case _:
            return option


def _parse(path: Path) -> Table:
    try:
        return tomllib.loads(_text(path, str(path)))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{where}: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{where}: cannot read {path}: {error}") from error


def _override(table: Any, steps: list[str], override: Override) -> None:
    """Put the override where the steps lead; tables on the way are made, list items are not."""
    *parents, last = steps
    for step in parents:
        if isinstance(table, list):
            table = table[int(step)] if step.isdecimal() and int(step) < len(table) else None
        elif isinstance(table, dict):
            table = table.setdefault(_key(table, step), {})
    if not isinstance(table, dict) or not all(steps):
        raise ConfigError(f"{override.variable}: the config has no such section")
    table[_key(table, last)] = override


def _key(table: Table, step: str) -> str:
    """Return the table's own spelling of a step, else the step in lower case."""
    plain = step.casefold()
    return next((key for key in table if key.replace("-", "_").casefold() == plain), plain)


def _completed(overrides: Any, default: Table) -> Any:
    """Return a default under its overrides."""
    if not isinstance(overrides, dict):
        return overrides
    nested = {
        key: _completed(overrides.get(key, {}), value)
        for key, value in default.items()
        if isinstance(value, dict)
    }
    return default | overrides | nested
