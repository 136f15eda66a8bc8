"""What Binance's two futures markets have in common; :mod:`.usdm` and :mod:`.coinm` are they."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, cast

import attrs

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig, one_of, whole
from multilogger.errors import FrameError, ListingError
from multilogger.exchanges.base import Allowance, Exchange, Limits, Services, TradeHistory
from multilogger.exchanges.binance.contracts import distinct, name_by_form, read_contract, symbol_by_name
from multilogger.exchanges.binance.futures_adapter import FuturesAdapter
from multilogger.exchanges.binance.futures_market import FuturesMarket
from multilogger.exchanges.binance.futures_messages import (
    FUTURES_SPECS,
    MARKET,
    FuturesAggTradeData,
    FuturesTradeData,
    QuotesData,
)
from multilogger.exchanges.binance.history import (
    PAST_TRADE_SPEC,
    PastTradeData,
    PastTrades,
    Source,
    used_weight,
)
from multilogger.exchanges.binance.messages import SPECS, AggTradeData, event_of, symbol_of, trade_of
from multilogger.exchanges.binance.streams import Kinds
from multilogger.exchanges.fields import convert, epoch_ns, sane_time, sane_value, unnamed
from multilogger.exchanges.listing import decode_listing, read_entries
from multilogger.records import Flag, MarketData, Side, Trade
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo

_MOST_WEIGHT: Final = 1000.0
"""REST weight a minute: both markets share 2400 of an address, the rest is left for others behind it."""
_LISTING_WEIGHT: Final = 1
_DAY_SECS: Final = 86400.0
_SOURCES: Final = {
    "aggTrade": Source(
        by_id="aggTrades", newest="aggTrades", weight=20, data=AggTradeData, spec=SPECS["aggTrade"]
    ),
    # By id it wants an API key.
    "trade": Source(newest="trades", weight=5, data=PastTradeData, spec=PAST_TRADE_SPEC),
}
_HISTORIES: Final = {
    "aggTrade": TradeHistory(max_age_secs=_DAY_SECS),
    "trade": TradeHistory(by_id=False),
}
_TRADE_FIELDS: Final = frozenset({"e", "s", "p", "q", "T", "m"})
_QUOTES_FIELDS: Final = frozenset({"e", "s", "b", "a", "T"})
_KIND: Final = re.compile(r"@(\w+)")


@attrs.frozen(kw_only=True)
class FuturesConfig(ExchangeConfig):
    """What the sections of both markets have in common."""

    symbols_per_connection: int = attrs.field(default=100, validator=whole(1, 100))
    """At most 100: two streams each of the 200 that a connection may carry by the older documentation."""
    trades_stream: str = attrs.field(default="aggTrade", validator=one_of("aggTrade", "trade"))
    """``aggTrade``: fills of one side at one price within 100 ms; ``trade``: every fill, undocumented."""


class BinanceFutures(Exchange):
    """One of the markets."""

    by_default: ClassVar[bool] = False
    limits: ClassVar[Limits] = Limits(
        # 10 a second are allowed, pongs included.
        messages_per_second=8.0,
        # As on spot, 300 attempts per 5 minutes and IP; the futures' documentation gives no number.
        connects=(Allowance(250, 300.0), Allowance(5, 1.0)),
        rest=(Allowance(_MOST_WEIGHT, 60.0),),
        symbols_per_connection=100,
        lifetime_secs=24 * 3600.0,
        pings_when_quiet=True,
    )

    api: ClassVar[str]
    """Path of the REST API, up to its version."""
    other_market: ClassVar[int]
    """The ``st`` of the other market's events."""
    perpetual: ClassVar[str]
    """What the symbols of perpetuals end with."""

    def __init__(self, config: ExchangeConfig, services: Services | None = None) -> None:
        super().__init__(config, services)
        self._trades = cast("FuturesConfig", config).trades_stream
        self._markets: dict[str, FuturesMarket] = {}
        self._names: dict[str, str] = {}
        self._listed: dict[str, str] = {}
        self.history = _HISTORIES[self._trades]

    @property
    def kinds(self) -> Sequence[Kinds]:
        """The kinds of streams on each of :meth:`endpoints`."""
        return [(self._trades, "bookTicker")]

    def leg(self, frame: str) -> int | None:
        """Return the leg whose kinds of streams a request names: on another one they would stay silent."""
        kind = _KIND.search(frame)
        return next((at for at, kinds in enumerate(self.kinds) if kind and kind[1] in kinds), None)

    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Fetch ``exchangeInfo``."""
        source = f"{self._rest}/exchangeInfo"
        body = decode_listing(await self.services.http_get(source, weight=_LISTING_WEIGHT), source)
        entries = body.get("symbols") if isinstance(body, dict) else None
        if not isinstance(entries, list):
            raise ListingError(f"{source}: no list of symbols in {str(body)[:200]}")
        listed = distinct(read_entries(entries, lambda entry: read_contract(entry, self.id), source))
        self._names = {info.symbol: info.normalized for info in listed}
        self._listed = {info.normalized: info.symbol for info in listed}
        return listed

    def rest_used(self, headers: Mapping[str, str]) -> float | None:
        """Return the weight of this minute without what the other market may use of it.

        The exchange counts both, and everybody behind the same address.
        """
        used = used_weight(headers)
        return None if used is None else max(0.0, used - _MOST_WEIGHT)

    async def fetch_trades(self, symbol: str, first: int, last: int, since_ns: int) -> list[Trade]:  # noqa: ARG002 - ids do
        """Fetch ``aggTrades``: the highest ids, or the lowest if these are void; single trades not by id."""
        return await self._past.span(symbol, first, last)

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Fetch ``aggTrades`` without an id, or ``trades``."""
        return await self._past.newest(symbol)

    @property
    def _past(self) -> PastTrades:
        return PastTrades(self.id, self.services.http_get, self._rest, _SOURCES[self._trades])

    @property
    def _rest(self) -> str:
        return f"{self.config.rest_endpoint.rstrip('/')}{self.api}"

    def normalize_symbol(self, symbol: str) -> str:
        """Return the name by the listing; before a listing, by the symbol's form."""
        return self._names.get(symbol) or name_by_form(symbol)

    def venue_symbol(self, normalized: str) -> str:
        """Return the listed symbol of that name, else what it would be; itself if it is no contract's."""
        return self._listed.get(normalized) or symbol_by_name(normalized, self.perpetual)

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> FuturesAdapter:
        """Return the parser and subscriber for one new connection."""
        return FuturesAdapter(symbols, stats, self._markets, legs=self.kinds, other=self.other_market)

    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:
        """Return the trade in an ``aggTrade`` or ``trade`` frame of this market.

        One that was not made in the order book is ``SUSPECT``.
        """
        kind, event = event_of(raw)
        if kind not in ("trade", "aggTrade"):
            return []
        data = convert(event, FuturesTradeData if kind == "trade" else FuturesAggTradeData, SPECS[kind])
        if data.st == self.other_market:
            return []
        flags = Flag.LIVE if data.X == MARKET else Flag.SUSPECT
        rest = unnamed(event, _TRADE_FIELDS | {"t" if kind == "trade" else "a"})
        return [trade_of(data, self.id, symbol_of(event), recv_ns=recv_ns, flags=flags, rest=rest)]

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:
        """Return the quotes in a ``bookTicker`` frame.

        Price, volume and side are those of the last trade that a connection of this exchange has received,
        or None.
        """
        kind, event = event_of(raw)
        if kind != "bookTicker":
            return []
        data = convert(event, QuotesData, FUTURES_SPECS[kind])
        return [] if data.st == self.other_market else [self._quotes(data, event, recv_ns)]

    def _quotes(self, data: QuotesData, event: Mapping[str, Any], recv_ns: int) -> MarketData:
        symbol, time_ns = symbol_of(event), epoch_ns(data.T)
        if not (sane_value(data.b) and sane_value(data.a) and sane_time(time_ns)):
            raise FrameError("bad quote" if sane_time(time_ns) else "bad time")
        price, volume, side = self._markets.get(symbol, FuturesMarket()).last or (None, None, None)
        return MarketData(
            exchange=self.id,
            symbol=symbol,
            time_ns=time_ns,
            recv_ns=recv_ns,
            price=price,
            volume=volume,
            side=None if side is None else Side(side),
            best_bid=data.b,
            best_ask=data.a,
            exchange_specific=unnamed(event, _QUOTES_FIELDS),
        )
