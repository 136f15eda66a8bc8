"""One connection from its opening to its end: open, subscribe, confirm, stream."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NoReturn

import structlog
import trio

from multilogger.connection.arrivals import Arrivals
from multilogger.connection.causes import cause_of
from multilogger.connection.feed import LAST_HAND_OVER_SECS, Feed
from multilogger.connection.pings import ping_each, ping_when_quiet
from multilogger.connection.subscriptions import Subscriptions
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


class Session:
    """One connection of an exchange, used once; a :class:`~multilogger.connection.carriers.Carrier`.

    Args:
        exchange: makes the connection and its adapter.
        feed: shared by the exchange's connections.
        wanted: the symbols to carry, followed as they change.
        set_aside: where rejected symbols go.
        stats: of this connection and those that it replaces or is replaced by.
        buffer_size: rows held before an early hand-over.
        chance: jitter of the planned renewal.
        leads: whether ``stats`` show its state; else from :meth:`lead` on.
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
        leads: bool = True,
    ) -> None:
        self.heard = 0.0
        self.heard_ns = 0
        self.busy = False
        self.md_has_time = exchange.md_has_time
        self.adapter = exchange.create_adapter(feed.symbols, feed.stats)
        self.due = trio.Event()
        """Set when another connection should take over, or has to: this one is over."""
        self.due_to: FeedError | None = None
        """Why, while this one goes on."""
        self.over = trio.Event()
        self.ended_by: FeedError | None = None
        """What ended it; None if it was retired."""
        self._exchange = exchange
        self._feed = feed
        self._stats = stats
        self._buffer_size = buffer_size
        self._chance = chance
        self._leads = leads
        self._state = LinkState.CONNECTING
        self._url = exchange.endpoint(set_aside.without(wanted.symbols))
        self._link = exchange.create_connection(set_aside.without(wanted.symbols))
        self._collector = feed.make_collector()
        self._subscriptions = Subscriptions(
            self,
            feed.carriers,
            self._link,
            wanted=wanted,
            set_aside=set_aside,
            confirm_secs=exchange.config.confirm_secs,
            changed=self._show,
        )
        self._answers, self._answers_to_send = trio.open_memory_channel[tuple[str, ...]](_QUEUED_ANSWERS)
        self._scope = trio.CancelScope()
        self._streaming_since: float | None = None

    @property
    def arrivals(self) -> Arrivals:
        """What of each symbol came when."""
        return self._collector.arrivals

    @property
    def muted(self) -> set[int]:
        """Numbers of the symbols whose MD rows it keeps back."""
        return self._collector.muted

    async def run(self) -> None:
        """Stream until something ends it, or it is retired.

        Rows in the buffer are handed over and the link closed in any case.

        Raises:
            FeedError: what ended it.
        """
        try:
            async with trio.open_nursery() as nursery:
                try:
                    await self._live(nursery)
                finally:
                    with trio.move_on_after(LAST_HAND_OVER_SECS + CLOSE_SECS, shield=True):
                        await self._collector.hand_over_last()
                        # The link's own task, in this nursery, is still there to see the peer's answer.
                        await self._link.aclose()
                nursery.cancel_scope.cancel()
        except* FeedError as group:
            self._note_failure(_leaves(group)[0])
        self.over.set()
        self.due.set()
        if self.ended_by is not None:
            raise self.ended_by

    async def _live(self, nursery: trio.Nursery) -> None:
        """Return when retired, or failed."""
        try:
            with self._scope:
                await self._connect(nursery)
                await self._stream()
        except* FeedError as group:
            # Told at once: the last hand-over and the close may take seconds.
            self._note_failure(_leaves(group)[0])

    def _note_failure(self, failure: FeedError) -> None:
        if self.ended_by is None:
            self.ended_by = failure
            self._feed.carriers.left(self, cause=cause_of(failure))

    async def _stream(self) -> NoReturn:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._subscribe)
            nursery.start_soon(self._follow, self._subscriptions.follow_wanted)
            nursery.start_soon(self._follow, self._subscriptions.follow_ask_again)
            nursery.start_soon(self._send_answers)
            nursery.start_soon(self._collector.keep_handing_over)
            nursery.start_soon(self._watch_silence)
            nursery.start_soon(self._ping)
            nursery.start_soon(self._renew_in_time)
            await self._read()

    def retire(self) -> None:
        """End in order: another connection has taken over, or nobody wants the symbols."""
        self._subscriptions.let_go()
        self._scope.cancel()

    def ask_again(self, symbols: Iterable[str]) -> None:
        """Have symbols unsubscribed and subscribed anew, soon."""
        self._subscriptions.ask_again(symbols)

    def replace(self, why: FeedError) -> None:
        """Have another connection take over; this one goes on until then."""
        if self.due_to is None:
            self.due_to = why
        self.due.set()

    def _replace_or_end(self, why: FeedError) -> None:
        """Have another connection take over, if there is something to take over: else end."""
        if self._streaming_since is None:
            raise why
        self.replace(why)

    @property
    def is_alive(self) -> bool:
        """Whether nothing has ended it yet; from then until it is over it hands over and closes."""
        return self.ended_by is None and not self._scope.cancel_called and not self.over.is_set()

    def lead(self) -> None:
        """Show the state in the counters from now on."""
        self._leads = True
        self._show()

    def streamed_secs(self) -> float:
        """Return for how long all subscriptions have been confirmed."""
        return 0.0 if self._streaming_since is None else trio.current_time() - self._streaming_since

    def _show(self) -> None:
        if self._leads:
            self._stats.state = self._state
            self._stats.symbols = len(self._subscriptions.asked)

    def _enter(self, state: LinkState) -> None:
        self._state = state
        self._show()

    async def _connect(self, nursery: trio.Nursery) -> None:
        self._enter(LinkState.CONNECTING)
        # The exchange's limit of new connections may hold us up for long; that is no failure.
        await self._link.wait_turn()
        try:
            with trio.fail_after(CONNECT_SECS):
                await self._link.connect(nursery)
        except trio.TooSlowError:
            raise ConnectFailed(f"{self._url}: no connection within {CONNECT_SECS:.0f} s") from None
        self.heard, self.heard_ns = trio.current_time(), self._feed.calendar()

    async def _subscribe(self) -> None:
        self._enter(LinkState.SUBSCRIBING)
        await self._subscriptions.ask_first()
        self._streaming_since = trio.current_time()
        self._enter(LinkState.STREAMING)
        log.info("streaming", connection=self._stats.name, symbols=len(self._subscriptions.asked))

    async def _follow(self, changes: Callable[[], Awaitable[NoReturn]]) -> NoReturn:
        while True:
            try:
                await changes()
            except SubscriptionTimeout as failure:
                # What has joined, or was asked for anew, must not cost the others their connection.
                self._replace_or_end(failure)

    async def _send_answers(self) -> None:
        async for frames in self._answers_to_send:
            await self._link.send(frames)

    async def _read(self) -> NoReturn:
        stats, feed, rows = self._stats, self._feed, self._collector.rows
        while True:
            frames = await self._link.read_frames()
            payloads = frames.payloads
            events = self.adapter.receive(payloads, frames.recv_ns, rows)
            stats.messages += len(payloads)
            stats.bytes += sum(map(len, payloads))
            stats.last_data_ns = frames.recv_ns
            self.heard_ns = feed.calendar()
            if feed.quality.open_symbols and feed.aside is not None:
                feed.aside.offer(frames, self._url, feed.quality.open_symbols)
            self._collector.note_rows()
            if events or len(rows) >= self._buffer_size:
                self.busy = True
                await self._dispatch(events)
                if len(rows) >= self._buffer_size:
                    await self._collector.hand_over()
                self.busy = False
            self.heard = trio.current_time()

    async def _dispatch(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Confirmed(symbols):
                    self._subscriptions.note_confirmed(symbols)
                case Rejected(symbols, reason):
                    self._subscriptions.note_rejected(symbols, reason)
                case Send(frames):
                    # Sent by another task: their pace must not hold up the reading.
                    await self._answers.send(frames)
                case Renew(reason):
                    self._replace_or_end(Renewal(reason))

    async def _watch_silence(self) -> NoReturn:
        """Raise Silent if the exchange is; while we wait for the writer and do not listen, it is not."""
        most = self._exchange.config.silence_secs
        while True:
            due = trio.current_time() + most if self.busy else self.heard + most
            await trio.sleep_until(due)
            if not self.busy and trio.current_time() >= self.heard + most:
                raise Silent(f"no data for {most:g} s")

    async def _ping(self) -> None:
        limits = self._exchange.limits
        if limits.ping_secs is not None:
            await ping_each(limits.ping_secs, self.adapter, self._link)
        elif limits.pings_when_quiet:
            await ping_when_quiet(self._exchange.config.silence_secs / 2, self, self._link)

    async def _renew_in_time(self) -> None:
        lifetime = self._exchange.limits.lifetime_secs
        if lifetime is not None:
            await trio.sleep(lifetime * (1 - self._chance.uniform(*RENEW_EARLY)))
            self._replace_or_end(Renewal(f"its life of {lifetime:g} s is nearly over"))


def _leaves(group: BaseExceptionGroup[FeedError]) -> list[FeedError]:
    """Return the errors of a group, however deep."""
    leaves: list[FeedError] = []
    for part in group.exceptions:
        leaves += _leaves(part) if isinstance(part, BaseExceptionGroup) else [part]
    return leaves
