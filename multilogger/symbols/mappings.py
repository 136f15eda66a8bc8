"""The mapping file: equivalences that no listing tells, in ``mappings/symbol_mappings.yaml``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import attrs

from multilogger.config.expect import Expect, show
from multilogger.config.structure import Fault, Key, structure
from multilogger.errors import ConfigError, StartupError
from multilogger.records import ExchangeId
from multilogger.symbols.yamltree import parse_yaml

T = TypeVar("T")

FILE: Final = Path("mappings") / "symbol_mappings.yaml"
"""Where the file is, in the working directory, the source tree or an installation's share/multilogger."""
_ALT: Final = "_alt"
"""``binance_alt`` names another symbol of the exchange ``binance``."""
_EXCHANGE_WORDS: Final = "expected an exchange's name of lower-case letters, digits and _"
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


@attrs.frozen
class _Rules:
    quote_assets: list[Any] | None = None


@attrs.frozen
class _File:
    symbol_mappings: list[Any] | None = None
    equivalence_rules: dict[str, Any] | None = attrs.field(default=None)


def find_mappings() -> Path:
    """Return the shipped mapping file: of the working directory, the source tree or the installation.

    Raises:
        StartupError: it is in none of them.
    """
    here = Path(__file__)
    # The last is where pip puts data of an installation outside of this interpreter's own prefix (--user).
    installed = (Path(sys.prefix), *here.parents[5:6])
    places = [Path(), here.parents[2], *(prefix / "share" / "multilogger" for prefix in installed)]
    for path in (place / FILE for place in places):
        if _is_file(path):
            return path
    searched = ", ".join(dict.fromkeys(str(place.absolute()) for place in places))
    raise StartupError(f"no {FILE} in any of {searched}: install anew, or set logger.mappings to a file")


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
    if content is not None or not faults:
        mappings, more = check_mappings(content)
        faults += more
    if faults:
        raise ConfigError([": ".join(filter(None, (shown, _dotted(f.path), f.words))) for f in faults])
    return mappings


def check_mappings(content: object) -> tuple[Mappings, list[Fault]]:
    """Check the content of a mapping file.

    Returns:
        What is right in it, and the faults, in the order of the file as far as may be.
    """
    if not isinstance(content, dict):
        return Mappings(), [Fault((), f"expected symbol_mappings and equivalence_rules, got {show(content)}")]
    faults: list[Fault] = []
    entries = _all(content, ("symbol_mappings",), MappingEntry, faults)
    faults += _contradictions(entries)
    groups = _all(_rules(content, faults), ("equivalence_rules", "quote_assets"), QuoteGroup, faults)
    faults += _group_contradictions(groups)
    return Mappings(tuple(entries.values()), tuple(groups.values())), faults
