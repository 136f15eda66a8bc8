"""What all connections of one exchange share, and how their rows leave for the writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import numpy as np
import structlog
import trio

from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.connection.arrivals import Arrivals
from multilogger.connection.carriers import Carriers
from multilogger.connection.protocols import Aside, Coverage, Quality
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TABLES, Array

log = structlog.get_logger(__name__)

HAND_OVER_SECS: Final = 0.02
"""A row waits at most this long for others to join its batch."""
LAST_HAND_OVER_SECS: Final = 5.0
"""What a connection that ends may take for its last rows: half of what a shutdown may last."""


class Collector:
    """The rows of one connection on their way into the exchange's memory channel.

    The reading task fills :attr:`rows`; it and :meth:`keep_handing_over` empty them.
    """

    def __init__(self, feed: Feed) -> None:
        self.rows = RowBuffer()
        self.arrivals = Arrivals()
        self.muted: set[int] = set()
        """Numbers of the symbols whose MD rows are left to another connection."""
        self._feed = feed
        self._staged: Batch | None = None
        self._lock = trio.Lock()
        self._filled = trio.Event()

    def note_rows(self) -> None:
        """Start the 20 ms, if there are rows and they don't run yet; to be called after each chunk."""
        if not self._filled.is_set() and (self.rows.md or self.rows.trades):
            self._filled.set()

    async def hand_over(self) -> None:
        """Check the rows so far and send them; wait for the writer if it is behind.

        If cancelled, nothing is lost or sent twice: what was not sent is sent by the next call.
        """
        async with self._lock:
            await self._send_staged()
            self._stage()
            await self._send_staged()

    def _stage(self) -> None:
        taken = self.rows.take()
        if not taken:
            return
        self.arrivals.note(taken, trio.current_time())
        if self.muted and MD.number in taken:
            rows = taken[MD.number]
            # In a dict of its own: what is kept back has come all the same.
            taken = {**taken, MD.number: rows[~np.isin(rows["symbol"], list(self.muted))]}
        self._staged = self._feed.stage({number: rows for number, rows in taken.items() if len(rows)})

    async def _send_staged(self) -> None:
        if self._staged is not None:
            await self._feed.send.send(self._staged)
            # Trio's promise: a send that is cancelled has not sent. So the batch is let go only here.
            self._staged = None

    async def keep_handing_over(self) -> None:
        """Hand over 20 ms after the first row, again and again; sleeps while there are none."""
        while True:
            await self._filled.wait()
            await trio.sleep(HAND_OVER_SECS)
            self._filled = trio.Event()
            await self.hand_over()

    async def hand_over_last(self) -> None:
        """Hand over what is left at the end of a connection, even under cancellation.

        The rows were accepted, and a stop must not lose them. The shield has a deadline because a stop must
        not hang on a writer that does; the writer itself is stopped after the feeds and drains the channel.
        """
        with trio.move_on_after(LAST_HAND_OVER_SECS, shield=True) as scope:
            try:
                await self.hand_over()
            except trio.BrokenResourceError:
                # The writer is gone; its own error ends the process and tells why.
                log.error("rows lost: the writer is gone", exchange=self._feed.stats.name, rows=self._left())  # noqa: TRY400 - its traceback says nothing
        if scope.cancelled_caught:
            log.error(
                "rows lost: the writer did not take them", exchange=self._feed.stats.name, rows=self._left()
            )

    def _left(self) -> int:
        return len(self.rows) + (0 if self._staged is None else len(self._staged))


@attrs.define(kw_only=True, eq=False)
class Feed:
    """What all connections of one exchange share. It outlives them."""

    symbols: SymbolTable
    stats: ExchangeStats
    quality: Quality
    coverage: Coverage
    calendar: Callable[[], int]
    """What time it is for the exchange: nanoseconds since the epoch on the scale of event times."""
    send: trio.MemorySendChannel[Batch]
    """To the writer; closed by whoever opened it, after the connections have ended."""
    aside: Aside | None = None
    """Takes the frames of symbols whose rows are set aside, if anything does."""
    holes_found: trio.Event = attrs.field(factory=trio.Event)
    """Set, and replaced, when rows show that trades are missing."""
    connections: int = 0
    """Names given to connections so far: no two have the same."""
    carriers: Carriers = attrs.field(init=False)
    """Which connections carry each symbol."""

    @carriers.default
    def _no_carriers(self) -> Carriers:
        return Carriers(self.symbols, self.quality, self.coverage, self.calendar)

    def make_collector(self) -> Collector:
        """Return a collector for one connection."""
        return Collector(self)

    def stage(self, rows: dict[int, Array]) -> Batch | None:
        """Check rows, and return what of them is to be sent.

        Whatever is recorded goes this way, live or backfilled. What it returns has to be sent before
        anything that is staged later by the same task.

        Args:
            rows: structured arrays by table number; none asks for notes that are due without rows.

        Returns:
            The rows to record and the notes that go with them; None if there are neither.
        """
        checked = self.quality.apply(rows)
        for number, kept in checked.items():
            self.stats.rows[TABLES[number].name] += len(kept)
        if self.quality.found_holes:
            self.holes_found.set()
            self.holes_found = trio.Event()
        batch = Batch(self.symbols, checked, self.quality.take_notes())
        return batch if len(batch) or batch.notes else None

    async def wait_for_holes(self) -> None:
        """Wait until rows show that trades are missing."""
        await self.holes_found.wait()


__all__ = ["Aside", "Collector", "Coverage", "Feed", "Quality"]
