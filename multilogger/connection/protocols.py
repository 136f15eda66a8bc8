"""What the connections of an exchange need of the checks and the ledger, which know nothing of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from multilogger.exchanges.base import Frames
from multilogger.notes import Note
from multilogger.tables import Array, Table


class Quality(Protocol):
    """The quality checks of an exchange; see :mod:`multilogger.quality.filter`."""

    @property
    def found_holes(self) -> bool:
        """Whether the last :meth:`apply` found that trades are missing."""
        ...

    @property
    def open_symbols(self) -> frozenset[str]:
        """The symbols whose rows are set aside: their frames are to be kept."""
        ...

    def apply(self, rows: dict[int, Array]) -> dict[int, Array]:
        """Return the rows to record, by table number."""
        ...

    def take_notes(self) -> tuple[Note, ...]:
        """Return what the rows checked so far make true; it goes with their batch."""
        ...

    def overlap(self, symbols: Iterable[str], on: bool) -> None:
        """Take note that two connections carry these symbols, or no longer do.

        While they do, MD rows that come twice are recorded once.
        """
        ...

    def began(self, numbers: Array) -> None:
        """Take note that symbols are carried from now on: their silence begins to count."""
        ...

    def silent(self, numbers: Array, table: Table) -> Array:
        """Return those of ``numbers`` whose table has been silent for much longer than is usual for it."""
        ...

    def lagging(self, numbers: Array, table: Table, *, ahead: Array) -> Array:
        """Return those of ``numbers`` whose table brings nothing, although something else shows it should.

        Args:
            numbers: of carried symbols.
            table: the one that may lag.
            ahead: those of which the exchange has named a newer trade than the last one that came.
        """
        ...

    def excused(self, numbers: Array, table: Table) -> None:
        """Take note that a silence was true: the exchange has nothing newer."""
        ...

    def rates(self, numbers: Array) -> Array:
        """Return the rows a second of each symbol of late, over all tables."""
        ...

    def last_trade_id(self, number: int) -> int | None:
        """Return the newest trade id of a symbol that was recorded, None where there is none."""
        ...

    def knows_trades(self, number: int, trade_ids: Sequence[int]) -> list[bool]:
        """Return which trades of a symbol are known to have come, where ids have no order; else none are."""
        ...


class Coverage(Protocol):
    """Takes note of which symbols are being recorded; see :mod:`multilogger.quality.coverage`."""

    def carried(self, symbols: Iterable[str]) -> None:
        """Take note that a connection now streams these symbols, in all tables."""
        ...

    def lost(self, symbols: Iterable[str], heard_ns: int, cause: str, table: Table | None = None) -> None:
        """Take note that no connection streams these symbols any more.

        Args:
            symbols: in the exchange's spelling.
            heard_ns: when data was last received that may have been of them, by the feed's ``calendar``.
            cause: a few words, such as ``connection lost``.
            table: if it concerns one table alone.
        """
        ...

    def released(self, symbols: Iterable[str]) -> None:
        """Take note that nobody wants these symbols recorded any more: what is not there is no gap then."""
        ...

    def not_listed(self, symbols: Iterable[str]) -> None:
        """Take note that the exchange no longer lists these symbols, which are not wanted any more."""
        ...

    def halted(self, symbols: Iterable[str]) -> None:
        """Take note that the exchange lists these symbols, and does not trade them."""
        ...

    def listed_again(self, symbols: Iterable[str]) -> None:
        """Take note that the exchange lists and trades these symbols; most always were."""
        ...

    def heard_of(self, symbol: str, newest_id: int) -> None:
        """Take note of the newest trade id that the exchange has named for a symbol."""
        ...


class Aside(Protocol):
    """Keeps frames of symbols whose rows are set aside; see :mod:`multilogger.connection.aside`."""

    def offer(self, frames: Frames, conn: str | None, symbols: frozenset[str]) -> None:
        """Keep those of a chunk's frames that name one of some symbols; returns at once.

        Args:
            frames: of a chunk.
            conn: the connection's address.
            symbols: in the exchange's spelling.
        """
        ...
