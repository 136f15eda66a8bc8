"""What is held to the contract: an exchange with its fixtures, its simulation and its page."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import attrs
from contract_cases import Case, Words, read_cases, read_words
from contract_feeding import Fed, made

from multilogger.errors import FrameError
from multilogger.exchanges.base import Exchange
from multilogger.exchanges.catalog import GROUP
from multilogger.records import MarketData, Trade
from multilogger.simulator.venue import Venue
from multilogger.symbols.mappings import Mappings, read_mappings

VENUE_GROUP: Final = "multilogger.venues"
"""The entry point group of simulated exchanges."""


@attrs.frozen(eq=False, slots=False)
class Subject:
    """An exchange, and where all that belongs to it is."""

    kind: type[Exchange]
    venue: type[Venue[Any]] | None
    """Its simulation."""
    root: Path
    """The directory below which its files are: multilogger's own, or that of a package laid out alike."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return str(self.kind.id)

    def __str__(self) -> str:
        return self.name

    @property
    def frames(self) -> Path:
        """The file of frames that are rows."""
        return self.root / "tests" / "data" / f"{self.name}_frames.jsonl"

    @property
    def words(self) -> Path:
        """The file of frames that are none."""
        return self.root / "tests" / "data" / f"{self.name}_words.jsonl"

    @property
    def mappings(self) -> Path:
        """The file with its symbols in it."""
        return self.root / "mappings" / "symbol_mappings.yaml"

    @cached_property
    def mapped(self) -> Mappings:
        """What that file says.

        Raises:
            ConfigError: it can't be read, or has faults.
        """
        return read_mappings(self.mappings)

    @cached_property
    def page(self) -> Path | None:
        """The page about it: the one with its name in a heading; None if there is none."""
        own = self.root / "docs" / "exchanges" / f"{self.name}.md"
        pages = [own, *sorted(own.parent.glob("*.md")), self.root / "docs" / "exchanges.md"]
        heading = re.compile(rf"^#+ (.*\W)?{re.escape(self.kind.name)}(\W.*)?$", re.MULTILINE)
        return next((it for it in pages if it.exists() and heading.search(it.read_text("utf-8"))), None)

    @property
    def own_page(self) -> Path:
        """The same, where there has to be one."""
        assert self.page is not None, f"no page about {self.kind.name}"
        return self.page

    @cached_property
    def cases(self) -> list[Case]:
        """The frames that are rows."""
        return read_cases(self.frames, self.name)

    @cached_property
    def all_words(self) -> list[Words]:
        """The frames that are none."""
        return read_words(self.words, self.name)

    @cached_property
    def symbols(self) -> list[str]:
        """The venue symbols that its frames are about."""
        return list(dict.fromkeys(symbol for case in self.cases for symbol in self.symbols_of(case)))

    def symbols_of(self, case: Case) -> list[str]:
        """Return what a case's frame is about: as the case says, or else the exchange's own parsers."""
        if case.symbols:
            return case.symbols
        exchange = made(self.kind, case.options)
        parse = exchange.parse_trade_data if case.table == "TRADES" else exchange.parse_market_data
        try:
            records: list[Trade] | list[MarketData] = parse(case.payload)
        except FrameError:
            records = []
        found = list(dict.fromkeys(record.symbol for record in records))
        return found or [symbol for words in self.all_words[:1] for symbol in words.symbols]

    def fed(self, case: Case) -> Fed:
        """Return an adapter that carries a case's symbols first, then the other cases', and got nothing."""
        symbols = dict.fromkeys((*self.symbols_of(case), *self.symbols))
        return Fed(made(self.kind, case.options), symbols)

    def after(self, case: Case) -> Fed:
        """Return an adapter that has received what comes before a case's frame, its rows taken away."""
        fed = self.fed(case)
        fed.feed(*case.before)
        fed.take()
        return fed

    def listening(self, words: Words) -> Fed:
        """Return an adapter that has received what comes before some words."""
        fed = Fed(made(self.kind, words.options), words.symbols)
        fed.feed(*words.before)
        fed.take()
        return fed


def package_subject(directory: Path) -> Subject:
    """Return the exchange of a package that need not be installed.

    Args:
        directory: laid out as the documentation says.
    """
    project = tomllib.loads((directory / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    groups = project["entry-points"]
    kind: type[Exchange] = _loaded(next(iter(groups[GROUP].values())))
    venues = groups.get(VENUE_GROUP, {})
    venue = _loaded(venues[str(kind.id)]) if str(kind.id) in venues else None
    return Subject(kind, venue, directory)


def _loaded(entry: str) -> Any:
    module, _, name = entry.partition(":")
    return getattr(importlib.import_module(module), name)
