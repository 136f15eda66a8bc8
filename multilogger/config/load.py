"""The configuration as a whole: file, environment and defaults, checked together."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from multilogger.config.expect import show
from multilogger.config.sections import (
    Config,
    ExchangeConfig,
    HealthConfig,
    LoggerConfig,
    StorageConfig,
    SupervisionConfig,
)
from multilogger.config.sources import Tree, override, read_file, variable
from multilogger.config.structure import Fault, Key, structure, suggestion
from multilogger.errors import ConfigError

SECTIONS: Final[Mapping[str, type]] = {
    "logger": LoggerConfig,
    "storage": StorageConfig,
    "health": HealthConfig,
    "supervision": SupervisionConfig,
}
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def load_config(
    path: Path | None,
    env: Mapping[str, str],
    exchange_types: Mapping[str, type[ExchangeConfig]],
    default_exchanges: Collection[str] | None = None,
) -> Config:
    """Read, override and check the configuration.

    Args:
        path: the TOML file; None for ``./logger.toml`` if it is there, else defaults and environment alone.
        env: the environment; ``MULTILOGGER__SECTION__KEY`` overrides a single key.
        exchange_types: the configuration class of every exchange there is, by name.
        default_exchanges: those that are on where neither file nor environment names any exchange; all by
            default.

    Raises:
        ConfigError: all faults at once, each with its source, path, what is expected and what came.
    """
    source, tree = read_file(path)
    if "exchanges" not in tree:
        names = exchange_types if default_exchanges is None else default_exchanges
        tree["exchanges"] = {name: {} for name in names}
    origins, faults = override(tree, env, _classes(exchange_types))
    faults += _unknown_sections(tree)
    sections = {name: _structured(tree.get(name, {}), cls, (name,), faults) for name, cls in SECTIONS.items()}
    exchanges = _exchanges(tree["exchanges"], exchange_types, faults)
    if faults:
        raise ConfigError([_line(fault, source, origins) for fault in faults])
    return Config(**sections, exchanges=exchanges)


def _classes(exchange_types: Mapping[str, type[ExchangeConfig]]) -> dict[tuple[str, ...], type]:
    classes: dict[tuple[str, ...], type] = {(name,): cls for name, cls in SECTIONS.items()}
    classes.update({("exchanges", name): cls for name, cls in exchange_types.items()})
    return classes


def _unknown_sections(tree: Tree) -> list[Fault]:
    known = [*SECTIONS, "exchanges"]
    return [
        Fault((name,), f"unknown {_kind(tree[name])}{suggestion(name, known)}")
        for name in tree
        if name not in known
    ]


def _kind(value: object) -> str:
    return "section" if isinstance(value, dict) else "key outside of all sections"


def _structured(value: object, cls: type, path: tuple[Key, ...], faults: list[Fault]) -> Any:
    result, found = structure(value, cls, path)
    faults += found
    return result


def _exchanges(
    tables: object, exchange_types: Mapping[str, type[ExchangeConfig]], faults: list[Fault]
) -> dict[str, ExchangeConfig]:
    if not isinstance(tables, dict):
        faults.append(Fault(("exchanges",), f"expected a table for each exchange, got {show(tables)}"))
        return {}
    known = sorted(exchange_types)
    unknown = [name for name in tables if name not in exchange_types]
    faults += [Fault(("exchanges", name), f"unknown exchange{_offer(name, known)}") for name in unknown]
    return {
        name: _structured(table, exchange_types[name], ("exchanges", name), faults)
        for name, table in tables.items()
        if name in exchange_types
    }


def _offer(name: str, known: list[str]) -> str:
    offer = suggestion(name, known)
    return f"{offer} Known are {', '.join(known)}" if offer.endswith("?") else offer


def _line(fault: Fault, source: str, origins: Mapping[tuple[str, ...], str]) -> str:
    """Return a fault as one line that begins with where it is to be mended."""
    for length in range(len(fault.path), 0, -1):
        name = origins.get(tuple(map(str, fault.path[:length])))
        if name is not None:
            return f"{name}{_dotted(fault.path[length:])}: {fault.words}"
    if fault.path and str(fault.path[0]).startswith("MULTILOGGER__"):
        return f"{fault.path[0]}: {fault.words}"
    hint = f"; {variable(_words(fault))} sets it too" if fault.words.startswith("required") else ""
    return f"{source}: {_dotted(fault.path).removeprefix('.')}: {fault.words}{hint}"


def _words(fault: Fault) -> tuple[str, ...]:
    return tuple(map(str, fault.path))


def _dotted(path: tuple[Key, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{_quoted(key)}" for key in path)


def _quoted(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else show(key)
