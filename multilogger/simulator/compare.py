"""The comparison of what a simulated exchange sent with what a recorder has on disk, row by row.

Trades are matched by id, tickers by all their values as a multiset, for a ticker has no id on disk. A trade
that was merged from several fills may be on disk as these, see :mod:`.merged`. Floats
are compared bit for bit: the exact columns with the float nearest to the text sent, the 32-bit ones with that
rounded once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from multilogger.simulator.columns import COMPATIBLE, Stored, directory, late_directory, read_table, times
from multilogger.simulator.composed import are_open, invented, without_trade
from multilogger.simulator.ledger import FILLS, ROWS, UNSENT, Ledger, read_ledgers
from multilogger.simulator.merged import as_recorded, stored_counts, with_asked

Array = npt.NDArray[Any]

_SAMPLES: Final = 5
"""Examples kept of each kind of difference."""
_BACKFILLED: Final = 1
"""The bit of ``flags`` of a trade that was asked for afterwards."""
_NO_ORDER: Final = b""
"""Sixteen zero bytes, as NumPy reads them."""
_MD_VALUES: Final = ("price", "volume", "best_bid", "best_ask")


@attrs.define
class TableComparison:
    """One table of one exchange, all symbols together; what a line calls wrong should be 0."""

    table: str
    sent: int = 0
    """A merged trade that is on disk as its fills counts as these. A trade that nobody was sent counts if it
    is on disk: it was asked for."""
    sent_late: int = 0
    """Rows with an earlier time than one that had been sent before for the symbol."""
    on_disk: int = 0
    """In live and late files."""
    late: int = 0
    """Of these, rows that wait in late files."""
    sealed: set[date] = attrs.field(factory=set)
    """Days that are sealed for any symbol."""
    unsealed: set[date] = attrs.field(factory=set)
    """Days with live files that are not sealed, of any symbol."""
    seals: int = 0
    """Sealed days, each symbol's counted."""
    unclean: int = 0
    """Of these, days that are not in order of time, or have a trade twice: wrong."""
    missing: int = 0
    """Sent, but not on disk: wrong."""
    extra: int = 0
    """On disk, but never sent: wrong."""
    duplicates: int = 0
    """On disk more often than sent: wrong."""
    skew: int = 0
    """Rows whose columns don't belong together, by length, value or day: wrong."""
    time_decreasing: int = 0
    """Rows of live files with an earlier time than the row above them: wrong."""
    missing_times: dict[str, Array] = attrs.field(factory=dict)
    """When what is missing happened, or was sent, by symbol: nanoseconds since the epoch."""
    samples: list[str] = attrs.field(factory=list)
    """Some of the differences, in words."""

    def ok(self, *, missing_ok: bool = False) -> bool:
        """Whether disk and ledger agree; with ``missing_ok``, whether all on disk was sent."""
        wrong = self.extra + self.duplicates + self.skew + self.time_decreasing + self.unclean
        return not wrong and (missing_ok or not self.missing)

    def note(self, what: str, examples: Sequence[Any] | Array) -> None:
        """Keep some examples of a difference."""
        self.samples += [f"{what}: {example}" for example in examples[:_SAMPLES]]


@attrs.frozen
class Comparison:
    """One exchange."""

    exchange: str
    tables: dict[str, TableComparison]
    """By name."""
    missing_ok: bool

    @property
    def ok(self) -> bool:
        """Whether all is well; rows sent and not on disk are forgiven with ``missing_ok`` only."""
        return all(table.ok(missing_ok=self.missing_ok) for table in self.tables.values())


def compare(
    sent: Ledger | Path | Sequence[Path], data_path: Path, exchange: str, *, missing_ok: bool = False
) -> Comparison:
    """Compare a ledger with the files of a data directory.

    Args:
        sent: the ledger, or the directory of ledgers of one run or several, or several directories.
        data_path: the recorder's data directory.
        exchange: name of the exchange, in ledger and data directory.
        missing_ok: rows on disk must have been sent, but not all that was sent must be on disk: after a kill.
    """
    tables = {}
    for table in ROWS:
        rows = _sent(sent, exchange, table)
        trades = table == "TRADES"
        others = _sent(sent, exchange, FILLS if trades else "TRADES")
        unsent = _sent(sent, exchange, UNSENT) if trades else rows[:0]
        tables[table] = _compare_table(table, rows, others, unsent, data_path, exchange)
    return Comparison(exchange, tables, missing_ok)


def _sent(sent: Ledger | Path | Sequence[Path], exchange: str, table: str) -> Array:
    if isinstance(sent, Ledger):
        return sent.rows(table)
    return read_ledgers([sent] if isinstance(sent, Path) else sent, exchange, table)


def _compare_table(
    table: str, rows: Array, others: Array, unsent: Array, data_path: Path, exchange: str
) -> TableComparison:
    """Compare a table; ``others`` are the fills of merged trades, and for tickers the trades."""
    result = TableComparison(table)
    by_symbol = _by_symbol(rows)
    beside, asked = _by_symbol(others), _by_symbol(unsent)
    roots = (data_path / exchange, late_directory(data_path) / exchange)
    recorded = {path.parent.name for root in roots for path in root.glob(f"*/{table}")}
    known = {directory(data_path, exchange, symbol, table).parent.name for symbol in by_symbol}
    for symbol in [*by_symbol, *sorted(recorded - known)]:
        sent = by_symbol.get(symbol, rows[:0])
        folder, late = (directory(path, exchange, symbol, table) for path in (data_path, roots[1].parent))
        stored = read_table(folder, late, table)
        _count(result, symbol, sent, stored)
        own = beside.get(symbol, others[:0])
        if table == "MD":
            result.sent += len(sent)
            _compare_md(result, symbol, sent, stored, own)
        else:
            told = with_asked(sent, asked.get(symbol, unsent[:0]), own, stored)
            trades, counts = as_recorded(told, own, stored)
            result.sent += len(trades)
            _compare_trades(result, symbol, trades, counts, stored)
    return result


def _count(result: TableComparison, symbol: str, sent: Array, stored: Stored) -> None:
    when = np.abs(sent["time_ns"])
    result.sent_late += int(np.count_nonzero(when < np.maximum.accumulate(when)))
    result.on_disk += len(stored)
    result.late += stored.late
    result.skew += stored.skew
    result.time_decreasing += stored.time_decreasing
    result.sealed |= stored.sealed
    result.unsealed |= stored.unsealed
    result.seals += len(stored.sealed)
    result.unclean += len(stored.unclean)
    result.note(symbol, [f"{count} rows: {what}" for what, count in stored.faults.items()])
    result.note(f"{symbol} sealed day in disorder or with duplicates", sorted(stored.unclean))


def _by_symbol(rows: Array) -> dict[str, Array]:
    # A dictionary of some names is many times faster than sorting a million strings.
    numbers: dict[bytes, int] = {}
    number = np.array([numbers.setdefault(name, len(numbers)) for name in rows["symbol"].tolist()], np.int64)
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(len(numbers) + 1))
    return {name.decode(): rows[order[bounds[i] : bounds[i + 1]]] for name, i in numbers.items()}


def _compare_trades(result: TableComparison, symbol: str, sent: Array, counts: Array, stored: Stored) -> None:
    ids, first = np.unique(stored.columns["trade_id"], return_index=True)
    wanted, sent_first = np.unique(sent["trade_id"], return_index=True)
    common, at_disk, at_sent = np.intersect1d(ids, wanted, assume_unique=True, return_indices=True)
    missing = np.setdiff1d(wanted, common, assume_unique=True)
    extra = np.setdiff1d(ids, common, assume_unique=True)
    result.missing += len(missing)
    result.extra += len(extra)
    result.duplicates += len(stored) - len(ids)
    if len(missing):
        result.missing_times[symbol] = sent["time_ns"][np.isin(sent["trade_id"], missing)]
    result.note(f"{symbol} missing trade", missing)
    result.note(f"{symbol} extra trade", extra)
    rows = sent_first[at_sent]
    _check_values(result, symbol, sent[rows], counts[rows], stored, first[at_disk])


def _check_values(
    result: TableComparison, symbol: str, sent: Array, counts: Array, stored: Stored, at: Array
) -> None:
    """Compare every column of matched trades; a row with any difference counts once."""
    columns = stored.columns
    wrong = times(stored, "TRADES")[at] != sent["time_ns"]
    wrong |= _bits(columns["trade_price"][at]) != _bits(sent["price"].astype("<f4"))
    wrong |= _bits(columns["trade_size"][at]) != _bits(sent["size"].astype("<f4"))
    wrong |= columns["trade_side"][at] != sent["side"]
    if (on_disk := stored_counts(stored)) is not None:
        wrong |= on_disk[at] != counts
    # The history of trades tells no orders: what was got from there has none.
    backfilled = (columns["flags"][at] & _BACKFILLED != 0) if "flags" in columns else np.zeros(len(at), bool)
    for name in ("maker_order_id", "taker_order_id"):
        orders = _words(columns[name][at])
        wrong |= np.where(backfilled, orders != _NO_ORDER, orders != _words(sent[name]))
    for name, field in (("price_f64", "price"), ("size_f64", "size")):
        if name in columns:
            wrong |= _bits(columns[name][at]) != _bits(sent[field])
    result.skew += int(np.count_nonzero(wrong))
    result.note(f"{symbol} other values in trade", sent["trade_id"][wrong])


def _compare_md(result: TableComparison, symbol: str, sent: Array, stored: Stored, trades: Array) -> None:
    exact = "price_f64" in stored.columns
    suffix = "_f64" if exact else ""
    # A feed without a time is stored with its receive time, which the ledger can't know.
    timed = not np.any(sent["time_ns"] < 0)
    in_ledger = {name: sent[name] for name in _MD_VALUES}, sent["side"]
    values = {name: stored.columns[name + suffix] for name in _MD_VALUES}
    on_disk = values, stored.columns["side"]
    if are_open(sent):
        odd = invented(*on_disk, trades)
        result.skew += len(odd)
        result.note(f"{symbol} ticker of no trade in row", odd)
        in_ledger, on_disk = without_trade(*in_ledger), without_trade(*on_disk)
    keys_sent = _md_keys(*in_ledger, sent["time_ns"], exact, timed)
    keys_disk = _md_keys(*on_disk, times(stored, "MD"), exact, timed)
    _count_multisets(result, symbol, keys_sent, keys_disk, np.abs(sent["time_ns"]))
    if exact:
        wrong = np.zeros(len(stored), bool)
        for name in _MD_VALUES:
            wrong |= _bits(stored.columns[name]) != _bits(values[name].astype("<f4"))
        result.skew += int(np.count_nonzero(wrong))
        result.note(f"{symbol} 32-bit values differ in row", np.flatnonzero(wrong))


def _md_keys(values: dict[str, Array], side: Array, time_ns: Array, exact: bool, timed: bool) -> Array:
    """Return a matrix of integers, a column per ticker; equal columns are equal tickers."""
    floats = [
        _bits(values[name].astype("<f8" if exact else COMPATIBLE["MD"]["price"])) for name in _MD_VALUES
    ]
    time = time_ns if timed else np.zeros(len(time_ns), np.int64)
    return np.stack([time.astype(np.int64), *(f.astype(np.int64) for f in floats), side.astype(np.int64)])


def _count_multisets(result: TableComparison, symbol: str, sent: Array, disk: Array, sent_ns: Array) -> None:
    both = np.concatenate([sent, disk], axis=1)
    if not both.shape[1]:
        return
    order = np.lexsort(both[::-1])
    ordered = both[:, order]
    new = np.concatenate([[True], np.any(ordered[:, 1:] != ordered[:, :-1], axis=0)])
    group = np.cumsum(new) - 1
    from_disk = order >= sent.shape[1]
    on_disk = np.bincount(group, weights=from_disk).astype(np.int64)
    in_ledger = np.bincount(group).astype(np.int64) - on_disk
    extra = (in_ledger == 0) & (on_disk > 0)
    missing = np.maximum(in_ledger - on_disk, 0)
    result.extra += int(np.count_nonzero(extra))
    result.missing += int(missing.sum())
    result.duplicates += int(np.maximum(on_disk - np.maximum(in_ledger, 1), 0).sum())
    heads = ordered[0, new]
    if np.any(missing):
        # Of equal tickers, sent more often than they are on disk, the last are taken to be missing.
        of_sent = order[~from_disk]
        lacking = [
            of_sent[group[~from_disk] == number][-missing[number] :] for number in np.flatnonzero(missing)
        ]
        result.missing_times[symbol] = np.sort(sent_ns[np.concatenate(lacking)])

    result.note(f"{symbol} missing ticker of time", heads[missing > 0])
    result.note(f"{symbol} extra ticker of time", heads[extra])


def _bits(values: Array) -> Array:
    """Return floats as integers of the same bits: so NaN equals NaN, and 0.0 differs from -0.0."""
    bits: Array = np.ascontiguousarray(values).view(f"<i{values.dtype.itemsize}")
    return bits


def _words(orders: Array) -> Array:
    """Return order ids as something NumPy compares fast."""
    words: Array = np.ascontiguousarray(orders).view("S16") if orders.dtype.kind == "V" else orders
    return words
