"""A logger without exchanges: ``python crash_writer.py DATA SECONDS``, until its input ends.

It writes 20,000 rows a second. In the course of SECONDS a midnight passes, and the day before is sealed, with
the rows that came late folded in. At its end it prints how many rows there were.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Final

import attrs
import structlog
import trio
from crash_rows import DAY_NANOS, NANOS, Market

from multilogger.batch import Batch
from multilogger.config import Config, LoggerConfig, StorageConfig
from multilogger.stats import WriterStats
from multilogger.storage.store import Store
from multilogger.storage.writer import run_writer

RATE: Final = 20_000
MIDNIGHT: Final = 0.3
"""After this part of the seconds."""
SEALED: Final = 0.15
"""And this part later the day is closed."""
_DAY: Final = 20_300
_BATCH_SECS: Final = 0.02
_LATE_SECS: Final = 1.5
_SYMBOLS: Final = tuple(f"S{number:02}/USD" for number in range(20))


def make_market(seconds: float) -> Market:
    """Return what is written in a run of so many seconds."""
    step = NANOS // RATE
    return Market(
        _SYMBOLS,
        _DAY * DAY_NANOS - int(MIDNIGHT * seconds * NANOS),
        step,
        late_steps=int(_LATE_SECS * RATE),
        far_steps=math.ceil(seconds / 2 * RATE),
    )


class NoGate:
    """A gate that must never close."""

    def pause(self, reason: str, *, cause: str = "") -> None:
        """Fail."""
        raise AssertionError(f"{cause}: {reason}")

    def resume(self) -> None:
        """Go on."""


@attrs.define(eq=False)
class Feed:
    """Sends rows at an even pace until the input ends."""

    market: Market
    began: float = attrs.field(factory=time.monotonic)
    sent: int = 1
    """The next row."""
    ended: bool = False

    def now_ns(self) -> int:
        """Return what time it is for the rows."""
        return self.market.start_ns + int((time.monotonic() - self.began) * NANOS)

    async def send(self, batches: trio.MemorySendChannel[Batch]) -> None:
        """Send what is due."""
        with batches:
            while not self.ended:
                await trio.sleep(_BATCH_SECS)
                due = self.market.serial_at(self.now_ns())
                await batches.send(self.market.batch(self.sent, due))
                self.sent = due

    async def wait_for_end(self) -> None:
        """Wait for the end of the input."""
        await trio.to_thread.run_sync(sys.stdin.read)
        self.ended = True


async def write(data: Path, seconds: float) -> None:
    """Write rows until the input ends."""
    settings = StorageConfig(
        journal_sync_secs=0.05,
        journal_segment_bytes=4 * 1024 * 1024,
        checkpoint_secs=1.0,
        seal_after_secs=SEALED * seconds,
        disk_reserve_bytes=0,
    )
    config = Config(logger=LoggerConfig(data_path=data, flush_interval_secs=0.3), storage=settings)
    stats = WriterStats()
    feed = Feed(make_market(seconds))
    store = Store.open(data, settings, stats, time.time_ns, calendar=feed.now_ns, in_process=False)
    send, receive = trio.open_memory_channel[Batch](64)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.send, send)
        nursery.start_soon(feed.wait_for_end)
        await run_writer(store, receive, config, stats, gate=NoGate())
    store.close()
    print(feed.sent, stats.late_rows, stats.sealed_days)


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    trio.run(write, Path(sys.argv[1]), float(sys.argv[2]))
