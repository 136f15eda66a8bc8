"""Where settings come from: a TOML file, and environment variables over it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import attrs

from multilogger.config.structure import Fault, suggestion
from multilogger.errors import ConfigError

DEFAULT_FILE: Final = Path("logger.toml")
"""Read from the working directory where no file is named, if it is there."""
PREFIX: Final = "MULTILOGGER__"

Tree = dict[str, Any]
_POSITION: Final = re.compile(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", re.DOTALL)


def read_file(path: Path | None) -> tuple[str, Tree]:
    """Read a TOML file.

    Args:
        path: the file, which has to be there; None for :data:`DEFAULT_FILE`, which need not.

    Returns:
        What to call the source in faults, and its content.

    Raises:
        ConfigError: the file can't be read, or is no TOML.
    """
    chosen = path or DEFAULT_FILE
    try:
        # A byte order mark is what some editors put before UTF-8; TOML allows none.
        text = chosen.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if path is None:
            return "configuration", {}
        raise ConfigError([f"{chosen}: no such file"]) from None
    except OSError as error:
        raise ConfigError([f"{chosen}: can't be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{chosen}: byte {error.start}: not UTF-8 text"]) from None
    return str(chosen), _parse(text, str(chosen))


def _parse(text: str, name: str) -> Tree:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError([f"{name}: nested too deeply"]) from None
    except ValueError as error:  # of TOML's syntax, and of numbers and dates that can't be
        words = str(error)
        if position := _POSITION.fullmatch(words):
            words = f"line {position['line']}, column {position['column']}: {position['what']}"
        raise ConfigError([f"{name}: {words}"]) from None


def variable(path: tuple[str, ...]) -> str:
    """Return the environment variable that sets the key at ``path``."""
    return PREFIX + "__".join(path).upper()


def override(
    tree: Tree, env: Mapping[str, str], classes: Mapping[tuple[str, ...], type]
) -> tuple[dict[tuple[str, ...], str], list[Fault]]:
    """Set in ``tree`` what the environment says.

    Args:
        tree: the file's content; changed in place.
        env: all environment variables; those without the prefix are left alone.
        classes: the configuration class of each section by its path.

    Returns:
        The variable that each path comes from, and a fault for every variable that sets nothing there is.
        Their paths begin with the variable's name.
    """
    fields = _variables(classes)
    origins: dict[tuple[str, ...], str] = {}
    faults: list[Fault] = []
    for name in sorted(env):
        if name in fields:
            path, kind = fields[name]
            origins[path] = name
            _put(tree, path, parse_text(env[name], kind))
        elif name.startswith(PREFIX):
            faults.append(Fault((name,), f"unknown setting{_nearest(name, fields)}"))
    return origins, faults


def _variables(classes: Mapping[tuple[str, ...], type]) -> dict[str, tuple[tuple[str, ...], Any]]:
    return {
        variable((*section, field.name)): ((*section, field.name), field.type)
        for section, cls in classes.items()
        for field in attrs.fields(attrs.resolve_types(cls))
    }


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = suggestion(name, known)
    return near if near.endswith("?") else ""  # the list of all would fill a screen


def _put(tree: Tree, path: tuple[str, ...], value: object) -> None:
    *sections, key = path
    table = tree
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            return  # the file has no table there, which is a fault of its own
    table[key] = value


def parse_text(text: str, kind: Any) -> object:
    """Return what an environment variable's text means for a key of type ``kind``.

    Numbers and truth values are written as in TOML, lists as TOML arrays or separated by commas, anything
    else as plain text, with or without TOML's quotes. A text that is none of it is returned as it is, and
    refused later in the words of its key.
    """
    kinds = [part for part in get_args(kind) if part is not type(None)] if _is_union(kind) else [kind]
    if any(get_origin(part) in (tuple, list) for part in kinds):
        return _parse_list(text)
    if any(part in (bool, int, float) for part in kinds) or _is_quoted(text):
        return _parse_value(text)
    return text


def _is_union(kind: Any) -> bool:
    return type(None) in get_args(kind)


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"


def _parse_list(text: str) -> object:
    if text.strip().startswith("["):
        return _parse_value(text)
    return [item.strip() for item in text.split(",")]


def _parse_value(text: str) -> object:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if parsed.keys() == {"value"} else text
