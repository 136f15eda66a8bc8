"""The mapping file: equivalences that no listing tells, in ``mappings/symbol_mappings.yaml``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import attrs

from multilogger.config.expect import Expect, show
from multilogger.config.structure import Fault, structure, suggestion
from multilogger.errors import ConfigError, StartupError
from multilogger.records import ExchangeId
from multilogger.symbols.instruments import AssetClass
from multilogger.symbols.yamltree import YamlPath, parse_yaml

T = TypeVar("T")

FILE: Final = Path("mappings") / "symbol_mappings.yaml"
"""Where the file is, in the working directory, the source tree or an installation's share/multilogger."""
_ALT: Final = "_alt"
"""``binance_alt`` names another symbol of the exchange ``binance``."""
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_]+")


def _is_word(text: str) -> bool:
    return text.isprintable() and text.split() == [text]


_name: Final = Expect("a name such as BTC-USD", _is_word)
_asset: Final = Expect("an asset such as BTC", lambda text: _is_word(text) and "-" not in text)


def _are_assets(members: Sequence[str]) -> bool:
    return bool(members) and all(map(_asset.holds, members)) and len(set(members)) == len(members)


@attrs.frozen
class MappingEntry:
    """An entry of ``symbol_mappings``: one thing, and what it is called where."""

    normalized: str = attrs.field(validator=_name)
    base: str = attrs.field(validator=_asset)
    quote: str = attrs.field(validator=_asset)
    quote_type: Literal["fiat", "stablecoin", "crypto"]
    exchanges: dict[str, str]
    """Venue symbol by exchange, or by exchange and ``_alt`` for a second one."""
    asset_class: Literal["spot", "perpetual"] = "spot"
    """Contracts that expire are gone before anybody maps them."""

    @property
    def kind(self) -> AssetClass:
        """What kind of instruments they are."""
        return AssetClass(self.asset_class)

    def symbols(self) -> Iterator[tuple[ExchangeId, str]]:
        """Give (exchange, venue symbol) pairs; the preferred one of an exchange comes before its ``_alt``."""
        for key in sorted(self.exchanges, key=lambda key: key.endswith(_ALT)):
            yield ExchangeId(key.removesuffix(_ALT)), self.exchanges[key]


@attrs.frozen
class QuoteGroup:
    """An entry of ``equivalence_rules.quote_assets``: quotes that count as the same money."""

    group: str = attrs.field(validator=_name)
    members: tuple[str, ...] = attrs.field(validator=Expect("a list of different assets", _are_assets))
    primary: str = attrs.field(validator=_asset)


@attrs.frozen
class Mappings:
    """A whole mapping file."""

    entries: tuple[MappingEntry, ...] = ()
    groups: tuple[QuoteGroup, ...] = ()


def find_mappings() -> Path:
    """Return the shipped mapping file: of the working directory, the source tree or the installation.

    Raises:
        StartupError: it is in none of them.
    """
    places = _places()
    for place in places.values():
        if _is_file(place / FILE):
            return place / FILE
    raise StartupError(f"no {FILE} in {' or '.join(places)}: install anew, or set logger.mappings to a file")


def _places() -> dict[str, Path]:
    """Return where to look for the shipped file, by what to call it."""
    here = Path(__file__)
    # The last is where pip puts data of an installation outside of this interpreter's own prefix (--user).
    prefixes = (Path(sys.prefix), *here.parents[5:6])
    shared = (here.parents[2], *(prefix / "share" / "multilogger" for prefix in prefixes))
    return {"the working directory": Path(), **{str(place): place for place in shared}}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a directory that is closed to us has nothing for us
        return False


def read_mappings(path: Path) -> Mappings:
    """Read a mapping file.

    Raises:
        ConfigError: all its faults, each with the file, the path in it, what is expected and what came.
    """
    shown = _relative(path)
    content, faults = parse_yaml(_read_text(path, shown))
    if content is None and faults:
        raise ConfigError([_line(shown, fault) for fault in faults])
    mappings, more = check_mappings(content)
    if faults or more:
        raise ConfigError([_line(shown, fault) for fault in (*faults, *more)])
    return mappings


def _line(shown: str, fault: Fault) -> str:
    return ": ".join(filter(None, (shown, dotted(fault.path), fault.words)))


def check_mappings(content: object) -> tuple[Mappings, list[Fault]]:
    """Check the content of a mapping file.

    Returns:
        What is right in it, and the faults: entries before groups, each in the order of the file.
    """
    if content is None:
        return Mappings(), [Fault((), "expected symbol_mappings and equivalence_rules, got nothing")]
    faults: list[Fault] = []
    top = _table(content, (), ("symbol_mappings", "equivalence_rules"), faults)
    entries = _all(top.get("symbol_mappings"), ("symbol_mappings",), MappingEntry, faults)
    faults += _contradictions(entries)
    rules = _table(top.get("equivalence_rules"), ("equivalence_rules",), ("quote_assets",), faults)
    groups = _all(rules.get("quote_assets"), ("equivalence_rules", "quote_assets"), QuoteGroup, faults)
    faults += _group_contradictions(groups)
    return Mappings(tuple(entries.values()), tuple(groups.values())), faults


def _table(value: object, path: YamlPath, known: Sequence[str], faults: list[Fault]) -> dict[str, Any]:
    """Return a table; a key without a value, as when all below it is commented out, has an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        faults.append(Fault(path, f"expected a table, got {show(value)}"))
        return {}
    faults += [
        Fault((*path, key), f"unknown key{suggestion(key, known)}") for key in value if key not in known
    ]
    return value


def _all(value: object, path: YamlPath, kind: type[T], faults: list[Fault]) -> dict[YamlPath, T]:
    """Return those of a list that are right, by their paths."""
    if value is None:
        return {}
    if not isinstance(value, list):
        faults.append(Fault(path, f"expected a list, got {show(value)}"))
        return {}
    right: dict[YamlPath, T] = {}
    for at, item in enumerate(value):
        where = (*path, at)
        made, found = structure(_without_bad_exchanges(item, where, faults), kind, where)
        faults += found
        if made is not None:
            right[where] = made
    return right


def _without_bad_exchanges(item: object, path: YamlPath, faults: list[Fault]) -> object:
    if not isinstance(item, dict) or "exchanges" not in item:
        return item
    table, where = item["exchanges"], (*path, "exchanges")
    if not isinstance(table, dict):
        faults.append(Fault(where, f"expected a table, got {show(table)}"))
        return item | {"exchanges": {}}
    wrong = {key: fault for key in table if (fault := _exchange_fault(key, table[key], where))}
    faults += wrong.values()
    return item | {"exchanges": {key: symbol for key, symbol in table.items() if key not in wrong}}


def _exchange_fault(key: str, symbol: object, path: YamlPath) -> Fault | None:
    if not isinstance(symbol, str) or not _is_word(symbol):
        return Fault((*path, key), f"expected a venue symbol such as BTCUSDT, got {show(symbol)}")
    try:
        ExchangeId(key.removesuffix(_ALT))
    except ValueError:
        return Fault((*path, key), f"expected a key of lower-case letters, digits and _, got {show(key)}")
    return None


def _contradictions(entries: dict[YamlPath, MappingEntry]) -> Iterator[Fault]:
    names: dict[str, YamlPath] = {}
    told: dict[tuple[str, str], tuple[MappingEntry, YamlPath]] = {}
    for path, entry in entries.items():
        words = _name_fault(entry)
        if words:
            yield Fault((*path, "normalized"), f"expected {words}, got {show(entry.normalized)}")
        first = names.setdefault(entry.normalized, path)
        if first != path:
            yield Fault((*path, "normalized"), f"{entry.normalized} stands in {dotted(first)} already")
        for key, symbol in entry.exchanges.items():
            one, other = told.setdefault((key.removesuffix(_ALT), symbol), (entry, path))
            for mine, theirs in ((entry.base, one.base), (entry.asset_class, one.asset_class)):
                if mine != theirs:
                    words = f"{symbol} is {mine} here, but {theirs} in {dotted(other)}"
                    yield Fault((*path, "exchanges", key), words)


def _name_fault(entry: MappingEntry) -> str:
    """Return what an entry's name should be, empty if it is that."""
    pair = f"{entry.base}-{entry.quote}"
    if entry.kind is AssetClass.SPOT:
        return "" if entry.normalized == pair else f"{pair}, its base and quote"
    settled = entry.normalized.startswith(f"{pair}:") and entry.normalized.endswith("-PERP")
    name = f"{pair}-PERP"
    return "" if settled or entry.normalized == name else f"{name}, its base and quote, and PERP"


def _group_contradictions(groups: dict[YamlPath, QuoteGroup]) -> Iterator[Fault]:
    names: dict[str, YamlPath] = {}
    owners: dict[str, YamlPath] = {}
    for path, group in groups.items():
        first = names.setdefault(group.group, path)
        if first != path:
            yield Fault((*path, "group"), f"{group.group} stands in {dotted(first)} already")
        if group.primary not in group.members:
            yield Fault((*path, "primary"), f"expected one of its members, got {show(group.primary)}")
        for at, member in enumerate(group.members):
            first = owners.setdefault(member, path)
            if first != path:
                yield Fault((*path, "members", at), f"{member} is in {dotted(first)} already")


def dotted(path: YamlPath) -> str:
    """Return a path as people write it: ``symbol_mappings[3].quote_type``."""
    steps = (f"[{key}]" if isinstance(key, int) else f".{_quoted(key)}" for key in path)
    return "".join(steps).removeprefix(".")


def _quoted(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else show(key)


def _read_text(path: Path, shown: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError([f"{shown}: no such file"]) from None
    except OSError as error:
        raise ConfigError([f"{shown}: can't be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{shown}: byte {error.start}: not UTF-8 text"]) from None


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # outside of the working directory, or that is gone
        return str(path)
