"""Bybit spot."""

from __future__ import annotations

from typing import ClassVar, Final

import attrs

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig, whole
from multilogger.exchanges.base import Allowance, Limits, TradeHistory
from multilogger.exchanges.bybit.adapter import BOOK_TOPIC, TICKERS_TOPIC
from multilogger.exchanges.bybit.exchange import BybitConfig, BybitExchange, Listed, positive, topic_of
from multilogger.exchanges.bybit.known import Quotes
from multilogger.exchanges.bybit.spot_adapter import SpotAdapter
from multilogger.exchanges.bybit.tickers import book_of, last_of, told_by_book, told_by_last
from multilogger.exchanges.fields import decode_object
from multilogger.records import ExchangeId, MarketData
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.naming import pair_name
from multilogger.symbols.quotes import quote_type, split_venue_symbol

MOST_SYMBOLS: Final = 200
"""A connection's topics may have 21,000 characters: that is enough for symbols of 21 letters."""

# 500 connects in 5 minutes and 600 requests in 5 seconds, of an address: the three exchanges together keep to
# 450 and to half.
CONNECTS: Final = (Allowance(150, 300.0), Allowance(2, 1.0))
REST: Final = (Allowance(100, 5.0),)
PING_SECS: Final = 20.0


@attrs.frozen(kw_only=True)
class BybitSpotConfig(BybitConfig):
    """``[exchanges.bybit]``."""

    symbols_per_connection: int = attrs.field(default=100, validator=whole(1, MOST_SYMBOLS))


class Bybit(BybitExchange):
    """Bybit spot, https://bybit-exchange.github.io/docs/v5/intro."""

    id: ClassVar[ExchangeId] = ExchangeId.BYBIT
    name: ClassVar[str] = "Bybit spot"
    config_type: ClassVar[type[ExchangeConfig]] = BybitSpotConfig
    category: ClassVar[str] = "spot"
    limits: ClassVar[Limits] = Limits(
        connects=CONNECTS, rest=REST, symbols_per_connection=MOST_SYMBOLS, ping_secs=PING_SECS
    )
    history: TradeHistory | None = TradeHistory(by_id=False, page=60)

    def instrument(self, listed: Listed) -> SymbolInfo:
        """Return a pair."""
        lot = listed.lot_size_filter
        return SymbolInfo(
            exchange=self.id,
            symbol=listed.symbol,
            normalized=pair_name(listed.base_coin, listed.quote_coin),
            base=listed.base_coin,
            quote=listed.quote_coin,
            quote_type=quote_type(listed.quote_coin),
            active=listed.status == "Trading",
            status=listed.status,
            tick_size=positive(listed.price_filter.tick_size),
            min_size=positive(lot.min_order_qty) or positive(lot.base_precision),
        )

    def presumed_name(self, symbol: str) -> str:
        """Return base and quote by the known quote assets."""
        parts = split_venue_symbol(symbol)
        return symbol if parts is None else pair_name(*parts)

    def presumed_symbol(self, normalized: str) -> str:
        """Return ``BTCUSDT`` for ``BTC-USDT``."""
        return normalized.replace("-", "")

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> SpotAdapter:
        """Return the parser and subscriber for one new connection."""
        return SpotAdapter(symbols, stats, self._markets, daily_volume=self.daily_volume)

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:
        """Return the ticker that an ``orderbook.1`` or ``tickers`` frame is with what is known besides.

        Neither tells the last trade, and ``tickers`` no quotes: they are what connections of this exchange
        have received, or None. A ticker whose quotes are not known is none.
        """
        message = decode_object(raw)
        kind, symbol = topic_of(message)
        _, known = self.known_of(symbol)
        before, daily = known.quotes, self.daily_volume
        if kind == BOOK_TOPIC:
            time_ns, bid, ask = told_by_book(book_of(message))
            quotes, named = Quotes(before.last, bid, ask, before.volume), frozenset({"b", "a"})
        elif kind == TICKERS_TOPIC:
            time_ns, last, volume = told_by_last(last_of(message), daily=daily)
            quotes = Quotes(last, before.bid, before.ask, volume)
            named = frozenset({"lastPrice", "volume24h"} if daily else ())
        else:
            return []
        return self.record(message, symbol, time_ns, recv_ns, quotes, named)
