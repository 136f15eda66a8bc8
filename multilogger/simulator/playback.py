"""Playback: recorded frames instead of a market, over the same server and in the same dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, NoReturn

import trio

from multilogger.recording import Recorded, read_recording
from multilogger.simulator.client import Client
from multilogger.simulator.ledger import Ledger
from multilogger.simulator.market import Market
from multilogger.simulator.site import Fault
from multilogger.simulator.venue import Venue
from multilogger.simulator.venues import VENUES

_PATIENCE_SECS: Final = 3.0
"""After the first subscription, the others are waited for this long: a recorder may not want all symbols."""
_AHEAD_BYTES: Final = 1024 * 1024
"""Frames are given to a connection while it has less than this to send."""
_BURST: Final = 256
"""Frames between two looks at how fast the connections take them."""


class PlaybackVenue:
    """Serves recorded frames, exactly as recorded, to whoever subscribes their symbols.

    Acknowledgements, refusals and the REST listing are the dialect's own, made for the symbols found in the
    recording. When all of these are subscribed, or some and no more for 3 seconds, the frames are sent in
    order: each to the first connection that subscribed its symbol, those without a symbol to the first
    connection of all. Afterwards the connections stay open and idle.

    Args:
        exchange: a name in :data:`~multilogger.simulator.venues.VENUES`.
        frames: the recording; it is held in memory.
        clock: exchange time, nanoseconds since the epoch.
        symbols: listed besides those found.
        speed: 1.0 keeps the recorded pace, 2.0 is twice as fast; None sends as fast as the connections
            take it. Frames without a receive time follow at once.
        host: the address to serve on.
        ws_port: of the WebSocket server; 0 takes a free one.
        rest_port: of the REST server; 0 takes a free one.
    """

    def __init__(
        self,
        exchange: str,
        frames: Iterable[Recorded],
        clock: Callable[[], int],
        *,
        symbols: Sequence[str] = (),
        speed: float | None = None,
        host: str = "127.0.0.1",
        ws_port: int = 0,
        rest_port: int = 0,
    ) -> None:
        self.name = exchange
        self.frames = list(frames)
        self.done = trio.Event()
        """Set when the last frame has been handed to the operating system."""
        self.played = 0
        """Recorded frames sent so far."""
        self._speed = speed
        self._going = trio.Event()
        self._going.set()
        kind = VENUES[exchange]
        probe = kind(Market(0, ()), clock)
        self._symbols = [_symbol_of(probe, frame) for frame in self.frames]
        self.symbols = tuple(dict.fromkeys([*filter(None, self._symbols), *symbols]))
        """All that is listed: first those of the recording, in order of appearance."""
        self._recorded = frozenset(filter(None, self._symbols))
        market = Market(0, [kind.instrument_of(symbol) for symbol in self.symbols])
        self.venue = kind(market, clock, host=host, ws_port=ws_port, rest_port=rest_port)
        # No heartbeats or tickers of a market that does not exist among the recorded frames.
        self.venue.pause()

    @property
    def ws_url(self) -> str:
        """Known once :meth:`run` has started."""
        return self.venue.ws_url

    @property
    def rest_url(self) -> str:
        """Known once :meth:`run` has started."""
        return self.venue.rest_url

    @property
    def sent_messages(self) -> int:
        """All data frames sent, acknowledgements included."""
        return self.venue.sent_messages

    @property
    def ledger(self) -> Ledger:
        """Empty: nobody made these frames here."""
        return self.venue.ledger

    @property
    def violations(self) -> list[str]:
        """What clients did that the exchange's rules forbid, in words, the oldest first."""
        return self.venue.violations

    def pause(self) -> None:
        """Let the recording rest before the next frame."""
        self._going = trio.Event()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._going.set()

    async def drained(self) -> None:
        """Wait until everything sent has been handed to the operating system."""
        await self.venue.drained()

    def inject(self, fault: Fault) -> None:
        """Let a fault strike now."""
        fault.strike(self.venue)

    async def run(
        self, *, task_status: trio.TaskStatus[PlaybackVenue] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Serve until cancelled; starts with the venue itself, whose URLs are then known.

        Raises:
            ExceptionGroup: of an OSError, where a port can't be bound.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(self.venue.run, trade_at_start=False))
            nursery.start_soon(self._play)
            task_status.started(self)
        raise AssertionError("a server only ends by cancellation")

    async def _play(self) -> None:
        await self._wait_subscribed()
        start = trio.current_time()
        offsets = _offsets(self.frames, self._speed)
        for number, (frame, symbol, offset) in enumerate(
            zip(self.frames, self._symbols, offsets, strict=True)
        ):
            if offset > trio.current_time() - start:
                await trio.sleep_until(start + offset)
            await self._going.wait()
            await self.venue.wait_flowing()
            if number % _BURST == 0:
                await self._wait_room()
            self.venue.send(await self._receiver(symbol), frame.payload)
            self.played += 1
        await self.drained()
        self.done.set()

    async def _wait_subscribed(self) -> None:
        while not self._recorded or not self._recorded <= self._subscribed():
            with trio.move_on_after(_PATIENCE_SECS) as patience:
                await self.venue.activity.wait()
            if patience.cancelled_caught and self._subscribed():
                return

    def _subscribed(self) -> set[str]:
        topics = [topic for client in self.venue.connected() for topic in client.topics]
        return {self.venue.topic_symbol(topic) for topic in topics}

    async def _receiver(self, symbol: str | None) -> Client:
        while True:
            clients: list[Client] = [client for client in self.venue.connected() if client.topics]
            for client in clients:
                if symbol in {self.venue.topic_symbol(topic) for topic in client.topics}:
                    return client
            if clients:
                return clients[0]
            # All connections are gone; whoever comes back gets the rest.
            await self.venue.activity.wait()

    async def _wait_room(self) -> None:
        for client in list(self.venue.connected()):
            await client.outbox.wait_below(_AHEAD_BYTES)


def open_playback(
    exchange: str,
    files: Iterable[Path],
    clock: Callable[[], int],
    *,
    speed: float | None = None,
    symbols: Sequence[str] = (),
) -> PlaybackVenue:
    """Return a venue that plays recordings one after the other; the arguments are :class:`PlaybackVenue`'s.

    Raises:
        RecordingError: a line of a file is no recorded frame.
        OSError: a file can't be read.
    """
    frames = chain.from_iterable(map(read_recording, files))
    return PlaybackVenue(exchange, frames, clock, speed=speed, symbols=symbols)


def _offsets(frames: Sequence[Recorded], speed: float | None) -> Iterator[float]:
    """Yield when each frame is due, in seconds after the first."""
    first: int | None = None
    due = 0.0
    for frame in frames:
        if speed is not None and frame.recv_ns is not None:
            first = frame.recv_ns if first is None else first
            due = (frame.recv_ns - first) / 1e9 / speed
        yield due


def _symbol_of(venue: Venue[Any], frame: Recorded) -> str | None:
    try:
        return venue.symbol_of(frame.payload)
    except ValueError:
        return None  # A recording may hold frames that are no JSON; they are sent all the same.
