"""Binance spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, cast

import attrs
import msgspec

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig, one_of, url, whole
from multilogger.errors import FrameError, ListingError
from multilogger.exchanges.base import Allowance, Exchange, Limits, Services, TradeHistory
from multilogger.exchanges.binance.adapter import BinanceAdapter
from multilogger.exchanges.binance.endpoints import COMBINED, combined_url
from multilogger.exchanges.binance.filters import Filter, Steps
from multilogger.exchanges.binance.history import HISTORY, SOURCES, PastTrades, used_weight
from multilogger.exchanges.binance.messages import (
    SPECS,
    AggTradeData,
    BookTickerData,
    TickerData,
    TradeData,
    absurd_ticker,
    event_of,
    symbol_of,
    trade_of,
)
from multilogger.exchanges.composer import Market
from multilogger.exchanges.fields import convert, epoch_ns, sane_time, sane_value, unnamed
from multilogger.exchanges.listing import decode_listing, read_entries
from multilogger.records import ExchangeId, MarketData, Side, Trade
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.quotes import quote_type, split_venue_symbol

_TRADE_FIELDS: Final = frozenset({"e", "s", "p", "q", "T", "m"})
_TICKER_FIELDS: Final = frozenset({"e", "s", "E", "c", "b", "a"})
_BOOK_TICKER_FIELDS: Final = frozenset({"s", "b", "a"})


_LISTING_WEIGHT: Final = 20


@attrs.frozen(kw_only=True)
class BinanceConfig(ExchangeConfig):
    """``[exchanges.binance]``."""

    ws_endpoint: str = attrs.field(default="wss://stream.binance.com:9443", validator=COMBINED)
    rest_endpoint: str = attrs.field(default="https://api.binance.com", validator=url("http", "https"))
    symbols_per_connection: int = attrs.field(default=400, validator=whole(1, 512))
    """At most 512: two streams each of the 1024 that a connection may carry."""
    trades_stream: str = attrs.field(default="trade", validator=one_of("trade", "aggTrade"))
    """``trade``: every fill; ``aggTrade``: fills of one taker order at one price, with ids of their own."""
    md_stream: str = attrs.field(default="ticker", validator=one_of("ticker", "bookTicker"))
    """``ticker``: once a second, exchange time; ``bookTicker``: every quote change, receive time."""
    ticker_volume: str = attrs.field(default="last", validator=one_of("last", "24h"))
    """What MD's volume is: the size of the last trade, or that of 24 hours (by ``ticker`` only)."""


class _Listed(msgspec.Struct, rename="camel"):
    """An entry of ``symbols`` in ``GET /api/v3/exchangeInfo``."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[Filter] = []


class Binance(Exchange):
    """Binance spot, https://developers.binance.com/docs/binance-spot-api-docs."""

    id: ClassVar[ExchangeId] = ExchangeId.BINANCE
    name: ClassVar[str] = "Binance spot"
    config_type: ClassVar[type[ExchangeConfig]] = BinanceConfig
    limits: ClassVar[Limits] = Limits(
        # 5 a second are allowed, pongs included; the rest is left for these.
        messages_per_second=4.0,
        # 300 attempts per 5 minutes and IP.
        connects=(Allowance(250, 300.0), Allowance(5, 1.0)),
        # 6000 weight a minute and IP; the rest is left for others behind the same address.
        rest=(Allowance(4800, 60.0),),
        # 1024 streams, two a symbol.
        symbols_per_connection=512,
        lifetime_secs=24 * 3600.0,
        pings_when_quiet=True,
    )
    history: TradeHistory | None = HISTORY

    def __init__(self, config: ExchangeConfig, services: Services | None = None) -> None:
        super().__init__(config, services)
        self._config = cast("BinanceConfig", config)
        self._markets: dict[str, Market] = {}
        self._normalized: dict[str, str] = {}
        self.md_has_time = self._config.md_stream != "bookTicker"

    def endpoint(self, symbols: Sequence[str]) -> str:
        """Return the URL of the combined streams, unless the configured one has a path of its own."""
        return combined_url(super().endpoint(symbols), "/stream")

    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Fetch ``GET /api/v3/exchangeInfo``."""
        source = f"{self.config.rest_endpoint.rstrip('/')}/api/v3/exchangeInfo"
        body = decode_listing(await self.services.http_get(source, weight=_LISTING_WEIGHT), source)
        entries = body.get("symbols") if isinstance(body, dict) else None
        if not isinstance(entries, list):
            raise ListingError(f"{source}: no list of symbols in {str(body)[:200]}")
        listed = read_entries(entries, self._listed, source)
        self._normalized = {info.symbol: info.normalized for info in listed}
        return listed

    def _listed(self, entry: object) -> SymbolInfo:
        listed = msgspec.convert(entry, _Listed, strict=False)
        steps = Steps.of(listed.filters)
        return SymbolInfo(
            exchange=self.id,
            symbol=listed.symbol,
            normalized=f"{listed.base_asset}-{listed.quote_asset}",
            base=listed.base_asset,
            quote=listed.quote_asset,
            quote_type=quote_type(listed.quote_asset),
            active=listed.status == "TRADING",
            status=listed.status,
            tick_size=steps.tick_size,
            min_size=steps.min_size,
        )

    def rest_used(self, headers: Mapping[str, str]) -> float | None:
        """Return the weight of this minute, which the exchange counts for all behind the same address."""
        return used_weight(headers)

    async def fetch_trades(self, symbol: str, first: int, last: int, since_ns: int) -> list[Trade]:  # noqa: ARG002 - ids do
        """Fetch ``historicalTrades`` or ``aggTrades``: the highest ids, or the lowest if these are void."""
        return await self._past.span(symbol, first, last)

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Fetch ``trades``, or ``aggTrades`` without an id."""
        return await self._past.newest(symbol)

    @property
    def _past(self) -> PastTrades:
        base = f"{self.config.rest_endpoint.rstrip('/')}/api/v3"
        return PastTrades(self.id, self.services.http_get, base, SOURCES[self._config.trades_stream])

    def normalize_symbol(self, symbol: str) -> str:
        """Return the listing's base and quote; before a listing, by the known quote assets."""
        if symbol in self._normalized:
            return self._normalized[symbol]
        parts = split_venue_symbol(symbol)
        return symbol if parts is None else "-".join(parts)

    def venue_symbol(self, normalized: str) -> str:
        """Return ``BTCUSDT`` for ``BTC-USDT``."""
        return normalized.replace("-", "").upper()

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> BinanceAdapter:
        """Return the parser and subscriber for one new connection."""
        return BinanceAdapter(
            symbols,
            stats,
            self._markets,
            trades_stream=self._config.trades_stream,
            md_stream=self._config.md_stream,
            daily_volume=self._config.ticker_volume == "24h",
        )

    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:
        """Return the trade in a ``trade`` or ``aggTrade`` frame."""
        kind, message = event_of(raw)
        if kind not in ("trade", "aggTrade"):
            return []
        data = convert(message, TradeData if kind == "trade" else AggTradeData, SPECS[kind])
        rest = unnamed(message, _TRADE_FIELDS | {"t" if kind == "trade" else "a"})
        return [trade_of(data, self.id, symbol_of(message), recv_ns=recv_ns, rest=rest)]

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:
        """Return the ticker in a ``ticker`` or ``bookTicker`` frame.

        A ticker does not tell its side, a bookTicker neither side nor trade nor time: they come from the
        last trade that a connection of this exchange received, or are None, and from ``recv_ns``.
        """
        kind, message = event_of(raw)
        if kind == "24hrTicker":
            return [self._market_data(message, recv_ns)]
        if kind == "bookTicker":
            return [self._quotes(message, recv_ns)]
        return []

    def _market_data(self, message: dict[str, Any], recv_ns: int) -> MarketData:
        data = convert(message, TickerData, SPECS["ticker"])
        daily = self._config.ticker_volume == "24h"
        volume = data.v if daily else data.Q
        time_ns = epoch_ns(data.E)
        if not (sane_time(time_ns) and all(map(sane_value, (data.c, volume, data.b, data.a)))):
            raise FrameError(absurd_ticker(data.c, volume, time_ns))
        side = self._markets.get(symbol_of(message), Market()).side
        return MarketData(
            exchange=self.id,
            symbol=symbol_of(message),
            time_ns=time_ns,
            recv_ns=recv_ns,
            price=data.c,
            volume=volume,
            side=None if side is None else Side(side),
            best_bid=data.b,
            best_ask=data.a,
            exchange_specific=unnamed(message, _TICKER_FIELDS | {"v" if daily else "Q"}),
        )

    def _quotes(self, message: dict[str, Any], recv_ns: int) -> MarketData:
        data = convert(message, BookTickerData, SPECS["bookTicker"])
        if not (sane_value(data.b) and sane_value(data.a)):
            raise FrameError("bad quote")
        last = self._markets.get(symbol_of(message), Market())
        return MarketData(
            exchange=self.id,
            symbol=symbol_of(message),
            time_ns=recv_ns,
            recv_ns=recv_ns,
            price=last.price or None,
            volume=last.size or None,
            side=None if last.side is None else Side(last.side),
            best_bid=data.b,
            best_ask=data.a,
            exchange_specific=unnamed(message, _BOOK_TICKER_FIELDS),
        )
