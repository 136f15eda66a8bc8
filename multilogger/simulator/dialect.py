"""What each simulated exchange says for itself, in its own protocol."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from multilogger.simulator.client import Client
from multilogger.simulator.instruments import Instrument, guess_instrument
from multilogger.simulator.ledger import NO_ORDER, TradeEntry
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rules import Rules
from multilogger.simulator.wire import Outbox

C = TypeVar("C", bound=Client)


class Dialect(abc.ABC, Generic[C]):
    """The protocol of one exchange: all of it is synchronous, but for what waits for a connection's age."""

    name: ClassVar[str]
    resolution_ns: ClassVar[int]
    """Of event times."""
    pace_ns: ClassVar[int] = 0
    """The least time between two orders of an instrument: of use where times alone tell tickers apart."""
    instruments: ClassVar[tuple[Instrument, ...]]
    """What it lists, unless a test wants others."""
    settings: ClassVar[Mapping[str, str]] = {}
    """What a recorder of these has to have configured, as environment variables spell it."""
    messages_per_fill: ClassVar[float]
    """Data messages that a fill becomes, on average."""
    requests_per_second: ClassVar[int]
    """Client messages a second; more end the connection."""
    ping_secs: float | None = None
    """The server pings this often."""
    pong_secs: float = 60.0
    """A pong is due within this time."""
    outbox_bytes: ClassVar[int] = 16 * 1024 * 1024
    """A client for whom more is waiting is too slow, and cut."""

    @classmethod
    def instrument_of(cls, symbol: str) -> Instrument:
        """Return an instrument for a venue symbol of which nothing else is known."""
        return guess_instrument(symbol)

    @abc.abstractmethod
    def make_rules(self) -> Rules:
        """Return what the exchange allows an address."""

    @abc.abstractmethod
    def admit(self, path: str, outbox: Outbox) -> C | None:
        """Return a client for a handshake with this request target; None: there is no such path."""

    @abc.abstractmethod
    def receive(self, client: C, text: str) -> None:
        """Answer a client's message."""

    @abc.abstractmethod
    async def attend(self, client: C) -> None:
        """Enforce the rules that depend on a connection's age; cancelled when it ends."""

    @abc.abstractmethod
    def spread(self, cascade: Cascade) -> None:
        """Send a cascade to those who subscribed it, and enter what was sent."""

    def trade_id(self, symbol: str, fill: Fill) -> int:  # noqa: ARG002 - some exchanges' ids are made from it
        """Return the id that a recorder has for a trade."""
        return fill.trade_id

    def entry(self, symbol: str, fill: Fill) -> TradeEntry:
        """Return a trade as a recorder is to have it; most exchanges don't tell the orders."""
        return TradeEntry(
            symbol=symbol,
            time_ns=fill.time_ns,
            trade_id=self.trade_id(symbol, fill),
            price=fill.price,
            size=fill.size,
            maker=NO_ORDER,
            taker=NO_ORDER,
            bought=fill.bought,
        )

    def past_fills(self, cascade: Cascade) -> Sequence[Fill]:
        """Return the fills of a cascade that the REST API tells of afterwards."""
        return cascade.fills

    def unsent(self, cascade: Cascade) -> list[TradeEntry]:
        """Return those trades of a cascade that nobody was sent, as REST gives them."""
        symbol = cascade.instrument.symbol
        return [self.entry(symbol, fill) for fill in self.past_fills(cascade) if not fill.entered]

    @abc.abstractmethod
    def enter_made(self, cascade: Cascade) -> None:
        """Enter the trades of a cascade that have ever been subscribed, before they are sent."""

    @abc.abstractmethod
    def spread_again(self, cascade: Cascade) -> None:
        """Send those trades of an older cascade again that the ledger has."""

    @abc.abstractmethod
    def every_second(self) -> None:
        """Send what comes once a second, or once in ``period_secs``."""

    @abc.abstractmethod
    def answer(self, request: Request) -> Response:
        """Answer a REST request that is within the rules."""

    def weigh(self, request: Request) -> float:  # noqa: ARG002 - some exchanges count requests, whatever they are
        """Return what a REST request weighs."""
        return 1.0

    def announce_shutdown(self) -> None:
        """Tell the clients that they are about to be cut."""

    @abc.abstractmethod
    def garbage(self) -> list[bytes]:
        """Return malformed messages; none of them may be taken for data."""

    @abc.abstractmethod
    def symbol_of(self, payload: bytes) -> str | None:
        """Return the venue symbol that a data message of this exchange is about."""
