"""Streams: the rows of one table of one symbol of one exchange, and their numbers in the journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from weakref import WeakKeyDictionary

import attrs
import msgspec
import numpy as np

from multilogger.batch import SymbolTable
from multilogger.errors import StorageDamaged
from multilogger.storage.layout import symbol_directory
from multilogger.tables import TABLES, Array, Table

LIVE: Final = 0
"""The kind of the streams whose partitions are the public column files. Numbers are never reused."""
LATE: Final = 1
"""Of those whose rows came too late for them."""
ABSURD: Final = 2
"""Of those whose rows have an event time that can't be true; their day is that of their arrival."""


class StreamEntry(msgspec.Struct, array_like=True, frozen=True):
    """A stream in a dictionary frame or a checkpoint."""

    number: int
    exchange: str
    symbol: str
    table: int
    kind: int
    directory: str


@attrs.define(eq=False)
class Stream:
    """One stream."""

    entry: StreamEntry
    last_trade_id: int | None = None
    """Highest trade id in the column files; None where there are no trades."""
    last_row: bytes = b""
    """The newest row in the column files, packed as ``table.row``; empty before the first."""
    last_row_ns: int = 0
    """Its time."""

    @property
    def table(self) -> Table:
        """Whose rows they are."""
        return TABLES[self.entry.table]


class Streams:
    """All streams by number; only ever appended to, by the committing thread (and by recovery before it)."""

    def __init__(self) -> None:
        self.all: list[Stream] = []
        self._by_key: dict[tuple[str, str, int, int], Stream] = {}
        self._directories: set[tuple[str, str, int, int]] = set()
        self._numbers: WeakKeyDictionary[SymbolTable, dict[int, Array]] = WeakKeyDictionary()

    def find(self, exchange: str, symbol: str, table: Table, kind: int = LIVE) -> Stream:
        """Return a stream, a new one at its first mention."""
        stream = self._by_key.get((exchange, symbol, table.number, kind))
        if stream is None:
            directory = self._directory(exchange, symbol, table, kind)
            stream = self._add(
                StreamEntry(len(self.all), str(exchange), str(symbol), table.number, kind, directory),
            )
        return stream

    def sibling(self, stream: Stream, kind: int) -> Stream:
        """Return the stream of another kind for the same rows, a new one at its first mention."""
        entry = stream.entry
        return self.find(entry.exchange, entry.symbol, stream.table, kind)

    def _directory(self, exchange: str, symbol: str, table: Table, kind: int) -> str:
        live = self._by_key.get((exchange, symbol, table.number, LIVE))
        if live is not None:
            return live.entry.directory
        directory = symbol_directory(symbol)
        if (exchange, directory, table.number, kind) in self._directories:
            # "A/B" and "A_B" on one exchange: the later one's name keeps them apart.
            directory = symbol_directory(symbol, distinct=True)
        return directory

    def _add(self, entry: StreamEntry) -> Stream:
        stream = Stream(entry)
        self.all.append(stream)
        self._by_key[entry.exchange, entry.symbol, entry.table, entry.kind] = stream
        self._directories.add((entry.exchange, entry.directory, entry.table, entry.kind))
        return stream

    def restore(self, entries: Iterable[StreamEntry]) -> None:
        """Take over what a checkpoint or a dictionary frame says.

        Raises:
            StorageDamaged: it contradicts what is known already.
        """
        for entry in entries:
            if entry.number == len(self.all):
                self._add(entry)
            elif entry.number > len(self.all) or self.all[entry.number].entry != entry:
                raise StorageDamaged(
                    f"journal: stream {entry.number} ({entry.symbol}) contradicts the dictionary"
                )

    def numbers(self, symbols: SymbolTable, table: Table, wanted: Array) -> Array:
        """Return the stream number of each row.

        Args:
            symbols: what ``wanted`` means.
            table: the rows' table.
            wanted: the ``symbol`` field of the rows.
        """
        lookups = self._numbers.setdefault(symbols, {})
        known = lookups.get(table.number, np.empty(0, np.int64))
        if len(known) < len(symbols):
            known = np.append(known, np.full(len(symbols) - len(known), -1))
            lookups[table.number] = known
        found: Array = known[wanted]
        if (found < 0).any():
            for number in np.unique(wanted[found < 0]):
                known[number] = self.find(symbols.exchange, symbols.names[number], table).entry.number
            found = known[wanted]
        return found


def encode_dictionary(streams: Sequence[Stream]) -> bytes:
    """Return the payload of a dictionary frame: msgpack."""
    return msgspec.msgpack.encode([stream.entry for stream in streams])


def decode_dictionary(payload: bytes) -> list[StreamEntry]:
    """Return the entries of a dictionary frame.

    Raises:
        StorageDamaged: it is none, or names an unknown table.
    """
    try:
        entries = msgspec.msgpack.decode(payload, type=list[StreamEntry])
    except msgspec.MsgspecError as error:
        raise StorageDamaged(f"journal: a dictionary frame can't be read: {error}") from error
    unknown = [entry.table for entry in entries if entry.table >= len(TABLES)]
    if unknown:
        raise StorageDamaged(f"journal: table {unknown[0]} is unknown to this version")
    return entries
