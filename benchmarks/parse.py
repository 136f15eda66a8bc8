"""CPU microseconds from frame bytes to packed row, without a wire."""

from __future__ import annotations

import statistics
import time

from benchmarks.messages import message, symbols
from multilogger.batch import RowBuffer, SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.stats import ExchangeStats

MESSAGES = 100_000
CHUNK = 400
RUNS = 7


def measure(name: str) -> float:
    """Return the median over some runs."""
    kind = BUILT_IN[name]
    config: ExchangeConfig = kind.config_type()  # type: ignore[call-arg] # each has defaults for all keys
    exchange = kind(config)
    adapter = exchange.create_adapter(SymbolTable(exchange.id), ExchangeStats(name))
    adapter.subscribe(symbols(name))
    start_us = 1_795_341_600_000_000
    frames = [message(name, at, start_us + 10 * at) for at in range(MESSAGES)]
    figures = []
    for _ in range(RUNS):
        rows = RowBuffer()
        begin = time.process_time()
        for at in range(0, MESSAGES, CHUNK):
            adapter.receive(frames[at : at + CHUNK], start_us * 1000, rows)
        figures.append((time.process_time() - begin) / MESSAGES * 1e6)
        if len(rows) != MESSAGES:
            raise AssertionError(f"{len(rows)} of {MESSAGES} rows")
    return statistics.median(figures)


def main() -> None:
    """Measure each exchange."""
    for name in BUILT_IN:
        print(f"{name}: {measure(name):.2f} us a trade")


if __name__ == "__main__":
    main()
