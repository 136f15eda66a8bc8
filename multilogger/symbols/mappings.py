"""The mapping file: equivalences that no listing tells, in ``mappings/symbol_mappings.yaml``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import msgspec
import yaml

from multilogger.errors import ConfigError
from multilogger.symbols.instruments import QuoteType

T = TypeVar("T")

FILE_NAME: Final = "symbol_mappings.yaml"
_ALT: Final = "_alt"
"""``binance_alt`` names another symbol of the exchange ``binance``."""


class Mapping(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An entry of ``symbol_mappings``: one thing, and what it is called where."""

    normalized: str
    base: str
    quote: str
    quote_type: QuoteType
    exchanges: dict[str, str]

    def symbols(self) -> Iterator[tuple[str, str]]:
        """Give (exchange, venue symbol) pairs; the preferred one of an exchange comes before its ``_alt``."""
        for key, symbol in sorted(self.exchanges.items()):
            yield key.removesuffix(_ALT), symbol


class QuoteGroup(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An entry of ``equivalence_rules.quote_assets``: quotes that count as the same money."""

    group: str
    members: tuple[str, ...]
    primary: str


@attrs.frozen
class Mappings:
    """A whole mapping file."""

    entries: tuple[Mapping, ...] = ()
    groups: tuple[QuoteGroup, ...] = ()


def find_mappings() -> Path | None:
    """Return the shipped mapping file: of the working directory, the source tree or the installation."""
    places = (Path.cwd(), Path(__file__).parents[2], Path(sys.prefix) / "share" / "multilogger")
    candidates = (place / "mappings" / FILE_NAME for place in places)
    return next((path for path in candidates if path.is_file()), None)


def read_mappings(path: Path) -> Mappings:
    """Read a mapping file.

    Raises:
        ConfigError: all its faults, each with file and path.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([f"{path}: {' '.join(str(error).split())}"]) from error
    faults: list[str] = []
    tables = content if isinstance(content, dict) else {}
    if not isinstance(content, dict):
        faults.append("expected symbol_mappings and equivalence_rules")
    faults += [f"{key}: unknown key" for key in tables.keys() - {"symbol_mappings", "equivalence_rules"}]
    entries = _read_all(tables.get("symbol_mappings"), Mapping, "symbol_mappings", faults)
    rules = tables.get("equivalence_rules") or {}
    quotes = rules.get("quote_assets") if isinstance(rules, dict) else rules
    groups = _read_all(quotes, QuoteGroup, "equivalence_rules.quote_assets", faults)
    faults += _contradictions(entries, groups)
    if faults:
        raise ConfigError([f"{path}: {fault}" for fault in faults])
    return Mappings(tuple(entries), tuple(groups))


def _read_all(items: object, kind: type[T], where: str, faults: list[str]) -> list[T]:
    if items is None:
        return []
    if not isinstance(items, list):
        faults.append(f"{where}: expected a list, got {items!r:.60}")
        return []
    read: list[T] = []
    for at, item in enumerate(items):
        try:
            read.append(msgspec.convert(item, kind))
        except msgspec.ValidationError as error:
            faults.append(f"{where}[{at}]: {error}")
    return read


def _contradictions(entries: list[Mapping], groups: list[QuoteGroup]) -> Iterator[str]:
    seen: set[Any] = set()
    for entry in entries:
        if entry.normalized != f"{entry.base}-{entry.quote}":
            yield f"{entry.normalized}: expected {entry.base}-{entry.quote}, its base and quote"
        if entry.normalized in seen:
            yield f"{entry.normalized}: listed twice"
        seen.add(entry.normalized)
    for group in groups:
        if group.primary not in group.members:
            yield f"{group.group}: its primary {group.primary} is none of its members"
        for member in group.members:
            if ("quote", member) in seen:
                yield f"{group.group}: {member} is in two groups"
            seen.add(("quote", member))
