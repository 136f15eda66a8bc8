"""Asks for the newest trades of symbols with a gap, where ids have no order: nothing else can be asked for.

A page goes the way of live rows, as in :mod:`multilogger.connection.backfill`: the checks drop what is known,
and the notes of what it fills ride with its rows. What a page proves, and when, is told in
:mod:`multilogger.quality.overlaps`; here is when it is asked for::

    a busy market          at once, for a page goes back only seconds; and again until one is joined to what
                           comes live
    any that trades        once a trade has come live
    one that is quiet      after ten seconds, when no answer can be from before the connection any more

And when nothing is due, symbols that seem to be well take turns: see :mod:`multilogger.quality.audits`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

import attrs
import numpy as np
import structlog
import trio

from multilogger.batch import RowBuffer
from multilogger.connection.audits import Audits
from multilogger.connection.backfill import NOT_THERE, OFF, TOO_OLD, Outlet, pack
from multilogger.connection.backoff import Backoff
from multilogger.connection.feed import LAST_HAND_OVER_SECS, Feed
from multilogger.errors import RateLimited, RestError
from multilogger.exchanges.base import Exchange
from multilogger.quality.overlaps import Overlaps
from multilogger.quality.pages import Missed, Page
from multilogger.quality.recorded import STALE_SECS
from multilogger.records import Trade
from multilogger.tables import NANOS_PER_SECOND

log = structlog.get_logger(__name__)

LOOK_SECS: Final = 0.5
"""Between two looks at what is due."""
EARLY_SECS: Final = 2.0
"""So long after a connection began to carry it, a market that trades is asked about."""
BUSY_SECS: Final = 60.0
"""A market is busy if a page of its trades is about so long, or less."""
AGAIN_SECS: Final = (1.5, 3.0, 5.0, 15.0, 60.0)
"""Answers come from caches: if one does not end behind the gap, another is asked for after these times, and
after the last it is given up."""
AT_ONCE: Final = 4
"""Requests that are under way together: each second costs a busy market some trades."""
FAILURE_SECS: Final = 5.0
MOST_FAILURE_SECS: Final = 300.0
"""A symbol whose requests fail is put off for twice as long each time, up to this: others go first."""
_DOUBLINGS: Final = 6
_NAMED: Final = 5


async def run_overlap(
    exchange: Exchange,
    feed: Feed,
    overlaps: Overlaps,
    *,
    clock: Callable[[], int] = time.time_ns,
    chance: random.Random | None = None,
) -> NoReturn:
    """Fill gaps from pages of the newest trades; ends by cancellation alone.

    Args:
        exchange: of which ids have no order, and which has a history.
        feed: where the trades go.
        overlaps: says which symbols have gaps, by the same seconds as Trio's.
        clock: stamps what is received, nanoseconds since the epoch.
        chance: of the delays after failures.
    """
    pages = Pages(exchange, feed, overlaps, clock, Backoff(chance or random.Random()))  # noqa: S311 - jitter
    try:
        while True:
            await pages.step()
    finally:
        # Not for long: the writer may hang.
        with trio.move_on_after(LAST_HAND_OVER_SECS, shield=True):
            await pages.outlet.send_last()


@attrs.define(eq=False)
class _Standing:
    """How it stands with the newest gap of a symbol, and those before it."""

    since: float
    """Which gap: the Trio time at which it ended."""
    due: float
    asked: int = 0
    """Answers so far."""
    failures: int = 0
    """Requests in a row that failed."""


class Pages:
    """What :func:`run_overlap` does, step by step; its arguments are the same."""

    def __init__(
        self, exchange: Exchange, feed: Feed, overlaps: Overlaps, clock: Callable[[], int], backoff: Backoff
    ) -> None:
        self.outlet = Outlet(feed)
        self._exchange = exchange
        self._feed = feed
        self._overlaps = overlaps
        self._clock = clock
        self._backoff = backoff
        self._audits = Audits(exchange, feed)
        self._standings: dict[int, _Standing] = {}
        self._sending = trio.Lock()
        self._pause = 0.0
        """For how long the exchange is to be left alone."""

    async def step(self) -> None:
        """Give up what can't be had; ask about some symbols, or wait until one is due."""
        missed = self._overlaps.newest
        self._follow(missed)
        await self._give_up_hopeless(missed)
        due = [(number, self._standings[number]) for number in self._due(missed)]
        if not due and (audited := self._audits.next(self._standings)) is not None:
            due = [(audited, _Standing(0.0, 0.0))]
        self._pause = 0.0 if due else LOOK_SECS
        async with trio.open_nursery() as nursery:
            for number, standing in due[:AT_ONCE]:
                nursery.start_soon(self._ask, number, standing)
        await trio.sleep(self._pause)

    def _follow(self, missed: Mapping[int, Missed]) -> None:
        known, self._standings = self._standings, {}
        busy = self._busy(missed) if missed else set()
        for number, gap in missed.items():
            standing = known.get(number)
            if standing is None or standing.since != gap.since:
                standing = _Standing(gap.since, gap.since + (0.0 if number in busy else STALE_SECS))
            if gap.live and not standing.asked and not standing.failures:
                standing.due = min(standing.due, gap.since + EARLY_SECS)
            self._standings[number] = standing

    def _busy(self, missed: Mapping[int, Missed]) -> set[int]:
        history = self._exchange.history
        page = 0 if history is None else history.page
        numbers = np.array(sorted(missed), np.intp)
        return set(numbers[self._feed.quality.rates(numbers) * BUSY_SECS > page].tolist())

    def _due(self, missed: Mapping[int, Missed]) -> list[int]:
        """Return which symbols may be asked about now: those first that trade most, then the newest gaps."""
        now, names = trio.current_time(), self._feed.symbols.names
        due = [
            number
            for number, standing in self._standings.items()
            if standing.due <= now and self._feed.carriers.of(names[number])
        ]
        rates = dict(zip(due, self._feed.quality.rates(np.array(due, np.intp)).tolist(), strict=True))
        return sorted(due, key=lambda number: (rates[number], missed[number].since), reverse=True)

    async def _give_up_hopeless(self, missed: Mapping[int, Missed]) -> None:
        hopeless = {number: why for number, gap in missed.items() if (why := self._why_not(number, gap))}
        if not hopeless:
            return
        async with self._sending:
            for number in hopeless:
                self._overlaps.give_up(number)
                del self._standings[number]
            await self.outlet.send(RowBuffer())
        for why in sorted({*hopeless.values()}):
            symbols = [self._feed.symbols.names[number] for number, it in hopeless.items() if it == why]
            some = ", ".join(symbols[:_NAMED]) + (", …" if len(symbols) > _NAMED else "")
            exchange, count = self._exchange.id, len(symbols)
            log.warning("missed trades given up", exchange=exchange, symbols=some, count=count, why=why)

    def _why_not(self, number: int, gap: Missed) -> str:
        """Return why a symbol is not to be asked about any more; empty if it is."""
        config = self._exchange.config
        if not config.backfill:
            return OFF
        if self._standings[number].asked > len(AGAIN_SECS):
            return NOT_THERE
        age_secs = (self._feed.calendar() - gap.end_ns) / NANOS_PER_SECOND
        return TOO_OLD if age_secs > config.backfill_max_age_secs else ""

    async def _ask(self, number: int, standing: _Standing) -> None:
        symbol, asked = self._feed.symbols.names[number], trio.current_time()
        try:
            trades = await self._exchange.fetch_newest(symbol)
        except RestError as failure:
            self._put_off(symbol, standing, failure)
            return
        self._backoff.reset()
        self._feed.stats.backfill_problem = ""
        kept = await self._record(number, trades, asked)
        standing.failures = 0
        standing.due = trio.current_time() + AGAIN_SECS[min(standing.asked, len(AGAIN_SECS) - 1)]
        standing.asked += 1
        exchange = self._exchange.id
        log.debug("page of newest trades", exchange=exchange, symbol=symbol, fetched=len(trades), kept=kept)
        if kept and number not in self._standings:
            log.warning("trades were left out of the stream", exchange=exchange, symbol=symbol, count=kept)

    async def _record(self, number: int, trades: list[Trade], asked: float) -> int:
        """Record what of a page was missed, with the notes of what that fills; return how many trades."""
        history = self._exchange.history
        page = Page(
            np.array([it.trade_id for it in trades], np.uint64),
            np.array([it.time_ns for it in trades], np.int64),
            asked,
            # Some may have been left out as unreadable: a page is short if it is much shorter.
            cut=history is None or 2 * len(trades) > history.page,
        )
        async with self._sending:
            # Until the batch is staged nothing waits: what is said of the page goes with its rows.
            wanted = self._overlaps.judge(number, page)
            kept = [trade for trade, is_wanted in zip(trades, wanted.tolist(), strict=True) if is_wanted]
            return await self.outlet.send(pack(number, kept, self._clock()))

    def _put_off(self, symbol: str, standing: _Standing, failure: RestError) -> None:
        """Wait: for as long as the exchange wants, or for others to have their turn and not too soon."""
        if isinstance(failure, RateLimited):
            delay = failure.retry_after_secs
        else:
            doubled = FAILURE_SECS * 2.0 ** min(standing.failures, _DOUBLINGS)
            standing.due = trio.current_time() + min(MOST_FAILURE_SECS, doubled)
            standing.failures += 1
            delay = self._backoff.next()
        self._pause = max(self._pause, delay)
        self._feed.stats.backfill_problem = str(failure)
        again = round(delay, 1)
        exchange = self._exchange.id
        log.warning(
            "backfill failed", exchange=exchange, symbol=symbol, failure=str(failure), again_in_secs=again
        )
