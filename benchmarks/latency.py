"""Latency at a paced rate, messages one by one: from receive, and from the peer's send, to accepted.

A row is accepted once it is packed into its connection's buffer. Everything else runs as in production:
hand-overs, quality checks, journal, column files.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import trio

from benchmarks.rig import Logger, blasting, configured, log_while, one_core
from multilogger.batch import RowBuffer, SymbolTable
from multilogger.cli.common import favour_the_event_loop
from multilogger.exchanges.base import Event
from multilogger.exchanges.binance.adapter import BinanceAdapter
from multilogger.exchanges.binance.spot import Binance
from multilogger.stats import ExchangeStats
from multilogger.tables import TRADES

ACCEPTED: list[tuple[int, bytes]] = []
"""When a chunk's rows were accepted, and the rows."""


class TimedAdapter(BinanceAdapter):
    """Notes when rows are accepted."""

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Parse, then look at the clock."""
        before = len(rows.trades)
        events = super().receive(frames, recv_ns, rows)
        ACCEPTED.append((time.time_ns(), bytes(rows.trades[before:])))
        return events


class TimedBinance(Binance):
    """Binance with timed adapters."""

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> BinanceAdapter:
        """Return a timed adapter."""
        return TimedAdapter(symbols, stats, {}, trades_stream="trade", md_stream="ticker", daily_volume=False)


async def run(endpoint: str, count: int) -> float:
    """Log so many messages; return the CPU seconds spent on them."""

    async def watch(running: Logger) -> float:
        begin = time.process_time()
        # Counters are made for being looked at now and then.
        while running.writer.rows < count:  # noqa: ASYNC110
            await trio.sleep(0.05)
        return time.process_time() - begin

    with tempfile.TemporaryDirectory(prefix="multilogger-bench-") as data:
        return await log_while(TimedBinance, configured("binance", endpoint), Path(data), None, watch)


def percentiles(name: str, latencies: Sequence[np.ndarray]) -> None:
    """Print the percentiles of some latencies in nanoseconds."""
    values = np.concatenate(latencies) / 1000
    shares = (50, 99, 99.9)
    print(
        name
        + "  ".join(f"p{s:g} {v:.0f} us" for s, v in zip(shares, np.percentile(values, shares), strict=True))
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    one_core()
    favour_the_event_loop()
    count = arguments.rate * arguments.seconds
    with blasting("binance", count, rate=arguments.rate) as endpoint:
        spent = trio.run(run, endpoint, count)
    chunks = [(done, np.frombuffer(rows, TRADES.row)) for done, rows in ACCEPTED if rows]
    print(f"{count:,} messages in {len(chunks):,} chunks, {100 * spent / arguments.seconds:.0f} % of a core")
    percentiles("receive to accepted: ", [done - rows["recv_ns"] for done, rows in chunks])
    percentiles("send to accepted:    ", [done - rows["time_ns"] for done, rows in chunks])


if __name__ == "__main__":
    main()
