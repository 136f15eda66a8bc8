"""CPU microseconds a message, on one core: from the socket to packed rows, and to durable column files.

For each exchange, plain and over TLS:

- ``files``: the program's whole way, from the socket to journal and column files, everything on, making of
  the files included; columns are written by a thread, so that one clock measures it all;
- ``rows``: the program's connection and parser alone, from the socket to packed rows;
- ``trio-websocket``: the same parser behind trio-websocket's own ``get_message`` loop;
- ``parse``: the parser alone, from memory; what the two before it cost more is the transport.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import trio
from trio_websocket import open_websocket_url

from benchmarks import parse
from benchmarks.blaster import EXCHANGES
from benchmarks.messages import symbols
from benchmarks.rig import Logger, Tls, blasting, configured, log_while, make_tls, one_core, trust
from multilogger.batch import RowBuffer, SymbolTable
from multilogger.cli.common import favour_the_event_loop
from multilogger.connection.connector import make_connector
from multilogger.exchanges.base import Adapter, Services
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.stats import ExchangeStats


async def no_http(url: str, params: object = None, *, weight: float = 1.0) -> bytes:
    """Refuse: nothing here needs HTTP."""
    await trio.lowlevel.checkpoint()
    raise AssertionError(f"GET {url} {params} of weight {weight}")


async def files(exchange: str, endpoint: str, count: int, tls: Tls | None) -> float:
    """Measure from the socket to durable files."""

    async def watch(running: Logger) -> float:
        begin = time.process_time()
        # Counters are made for being looked at now and then.
        while running.writer.rows_in_columns < count:  # noqa: ASYNC110
            await trio.sleep(0.01)
        if running.stats.rows["TRADES"] != count:
            raise AssertionError(f"{running.stats.rows} of {count} rows")
        return (time.process_time() - begin) / count * 1e6

    with tempfile.TemporaryDirectory(prefix="multilogger-bench-") as data:
        settings = configured(exchange, endpoint)
        return await log_while(BUILT_IN[exchange], settings, Path(data), tls, watch)


def fresh_adapter(exchange: str, endpoint: str) -> tuple[Adapter, list[str]]:
    """Return an adapter and its subscriptions."""
    kind = BUILT_IN[exchange]
    made = kind(configured(exchange, endpoint))
    adapter = made.create_adapter(SymbolTable(made.id), ExchangeStats(exchange))
    return adapter, adapter.subscribe(symbols(exchange))


async def rows(exchange: str, endpoint: str, count: int, tls: Tls | None) -> float:
    """Measure the program's connection with its parser."""
    connector = make_connector(time.time_ns, tls=trust(tls))
    kind = BUILT_IN[exchange]
    made = kind(configured(exchange, endpoint), Services(http_get=no_http, connector=connector))
    adapter, requests = fresh_adapter(exchange, endpoint)
    buffer = RowBuffer()
    link = made.create_connection(symbols(exchange))
    async with trio.open_nursery() as nursery:
        await link.connect(nursery)
        await link.send(requests)
        begin = time.process_time()
        while len(buffer) < count:
            frames = await link.read_frames()
            adapter.receive(frames.payloads, frames.recv_ns, buffer)
        spent = time.process_time() - begin
        await link.aclose()
        nursery.cancel_scope.cancel()
    return spent / count * 1e6


async def trio_websocket(exchange: str, endpoint: str, count: int, tls: Tls | None) -> float:
    """Measure trio-websocket's message loop with the same parser."""
    adapter, requests = fresh_adapter(exchange, endpoint)
    buffer = RowBuffer()
    context = None if tls is None else tls.context()
    url = endpoint + ("/stream" if exchange == "binance" else "")
    async with open_websocket_url(url, ssl_context=context, message_queue_size=1000) as websocket:
        for request in requests:
            await websocket.send_message(request)
        begin = time.process_time()
        while len(buffer) < count:
            message = await websocket.get_message()
            text = message.encode() if isinstance(message, str) else message
            adapter.receive((text,), time.time_ns(), buffer)
        spent = time.process_time() - begin
    return spent / count * 1e6


MODES = {"files": files, "rows": rows, "trio-websocket": trio_websocket}


def main() -> None:
    """Measure everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    one_core()
    favour_the_event_loop()
    with tempfile.TemporaryDirectory() as directory:
        for tls in (None, make_tls(Path(directory))):
            for exchange in EXCHANGES:
                report(exchange, tls, arguments.messages, arguments.runs)


def report(exchange: str, tls: Tls | None, messages: int, runs: int) -> None:
    """Measure the modes in turn, so that they share whatever the machine does meanwhile; print medians."""
    figures: dict[str, list[float]] = {mode: [] for mode in MODES}
    with blasting(exchange, messages, tls) as endpoint:
        for _ in range(runs):
            for mode, measure in MODES.items():
                figures[mode].append(trio.run(measure, exchange, endpoint, messages, tls))
    medians = {mode: statistics.median(values) for mode, values in figures.items()}
    alone = parse.measure(exchange)
    ours, theirs = medians["rows"] - alone, medians["trio-websocket"] - alone
    print(
        f"{exchange:9}{'TLS' if tls else 'plain':6}"
        + "".join(f"{mode} {value:6.2f}  " for mode, value in medians.items())
        + f"parse {alone:5.2f}  transport {ours:5.2f} against {theirs:5.2f}: {theirs / ours:.1f} times less"
        + f"  us a message, medians of {runs} runs of {messages:,}",
        flush=True,
    )


if __name__ == "__main__":
    main()
