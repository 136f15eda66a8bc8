"""All connections of one exchange: lanes of symbols, each with one connection after another."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NoReturn

import structlog
import trio

from multilogger.connection.backoff import Backoff
from multilogger.connection.feed import Feed
from multilogger.connection.limits import Pace
from multilogger.connection.session import Session
from multilogger.connection.wanted import SetAside, Wanted
from multilogger.errors import FeedError, Renewal, StartupError
from multilogger.exchanges.base import Exchange
from multilogger.stats import LinkState, LinkStats

log = structlog.get_logger(__name__)


def symbols_per_lane(exchange: Exchange) -> int:
    """Return how many symbols one connection carries: as configured, as far as the exchange allows."""
    return min(exchange.config.symbols_per_connection, exchange.limits.symbols_per_connection)


def check_capacity(exchange: Exchange, symbols: int) -> None:
    """Check that the configured connections can carry so many symbols.

    Raises:
        StartupError: they can't; the message names the numbers and what to change.
    """
    per_lane, lanes = symbols_per_lane(exchange), exchange.config.max_connections
    if symbols <= per_lane * lanes:
        return
    section = f"exchanges.{exchange.id}"
    needed = -(-symbols // per_lane)
    limited = per_lane < exchange.config.symbols_per_connection
    more = "" if limited else f", or {section}.symbols_per_connection"
    raise StartupError(
        f"{section}: {symbols} symbols do not fit: {lanes} connections of at most {per_lane} symbols each"
        f"{' (the limit of the exchange)' if limited else ''} carry {per_lane * lanes}; "
        f"raise {section}.max_connections to {needed}{more}, or choose fewer {section}.symbols"
    )


class Lane:
    """The symbols of one connection, and of those that replace it."""

    def __init__(self, name: str, symbols: Iterable[str]) -> None:
        self.wanted = Wanted(symbols)
        self.stats = LinkStats(name)
        self.scope = trio.CancelScope()


class Pool:
    """The connections of one exchange.

    Args:
        exchange: what to connect to.
        feed: what the connections share.
        buffer_size: rows that a connection holds before an early hand-over.
        chance: jitter.
    """

    def __init__(self, exchange: Exchange, feed: Feed, buffer_size: int, chance: random.Random) -> None:
        self._exchange = exchange
        self._feed = feed
        self._buffer_size = buffer_size
        self._chance = chance
        self._lanes: list[Lane] = []
        self._opened = 0
        self._fresh: list[Lane] = []
        self._changed = trio.Event()
        self._set_aside = SetAside(feed.stats)
        self._connects = Pace(exchange.limits.connects_per_second)

    def update(self, symbols: Sequence[str]) -> list[str]:
        """Carry these symbols from now on.

        Symbols that are carried already stay where they are. New ones join connections with room, or new
        connections. Those that are gone are unsubscribed; a connection left without symbols is closed.

        Returns:
            The symbols there is no room for; they are logged.
        """
        wanted = dict.fromkeys(symbols)
        carried = {symbol for lane in self._lanes for symbol in lane.wanted.symbols}
        new = [symbol for symbol in wanted if symbol not in carried]
        size = symbols_per_lane(self._exchange)
        for lane in self._lanes:
            kept = [symbol for symbol in lane.wanted.symbols if symbol in wanted]
            room = size - len(kept)
            lane.wanted.change([*kept, *new[:room]])
            new = new[room:]
        self._close_empty()
        while new and len(self._lanes) < self._exchange.config.max_connections:
            self._open_lane(new[:size])
            new = new[size:]
        self._set_aside.forget(wanted)
        if new:
            log.error("no room for symbols", exchange=self._exchange.id, left_out=len(new), first=new[0])
        return new

    def _open_lane(self, symbols: Sequence[str]) -> None:
        lane = Lane(f"{self._exchange.id}-{self._opened}", symbols)
        self._opened += 1
        lane.stats.symbols = len(symbols)
        self._lanes.append(lane)
        self._fresh.append(lane)
        self._changed.set()

    def _close_empty(self) -> None:
        for lane in self._lanes:
            if not lane.wanted.symbols:
                lane.scope.cancel()
        self._lanes = [lane for lane in self._lanes if lane.wanted.symbols]

    async def run(self) -> NoReturn:
        """Keep the connections of all lanes up; ends by cancellation, or by what is no FeedError."""
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                for lane in self._fresh:
                    nursery.start_soon(self._run_lane, lane)
                self._fresh.clear()
                await self._changed.wait()

    async def _run_lane(self, lane: Lane) -> None:
        self._feed.stats.links[lane.stats.name] = lane.stats
        try:
            with lane.scope:
                await self._keep_connected(lane)
        finally:
            self._feed.stats.drop_link(lane.stats.name)

    async def _keep_connected(self, lane: Lane) -> NoReturn:
        backoff = Backoff(self._chance)
        while True:
            await self._wait_for_symbols(lane)
            await self._connects.turn()
            delay = await self._run_session(lane, backoff)
            lane.stats.state = LinkState.WAITING
            await trio.sleep(delay)
            lane.stats.reconnects += 1

    async def _wait_for_symbols(self, lane: Lane) -> None:
        """Wait while the exchange has rejected every symbol of the lane."""
        while not self._set_aside.without(lane.wanted.symbols):
            lane.stats.state = LinkState.WAITING
            changed = lane.wanted.changed
            with trio.move_on_at(self._set_aside.next_retry(lane.wanted.symbols)):
                await changed.wait()

    async def _run_session(self, lane: Lane, backoff: Backoff) -> float:
        """Run one connection to its end and return the seconds to wait before the next."""
        session = Session(
            self._exchange,
            self._feed,
            lane.wanted,
            set_aside=self._set_aside,
            stats=lane.stats,
            buffer_size=self._buffer_size,
            chance=self._chance,
        )
        try:
            await session.run()
        except FeedError as failure:
            streamed = session.streamed_secs()
            backoff.reset_after(streamed)
            # A renewal right at the start is no plan: the exchange is in trouble, and gets its rest.
            delay = 0.0 if isinstance(failure, Renewal) and streamed else backoff.next()
            self._note(lane.stats, failure, delay)
            return delay

    @staticmethod
    def _note(stats: LinkStats, failure: FeedError, delay: float) -> None:
        stats.last_error = f"{type(failure).__name__}: {failure}"
        level = log.info if isinstance(failure, Renewal) else log.warning
        level(
            "connection ended",
            connection=stats.name,
            error=type(failure).__name__,
            why=str(failure),
            again_in_secs=round(delay, 2),
        )
