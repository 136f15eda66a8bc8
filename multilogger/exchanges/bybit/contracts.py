"""Bybit linear (settled in USDT or USDC) and Bybit inverse (settled in the base): perpetuals and futures."""

from __future__ import annotations

from typing import ClassVar, Final

import attrs

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig, whole
from multilogger.exchanges.base import Limits, TradeHistory
from multilogger.exchanges.bybit.adapter import TICKERS_TOPIC
from multilogger.exchanges.bybit.contracts_adapter import ContractsAdapter
from multilogger.exchanges.bybit.exchange import BybitConfig, BybitExchange, Listed, positive, topic_of
from multilogger.exchanges.bybit.known import merged
from multilogger.exchanges.bybit.names import inverse_name, inverse_symbol, linear_name, linear_symbol
from multilogger.exchanges.bybit.spot import CONNECTS, PING_SECS, REST
from multilogger.exchanges.bybit.tickers import ticker_of, time_of
from multilogger.exchanges.bybit.trades import MILLISECOND
from multilogger.exchanges.fields import decode_object
from multilogger.records import ExchangeId, MarketData
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import AssetClass, SymbolInfo
from multilogger.symbols.naming import contract_name
from multilogger.symbols.quotes import quote_type

MOST_SYMBOLS: Final = 250
"""A connection's topics may have 21,000 characters: that is enough for symbols of 29 letters."""
_KINDS: Final = {
    "LinearPerpetual": AssetClass.PERPETUAL,
    "LinearFutures": AssetClass.FUTURES,
    "InversePerpetual": AssetClass.PERPETUAL,
    "InverseFutures": AssetClass.FUTURES,
}
_INVERSE: Final = frozenset({"InversePerpetual", "InverseFutures"})
_CONTRACT_USD: Final = 1.0
"""What an inverse contract stands for, in its quote currency."""


@attrs.frozen(kw_only=True)
class BybitContractsConfig(BybitConfig):
    """``[exchanges.bybit_linear]`` and ``[exchanges.bybit_inverse]``."""

    symbols_per_connection: int = attrs.field(default=100, validator=whole(1, MOST_SYMBOLS))


class _Contracts(BybitExchange):
    """What linear and inverse have in common."""

    config_type: ClassVar[type[ExchangeConfig]] = BybitContractsConfig
    by_default: ClassVar[bool] = False
    statuses: ClassVar[tuple[str, ...]] = ("", "PreLaunch")
    limits: ClassVar[Limits] = Limits(
        connects=CONNECTS, rest=REST, symbols_per_connection=MOST_SYMBOLS, ping_secs=PING_SECS
    )
    history: TradeHistory | None = TradeHistory(by_id=False, page=1000)

    def instrument(self, listed: Listed) -> SymbolInfo:
        """Return a contract."""
        kind = _KINDS.get(listed.contract_type)
        if kind is None:
            raise ValueError(f"contract of type {listed.contract_type!r}")
        base, quote, settle = listed.base_coin, listed.quote_coin, listed.settle_coin
        # A perpetual's delivery time is when it is delisted.
        expires = kind is AssetClass.FUTURES and listed.delivery_time > 0
        expiry_ns = listed.delivery_time * MILLISECOND if expires else None
        inverse = listed.contract_type in _INVERSE
        phase = "" if listed.pre_listing_info is None else listed.pre_listing_info.cur_auction_phase
        return SymbolInfo(
            exchange=self.id,
            symbol=listed.symbol,
            normalized=contract_name(base, quote, kind, settle=settle, expiry_ns=expiry_ns),
            base=base,
            quote=quote,
            quote_type=quote_type(quote),
            asset_class=kind,
            # Of contracts before their launch there are trades and quotes in the last phase.
            active=listed.status == "Trading" or phase == "ContinuousTrading",
            status=listed.status,
            min_size=positive(listed.lot_size_filter.min_order_qty),
            tick_size=positive(listed.price_filter.tick_size),
            settle=settle,
            contract_size=_CONTRACT_USD if inverse else None,
            contract_unit=quote if inverse else "",
            expiry_ns=expiry_ns,
        )

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> ContractsAdapter:
        """Return the parser and subscriber for one new connection."""
        return ContractsAdapter(symbols, stats, self._markets, daily_volume=self.daily_volume)

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:
        """Return the ticker in a ``tickers`` frame.

        It does not tell the last trade's size and side, a delta not what is unchanged: they are what
        connections of this exchange have received, or None. A ticker whose quotes are not known is none.
        """
        message = decode_object(raw)
        kind, symbol = topic_of(message)
        if kind != TICKERS_TOPIC:
            return []
        ticker = ticker_of(message)
        _, known = self.known_of(symbol)
        if ticker.type == "delta" and not known.begun:
            return []
        quotes = merged(known.quotes, ticker, daily=self.daily_volume)
        named = {"bid1Price", "ask1Price"} | ({"lastPrice", "volume24h"} if self.daily_volume else set())
        return self.record(message, symbol, time_of(ticker.ts), recv_ns, quotes, frozenset(named))


class BybitLinear(_Contracts):
    """Contracts settled in USDT or USDC, https://bybit-exchange.github.io/docs/v5/intro."""

    id: ClassVar[ExchangeId] = ExchangeId.BYBIT_LINEAR
    name: ClassVar[str] = "Bybit linear"
    category: ClassVar[str] = "linear"

    def presumed_name(self, symbol: str) -> str:
        """Return ``BTC-USDT-PERP`` for ``BTCUSDT``, ``BTC-USDC-20261226`` for ``BTC-26DEC26``."""
        return linear_name(symbol)

    def presumed_symbol(self, normalized: str) -> str:
        """Return ``BTCUSDT`` for ``BTC-USDT-PERP``, ``BTC-26DEC26`` for ``BTC-USDC-20261226``."""
        return linear_symbol(normalized)


class BybitInverse(_Contracts):
    """Contracts of 1 USD settled in the base, https://bybit-exchange.github.io/docs/v5/intro."""

    id: ClassVar[ExchangeId] = ExchangeId.BYBIT_INVERSE
    name: ClassVar[str] = "Bybit inverse"
    category: ClassVar[str] = "inverse"

    def presumed_name(self, symbol: str) -> str:
        """Return ``BTC-USD-PERP`` for ``BTCUSD``, ``BTC-USD-20261225`` for ``BTCUSDZ26``."""
        return inverse_name(symbol)

    def presumed_symbol(self, normalized: str) -> str:
        """Return ``BTCUSD`` for ``BTC-USD-PERP``, ``BTCUSDZ26`` for ``BTC-USD-20261225``."""
        return inverse_symbol(normalized)
