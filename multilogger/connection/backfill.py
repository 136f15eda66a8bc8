"""Fills holes in the trades from the exchange's history.

A page of past trades goes the way of live rows: through the quality checks, which keep the ids that are
missing and know then that they are not, and on to the writer with the notes that say so. Between the checks
and the writer the batch is kept until it was sent, whatever is cancelled.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NoReturn, Protocol

import structlog
import trio

from multilogger.batch import Batch, RowBuffer
from multilogger.connection.agenda import Agenda
from multilogger.connection.backoff import Backoff
from multilogger.connection.feed import LAST_HAND_OVER_SECS, Feed
from multilogger.errors import RateLimited, RestError
from multilogger.exchanges.base import Exchange, TradeIds
from multilogger.quality.missing import Hole
from multilogger.records import Flag, Trade
from multilogger.tables import NANOS_PER_SECOND, TRADES

log = structlog.get_logger(__name__)

LOOK_SECS: Final = 5.0
"""Holes that no row has shown, such as one at the tail, are found within this time."""
NO_HISTORY: Final = "no history"
OFF: Final = "backfill is off"
TOO_OLD: Final = "too old"
NOT_THERE: Final = "not in the exchange's history"


class Gaps(Protocol):
    """The holes of one exchange; see :class:`~multilogger.quality.sequence.TradeSequence`."""

    def holes(self) -> Sequence[Hole]:
        """Return those that are open, the newest first."""
        ...

    def give_up(self, hole: Hole, cause: str) -> None:
        """Forget a hole: it will not be filled."""
        ...

    def dismiss(self, hole: Hole) -> None:
        """Forget a hole: no trades have its ids."""
        ...


async def run_backfill(
    exchange: Exchange,
    feed: Feed,
    gaps: Gaps,
    *,
    clock: Callable[[], int] = time.time_ns,
    chance: random.Random | None = None,
) -> NoReturn:
    """Ask the exchange for trades that were missed, page after page; ends by cancellation alone.

    Args:
        exchange: of which ids tell what is missing.
        feed: where the trades go.
        gaps: says what is missing.
        clock: stamps what is received, nanoseconds since the epoch.
        chance: of the delays after failures.
    """
    backfill = Backfill(exchange, feed, gaps, clock, Backoff(chance or random.Random()))  # noqa: S311 - jitter
    try:
        while True:
            await backfill.step()
    finally:
        # Not for long: the writer may hang.
        with trio.move_on_after(LAST_HAND_OVER_SECS, shield=True):
            await backfill.outlet.send_last()


class Outlet:
    """The batches of one task on their way to the writer.

    The checks have counted a batch's trades as there, so it must not be lost: it is let go when it was sent.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._staged: Batch | None = None

    async def send(self, rows: RowBuffer) -> int:
        """Check rows and send them, and the notes that are due; return how many trades of them were kept.

        If cancelled, nothing is lost or sent twice: what was not sent is sent by the next call, or the last.
        """
        await self._send_staged()
        self._staged = self._feed.stage(rows.take())
        kept = 0 if self._staged is None else len(self._staged.rows.get(TRADES.number, ()))
        await self._send_staged()
        return kept

    async def send_last(self) -> None:
        """Send what is left; the caller says how long that may take, for the writer may hang."""
        try:
            # The writer may be gone: its own error ends the process and tells why.
            with suppress(trio.BrokenResourceError):
                await self._send_staged()
        finally:
            if self._staged is not None:
                log.error(
                    "rows lost: the writer did not take them",
                    exchange=self._feed.stats.name,
                    rows=len(self._staged),
                )

    async def _send_staged(self) -> None:
        if self._staged is not None:
            await self._feed.send.send(self._staged)
            # A send that is cancelled has not sent.
            self._staged = None


class Backfill:
    """What :func:`run_backfill` does, step by step; its arguments are the same.

    All pages of an exchange are asked for one after the other: they share its allowance with the listing.
    """

    def __init__(
        self, exchange: Exchange, feed: Feed, gaps: Gaps, clock: Callable[[], int], backoff: Backoff
    ) -> None:
        self.outlet = Outlet(feed)
        self._exchange = exchange
        self._feed = feed
        self._gaps = gaps
        self._clock = clock
        self._backoff = backoff
        self._agenda = Agenda()

    async def step(self) -> None:
        """Give up what can't be had; ask for one page, or wait until a hole is due."""
        holes = self._gaps.holes()
        self._agenda.follow(holes, trio.current_time())
        if self._settle(holes):
            await self.outlet.send(RowBuffer())
            await trio.lowlevel.checkpoint()
            return
        hole = self._agenda.next(trio.current_time())
        if hole is None:
            await self._wait()
        else:
            await self._ask(hole)

    async def _wait(self) -> None:
        due = self._agenda.next_due()
        if due is None:
            self._feed.stats.backfill_problem = ""
        now = trio.current_time()
        with trio.move_on_after(LOOK_SECS if due is None else min(LOOK_SECS, due - now)):
            await self._feed.wait_for_holes()

    def _settle(self, holes: Sequence[Hole]) -> bool:
        """End the holes that can't be filled, or are none; return whether there were any."""
        exhausted = self._agenda.exhausted()
        hopeless = {hole: cause for hole in holes if (cause := self._why_not(hole)) is not None}
        if self._exchange.trade_ids is TradeIds.SUSPECTED:
            for hole in exhausted:
                hopeless.pop(hole, None)
                self._gaps.dismiss(hole)
                log.info("trade ids were skipped, but no trades", **self._about(hole))
        else:
            hopeless = dict.fromkeys(exhausted, NOT_THERE) | hopeless
        for hole, cause in hopeless.items():
            self._gaps.give_up(hole, cause)
            log.warning("missed trades given up", **self._about(hole), why=cause)
        return bool(exhausted or hopeless)

    def _why_not(self, hole: Hole) -> str | None:
        """Return why a hole is not to be asked for, None if it is."""
        config, history = self._exchange.config, self._exchange.history
        if history is None or not config.backfill:
            # It may still come, late.
            waits = not self._agenda.is_due(hole, trio.current_time())
            return None if waits else NO_HISTORY if history is None else OFF
        # By its newer end: what is nearer is asked for first, and the rest looked at again.
        age_secs = (self._feed.calendar() - hole.after_ns) / NANOS_PER_SECOND
        if history.max_age_secs is not None and age_secs > history.max_age_secs:
            return NOT_THERE
        return TOO_OLD if age_secs > config.backfill_max_age_secs else None

    async def _ask(self, hole: Hole) -> None:
        """Ask for a page of a hole."""
        try:
            page = await self._fetch(hole)
        except RestError as failure:
            await self._put_off(hole, failure)
            return
        self._backoff.reset()
        self._feed.stats.backfill_problem = ""
        # Until the batch is staged nothing waits: what was fetched is not lost to a cancellation.
        kept = await self.outlet.send(pack(hole.symbol, page, self._clock()))
        log.debug("page of missed trades", **self._about(hole), fetched=len(page), kept=kept)
        left = [it for it in self._gaps.holes() if it.symbol == hole.symbol]
        # One at the tail may have grown meanwhile: that is no progress.
        if not kept and any(it.first <= hole.first and it.last >= hole.last for it in left):
            self._agenda.brought_nothing(hole, trio.current_time())
            return
        self._agenda.brought(hole)
        if not left:
            log.info("no trades are missed any more", exchange=self._exchange.id, symbol=self._name(hole))

    async def _fetch(self, hole: Hole) -> list[Trade]:
        symbol, history = self._name(hole), self._exchange.history
        if history is not None and history.by_id:
            page = await self._exchange.fetch_trades(symbol, hole.first, hole.last, hole.before_ns)
        else:
            page = await self._exchange.fetch_newest(symbol)
        return [trade for trade in page if hole.first <= trade.trade_id <= hole.last]

    async def _put_off(self, hole: Hole, failure: RestError) -> None:
        """Wait: for as long as the exchange wants, or for other holes to have their turn and not too soon."""
        if isinstance(failure, RateLimited):
            delay = failure.retry_after_secs
        else:
            self._agenda.failed(hole, trio.current_time())
            delay = self._backoff.next()
        self._feed.stats.backfill_problem = str(failure)
        again = round(delay, 1)
        log.warning("backfill failed", **self._about(hole), failure=str(failure), again_in_secs=again)
        await trio.sleep(delay)

    def _about(self, hole: Hole) -> dict[str, object]:
        return {
            "exchange": self._exchange.id,
            "symbol": self._name(hole),
            "first": hole.first,
            "last": hole.last,
        }

    def _name(self, hole: Hole) -> str:
        return self._feed.symbols.names[hole.symbol]


def pack(number: int, trades: Sequence[Trade], recv_ns: int) -> RowBuffer:
    """Return the rows of past trades of a symbol.

    Args:
        number: of the symbol.
        trades: as an exchange's history has them.
        recv_ns: when they were received.
    """
    rows = RowBuffer()
    for trade in trades:
        rows.add_trade(
            symbol=number,
            time_ns=trade.time_ns,
            recv_ns=recv_ns,
            trade_id=trade.trade_id,
            price=trade.price,
            size=trade.size,
            side=trade.side,
            maker_order_id=trade.maker_order_id,
            taker_order_id=trade.taker_order_id,
            flags=trade.flags | Flag.BACKFILLED,
        )
    return rows
