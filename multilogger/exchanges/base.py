"""The exchange contract: all that an exchange has to state, and what it may rely on.

An exchange is one module: an :class:`Exchange` (endpoints, listing, names, limits) and its :class:`Adapter`
(bytes in, rows and events out). Both are pure: no socket, no clock, no task. Connecting, pacing,
confirmation deadlines, backoff and watchdogs are written once, in :mod:`multilogger.connection`.

Third parties register a subclass under the entry point group ``multilogger.exchanges``; the entry's name is
the exchange's name in the configuration. ``docs/architecture.md`` tells where each part is called.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import attrs

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.exchanges.connecting import ExchangeConnection, Frames, HttpGet, Nursery
from multilogger.exchanges.events import Confirmed, Event, Rejected, Renew, Send
from multilogger.exchanges.terms import Allowance, Limits, TradeHistory, TradeIds
from multilogger.records import ExchangeId, MarketData, Trade
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo

__all__ = [
    "Adapter",
    "Allowance",
    "Confirmed",
    "Connector",
    "Event",
    "Exchange",
    "ExchangeConnection",
    "Frames",
    "HttpGet",
    "Limits",
    "NewestIds",
    "Nursery",
    "Rejected",
    "Renew",
    "Send",
    "Services",
    "TradeHistory",
    "TradeIds",
]


@runtime_checkable
class NewestIds(Protocol):
    """An adapter that is told, beside the trades themselves, how far their ids go.

    Coinbase's heartbeat and Binance's ticker name the last trade id: a stream of trades that has gone silent
    is so found out without a request.
    """

    newest_ids: dict[int, int]
    """The newest trade id that the exchange has named, by symbol number; of subscribed symbols."""


class Adapter(Protocol):
    """The wire dialect of one exchange for one connection: pure, with the little state a feed needs."""

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return the text frames that subscribe ``symbols``; each of them is answered by an event."""
        ...

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return the text frames that end the subscriptions of ``symbols``."""
        ...

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Parse data frames: pack their rows into ``rows``, count what is refused, return what else matters.

        Never raises on bad input: a refused row or frame is counted by reason in the exchange's
        ``stats.refused``, an unknown kind of frame in ``stats.ignored``.

        Args:
            frames: complete text or binary messages, in order of arrival.
            recv_ns: local time of their arrival, nanoseconds since the epoch.
            rows: where the rows go.
        """
        ...

    def ping(self) -> str | None:
        """Return an application-level ping, for ``Limits.ping_secs`` or ``Limits.pings_when_quiet``.

        Whatever answers it comes to :meth:`receive` like all else.
        """
        ...


class Connector(Protocol):
    """Makes connections: how an exchange reaches the wire without importing it."""

    def __call__(self, exchange: Exchange, symbols: Sequence[str]) -> ExchangeConnection:
        """Return a connection for ``symbols``, not yet opened."""
        ...


@attrs.frozen
class Services:
    """What the program lends to an exchange."""

    http_get: HttpGet
    connector: Connector


class Exchange(abc.ABC):
    """One exchange, as configured.

    Args:
        config: an instance of :attr:`config_type`.
        services: needed by :meth:`fetch_symbols` and :meth:`create_connection`; parsing needs none.
    """

    id: ClassVar[ExchangeId]
    name: ClassVar[str]
    """As people write it: ``Coinbase Exchange``."""
    config_type: ClassVar[type[ExchangeConfig]]
    by_default: ClassVar[bool] = True
    """Whether it is recorded where the configuration names no exchange."""
    limits: ClassVar[Limits] = Limits()
    trade_ids: TradeIds = TradeIds.CONTIGUOUS
    history: TradeHistory | None = None
    """What :meth:`fetch_trades` and :meth:`fetch_newest` can give; None where they give nothing."""
    md_has_time: bool = True
    """Whether MD rows have the exchange's time; else two connections can't be told to say the same."""

    def __init__(self, config: ExchangeConfig, services: Services | None = None) -> None:
        self.config = config
        self._services = services

    @property
    def services(self) -> Services:
        """What the program lent; asking for it without having lent anything is a mistake of the caller."""
        if self._services is None:
            raise RuntimeError(f"{self.id} was made without services: it can parse, but not connect")
        return self._services

    def endpoint(self, symbols: Sequence[str]) -> str:  # noqa: ARG002 - some exchanges put them in the URL
        """Return the WebSocket URL for a connection that will carry ``symbols``."""
        return self.config.ws_endpoint

    def endpoints(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """Return the URLs whose sockets make up one connection, :meth:`endpoint` first.

        Where an exchange has its tables on different paths, a connection has several legs: the frames of all
        of them come to one adapter, and the loss of one is the loss of all.
        """
        return (self.endpoint(symbols),)

    def leg(self, frame: str) -> int | None:  # noqa: ARG002 - most have one leg only
        """Return on which of :meth:`endpoints` an adapter's frame is to be sent; None: on all of them."""
        return 0

    @abc.abstractmethod
    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Fetch the listing of all instruments.

        Raises:
            ListingError: the exchange did not answer, or not as documented.
        """

    async def fetch_trades(self, symbol: str, first: int, last: int, since_ns: int) -> list[Trade]:
        """Fetch one page of the trades with ids ``first`` to ``last``, flagged ``BACKFILLED``.

        What is returned is within the span, in any order, and as much as a page holds; the caller asks again
        for what is left. An empty list says that the exchange has none of them (any more, or yet).

        Args:
            symbol: whose.
            first: the lowest id.
            last: the highest.
            since_ns: event time of the trade before ``first``, for histories by time; 0 if it isn't known.

        Raises:
            RestError: the exchange did not answer, or not as documented.
        """
        raise NotImplementedError(f"{self.id} has no history of trades")

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Fetch the newest trades of a symbol, the oldest first, flagged ``BACKFILLED``.

        Raises:
            RestError: the exchange did not answer, or not as documented.
        """
        raise NotImplementedError(f"{self.id} has no history of trades")

    def rest_used(self, headers: Mapping[str, str]) -> float | None:  # noqa: ARG002 - most don't tell
        """Return how much of the first of ``limits.rest`` is used, where the exchange tells it.

        Args:
            headers: of an answer, by lower-case name.
        """
        return None

    @abc.abstractmethod
    def normalize_symbol(self, symbol: str) -> str:
        """Return the normalized name of a venue symbol: ``BTCUSDT`` is ``BTC-USDT``."""

    @abc.abstractmethod
    def venue_symbol(self, normalized: str) -> str:
        """Return the venue symbol that a normalized name would have here, listed or not."""

    @abc.abstractmethod
    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> Adapter:
        """Return the parser and subscriber for one new connection."""

    def create_connection(self, symbols: Sequence[str]) -> ExchangeConnection:
        """Return a connection for ``symbols``, not yet opened."""
        return self.services.connector(self, symbols)

    @abc.abstractmethod
    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:
        """Return the tickers in a frame; an empty list for frames of another kind.

        Raises:
            FrameError: the frame is a ticker, but can't be understood.
        """

    @abc.abstractmethod
    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:
        """Return the trades in a frame; an empty list for frames of another kind.

        Raises:
            FrameError: the frame is a trade, but can't be understood.
        """
