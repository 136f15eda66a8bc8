"""The ledger: what a simulated exchange sent, written down before it is sent.

Rows have the unified meaning of the recorder's tables, so that a comparison needs no knowledge of any wire
protocol. With a directory, rows go to ``{exchange}.{table}.ledger`` there, unbuffered, one write a table and
market step, and memory stays flat; a later run appends. Without one they stay in memory, packed.

Trades that happened and were not sent are in a table of their own, ``UNSENT``: a recorder that asks for past
trades may have them, and one that does not ask can't.

An exchange that merges fills into one trade may give them one by one when it is asked for past trades. What
each of its merged trades consists of is in the table ``FILLS``. Both are only there if they have rows.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[Any]

SYMBOL_BYTES: Final = 32
"""Room for a venue symbol in UTF-8; longer ones are refused."""

TRADES_ROW: Final = np.dtype(
    [
        ("symbol", f"S{SYMBOL_BYTES}"),
        ("time_ns", "<i8"),
        ("trade_id", "<u8"),
        ("price", "<f8"),
        ("size", "<f8"),
        ("maker_order_id", "V16"),
        ("taker_order_id", "V16"),
        ("side", "<u8"),
    ]
)
"""Aggressor's side: buy 1, sell 0. Prices and sizes are the floats nearest to the text sent."""
MD_ROW: Final = np.dtype(
    [
        ("symbol", f"S{SYMBOL_BYTES}"),
        ("time_ns", "<i8"),
        ("sequence", "<u8"),
        ("price", "<f8"),
        ("volume", "<f8"),
        ("best_bid", "<f8"),
        ("best_ask", "<f8"),
        ("side", "<u8"),
    ]
)
"""``sequence`` identifies the ticker within its symbol and run."""
ROWS: Final = {"TRADES": TRADES_ROW, "MD": MD_ROW}
"""Tables that a recorder has, too."""
FILLS: Final = "FILLS"
FILLS_ROW: Final = np.dtype(
    [*((name, TRADES_ROW[name]) for name in TRADES_ROW.names or ()), ("merged_id", "<u8")]
)
"""A fill as a trade of its own, and the id of the trade that it is part of."""
UNSENT: Final = "UNSENT"
NO_ORDER: Final = bytes(16)
"""Of trades whose orders the exchange does not tell."""
_DTYPES: Final = {FILLS: FILLS_ROW, UNSENT: TRADES_ROW, **ROWS}
"""Fills are written before the trade that they make up."""
_TRADE: Final = f"<{SYMBOL_BYTES}sqQdd16s16sQ"
_pack_trade: Final = struct.Struct(_TRADE).pack
_pack_fill: Final = struct.Struct(f"{_TRADE}Q").pack
_pack_md: Final = struct.Struct(f"<{SYMBOL_BYTES}sqQddddQ").pack


@attrs.frozen(kw_only=True)
class TradeEntry:
    """A trade as it is entered; see ``TRADES_ROW``."""

    symbol: str
    time_ns: int
    trade_id: int
    price: str
    size: str
    maker: bytes
    taker: bytes
    bought: bool
    fills: tuple[TradeEntry, ...] = ()
    """What it was merged from, the one of its own id last; nothing if it is a single fill."""


@attrs.frozen(kw_only=True)
class TickerEntry:
    """A ticker as it is entered; see ``MD_ROW``."""

    symbol: str
    time_ns: int
    sequence: int
    price: str
    volume: str
    best_bid: str
    best_ask: str
    bought: bool


def untold(sent_ns: int) -> int:
    """Return the time of a ticker whose feed tells none: when it was sent, below zero.

    The recorder takes its receive time, which nobody else can know.
    """
    return -sent_ns


class Ledger:
    """All rows that one simulated exchange sent.

    Entering the same event once only is the sender's duty: it knows its events, see ``Fill.entered``.

    Args:
        exchange: its name, part of the file names.
        directory: where the files are; None keeps the rows in memory.
    """

    def __init__(self, exchange: str, directory: Path | None = None) -> None:
        self.exchange = exchange
        self.directory = directory
        self.counts = dict.fromkeys(ROWS, 0)
        """Rows of this run by table."""
        self._pending = {table: bytearray() for table in _DTYPES}
        self._kept = {table: bytearray() for table in _DTYPES}
        self._files = {} if directory is None else {t: _open(directory, exchange, t) for t in ROWS}

    def trade(self, entry: TradeEntry) -> None:
        """Enter a trade; it is written by the next :meth:`commit`."""
        self.counts["TRADES"] += 1
        self._pending["TRADES"] += _pack_trade(*_trade_fields(entry))
        for fill in entry.fills:
            self._pending[FILLS] += _pack_fill(*_trade_fields(fill), entry.trade_id)

    def unsent(self, entry: TradeEntry) -> None:
        """Enter a trade that nobody was sent; should it be sent later, it is entered as that, too."""
        self._pending[UNSENT] += _pack_trade(*_trade_fields(entry))

    def ticker(self, entry: TickerEntry) -> None:
        """Enter a ticker; it is written by the next :meth:`commit`."""
        self.counts["MD"] += 1
        self._pending["MD"] += _pack_md(
            _symbol(entry.symbol),
            entry.time_ns,
            entry.sequence,
            float(entry.price),
            float(entry.volume),
            float(entry.best_bid),
            float(entry.best_ask),
            entry.bought,
        )

    def commit(self) -> None:
        """Write what was entered; only after that may the events go out.

        A process killed afterwards leaves the rows with the operating system, so they can be looked up.
        """
        for table, pending in self._pending.items():
            if not pending:
                continue
            if self.directory is None:
                self._kept[table] += pending
            else:
                if table not in self._files:
                    self._files[table] = _open(self.directory, self.exchange, table)
                _write(self._files[table], pending)
            pending.clear()

    def rows(self, table: str) -> Rows:
        """Return all rows of a table, with earlier runs' of the same directory."""
        self.commit()
        if self.directory is not None:
            return read_ledgers([self.directory], self.exchange, table)
        return np.frombuffer(bytes(self._kept[table]), _DTYPES[table])

    def close(self) -> None:
        """Write what was entered and close the files."""
        self.commit()
        while self._files:
            os.close(self._files.popitem()[1])


def read_ledgers(directories: Iterable[Path], exchange: str, table: str) -> Rows:
    """Read an exchange's ledger files of some directories; a row torn by a kill at the end is left out.

    Returns:
        Rows of the table's dtype, in order of the directories; none where there is no file.
    """
    row = _DTYPES[table]
    parts = [np.empty(0, row)]
    for directory in directories:
        path = _path(directory, exchange, table)
        if path.exists():
            parts.append(np.fromfile(path, row, count=path.stat().st_size // row.itemsize))
    return np.concatenate(parts)


def newest_time(directories: Sequence[Path], exchanges: Iterable[str]) -> int:
    """Return the newest time in the ledger files of some directories, 0 if there is none."""
    return max(
        (
            int(rows["time_ns"].max())
            for exchange in exchanges
            for table in ROWS
            if len(rows := read_ledgers(directories, exchange, table))
        ),
        default=0,
    )


def _trade_fields(entry: TradeEntry) -> tuple[Any, ...]:
    return (
        _symbol(entry.symbol),
        entry.time_ns,
        entry.trade_id,
        float(entry.price),
        float(entry.size),
        entry.maker,
        entry.taker,
        entry.bought,
    )


def _symbol(symbol: str) -> bytes:
    encoded = symbol.encode()
    if len(encoded) > SYMBOL_BYTES:
        raise ValueError(f"symbol {symbol!r} is longer than the ledger's {SYMBOL_BYTES} bytes")
    return encoded


def _path(directory: Path, exchange: str, table: str) -> Path:
    return directory / f"{exchange}.{table}.ledger"


def _open(directory: Path, exchange: str, table: str) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    path = _path(directory, exchange, table)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    # What a kill tore off must not shift the rows that follow.
    row = _DTYPES[table]
    os.ftruncate(descriptor, os.fstat(descriptor).st_size // row.itemsize * row.itemsize)
    return descriptor


def _write(descriptor: int, data: bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    view.release()
