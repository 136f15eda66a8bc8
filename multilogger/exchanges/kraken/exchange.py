"""Kraken spot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, cast
from urllib.parse import urlsplit

import attrs

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig, one_of, url, whole
from multilogger.errors import FrameError
from multilogger.exchanges.base import Allowance, Exchange, Limits, Services, TradeHistory, TradeIds
from multilogger.exchanges.fields import convert, sane_value, unnamed
from multilogger.exchanges.kraken.adapter import KrakenAdapter, LastTrade
from multilogger.exchanges.kraken.history import HISTORY, PastTrades
from multilogger.exchanges.kraken.listing import Listed, fetch_listing, read_instruments, rest_name
from multilogger.exchanges.kraken.messages import (
    TICKER,
    TICKER_SPEC,
    TRADE,
    TickerData,
    as_object,
    channel_entries,
    trade_of,
)
from multilogger.records import ExchangeId, MarketData, Side, Trade
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo

_TICKER_FIELDS: Final = frozenset({"symbol", "bid", "ask", "last"})


@attrs.frozen(kw_only=True)
class KrakenConfig(ExchangeConfig):
    """``[exchanges.kraken]``."""

    ws_endpoint: str = attrs.field(default="wss://ws.kraken.com", validator=url("ws", "wss"))
    rest_endpoint: str = attrs.field(default="https://api.kraken.com", validator=url("http", "https"))
    symbols_per_connection: int = attrs.field(default=200, validator=whole(1, 100_000))
    md_trigger: str = attrs.field(default="trades", validator=one_of("trades", "bbo"))
    """What makes a ticker: ``trades``: every trade; ``bbo``: every change of the best quotes."""
    ticker_volume: str = attrs.field(default="last", validator=one_of("last", "24h"))
    """What MD's volume is: the size of the last trade, or that of 24 hours."""


class Kraken(Exchange):
    """Kraken spot, https://docs.kraken.com/api/docs/guides/spot-ws-intro."""

    id: ClassVar[ExchangeId] = ExchangeId.KRAKEN
    name: ClassVar[str] = "Kraken spot"
    config_type: ClassVar[type[ExchangeConfig]] = KrakenConfig
    limits: ClassVar[Limits] = Limits(
        # How many are allowed is not told, and changes: few large requests are asked for.
        messages_per_second=2.0,
        # About 150 in any 10 minutes and IP; more bring a ban of 10 minutes.
        connects=(Allowance(120, 600.0), Allowance(2, 1.0)),
        # About 1 a second and IP.
        rest=(Allowance(1, 1.1),),
        # A connection on which nothing is said for a minute is cut.
        ping_secs=30.0,
    )
    trade_ids: TradeIds = TradeIds.SUSPECTED
    history: TradeHistory | None = HISTORY
    md_has_time: bool = False

    def __init__(self, config: ExchangeConfig, services: Services | None = None) -> None:
        super().__init__(config, services)
        self._config = cast("KrakenConfig", config)
        self._lasts: dict[str, LastTrade] = {}
        self._listed: dict[str, Listed] = {}
        self._symbols: dict[str, str] = {}
        """By normalized name."""

    def endpoint(self, symbols: Sequence[str]) -> str:
        """Return the URL of version 2, unless the configured one has a path of its own."""
        base = urlsplit(super().endpoint(symbols))
        return base.geturl() if base.path.strip("/") else base._replace(path="/v2").geturl()

    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Fetch ``GET /0/public/AssetPairs``, of currencies and of tokenized assets."""
        listed = await fetch_listing(self.services.http_get, self.config.rest_endpoint)
        self._listed = {it.info.symbol: it for it in listed}
        self._symbols = {it.info.normalized: it.info.symbol for it in listed}
        return [it.info for it in listed]

    def parse_instruments(self, raw: bytes) -> list[SymbolInfo]:
        """Return the pairs in a message of the channel ``instrument``; an empty list for any other.

        The program does not subscribe it: the listing by REST, asked for every hour, has the same pairs.

        Raises:
            FrameError: the frame can't be understood.
        """
        return read_instruments(raw)

    async def fetch_trades(self, symbol: str, first: int, last: int, since_ns: int) -> list[Trade]:
        """Fetch ``GET /0/public/Trades`` from the time of the trade before the span on."""
        return await self._past(symbol).span(first, last, since_ns)

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Fetch ``GET /0/public/Trades`` without a time."""
        return await self._past(symbol).newest()

    def _past(self, symbol: str) -> PastTrades:
        listed = self._listed.get(symbol)
        query = {"pair": rest_name(symbol)} if listed is None else listed.query()
        return PastTrades(self.services.http_get, self.config.rest_endpoint, symbol, query)

    def normalize_symbol(self, symbol: str) -> str:
        """Return ``BTC-USD`` for ``BTC/USD``; the listing knows of exceptions."""
        listed = self._listed.get(symbol)
        return symbol.replace("/", "-") if listed is None else listed.info.normalized

    def venue_symbol(self, normalized: str) -> str:
        """Return ``BTC/USD`` for ``BTC-USD``; the listing knows of exceptions."""
        return self._symbols.get(normalized) or normalized.replace("-", "/")

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> KrakenAdapter:
        """Return the parser and subscriber for one new connection."""
        return KrakenAdapter(
            symbols,
            stats,
            self._lasts,
            trigger=self._config.md_trigger,
            daily_volume=self._daily_volume,
        )

    @property
    def _daily_volume(self) -> bool:
        return self._config.ticker_volume == "24h"

    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:
        """Return the trades in a message of the channel ``trade``."""
        flags, entries = channel_entries(raw, TRADE)
        trades = [trade_of(entry, recv_ns=recv_ns, flags=flags) for entry in entries]
        return sorted(trades, key=lambda trade: trade.trade_id) if flags else trades

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:
        """Return the tickers in a message of the channel ``ticker``.

        A ticker tells neither size nor side, and need not tell price and time: they come from the last trade
        that a connection of this exchange received, or are None, and from ``recv_ns``.
        """
        _, entries = channel_entries(raw, TICKER)
        return [self._market_data(as_object(entry), recv_ns) for entry in entries]

    def _market_data(self, fields: dict[str, object], recv_ns: int) -> MarketData:
        data = convert(fields, TickerData, TICKER_SPEC)
        last = self._lasts.get(data.symbol, LastTrade())
        price = data.last or last.price
        volume = (data.volume or 0.0) if self._daily_volume else last.size
        if not (sane_value(data.bid) and sane_value(data.ask)):
            raise FrameError("bad quote")
        if price != 0 and not sane_value(price):
            raise FrameError("bad price")
        if self._daily_volume and not sane_value(volume):
            raise FrameError("bad size")
        return MarketData(
            exchange=self.id,
            symbol=data.symbol,
            time_ns=recv_ns,
            recv_ns=recv_ns,
            price=price or None,
            volume=volume or None,
            side=None if last.side is None else Side(last.side),
            best_bid=data.bid,
            best_ask=data.ask,
            exchange_specific=unnamed(fields, _TICKER_FIELDS | ({"volume"} if self._daily_volume else set())),
        )
