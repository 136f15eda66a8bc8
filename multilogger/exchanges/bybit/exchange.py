"""What Bybit's spot market, linear and inverse contracts have in common."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast
from urllib.parse import urlsplit

import attrs
import msgspec

from multilogger.config import ExchangeConfig, one_of, url
from multilogger.exchanges.base import Exchange, Services, TradeIds
from multilogger.exchanges.bybit.adapter import TRADES_TOPIC
from multilogger.exchanges.bybit.known import BybitMarket, Known, Quotes, trade_of_record
from multilogger.exchanges.bybit.rest import fetch_entries, fetch_newest
from multilogger.exchanges.bybit.trades import TRADE_SPEC, entries_of, trade_data, trade_of
from multilogger.exchanges.fields import decode_object, unnamed
from multilogger.exchanges.listing import read_entries
from multilogger.records import MarketData, Trade
from multilogger.symbols.instruments import SymbolInfo

_TRADE_FIELDS: Final = frozenset(name for name, _, _ in TRADE_SPEC)


@attrs.frozen(kw_only=True)
class BybitConfig(ExchangeConfig):
    """What the sections of all three exchanges have."""

    ws_endpoint: str = attrs.field(default="wss://stream.bybit.com", validator=url("ws", "wss"))
    """Without a path, that of the public topics is meant."""
    rest_endpoint: str = attrs.field(default="https://api.bybit.com", validator=url("http", "https"))
    ticker_volume: str = attrs.field(default="last", validator=one_of("last", "24h"))
    """What MD's volume is: the size of the last trade, or that of 24 hours."""


class PriceFilter(msgspec.Struct, rename="camel", frozen=True):
    """``priceFilter``."""

    tick_size: Any = None


class LotSizeFilter(msgspec.Struct, rename="camel", frozen=True):
    """``lotSizeFilter``."""

    min_order_qty: Any = None
    base_precision: Any = None


class PreListing(msgspec.Struct, rename="camel"):
    """``preListingInfo``, of a contract before its launch."""

    cur_auction_phase: str = ""


class Listed(msgspec.Struct, rename="camel"):
    """An entry of ``instruments-info``."""

    symbol: str
    status: str
    base_coin: str
    quote_coin: str
    price_filter: PriceFilter = PriceFilter()
    lot_size_filter: LotSizeFilter = LotSizeFilter()
    contract_type: str = ""
    settle_coin: str = ""
    delivery_time: int = 0
    """In milliseconds; 0 if there is none. Of a perpetual, when it is delisted."""
    pre_listing_info: PreListing | None = None


class BybitExchange(Exchange):
    """One of Bybit's markets, https://bybit-exchange.github.io/docs/v5/intro."""

    category: ClassVar[str]
    """Bybit's own word for it, in paths and queries."""
    statuses: ClassVar[tuple[str, ...]] = ("",)
    """Of what is listed; empty: what trades."""
    trade_ids: TradeIds = TradeIds.UNORDERED

    def __init__(self, config: ExchangeConfig, services: Services | None = None) -> None:
        super().__init__(config, services)
        self._markets: dict[str, BybitMarket] = {}
        self._names: dict[str, str] = {}
        self._symbols: dict[str, str] = {}

    @property
    def daily_volume(self) -> bool:
        """Whether MD's volume is that of 24 hours."""
        return cast("BybitConfig", self.config).ticker_volume == "24h"

    def endpoint(self, symbols: Sequence[str]) -> str:
        """Return the URL of the public topics, unless the configured one has a path of its own."""
        base = urlsplit(super().endpoint(symbols))
        if base.path.strip("/"):
            return base.geturl()
        return base._replace(path=f"/v5/public/{self.category}").geturl()

    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Fetch ``GET /v5/market/instruments-info``, page by page."""
        source = f"{self.config.rest_endpoint.rstrip('/')}/v5/market/instruments-info"
        entries: list[Any] = []
        for status in self.statuses:
            query = {"category": self.category} | ({"status": status} if status else {})
            entries += await fetch_entries(self.services.http_get, source, query)
        listed = distinct(read_entries(entries, self._read, source))
        self._names = {info.symbol: info.normalized for info in listed}
        self._symbols = {info.normalized: info.symbol for info in listed}
        return listed

    def _read(self, entry: object) -> SymbolInfo:
        return self.instrument(msgspec.convert(entry, Listed, strict=False))

    @abc.abstractmethod
    def instrument(self, listed: Listed) -> SymbolInfo:
        """Return an instrument.

        Raises:
            ValueError: it is of a kind that is not known.
        """

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Fetch ``GET /v5/market/recent-trade``, which gives no others."""
        page = 0 if self.history is None else self.history.page
        query = {"category": self.category, "symbol": symbol, "limit": str(page)}
        return await fetch_newest(self.services.http_get, self.config.rest_endpoint, self.id, query)

    def normalize_symbol(self, symbol: str) -> str:
        """Return the listing's name; before a listing, the one that the symbol looks like."""
        return self._names.get(symbol) or self.presumed_name(symbol)

    def venue_symbol(self, normalized: str) -> str:
        """Return the listing's symbol; where it has none, the one that the name leads to."""
        return self._symbols.get(normalized) or self.presumed_symbol(normalized)

    @abc.abstractmethod
    def presumed_name(self, symbol: str) -> str:
        """Return the normalized name of a symbol that no listing has."""

    @abc.abstractmethod
    def presumed_symbol(self, normalized: str) -> str:
        """Return the symbol of a name that no listing has."""

    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:
        """Return the trades in a ``publicTrade`` frame."""
        message = decode_object(raw)
        kind, symbol = topic_of(message)
        if kind != TRADES_TOPIC:
            return []
        beside = unnamed(message, {"topic", "data"})
        return [
            trade_of(
                trade_data(entry),
                self.id,
                symbol,
                recv_ns=recv_ns,
                rest={**beside, **unnamed(entry, _TRADE_FIELDS)},
            )
            for entry in entries_of(message)
        ]

    def known_of(self, symbol: str) -> tuple[BybitMarket, Known]:
        """Return what is known of a symbol, and what its newest connection has been told."""
        market = self._markets.get(symbol) or BybitMarket()
        return market, market.told or Known(0, market)

    def record(
        self,
        message: dict[str, Any],
        symbol: str,
        time_ns: int,
        recv_ns: int,
        quotes: Quotes,
        named: frozenset[str],
    ) -> list[MarketData]:
        """Return a ticker as a record, as far as it is known; none without quotes.

        Args:
            message: the frame.
            symbol: whose.
            time_ns: of the message.
            recv_ns: when it was received.
            quotes: what is known with it.
            named: fields of its data that the record names.
        """
        if not (quotes.bid and quotes.ask):
            return []
        market, _ = self.known_of(symbol)
        price, volume, side = trade_of_record(market, quotes, daily=self.daily_volume)
        rest = {**unnamed(message, {"topic", "ts", "data"}), **unnamed(message["data"], named)}
        return [
            MarketData(
                exchange=self.id,
                symbol=symbol,
                time_ns=time_ns,
                recv_ns=recv_ns,
                price=price,
                volume=volume,
                side=side,
                best_bid=quotes.bid,
                best_ask=quotes.ask,
                exchange_specific=rest,
            )
        ]


def topic_of(message: dict[str, Any]) -> tuple[str, str]:
    """Return kind and symbol of a topic; two empty words where there is none."""
    topic = message.get("topic")
    kind, _, symbol = topic.rpartition(".") if isinstance(topic, str) else ("", "", "")
    return kind, symbol


def positive(value: Any) -> float | None:
    """Return a number of the listing; None where it states none."""
    try:
        number = msgspec.convert(value, float, strict=False)
    except msgspec.ValidationError:
        return None
    return number if number > 0 else None


def distinct(listed: Sequence[SymbolInfo]) -> list[SymbolInfo]:
    """Return instruments of which no two have one name: an active one keeps it, or else the first.

    The others are named by their symbols. Of an instrument that is listed twice the first entry counts.
    """
    once: dict[str, SymbolInfo] = {}
    for info in listed:
        once.setdefault(info.symbol, info)
    owners: dict[str, str] = {}
    for info in sorted(once.values(), key=lambda it: not it.active):
        owners.setdefault(info.normalized, info.symbol)
    return [
        info if owners[info.normalized] == info.symbol else attrs.evolve(info, normalized=info.symbol)
        for info in once.values()
    ]
