"""The symbols of one connection and of those that replace it, one after the other or beside each other.

::

    open ──ended──► rest (backoff) ──► open anew                       break, then make
      │
      └──due──► successor beside the old one ──ready──► old one retired     make before break
                   │                 └─old one ended──► successor goes on as it is
                   └─failed──► rest, another successor, while the old one goes on
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NoReturn

import attrs
import structlog
import trio

from multilogger.connection.backoff import Backoff
from multilogger.connection.carriers import ALIVE_SECS
from multilogger.connection.catching_up import CatchingUp
from multilogger.connection.feed import Feed
from multilogger.connection.session import Session
from multilogger.connection.wanted import SetAside, Wanted
from multilogger.errors import FeedError, Renewal
from multilogger.exchanges.base import Exchange
from multilogger.stats import LinkState, LinkStats

log = structlog.get_logger(__name__)

LINGER_SECS: Final = 1.0
"""What is replaced goes on for so long: what is under way to it may be so to its successor still."""
LOOK_SECS: Final = 0.5
COMPARE_SECS: Final = 20.0
"""A connection is not retired before it or its successor has brought anything; for so long."""


@attrs.frozen(kw_only=True, eq=False)
class Kit:
    """What all lanes of one pool share.

    Attributes:
        exchange: what to connect to.
        feed: what the connections share.
        set_aside: where rejected symbols go.
        buffer_size: rows that a connection holds before an early hand-over.
        chance: jitter.
    """

    exchange: Exchange
    feed: Feed
    set_aside: SetAside
    buffer_size: int
    chance: random.Random


class Lane:
    """The symbols of one connection, and of those that replace it.

    Args:
        name: of the connection, in logs and counters.
        symbols: to carry at first.
        kit: of the pool.
    """

    def __init__(self, name: str, symbols: Iterable[str], kit: Kit) -> None:
        self.wanted = Wanted(symbols)
        self.stats = LinkStats(name, symbols=len(self.wanted.symbols))
        self.sessions: list[Session] = []
        """Those that have not ended, the one in charge first unless it is being retired."""
        self._kit = kit
        self._backoff = Backoff(kit.chance)
        self._scope = trio.CancelScope()

    @property
    def is_streaming(self) -> bool:
        """Whether all symbols are confirmed."""
        return self.stats.state is LinkState.STREAMING

    def close(self) -> None:
        """End in order: nobody wants its symbols any more."""
        self._scope.cancel()
        for session in self.sessions:
            session.retire()

    async def run(self) -> None:
        """Keep the symbols carried until the lane is closed.

        Ends by cancellation, too, or by what is no FeedError.
        """
        links = self._kit.feed.stats
        links.links[self.stats.name] = self.stats
        try:
            async with trio.open_nursery() as nursery:
                with self._scope:
                    await self._keep_connected(nursery)
        finally:
            links.drop_link(self.stats.name)

    async def _keep_connected(self, nursery: trio.Nursery) -> NoReturn:
        await self._wait_for_symbols()
        lead = self._open(nursery, leads=True)
        while True:
            await lead.due.wait()
            if lead.is_alive:
                lead = await self._replace(nursery, lead)
                continue
            await lead.over.wait()
            await self._rest_after(lead)
            await self._wait_for_symbols()
            lead = self._open(nursery, leads=True)
            self.stats.reconnects += 1

    def _open(self, nursery: trio.Nursery, *, leads: bool) -> Session:
        kit = self._kit
        session = Session(
            kit.exchange,
            kit.feed,
            self.wanted,
            set_aside=kit.set_aside,
            stats=self.stats,
            buffer_size=kit.buffer_size,
            chance=kit.chance,
            leads=leads,
        )
        self.sessions.append(session)
        nursery.start_soon(self._run_session, session)
        return session

    async def _run_session(self, session: Session) -> None:
        # The session remembers what ended it, for whoever waits for that.
        with suppress(FeedError):
            await session.run()
        self.sessions.remove(session)

    async def _wait_for_symbols(self) -> None:
        """Wait while the exchange has rejected every symbol of the lane."""
        while not self._kit.set_aside.without(self.wanted.symbols):
            self.stats.state = LinkState.WAITING
            await self._wait_for_change(self.wanted.changed)

    async def _wait_for_change(self, *events: trio.Event) -> None:
        """Wait until an event is set, or a rejected symbol may be asked for again."""
        with trio.move_on_at(self._kit.set_aside.next_retry(self.wanted.symbols)):
            await wait_any(*events)

    async def _rest_after(self, ended: Session) -> None:
        """Note what ended a connection, and wait before the next is opened."""
        streamed = ended.streamed_secs()
        self._backoff.reset_after(streamed)
        # A renewal right at the start is no plan: the exchange is in trouble, and gets its rest.
        planned = isinstance(ended.ended_by, Renewal) and streamed
        delay = 0.0 if planned else self._backoff.next()
        self._note_end(ended, delay)
        self.stats.state = LinkState.WAITING
        await trio.sleep(delay)

    async def _replace(self, nursery: trio.Nursery, old: Session) -> Session:
        """Make before break; return who is in charge then: ``old`` itself if it ended and nobody follows."""
        self._note_due(old)
        self._backoff.reset_after(old.streamed_secs())
        while old.is_alive:
            if not self._kit.set_aside.without(self.wanted.symbols):
                await self._wait_for_change(self.wanted.changed, old.over)
                continue
            successor = self._open(nursery, leads=False)
            await self._until_ready(old, successor)
            if successor.is_alive:
                self._take_over(old, successor)
                return successor
            delay = self._backoff.next()
            self._note_end(successor, delay)
            with trio.move_on_after(delay):
                await old.over.wait()
        return old

    async def _until_ready(self, old: Session, successor: Session) -> None:
        """Wait until ``successor`` can do without ``old``; or either of them has ended."""
        catching_up = CatchingUp(self._kit.feed, [old])
        while old.is_alive and successor.is_alive:
            symbols = self._kit.set_aside.without(self.wanted.symbols)
            done = successor.streamed_secs() > 0 and catching_up.is_done(successor, symbols)
            done = done and is_compared(old, successor)
            with trio.move_on_after(LINGER_SECS if done else LOOK_SECS):
                await wait_any(old.over, successor.over)
            if done:
                return

    def _take_over(self, old: Session, successor: Session) -> None:
        self.stats.reconnects += 1
        if successor.streamed_secs() > 0:
            self.stats.renewals += 1
        if old.is_alive:
            old.retire()
        else:
            self._note_end(old, 0.0)
        successor.lead()

    def _note_due(self, old: Session) -> None:
        why = old.due_to
        self.stats.last_error = f"{type(why).__name__}: {why}"
        level = log.info if isinstance(why, Renewal) else log.warning
        level("connection is replaced", connection=self.stats.name, error=type(why).__name__, why=str(why))

    def _note_end(self, ended: Session, delay: float) -> None:
        failure = ended.ended_by
        if failure is None:
            return
        self.stats.last_error = f"{type(failure).__name__}: {failure}"
        level = log.info if isinstance(failure, Renewal) else log.warning
        level(
            "connection ended",
            connection=self.stats.name,
            error=type(failure).__name__,
            why=str(failure),
            again_in_secs=round(delay, 2),
        )


def is_compared(old: Session, successor: Session) -> bool:
    """Return whether it is known if the old connection was alive; in a deep silence nobody can tell."""
    secs = successor.streamed_secs()
    since = trio.current_time() - secs
    return old.heard >= since or successor.heard > since + ALIVE_SECS or secs >= COMPARE_SECS


async def wait_any(*events: trio.Event) -> None:
    """Wait until one of some events is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)
