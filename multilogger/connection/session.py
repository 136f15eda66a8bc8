"""One connection from its opening to its end: open, subscribe, confirm, stream."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

import structlog
import trio

from multilogger.connection.feed import LAST_HAND_OVER_SECS, Feed
from multilogger.connection.wanted import SetAside, Wanted
from multilogger.errors import ConnectFailed, FeedError, Renewal, Silent, SubscriptionTimeout
from multilogger.exchanges.base import Confirmed, Event, Exchange, Rejected, Renew, Send
from multilogger.stats import LinkState, LinkStats

log = structlog.get_logger(__name__)

CONNECT_SECS: Final = 15.0
"""TCP, TLS and WebSocket handshake together."""
CLOSE_SECS: Final = 2.0
"""A polite close takes a second at most; this is for connections that are not ours."""
RENEW_EARLY: Final = (0.01, 0.05)
"""A connection is replaced by this part of its lifetime early, at random, so that not all go at once."""

_QUEUED_ANSWERS: Final = 64
"""Frames an adapter may want to send while earlier ones wait for their pace."""
_NAMED: Final = 5
"""Symbols that an error names."""


class Session:
    """One connection of an exchange, used once.

    Args:
        exchange: makes the connection and its adapter.
        feed: shared by the exchange's connections.
        wanted: the symbols to carry, followed as they change.
        set_aside: where rejected symbols go.
        stats: of this connection.
        buffer_size: rows held before an early hand-over.
        chance: jitter of the planned renewal.
    """

    def __init__(
        self,
        exchange: Exchange,
        feed: Feed,
        wanted: Wanted,
        *,
        set_aside: SetAside,
        stats: LinkStats,
        buffer_size: int,
        chance: random.Random,
    ) -> None:
        self._exchange = exchange
        self._wanted = wanted
        self._set_aside = set_aside
        self._stats = stats
        self._buffer_size = buffer_size
        self._chance = chance
        self._asked = set_aside.without(wanted.symbols)
        self._unconfirmed = set(self._asked)
        self._answered = trio.Event()
        self._link = exchange.create_connection(self._asked)
        self._adapter = exchange.create_adapter(feed.symbols, feed.stats)
        self._collector = feed.make_collector()
        self._answers, self._answers_to_send = trio.open_memory_channel[tuple[str, ...]](_QUEUED_ANSWERS)
        self._heard = 0.0
        self._busy = False
        self._streaming_since: float | None = None

    async def run(self) -> NoReturn:
        """Stream until something ends it; rows in the buffer are handed over and the link closed in any case.

        Raises:
            FeedError: what ended it.
        """
        failures: list[FeedError] = []
        try:
            async with trio.open_nursery() as nursery:
                try:
                    await self._connect(nursery)
                    await self._stream()
                finally:
                    with trio.move_on_after(LAST_HAND_OVER_SECS + CLOSE_SECS, shield=True):
                        await self._collector.hand_over_last()
                        # The link's own task, in the outer nursery, is still there to see the peer's answer.
                        await self._link.aclose()
        except* FeedError as group:
            failures += _leaves(group)
        # The block ends by an exception only, and all others have gone on.
        raise failures[0]

    async def _stream(self) -> NoReturn:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._subscribe)
            nursery.start_soon(self._follow_wanted)
            nursery.start_soon(self._send_answers)
            nursery.start_soon(self._collector.keep_handing_over)
            nursery.start_soon(self._watch_silence)
            nursery.start_soon(self._ping)
            nursery.start_soon(self._renew_in_time)
            await self._read()

    def streamed_secs(self) -> float:
        """Return for how long all subscriptions have been confirmed."""
        return 0.0 if self._streaming_since is None else trio.current_time() - self._streaming_since

    async def _connect(self, nursery: trio.Nursery) -> None:
        self._stats.state = LinkState.CONNECTING
        self._stats.symbols = len(self._asked)
        try:
            with trio.fail_after(CONNECT_SECS):
                await self._link.connect(nursery)
        except trio.TooSlowError:
            url = self._exchange.endpoint(self._asked)
            raise ConnectFailed(f"{url}: no connection within {CONNECT_SECS:.0f} s") from None
        self._heard = trio.current_time()

    async def _subscribe(self) -> None:
        self._stats.state = LinkState.SUBSCRIBING
        await self._ask(self._asked)
        self._stats.state = LinkState.STREAMING
        self._streaming_since = trio.current_time()
        log.info("streaming", connection=self._stats.name, symbols=len(self._asked))

    async def _ask(self, symbols: Sequence[str]) -> None:
        """Subscribe ``symbols`` and wait until the exchange has answered for each.

        The deadline counts from the last frame: at few messages a second the frames alone may take minutes.
        """
        await self._link.send(self._adapter.subscribe(symbols))
        with trio.move_on_after(self._exchange.config.confirm_secs):
            while not self._unconfirmed.isdisjoint(symbols):
                await self._answered.wait()
            return
        open_ = sorted(self._unconfirmed.intersection(symbols))
        some = ", ".join(open_[:_NAMED]) + (", …" if len(open_) > _NAMED else "")
        raise SubscriptionTimeout(f"{len(open_)} of {len(symbols)} subscriptions not confirmed: {some}")

    async def _follow_wanted(self) -> NoReturn:
        """Subscribe what joins and unsubscribe what leaves."""
        while True:
            changed = self._wanted.changed
            wanted = self._set_aside.without(self._wanted.symbols)
            joined = _minus(wanted, self._asked)
            left = _minus(self._asked, wanted)
            self._asked = wanted
            self._stats.symbols = len(wanted)
            if left:
                self._unconfirmed.difference_update(left)
                await self._link.send(self._adapter.unsubscribe(left))
            if joined:
                self._unconfirmed.update(joined)
                await self._ask(joined)
            await changed.wait()

    async def _send_answers(self) -> None:
        async for frames in self._answers_to_send:
            await self._link.send(frames)

    async def _read(self) -> NoReturn:
        stats, rows = self._stats, self._collector.rows
        while True:
            frames = await self._link.read_frames()
            payloads = frames.payloads
            events = self._adapter.receive(payloads, frames.recv_ns, rows)
            stats.messages += len(payloads)
            stats.bytes += sum(map(len, payloads))
            stats.last_data_ns = frames.recv_ns
            self._collector.note_rows()
            if events or len(rows) >= self._buffer_size:
                self._busy = True
                await self._dispatch(events)
                if len(rows) >= self._buffer_size:
                    await self._collector.hand_over()
                self._busy = False
            self._heard = trio.current_time()

    async def _dispatch(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Confirmed(symbols):
                    self._note_confirmed(symbols)
                case Rejected(symbols, reason):
                    self._note_rejected(symbols, reason)
                case Send(frames):
                    # Sent by another task: their pace must not hold up the reading.
                    await self._answers.send(frames)
                case Renew(reason):
                    raise Renewal(reason)

    def _note_confirmed(self, symbols: Iterable[str]) -> None:
        self._unconfirmed.difference_update(symbols)
        self._set_aside.forgive(symbols)
        self._note_answer()

    def _note_rejected(self, symbols: Sequence[str], reason: str) -> None:
        self._unconfirmed.difference_update(symbols)
        self._set_aside.add(symbols, reason)
        self._asked = _minus(self._asked, symbols)
        self._stats.symbols = len(self._asked)
        self._note_answer()
        if not self._asked:
            raise Renewal(f"no symbols are left, the last was rejected: {reason}")

    def _note_answer(self) -> None:
        self._answered.set()
        self._answered = trio.Event()

    async def _watch_silence(self) -> NoReturn:
        """Raise Silent if the exchange is; while we wait for the writer and do not listen, it is not."""
        most = self._exchange.config.silence_secs
        while True:
            due = trio.current_time() + most if self._busy else self._heard + most
            await trio.sleep_until(due)
            if not self._busy and trio.current_time() >= self._heard + most:
                raise Silent(f"no data for {most:g} s")

    async def _ping(self) -> None:
        interval = self._exchange.limits.ping_secs
        while interval is not None:
            await trio.sleep(interval)
            frame = self._adapter.ping()
            if frame is not None:
                await self._link.send([frame])

    async def _renew_in_time(self) -> None:
        lifetime = self._exchange.limits.lifetime_secs
        if lifetime is not None:
            await trio.sleep(lifetime * (1 - self._chance.uniform(*RENEW_EARLY)))
            raise Renewal(f"its life of {lifetime:g} s is nearly over")


def _minus(symbols: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    without = set(others)
    return tuple(symbol for symbol in symbols if symbol not in without)


def _leaves(group: BaseExceptionGroup[FeedError]) -> list[FeedError]:
    """Return the errors of a group, however deep."""
    leaves: list[FeedError] = []
    for part in group.exceptions:
        leaves += _leaves(part) if isinstance(part, BaseExceptionGroup) else [part]
    return leaves
