"""Coinbase Exchange."""

from __future__ import annotations

from typing import ClassVar, Final, cast

import attrs
import msgspec

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig, one_of, url
from multilogger.errors import FrameError, ListingError
from multilogger.exchanges.base import Allowance, Exchange, Limits, TradeHistory
from multilogger.exchanges.coinbase.adapter import CoinbaseAdapter
from multilogger.exchanges.coinbase.history import HISTORY, fetch_page
from multilogger.exchanges.coinbase.messages import (
    MATCH_SPEC,
    TAKERS_SIDE,
    TICKER_SPEC,
    MatchData,
    TickerData,
    absurd,
    side_of,
    time_of,
    trade_of,
)
from multilogger.exchanges.fields import convert, decode_object, sane_time, sane_value, unnamed
from multilogger.exchanges.listing import decode_listing, read_entries
from multilogger.records import ExchangeId, Flag, MarketData, Trade
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.quotes import quote_type

_MATCH_FIELDS: Final = frozenset(name for name, _, _ in MATCH_SPEC)
_TICKER_FIELDS: Final = frozenset(name for name, _, _ in TICKER_SPEC)


@attrs.frozen(kw_only=True)
class CoinbaseConfig(ExchangeConfig):
    """``[exchanges.coinbase]``."""

    ws_endpoint: str = attrs.field(default="wss://ws-feed.exchange.coinbase.com", validator=url("ws", "wss"))
    rest_endpoint: str = attrs.field(
        default="https://api.exchange.coinbase.com", validator=url("http", "https")
    )
    ticker_volume: str = attrs.field(default="last", validator=one_of("last", "24h"))
    """What MD's volume is: the size of the last trade, or that of 24 hours."""


class _Product(msgspec.Struct):
    """An entry of ``GET /products``."""

    id: str
    base_currency: str
    quote_currency: str
    status: str
    quote_increment: float | None = None
    base_increment: float | None = None
    base_min_size: float | None = None
    """Removed in 2022; until then larger than the increment."""
    trading_disabled: bool = False


class Coinbase(Exchange):
    """Coinbase Exchange, https://docs.cdp.coinbase.com/exchange."""

    id: ClassVar[ExchangeId] = ExchangeId.COINBASE
    name: ClassVar[str] = "Coinbase Exchange"
    config_type: ClassVar[type[ExchangeConfig]] = CoinbaseConfig
    limits: ClassVar[Limits] = Limits(
        # 100 a second and IP today; an older page said 10.
        messages_per_second=10.0,
        # 8 a second and IP, 20 at once.
        connects=(Allowance(6, 1.0),),
        # 100 a second and IP.
        messages_per_host=(Allowance(80, 1.0),),
        # 10 a second and IP, 15 at once.
        rest=(Allowance(8, 1.0),),
    )
    history: TradeHistory | None = HISTORY

    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Fetch ``GET /products``."""
        source = f"{self.config.rest_endpoint.rstrip('/')}/products"
        entries = decode_listing(await self.services.http_get(source), source)
        if not isinstance(entries, list):
            raise ListingError(f"{source}: no list of products: {str(entries)[:200]}")
        return read_entries(entries, self._listed, source)

    def _listed(self, entry: object) -> SymbolInfo:
        product = msgspec.convert(entry, _Product, strict=False)
        return SymbolInfo(
            exchange=self.id,
            symbol=product.id,
            normalized=f"{product.base_currency}-{product.quote_currency}",
            base=product.base_currency,
            quote=product.quote_currency,
            quote_type=quote_type(product.quote_currency),
            active=product.status == "online" and not product.trading_disabled,
            status=product.status,
            tick_size=product.quote_increment,
            min_size=product.base_min_size or product.base_increment,
        )

    async def fetch_trades(self, symbol: str, first: int, last: int, since_ns: int) -> list[Trade]:  # noqa: ARG002 - ids do
        """Fetch ``GET /products/{id}/trades`` below ``last + 1``: the highest ids of the span come first."""
        limit = min(HISTORY.page, last - first + 1)
        page = await fetch_page(
            self.services.http_get, self.config.rest_endpoint, symbol, limit, after=last + 1
        )
        # A page that is older than the trades asked for has the ones before them.
        return [trade for trade in page if first <= trade.trade_id <= last]

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Fetch ``GET /products/{id}/trades``."""
        return await fetch_page(self.services.http_get, self.config.rest_endpoint, symbol, HISTORY.page)

    def normalize_symbol(self, symbol: str) -> str:
        """Return the symbol: Coinbase's own names are the normalized ones."""
        return symbol

    def venue_symbol(self, normalized: str) -> str:
        """Return the name: Coinbase's own names are the normalized ones."""
        return normalized

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> CoinbaseAdapter:
        """Return the parser and subscriber for one new connection."""
        daily = cast("CoinbaseConfig", self.config).ticker_volume == "24h"
        return CoinbaseAdapter(symbols, stats, daily_volume=daily)

    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:
        """Return the trade in a ``match`` or ``last_match``."""
        message = decode_object(raw)
        if message.get("type") not in ("match", "last_match"):
            return []
        data = convert(message, MatchData, MATCH_SPEC)
        flags = Flag.REPLAYED if message["type"] == "last_match" else Flag.LIVE
        rest = unnamed(message, _MATCH_FIELDS | {"type"})
        return [trade_of(data, data.product_id, recv_ns=recv_ns, flags=flags, rest=rest)]

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:
        """Return the ticker in a ``ticker``."""
        message = decode_object(raw)
        if message.get("type") != "ticker":
            return []
        data = convert(message, TickerData, TICKER_SPEC)
        daily = cast("CoinbaseConfig", self.config).ticker_volume == "24h"
        volume = data.volume_24h if daily else data.last_size
        time_ns, side = time_of(data.time), side_of(data.side, TAKERS_SIDE)
        values = (data.price, volume, data.best_bid, data.best_ask)
        if not (sane_time(time_ns) and all(map(sane_value, values))):
            raise FrameError(absurd(data.price, volume, time_ns, "bad quote"))
        named = _TICKER_FIELDS - {"last_size" if daily else "volume_24h"}
        return [
            MarketData(
                exchange=self.id,
                symbol=data.product_id,
                time_ns=time_ns,
                recv_ns=recv_ns,
                price=data.price,
                volume=volume,
                side=side,
                best_bid=data.best_bid,
                best_ask=data.best_ask,
                exchange_specific=unnamed(message, named | {"type"}),
            )
        ]
