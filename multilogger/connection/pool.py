"""All connections of one exchange: which symbols are where."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, NoReturn

import numpy as np
import structlog
import trio

from multilogger.connection.catching_up import CatchingUp
from multilogger.connection.causes import RESTARTED
from multilogger.connection.feed import Feed
from multilogger.connection.lane import LINGER_SECS, LOOK_SECS, Kit, Lane
from multilogger.connection.protocols import Coverage
from multilogger.connection.scaling import Load, Move, Scaler
from multilogger.connection.session import Session
from multilogger.connection.subscriptions import minus
from multilogger.connection.wanted import SetAside
from multilogger.connection.watch import Watch
from multilogger.errors import StartupError
from multilogger.exchanges.base import Exchange

log = structlog.get_logger(__name__)

SCALE_SECS: Final = 10.0
"""The connections' loads are looked at so often."""
MOVED_SECS: Final = 60.0
"""Between two changes."""
MOVE_SECS: Final = 180.0
"""A move that has not succeeded by then is taken back."""


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
        self._set_aside = SetAside(feed.stats)
        self._kit = Kit(
            exchange=exchange,
            feed=feed,
            set_aside=self._set_aside,
            buffer_size=buffer_size,
            chance=chance,
        )
        self._watch = Watch(exchange, feed, chance)
        self._scaler = Scaler[Lane](exchange.config.messages_per_connection, symbols_per_lane(exchange))
        self._lanes: list[Lane] = []
        self._fresh: list[Lane] = []
        self._running: list[Lane] = []
        self._changed = trio.Event()

    @property
    def coverage(self) -> Coverage:
        """The ledger of the exchange."""
        return self._feed.coverage

    @property
    def symbols(self) -> list[str]:
        """What it is to carry."""
        return list(dict.fromkeys(symbol for lane in self._lanes for symbol in lane.wanted.symbols))

    @property
    def is_streaming(self) -> bool:
        """Whether there are connections, and all of them carry their symbols."""
        return bool(self._lanes) and all(lane.is_streaming for lane in self._lanes)

    def update(self, symbols: Sequence[str]) -> list[str]:
        """Carry these symbols from now on.

        Symbols that are carried already stay where they are. New ones join connections with room, or new
        connections. Those that are gone are unsubscribed; a connection left without symbols is closed.

        Returns:
            The symbols there is no room for; they are logged.
        """
        wanted = dict.fromkeys(symbols)
        known = self.symbols
        # Those of a connection that is down; the others are released when their connection lets them go.
        gone = [symbol for symbol in minus(known, wanted) if not self._feed.carriers.is_asked(symbol)]
        self._feed.coverage.released(gone)
        new: Sequence[str] = minus(list(wanted), known)
        size = symbols_per_lane(self._exchange)
        for lane in self._lanes:
            kept = [symbol for symbol in lane.wanted.symbols if symbol in wanted]
            room = max(0, size - len(kept))
            lane.wanted.change([*kept, *new[:room]])
            new = new[room:]
        self._close_empty()
        while new and self._may_open:
            self._open_lane(new[:size])
            new = new[size:]
        self._set_aside.forget(wanted)
        if new:
            log.error("no room for symbols", exchange=self._exchange.id, left_out=len(new), first=new[0])
        return list(new)

    @property
    def _may_open(self) -> bool:
        return len(self._lanes) < self._exchange.config.max_connections

    def _open_lane(self, symbols: Sequence[str]) -> Lane:
        lane = Lane(f"{self._exchange.id}-{self._feed.connections}", symbols, self._kit)
        self._feed.connections += 1
        self._lanes.append(lane)
        self._fresh.append(lane)
        self._changed.set()
        return lane

    def _close_empty(self) -> None:
        empty = [lane for lane in self._lanes if not lane.wanted.symbols]
        for lane in empty:
            lane.close()
        self._lanes = [lane for lane in self._lanes if lane not in empty]

    async def run(self) -> NoReturn:
        """Keep the connections of all lanes up; ends by cancellation, or by what is no FeedError."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch.run)
                nursery.start_soon(self._scale)
                while True:
                    self._changed = trio.Event()
                    for lane in self._fresh:
                        nursery.start_soon(self._run_lane, lane)
                    self._fresh.clear()
                    await self._changed.wait()
        except Exception:
            # A bug: until the exchange is started anew, nothing is carried. A stop or a pause comes as
            # Cancelled, and whoever asked for it notes that for the whole exchange.
            for session in self._sessions:
                self._feed.carriers.left(session, cause=RESTARTED)
            raise
        finally:
            for session in self._sessions:
                self._feed.carriers.forget(session)

    async def _run_lane(self, lane: Lane) -> None:
        self._running.append(lane)
        await lane.run()
        self._running.remove(lane)

    @property
    def _sessions(self) -> list[Session]:
        return [session for lane in self._running for session in lane.sessions]

    async def _scale(self) -> NoReturn:
        while True:
            await trio.sleep(SCALE_SECS)
            if self.is_streaming:
                move = self._scaler.decide(
                    [self._load(lane) for lane in self._lanes], may_open=self._may_open
                )
                if move is not None:
                    await self._move(move)
                    await trio.sleep(MOVED_SECS)

    def _load(self, lane: Lane) -> Load[Lane]:
        symbols = lane.wanted.symbols
        numbers = np.array([self._feed.symbols.number(symbol) for symbol in symbols], np.intp)
        rates = self._feed.quality.rates(numbers)
        return Load(lane, dict(zip(symbols, rates.tolist(), strict=True)))

    async def _move(self, move: Move[Lane]) -> None:
        """Make before break: the receiving lane streams the symbols before the giving one lets them go."""
        giving = move.giving
        receiving = move.receiving or self._open_lane(move.symbols)
        log.info(
            "symbols move",
            exchange=self._exchange.id,
            symbols=len(move.symbols),
            giving=giving.stats.name,
            receiving=receiving.stats.name,
        )
        receiving.wanted.change(dict.fromkeys((*receiving.wanted.symbols, *move.symbols)))
        loser = receiving
        with trio.move_on_after(MOVE_SECS):
            await self._until_carried(move.symbols, giving, receiving)
            loser = giving
        if loser is receiving:
            log.warning("symbols stay where they were", exchange=self._exchange.id, symbols=len(move.symbols))
        else:
            self._feed.stats.moves += len(move.symbols)
        loser.wanted.change(minus(loser.wanted.symbols, move.symbols))
        self._close_empty()

    async def _until_carried(self, symbols: Sequence[str], giving: Lane, receiving: Lane) -> None:
        catching_up = CatchingUp(self._feed, giving.sessions)
        while True:
            # Some may have left the listing, or been rejected, in the meantime.
            moving = self._set_aside.without(minus(symbols, minus(symbols, receiving.wanted.symbols)))
            sessions = receiving.sessions
            if sessions and catching_up.is_done(sessions[-1], moving):
                await trio.sleep(LINGER_SECS)
                return
            await trio.sleep(LOOK_SECS)
