"""The simulated exchanges there are, and those of the demo, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

import trio

from multilogger.simulator.binance.coinm import BinanceCoinmVenue
from multilogger.simulator.binance.spot import BinanceVenue
from multilogger.simulator.binance.usdm import BinanceUsdmVenue
from multilogger.simulator.bybit.contracts import BybitInverseVenue, BybitLinearVenue
from multilogger.simulator.bybit.spot import BybitVenue
from multilogger.simulator.coinbase.venue import CoinbaseVenue
from multilogger.simulator.kraken.spot import KrakenVenue
from multilogger.simulator.kraken_futures.venue import KrakenFuturesVenue
from multilogger.simulator.ledger import Ledger
from multilogger.simulator.market import MEMORY_TRADES, Market
from multilogger.simulator.okx.venue import OkxVenue
from multilogger.simulator.site import Fault
from multilogger.simulator.venue import Venue

VENUES: Final[dict[str, type[Venue[Any]]]] = {
    kind.name: kind
    for kind in (
        *(CoinbaseVenue, BinanceVenue, KrakenVenue, BybitVenue, OkxVenue),
        *(BinanceUsdmVenue, BinanceCoinmVenue, BybitLinearVenue, BybitInverseVenue, KrakenFuturesVenue),
    )
}
"""The exchanges that can be simulated, by name."""

_ID_UNIT_NS: Final = 100_000
"""First trade ids count these since the epoch: a later run starts above an earlier one's last id, as long as
no instrument trades more than 10,000 times a second, and ids still fit 53 bits."""


class AnyVenue(Protocol):
    """What can be done with a simulated exchange, whether a market or a recording drives it."""

    @property
    def name(self) -> str:
        """Return the exchange's name."""
        ...

    @property
    def ws_url(self) -> str:
        """Return the WebSocket endpoint; known once :meth:`run` has started."""
        ...

    @property
    def rest_url(self) -> str:
        """Return the REST endpoint; known once :meth:`run` has started."""
        ...

    @property
    def sent_messages(self) -> int:
        """Return the number of data frames given to all clients, acknowledgements and garbage included."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Return what was sent; empty where a recording is played."""
        ...

    @property
    def violations(self) -> list[str]:
        """Return what clients did that the exchange's rules forbid, in words."""
        ...

    def pause(self) -> None:
        """Let market, periodic messages or recording rest, so that clients catch up."""
        ...

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        ...

    async def drained(self) -> None:
        """Wait until everything sent has been handed to the operating system."""
        ...

    def inject(self, fault: Fault) -> None:
        """Let a fault strike now."""
        ...

    async def run(self, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Serve until cancelled; starts with the venue itself, whose URLs are then known.

        Raises:
            ExceptionGroup: of an OSError, where a port can't be bound.
        """
        ...


def demo_venues(
    seed: int,
    rate: float,
    clock: Callable[[], int],
    ledger_dir: Path | None,
    *,
    names: Collection[str] = tuple(VENUES),
    host: str = "127.0.0.1",
    memory_trades: int = MEMORY_TRADES,
    enter_all: bool = False,
) -> list[AnyVenue]:
    """Return simulated exchanges, about ten instruments each, in the order of :data:`VENUES`.

    Args:
        seed: of the markets; an exchange's is the same whichever others there are.
        rate: data messages per second, of each exchange.
        clock: exchange time, nanoseconds since the epoch; the first trade ids derive from it, too.
        ledger_dir: where the ledgers are written, after what earlier runs left; None keeps them in memory.
        names: of the exchanges.
        host: the address to serve on.
        memory_trades: that each instrument remembers for REST.
        enter_all: whether the ledgers have also those trades that were not sent, see ``Venue.enter_all``.
    """
    first = clock() // _ID_UNIT_NS
    venues: list[AnyVenue] = []
    for number, (name, kind) in enumerate(VENUES.items()):
        if name in names:
            market = Market(
                seed + number,
                kind.instruments,
                first_trade_id=first,
                resolution_ns=kind.resolution_ns,
                pace_ns=kind.pace_ns,
                memory_trades=memory_trades,
            )
            venue = kind(market, clock, ledger_dir=ledger_dir, rate=rate, host=host)
            venue.enter_all = enter_all
            venues.append(venue)
    return venues
