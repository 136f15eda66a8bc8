"""When data of each symbol last came on one connection; noted a hand-over at a time."""

from __future__ import annotations

from math import inf
from typing import Final

import numpy as np
import numpy.typing as npt

from multilogger.records import Flag
from multilogger.tables import TABLES, Array, Table

_FIRST_SIZE: Final = 64
_MOST_PENDING: Final = 64
"""Hand-overs that are noted together: about a second's worth. Each NumPy call costs as much as many rows."""
_MOST_PENDING_ROWS: Final = 4096


class Arrivals:
    """The last live row of every symbol and table on one connection.

    What an exchange repeats at subscribe does not count: a stream that is dead after it looks alive by it.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[dict[int, Array], float]] = []
        self._pending_rows = 0
        self._at: list[npt.NDArray[np.float64]] = [np.full(_FIRST_SIZE, -inf) for _ in TABLES]
        self._event_ns: list[npt.NDArray[np.int64]] = [np.zeros(_FIRST_SIZE, np.int64) for _ in TABLES]

    def note(self, rows: dict[int, Array], now: float) -> None:
        """Note what came.

        Args:
            rows: structured arrays by table number.
            now: Trio's time.
        """
        self._pending.append((rows, now))
        self._pending_rows += sum(map(len, rows.values()))
        if len(self._pending) >= _MOST_PENDING or self._pending_rows >= _MOST_PENDING_ROWS:
            self._fold()

    def _fold(self) -> None:
        pending, self._pending, self._pending_rows = self._pending, [], 0
        for table in TABLES:
            came = [(rows[table.number], now) for rows, now in pending if table.number in rows]
            if came:
                self._fold_table(table.number, [rows for rows, _ in came], [now for _, now in came])

    def _fold_table(self, table: int, came: list[Array], times: list[float]) -> None:
        symbols = np.concatenate([rows["symbol"] for rows in came])
        event_ns = np.concatenate([rows["time_ns"] for rows in came])
        at = np.repeat(times, [len(rows) for rows in came])
        live = np.concatenate([rows["flags"] for rows in came]) & Flag.REPLAYED == 0
        if not live.all():
            symbols, event_ns, at = symbols[live], event_ns[live], at[live]
        if len(symbols):
            self._grow(table, int(symbols.max()))
            # Of repeated indices NumPy's assignment keeps the last.
            self._at[table][symbols] = at
            np.maximum.at(self._event_ns[table], symbols, event_ns)

    def last(self, number: int, table: Table) -> float:
        """Return the Trio time at which a symbol's last row came, minus infinity if none has."""
        self._fold()
        at = self._at[table.number]
        return float(at[number]) if number < len(at) else -inf

    def last_of_any(self, number: int) -> float:
        """Return the same over all tables."""
        return max(self.last(number, table) for table in TABLES)

    def event_ns(self, number: int, table: Table) -> int:
        """Return the event time of a symbol's newest row, nanoseconds since the epoch, 0 if none has come."""
        self._fold()
        times = self._event_ns[table.number]
        return int(times[number]) if number < len(times) else 0

    def _grow(self, table: int, number: int) -> None:
        short = number + 1 - len(self._at[table])
        if short > 0:
            more = max(short, len(self._at[table]))
            self._at[table] = np.concatenate([self._at[table], np.full(more, -inf)])
            self._event_ns[table] = np.concatenate([self._event_ns[table], np.zeros(more, np.int64)])
