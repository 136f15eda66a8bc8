"""Checks and a ledger that note what they are told, and say what the test tells them to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import numpy as np

from multilogger.notes import Note
from multilogger.tables import TRADES, Array, Table


@attrs.define
class FakeQuality:
    """Keeps every row, or every trade once."""

    told: list[tuple[str, object]] = attrs.field(factory=list)
    """Overlaps and beginnings, in order."""
    open_symbols: frozenset[str] = frozenset()
    found_holes: bool = False
    notes: list[Note] = attrs.field(factory=list)
    """To be taken next."""
    quiet: dict[str, set[int]] = attrs.field(factory=dict)
    """By table name: the symbols that are silent."""
    late: dict[str, set[int]] = attrs.field(factory=dict)
    """By table name: the symbols that lag."""
    by_ids: bool = False
    """Whether a symbol of which a newer trade is named lags."""
    of_late: dict[int, float] = attrs.field(factory=dict)
    """Rows a second by symbol number."""
    last_ids: dict[int, int] = attrs.field(factory=dict)
    known: set[tuple[int, int]] = attrs.field(factory=set)
    """Numbers of symbols and ids of trades that are known to have come, without an order."""
    once: bool = False
    """Whether trades that come twice are dropped."""
    doubles: int = 0
    """How many were."""
    _seen: set[tuple[int, int]] = attrs.field(factory=set)

    def apply(self, rows: dict[int, Array]) -> dict[int, Array]:
        """Keep them."""
        if TRADES.number not in rows:
            return rows
        trades = rows[TRADES.number]
        self.last_ids.update(zip(trades["symbol"].tolist(), trades["trade_id"].tolist(), strict=True))
        if self.once:
            trades = trades[[self._is_new(key) for key in trades[["symbol", "trade_id"]].tolist()]]
        return {**rows, TRADES.number: trades}

    def _is_new(self, key: tuple[int, int]) -> bool:
        new = key not in self._seen
        self._seen.add(key)
        self.doubles += not new
        return new

    def take_notes(self) -> tuple[Note, ...]:
        """Return the notes that the test put there."""
        taken = tuple(self.notes)
        self.notes.clear()
        return taken

    def overlap(self, symbols: Iterable[str], on: bool) -> None:
        """Note it."""
        self.told.append(("overlap" if on else "single", tuple(symbols)))

    def began(self, numbers: Array) -> None:
        """Note it."""
        self.told.append(("began", tuple(numbers.tolist())))

    def silent(self, numbers: Array, table: Table) -> Array:
        """Return those the test says."""
        return _chosen(numbers, self.quiet.get(table.name, set()))

    def lagging(self, numbers: Array, table: Table, *, ahead: Array) -> Array:
        """Return those the test says."""
        named = set(ahead.tolist()) if self.by_ids and table is TRADES else set()
        return _chosen(numbers, self.late.get(table.name, set()) | named)

    def excused(self, numbers: Array, table: Table) -> None:
        """Note it; they are silent no more."""
        self.told.append((f"excused {table.name}", tuple(numbers.tolist())))
        self.quiet.get(table.name, set()).difference_update(numbers.tolist())

    def rates(self, numbers: Array) -> Array:
        """Return what the test says."""
        return np.array([self.of_late.get(number, 0.0) for number in numbers.tolist()])

    def last_trade_id(self, number: int) -> int | None:
        """Return the last one."""
        return self.last_ids.get(number)

    def knows_trades(self, number: int, trade_ids: Sequence[int]) -> list[bool]:
        """Return what the test says."""
        return [(number, trade_id) in self.known for trade_id in trade_ids]


def _chosen(numbers: Array, chosen: set[int]) -> Array:
    return np.array([number for number in numbers.tolist() if number in chosen], np.intp)


@attrs.define
class FakeCoverage:
    """A ledger that only notes what it is told."""

    told: list[tuple[str, ...]] = attrs.field(factory=list)
    """``carried`` or ``lost`` with cause, then the symbols; in order."""
    heard_ns: list[int] = attrs.field(factory=list)
    """Of each ``lost``."""
    newest: list[tuple[str, int]] = attrs.field(factory=list)

    def carried(self, symbols: Iterable[str]) -> None:
        """Note it."""
        self.told.append(("carried", *symbols))

    def lost(self, symbols: Iterable[str], heard_ns: int, cause: str, table: Table | None = None) -> None:
        """Note it."""
        self.heard_ns.append(heard_ns)
        which = "" if table is None else f" {table.name}"
        self.told.append((f"lost{which}: {cause}", *symbols))

    def released(self, symbols: Iterable[str]) -> None:
        """Note it."""
        self._note("released", symbols)

    def not_listed(self, symbols: Iterable[str]) -> None:
        """Note it."""
        self._note("not listed", symbols)

    def halted(self, symbols: Iterable[str]) -> None:
        """Note it."""
        self._note("halted", symbols)

    def listed_again(self, symbols: Iterable[str]) -> None:
        """Note it."""
        self._note("listed again", symbols)

    def _note(self, what: str, symbols: Iterable[str]) -> None:
        named = tuple(symbols)
        if named:
            self.told.append((what, *named))

    def heard_of(self, symbol: str, newest_id: int) -> None:
        """Note it."""
        self.newest.append((symbol, newest_id))
