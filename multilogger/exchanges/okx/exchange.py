"""OKX v5: spot, perpetuals, futures and options over one host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, cast
from urllib.parse import urlsplit

import attrs

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig, Expect, one_of, url
from multilogger.errors import FrameError, ListingError
from multilogger.exchanges.base import Allowance, Exchange, Limits, Services, TradeHistory, TradeIds
from multilogger.exchanges.composer import Market
from multilogger.exchanges.fields import convert, decode_object, sane_time, sane_value, unnamed
from multilogger.exchanges.listing import decode_listing, read_entries
from multilogger.exchanges.okx.adapter import OkxAdapter
from multilogger.exchanges.okx.history import HISTORY, data_of, fetch_newest, fetch_page
from multilogger.exchanges.okx.messages import (
    ALL_TRADES,
    DAILY_TICKER_SPEC,
    NS_PER_MS,
    PING,
    PONG,
    TICKER_SPEC,
    TICKERS,
    TRADE_SPEC,
    TRADES,
    DailyTickerData,
    TickerData,
    TradeData,
    absurd_ticker,
    entries_of,
    lacking,
    trade_of,
)
from multilogger.exchanges.okx.names import KINDS, distinct, read_entry, read_name, venue_name
from multilogger.records import ExchangeId, MarketData, Side, Trade
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo

_PATH: Final = "/ws/v5/public"
_BUSINESS: Final = "business"
"""The last part of the path that has ``trades-all``."""
_TRADE_FIELDS: Final = frozenset(name for name, _, _ in TRADE_SPEC)
_TICKER_FIELDS: Final = frozenset({"last", "bidPx", "askPx", "ts"})
_OPTION: Final = "OPTION"

_are_types: Final = Expect(
    f"a list of some of {', '.join(KINDS)}, each once",
    lambda types: bool(types) and len(set(types)) == len(types) and set(types) <= KINDS.keys(),
)


@attrs.frozen(kw_only=True)
class OkxConfig(ExchangeConfig):
    """``[exchanges.okx]``."""

    ws_endpoint: str = attrs.field(default="wss://ws.okx.com", validator=url("ws", "wss"))
    rest_endpoint: str = attrs.field(default="https://openapi.okx.com", validator=url("http", "https"))
    inst_types: tuple[str, ...] = attrs.field(default=("SPOT",), validator=_are_types)
    """Which kinds of instruments are listed: ``SPOT``, ``SWAP``, ``FUTURES``, ``OPTION``."""
    trades_stream: str = attrs.field(default=TRADES, validator=one_of(TRADES, ALL_TRADES))
    """``trades``: fills of one taker order at one price merged; ``trades-all``: every fill, on a path of its
    own, so that each connection takes two sockets."""
    ticker_volume: str = attrs.field(default="last", validator=one_of("last", "24h"))
    """What MD's volume is: the size of the last trade, or that of 24 hours."""


class Okx(Exchange):
    """OKX v5, https://www.okx.com/docs-v5/en/."""

    id: ClassVar[ExchangeId] = ExchangeId.OKX
    name: ClassVar[str] = "OKX v5"
    config_type: ClassVar[type[ExchangeConfig]] = OkxConfig
    limits: ClassVar[Limits] = Limits(
        # Nothing is said of how many a second; 3 are a page's word for new connections.
        messages_per_second=3.0,
        # 480 requests an hour; pings are none of them, but counted here as well: 180.
        messages_per_connection=(Allowance(480, 3600.0),),
        # 3 a second and IP; spread, since some take longer to arrive than others.
        connects=(Allowance(2, 1.0), Allowance(1, 0.5)),
        # 20 in 2 seconds and IP, of each endpoint.
        rest=(Allowance(16, 2.0),),
        # Without anything to say for 30 s the exchange hangs up.
        ping_secs=20.0,
    )
    trade_ids: TradeIds = TradeIds.SUSPECTED
    history: TradeHistory | None = HISTORY

    def __init__(self, config: ExchangeConfig, services: Services | None = None) -> None:
        super().__init__(config, services)
        self._config = cast("OkxConfig", config)
        self._markets: dict[str, Market] = {}
        self._listing: dict[str, str] = {}
        self._venue_symbols: dict[str, str] = {}
        every = self._config.trades_stream == ALL_TRADES
        self._legs = ((TICKERS,), (ALL_TRADES,)) if every else ((TRADES, TICKERS),)

    def endpoint(self, symbols: Sequence[str]) -> str:
        """Return the URL of the public channels, unless the configured one has a path of its own."""
        base = urlsplit(super().endpoint(symbols))
        return base.geturl() if base.path.strip("/") else base._replace(path=_PATH).geturl()

    def endpoints(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """Return that URL, and that of ``trades-all`` beside it if every fill is wanted."""
        public = self.endpoint(symbols)
        if len(self._legs) == 1:
            return (public,)
        parts = urlsplit(public)
        path = f"{parts.path.rstrip('/').rpartition('/')[0]}/{_BUSINESS}"
        return public, parts._replace(path=path).geturl()

    def leg(self, frame: str) -> int | None:
        """Return 1 for requests about ``trades-all``; a ping goes to both."""
        if len(self._legs) == 1:
            return 0
        return None if frame == PING else int(f'"channel":"{ALL_TRADES}"' in frame)

    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Fetch ``GET /api/v5/public/instruments`` of each type, of options for each underlying."""
        listed: list[SymbolInfo] = []
        for kind in self._config.inst_types:
            if kind != _OPTION:
                listed += await self._instruments({"instType": kind})
                continue
            for underlying in await self._underlyings():
                listed += await self._instruments({"instType": kind, "uly": underlying})
        listed = distinct(listed)
        self._listing = {info.symbol: info.normalized for info in listed}
        self._venue_symbols = {info.normalized: info.symbol for info in listed}
        return listed

    async def _instruments(self, query: Mapping[str, str]) -> list[SymbolInfo]:
        source, entries = await self._public("instruments", query)
        return read_entries(entries, read_entry, f"{source} of {query['instType']}")

    async def _underlyings(self) -> list[str]:
        source, entries = await self._public("underlying", {"instType": _OPTION})
        names = entries[0] if entries else []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ListingError(f"{source}: no list of names: {str(entries)[:200]}")
        return names

    async def _public(self, what: str, query: Mapping[str, str]) -> tuple[str, list[Any]]:
        source = f"{self._rest}/api/v5/public/{what}"
        entries = decode_listing(data_of(await self.services.http_get(source, query), source), source)
        if not isinstance(entries, list):
            raise ListingError(f"{source}: no list of data: {str(entries)[:200]}")
        return source, entries

    @property
    def _rest(self) -> str:
        return self.config.rest_endpoint.rstrip("/")

    async def fetch_trades(self, symbol: str, first: int, last: int, since_ns: int) -> list[Trade]:  # noqa: ARG002 - ids do
        """Fetch ``history-trades`` below ``last + 1``: the highest ids of the span come first."""
        limit = min(HISTORY.page, last - first + 1)
        page = await fetch_page(self.services.http_get, self._rest, symbol, limit, after=last + 1)
        return [trade for trade in page if first <= trade.trade_id <= last]

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Fetch ``GET /api/v5/market/trades``."""
        return await fetch_newest(self.services.http_get, self._rest, symbol)

    def normalize_symbol(self, symbol: str) -> str:
        """Return the listed name; of what is not listed, the name that its own form tells."""
        if symbol in self._listing:
            return self._listing[symbol]
        named = read_name(symbol)
        return symbol if named is None else named.normalized

    def venue_symbol(self, normalized: str) -> str:
        """Return ``BTC-USDT-SWAP`` for ``BTC-USDT-PERP``."""
        return self._venue_symbols.get(normalized) or venue_name(normalized)

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> OkxAdapter:
        """Return the parser and subscriber for one new connection."""
        return OkxAdapter(symbols, stats, self._markets, legs=self._legs, daily_volume=self._daily)

    @property
    def _daily(self) -> bool:
        return self._config.ticker_volume == "24h"

    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:
        """Return the trades in a push of ``trades`` or ``trades-all``."""
        symbol, entries = _push(raw, (TRADES, ALL_TRADES))
        return [
            trade_of(
                convert(entry, TradeData, TRADE_SPEC),
                symbol,
                recv_ns=recv_ns,
                rest=unnamed(entry, _TRADE_FIELDS),
            )
            for entry in entries
        ]

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:
        """Return the tickers in a push of ``tickers`` that lack neither quotes nor a last trade.

        A ticker does not tell its side: it is that of the last trade that a connection of this exchange
        received, or None.
        """
        symbol, entries = _push(raw, (TICKERS,))
        spec = DAILY_TICKER_SPEC if self._daily else TICKER_SPEC
        whole = [entry for entry in entries if lacking(entry, spec) is None]
        return [self._market_data(entry, symbol, recv_ns) for entry in whole]

    def _market_data(self, entry: dict[str, Any], symbol: str, recv_ns: int) -> MarketData:
        kind, spec = (DailyTickerData, DAILY_TICKER_SPEC) if self._daily else (TickerData, TICKER_SPEC)
        data = convert(entry, kind, spec)
        time_ns = data.ts * NS_PER_MS
        if not (
            sane_time(time_ns) and all(map(sane_value, (data.last, data.volume, data.bid_px, data.ask_px)))
        ):
            raise FrameError(absurd_ticker(data))
        side = self._markets.get(symbol, Market()).side
        return MarketData(
            exchange=self.id,
            symbol=symbol,
            time_ns=time_ns,
            recv_ns=recv_ns,
            price=data.last,
            volume=data.volume,
            side=None if side is None else Side(side),
            best_bid=data.bid_px,
            best_ask=data.ask_px,
            exchange_specific=unnamed(entry, _TICKER_FIELDS | {"vol24h" if self._daily else "lastSz"}),
        )


def _push(raw: bytes, channels: Sequence[str]) -> tuple[str, list[Any]]:
    """Return instrument and entries of a push; of anything but a push of these channels none."""
    if raw == PONG:
        return "", []
    message = decode_object(raw)
    arg = message.get("arg")
    if "event" in message or not isinstance(arg, dict) or arg.get("channel") not in channels:
        return "", []
    symbol = arg.get("instId")
    if not isinstance(symbol, str):
        raise FrameError("bad symbol" if "instId" in arg else "missing field")
    return symbol, entries_of(message)
