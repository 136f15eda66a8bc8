"""What exchanges listed at any time, out of their instrument histories."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from multilogger.archive.instants import BEGINNING, END, Instant, describe, to_ns
from multilogger.archive.tree import names
from multilogger.errors import ArchiveError
from multilogger.storage.layout import Paths, symbol_directory
from multilogger.symbols.changes import InstrumentChange
from multilogger.symbols.history import InstrumentHistory, decode_history
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.mapper import SymbolMapper, load_mapper

_SUFFIX: Final = ".jsonl"


def exchanges_with_history(data: Path) -> list[str]:
    """Return the exchanges whose listings were recorded, sorted.

    Raises:
        ArchiveError: they can't be read.
    """
    folder = Paths(data).instrument_history("any").parent
    return [name.removesuffix(_SUFFIX) for name in names(folder) if name.endswith(_SUFFIX)]


def read_history(data: Path, exchange: str) -> InstrumentHistory:
    """Return the instrument history of an exchange.

    Raises:
        ArchiveError: there is none, or it can't be read.
    """
    known = exchanges_with_history(data)
    if exchange not in known:
        there = f"there is one of {', '.join(known)}" if known else "there is none of any exchange"
        raise ArchiveError(f"no instrument history of {exchange!r} in {data}: {there}")
    path = Paths(data).instrument_history(exchange)
    try:
        return decode_history(exchange, path.read_bytes())
    except OSError as error:
        raise ArchiveError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise ArchiveError(f"{path}: {error}") from error


class InstrumentArchive:
    """The part of an archive that tells what was listed, and when.

    Args:
        data: the data path.
    """

    def __init__(self, data: Path) -> None:
        self.data = data

    def instrument_history(self, exchange: str) -> InstrumentHistory:
        """Return all that is known of what an exchange has listed: for many questions, the file is read once.

        Raises:
            ArchiveError: there is no history of it, or it can't be read.
        """
        return read_history(self.data, exchange)

    def instruments(self, exchange: str, at: Instant | None = None) -> list[SymbolInfo]:
        """Return what an exchange listed at a time, tradable then or not.

        Args:
            exchange: its name.
            at: the time; None for the last listing.

        Raises:
            ArchiveError: there is no history of it, none of that time, or it can't be read.
        """
        return list(self._listed(self.instrument_history(exchange), at).values())

    def instrument(self, exchange: str, symbol: str, at: Instant | None = None) -> SymbolInfo | None:
        """Return an instrument as it was at a time; None: it was not listed then.

        Args:
            exchange: its name.
            symbol: in the exchange's spelling, normalized, or the directory's name.
            at: the time; None for the last listing.

        Raises:
            ArchiveError: as :meth:`instruments`.
        """
        return find_instrument(self._listed(self.instrument_history(exchange), at), symbol)

    def instrument_changes(
        self,
        exchange: str,
        symbol: str | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
    ) -> list[InstrumentChange]:
        """Return what changed from ``start`` up to, but not including, ``end``, in order of time.

        Args:
            exchange: its name.
            symbol: only of this one, under whatever name it had; named as for :meth:`instrument`.
            start: the earliest time; None: from the first listing, which finds all there is.
            end: the time before which; None: up to now.

        Raises:
            ArchiveError: there is no history of it, or it can't be read.
        """
        history = self.instrument_history(exchange)
        low, high = BEGINNING if start is None else to_ns(start), END if end is None else to_ns(end)
        changes = history.changes if symbol is None else history.of(_venue_symbol(history, symbol))
        return [it for it in changes if low <= it.at_ns < high]

    def mapper(self, at: Instant | None = None, mappings: Path | None = None) -> SymbolMapper:
        """Return a mapper over what all exchanges listed at a time.

        Args:
            at: the time; None for their last listings. Of exchanges whose history begins later, it knows
                what the mapping file says.
            mappings: the mapping file; None takes the shipped one.

        Raises:
            ArchiveError: a history can't be read.
            ConfigError: the mapping file has faults.
            StartupError: there is no shipped mapping file.
        """
        mapper = load_mapper(mappings)
        known = map(self.instrument_history, exchanges_with_history(self.data))
        mapper.recall(known, None if at is None else to_ns(at))
        return mapper

    def _listed(self, history: InstrumentHistory, at: Instant | None) -> dict[str, SymbolInfo]:
        at_ns = None if at is None else to_ns(at)
        if not history.known_at(at_ns):
            since = "" if history.first_ns is None else f" before {describe(history.first_ns)}"
            raise ArchiveError(f"nothing is known in {self.data} of what {history.exchange} listed{since}")
        return history.at(at_ns)


def _venue_symbol(history: InstrumentHistory, symbol: str) -> str:
    """Return what the exchange calls an instrument that was listed at any time; else the name as it is."""
    found = find_instrument({it.symbol: it.info for it in history.changes}, symbol)
    return symbol if found is None else found.symbol


def find_instrument(listed: dict[str, SymbolInfo], symbol: str) -> SymbolInfo | None:
    """Return the instrument that a name means: venue symbol, normalized name or directory, in this order."""
    if symbol in listed:
        return listed[symbol]
    by_name = (info for info in listed.values() if info.normalized == symbol)
    by_directory = (
        info
        for info in listed.values()
        if symbol in (symbol_directory(info.symbol), symbol_directory(info.symbol, distinct=True))
    )
    return next(by_name, None) or next(by_directory, None)
