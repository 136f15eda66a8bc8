"""The quality checks of one exchange, in the order in which every hand-over passes them."""

from __future__ import annotations

from collections.abc import Mapping

from multilogger.batch import SymbolTable
from multilogger.quality.replays import TickerReplays
from multilogger.quality.sequence import TradeSequence
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES, Array


class QualityFilter:
    """What all connections of one exchange share: a row passes here before it counts as accepted once.

    Args:
        symbols: numbers the rows' symbols.
        stats: where duplicates and gaps are counted.
        last_trade_ids: last trade id on disk by venue symbol.
        last_md: last MD row on disk by venue symbol, structured arrays of ``MD.row``.
    """

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        *,
        last_trade_ids: Mapping[str, int],
        last_md: Mapping[str, Array],
    ) -> None:
        self._trades = TradeSequence(symbols, stats, last_trade_ids)
        self._tickers = TickerReplays(symbols, stats, last_md)

    def apply(self, rows: dict[int, Array]) -> dict[int, Array]:
        """Return the rows to record, by table number; tables left without rows are left out."""
        checked = dict(rows)
        if TRADES.number in rows:
            checked[TRADES.number] = self._trades.fresh(rows[TRADES.number])
        if MD.number in rows:
            checked[MD.number] = self._tickers.fresh(rows[MD.number])
        return {number: table for number, table in checked.items() if len(table)}
