"""Kraken Futures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast
from urllib.parse import urlsplit

import attrs
import msgspec

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig, one_of, url
from multilogger.errors import FrameError, ListingError
from multilogger.exchanges.base import Allowance, Exchange, Limits, Services, TradeHistory, TradeIds
from multilogger.exchanges.fields import (
    IsoClock,
    convert,
    decode_object,
    sane_time,
    sane_value,
    unnamed,
)
from multilogger.exchanges.kraken_futures.adapter import KrakenFuturesAdapter
from multilogger.exchanges.kraken_futures.history import HISTORY, fetch_newest
from multilogger.exchanges.kraken_futures.messages import (
    FILL_SPEC,
    NANOS_PER_MILLISECOND,
    QUOTE_SPEC,
    TICKER_SPEC,
    TRADE_SPEC,
    FillData,
    FuturesMarket,
    QuoteData,
    TickerData,
    TradeData,
    absurd_ticker,
    entries_of,
    fill_of,
    is_event,
    trade_of,
)
from multilogger.exchanges.kraken_futures.names import contract_of, spelled, symbol_of
from multilogger.exchanges.listing import decode_listing, read_entries
from multilogger.records import ExchangeId, Flag, MarketData, Side, Trade
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.quotes import quote_type

_TRADE_FIELDS: Final = frozenset({"feed", *(name for name, _, _ in TRADE_SPEC)})
_FILL_FIELDS: Final = frozenset(name for name, _, _ in FILL_SPEC)
_TICKER_FIELDS: Final = frozenset({"feed", *(name for name, _, _ in TICKER_SPEC)}) - {"volume"}
_QUOTE_FIELDS: Final = frozenset({"feed", *(name for name, _, _ in QUOTE_SPEC)}) - {"volume"}


@attrs.frozen(kw_only=True)
class KrakenFuturesConfig(ExchangeConfig):
    """``[exchanges.kraken_futures]``."""

    ws_endpoint: str = attrs.field(default="wss://futures.kraken.com", validator=url("ws", "wss"))
    rest_endpoint: str = attrs.field(default="https://futures.kraken.com", validator=url("http", "https"))
    md_stream: str = attrs.field(default="ticker", validator=one_of("ticker", "ticker_lite"))
    """``ticker``: exchange time and last price; ``ticker_lite``: quotes alone, receive time."""
    ticker_volume: str = attrs.field(default="last", validator=one_of("last", "24h"))
    """What MD's volume is: the size of the last trade, or that of 24 hours."""


class _Listed(msgspec.Struct, rename="camel"):
    """An entry of ``instruments``."""

    symbol: str
    tradeable: bool
    tick_size: float | None = None
    contract_size: float | None = None
    contract_value_trade_precision: int | None = None
    """Decimals of a size; below zero, sizes are multiples of a power of ten."""
    last_trading_time: str | None = None
    base: str | None = None
    quote: str | None = None


class KrakenFutures(Exchange):
    """Kraken Futures, https://docs.kraken.com/api/docs/futures-api/websocket/trade."""

    id: ClassVar[ExchangeId] = ExchangeId.KRAKEN_FUTURES
    name: ClassVar[str] = "Kraken Futures"
    config_type: ClassVar[type[ExchangeConfig]] = KrakenFuturesConfig
    by_default: ClassVar[bool] = False
    limits: ClassVar[Limits] = Limits(
        # 100 a second.
        messages_per_second=10.0,
        messages_per_host=(Allowance(80, 1.0),),
        # 100 connections at a time. How fast they may be opened is not told; for Kraken's spot market
        # it is 150 in 10 minutes.
        connects=(Allowance(120, 600.0), Allowance(1, 1.0)),
        # Public requests cost nothing; all others together may cost 500 in 10 seconds.
        rest=(Allowance(100, 10.0),),
        # A client has to be heard once a minute.
        ping_secs=20.0,
    )
    trade_ids: TradeIds = TradeIds.UNORDERED
    history: TradeHistory | None = HISTORY

    def __init__(self, config: ExchangeConfig, services: Services | None = None) -> None:
        super().__init__(config, services)
        self._config = cast("KrakenFuturesConfig", config)
        self._markets: dict[str, FuturesMarket] = {}
        self._normalized: dict[str, str] = {}
        self._symbols: dict[str, str] = {}
        self.md_has_time = self._config.md_stream != "ticker_lite"

    def endpoint(self, symbols: Sequence[str]) -> str:
        """Return the URL of the WebSocket API v1, unless the configured one has a path of its own."""
        base = urlsplit(super().endpoint(symbols))
        return base.geturl() if base.path.strip("/") else base._replace(path="/ws/v1").geturl()

    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Fetch ``GET /derivatives/api/v3/instruments``; the indices among them are no instruments."""
        source = f"{self.config.rest_endpoint.rstrip('/')}/derivatives/api/v3/instruments"
        body = decode_listing(await self.services.http_get(source), source)
        entries = body.get("instruments") if isinstance(body, dict) else None
        if not isinstance(entries, list):
            raise ListingError(f"{source}: no list of instruments in {str(body)[:200]}")
        listed = _distinct(read_entries(filter(_is_no_index, entries), self._listed, source))
        self._normalized = {info.symbol: info.normalized for info in listed}
        self._symbols = {info.normalized: info.symbol for info in listed}
        return listed

    def _listed(self, entry: object) -> SymbolInfo:
        listed = msgspec.convert(entry, _Listed, strict=False)
        contract = contract_of(listed.symbol, listed.base, listed.quote)
        if contract is None:
            raise ValueError(f"{listed.symbol!r} is of no known form")
        ends = listed.last_trading_time
        # One of a linear contract is one of the base: its sizes are in base currency.
        counted = contract.inverse or listed.contract_size not in (None, 1)
        precision = listed.contract_value_trade_precision
        return SymbolInfo(
            exchange=self.id,
            symbol=spelled(listed.symbol),
            normalized=contract.name,
            base=contract.base,
            quote=contract.quote,
            quote_type=quote_type(contract.quote),
            asset_class=contract.asset_class,
            active=listed.tradeable,
            status="tradeable" if listed.tradeable else "not tradeable",
            min_size=None if precision is None else float(f"1e{-precision}"),
            tick_size=listed.tick_size,
            settle=contract.settle,
            contract_size=listed.contract_size if counted else None,
            contract_unit=(contract.quote if contract.inverse else contract.base) if counted else "",
            expiry_ns=contract.day_ns if ends is None else IsoClock().ns(ends),
        )

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Fetch ``GET /derivatives/api/v3/history``."""
        return await fetch_newest(self.services.http_get, self.config.rest_endpoint, symbol)

    def normalize_symbol(self, symbol: str) -> str:
        """Return the listing's name; before a listing, that by the symbol's form."""
        if symbol in self._normalized:
            return self._normalized[symbol]
        contract = contract_of(symbol)
        return symbol if contract is None else contract.name

    def venue_symbol(self, normalized: str) -> str:
        """Return the listed symbol of a name, else the one that it would have: ``PI_XBTUSD``."""
        return self._symbols.get(normalized) or symbol_of(normalized)

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> KrakenFuturesAdapter:
        """Return the parser and subscriber for one new connection."""
        return KrakenFuturesAdapter(
            symbols,
            stats,
            self._markets,
            md_stream=self._config.md_stream,
            daily_volume=self._daily_volume,
        )

    @property
    def _daily_volume(self) -> bool:
        return self._config.ticker_volume == "24h"

    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:
        """Return the trades in a ``trade`` or ``trade_snapshot``, the oldest first."""
        message = decode_object(raw)
        feed = None if is_event(message) else message.get("feed")
        if feed == "trade":
            data = convert(message, TradeData, TRADE_SPEC)
            return [_trade(data, data.product_id, recv_ns, Flag.LIVE, unnamed(message, _TRADE_FIELDS))]
        if feed == "trade_snapshot":
            symbol, entries = entries_of(message)
            return [
                _trade(fill_of(it), symbol, recv_ns, Flag.REPLAYED, unnamed(it, _FILL_FIELDS))
                for it in entries
            ]
        return []

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:
        """Return the ticker in a ``ticker`` or ``ticker_lite``.

        What it does not tell comes from the last trade that a connection of this exchange received, or is
        None; the time of a ``ticker_lite`` is ``recv_ns``.
        """
        message = decode_object(raw)
        feed = None if is_event(message) else message.get("feed")
        if feed == "ticker":
            data = convert(message, TickerData, TICKER_SPEC)
            time_ns = data.time * NANOS_PER_MILLISECOND
            if not (
                sane_value(data.last) and sane_value(data.bid) and sane_value(data.ask) and sane_time(time_ns)
            ):
                raise FrameError(absurd_ticker(data.last, time_ns))
            return [self._record(data, message, data.last, time_ns, recv_ns, _TICKER_FIELDS)]
        if feed != "ticker_lite":
            return []
        quotes = convert(message, QuoteData, QUOTE_SPEC)
        if not (sane_value(quotes.bid) and sane_value(quotes.ask)):
            raise FrameError("bad quote")
        price = self._markets.get(quotes.product_id, FuturesMarket()).price or None
        return [self._record(quotes, message, price, recv_ns, recv_ns, _QUOTE_FIELDS)]

    def _record(
        self,
        data: QuoteData,
        message: dict[str, Any],
        price: float | None,
        time_ns: int,
        recv_ns: int,
        named: frozenset[str],
    ) -> MarketData:
        last = self._markets.get(data.product_id, FuturesMarket())
        if self._daily_volume and not sane_value(data.volume):
            raise FrameError("bad size")
        return MarketData(
            exchange=self.id,
            symbol=data.product_id,
            time_ns=time_ns,
            recv_ns=recv_ns,
            price=price,
            volume=data.volume if self._daily_volume else last.size or None,
            side=None if last.side is None else Side(last.side),
            best_bid=data.bid,
            best_ask=data.ask,
            exchange_specific=unnamed(message, named | {"volume"} if self._daily_volume else named),
        )


def _trade(data: FillData, symbol: str, recv_ns: int, flags: Flag, rest: dict[str, Any]) -> Trade:
    return trade_of(
        symbol,
        data.uid,
        time_ns=data.time * NANOS_PER_MILLISECOND,
        price=data.price,
        size=data.qty,
        side=data.side,
        recv_ns=recv_ns,
        flags=flags,
        rest=rest,
    )


def _is_no_index(entry: object) -> bool:
    return not (isinstance(entry, dict) and "index" in str(entry.get("type")))


def _distinct(listed: list[SymbolInfo]) -> list[SymbolInfo]:
    """Let no two contracts have one name: whoever is traded keeps it, the other is called by its symbol."""
    owners: dict[str, str] = {}
    for info in sorted(listed, key=lambda info: not info.active):
        owners.setdefault(info.normalized, info.symbol)
    return [
        info if owners[info.normalized] == info.symbol else attrs.evolve(info, normalized=info.symbol)
        for info in listed
    ]
