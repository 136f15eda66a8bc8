"""What the wire benchmarks share: the blaster as a child process, TLS, a logger of one exchange."""

from __future__ import annotations

import os
import random
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs
import trio
import trustme

from benchmarks.messages import symbols
from multilogger.batch import Batch
from multilogger.config import Config, ExchangeConfig, LoggerConfig, StorageConfig
from multilogger.connection.budget import Budgets
from multilogger.connection.connector import make_connector
from multilogger.connection.http import open_http_client
from multilogger.connection.pool import Pool
from multilogger.exchanges.base import Exchange, Services
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.stats import ExchangeStats, Stats, WriterStats
from multilogger.storage.store import Store
from multilogger.storage.writer import run_writer
from multilogger.supervision.life import Memories, Surroundings
from multilogger.supervision.roster import Settings

MEASURED_CPU, BLASTER_CPU = 0, 1


@attrs.frozen
class NeverPaused:
    """The gate of a benchmark: a disk too full to record is too full to measure."""

    def pause(self, reason: str, *, cause: str = "") -> None:
        """Give up."""
        raise SystemExit(f"{cause}: {reason}")

    def resume(self) -> None:
        """Nothing was paused."""


@attrs.frozen
class Tls:
    """A certificate for localhost, and how to trust it."""

    certificate: Path
    key: Path
    context: Callable[[], ssl.SSLContext]


def make_tls(directory: Path) -> Tls:
    """Make a certificate authority and a certificate."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(certificate)

    def context() -> ssl.SSLContext:
        made = ssl.create_default_context()
        authority.configure_trust(made)
        return made

    return Tls(certificate, key, context)


def trust(tls: Tls | None) -> Callable[[], ssl.SSLContext]:
    """Return what makes the client's TLS context."""
    return ssl.create_default_context if tls is None else tls.context


def one_core() -> None:
    """Keep this process on one core and leave the other to the blaster."""
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {MEASURED_CPU})


@contextmanager
def blasting(exchange: str, messages: int, tls: Tls | None = None, rate: int = 0) -> Iterator[str]:
    """Run a blaster; gives its WebSocket endpoint once its frames are encoded."""
    command = [sys.executable, "-m", "benchmarks.blaster", "--exchange", exchange]
    command += ["--messages", str(messages), "--rate", str(rate)]
    if tls is not None:
        command += ["--tls", str(tls.certificate), str(tls.key)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if len(os.sched_getaffinity(child.pid)) == 1:
            os.sched_setaffinity(child.pid, {BLASTER_CPU})
        assert child.stdout is not None
        port = int(child.stdout.readline())
        yield f"{'ws' if tls is None else 'wss'}://localhost:{port}"
    finally:
        child.kill()
        child.wait()


def configured(exchange: str, endpoint: str) -> ExchangeConfig:
    """Return an exchange's configuration with the blaster for its endpoint."""
    defaults = BUILT_IN[exchange].config_type(ws_endpoint=endpoint, rest_endpoint="http://localhost")
    # One connection takes it all: a blaster sends everything to each.
    return attrs.evolve(defaults, symbols=tuple(symbols(exchange)), messages_per_connection=1e9)


@attrs.frozen(eq=False)
class Logger:
    """A running logger of one exchange: pool, quality checks, writer and files, all of the program's own."""

    stats: ExchangeStats
    writer: WriterStats


async def log_while(
    kind: type[Exchange],
    settings: ExchangeConfig,
    data: Path,
    tls: Tls | None,
    body: Callable[[Logger], Awaitable[float]],
) -> float:
    """Run the way from the wire to durable files while ``body`` runs, and return what that returns."""
    config = Config(
        logger=LoggerConfig(data_path=data, flush_interval_secs=1.0), storage=StorageConfig(applier="thread")
    )
    running = Logger(ExchangeStats(kind.id), WriterStats())
    store = Store.open(data, config.storage, running.writer, time.time_ns)
    send, receive = trio.open_memory_channel[Batch](64)
    connector = make_connector(time.time_ns, tls=trust(tls))
    async with open_http_client() as http, trio.open_nursery() as nursery:
        around = Surroundings(
            exchange_types={kind.id: kind},
            data_path=data,
            buffer_size=config.logger.buffer_size,
            policy=config.supervision,
            stats=Stats(started_ns=time.time_ns(), exchanges={kind.id: running.stats}),
            store=store,
            send=send,
            http=http,
            budgets=Budgets(),
            connector=connector,
            clock=time.time_ns,
            calendar=time.time_ns,
            chance=random.Random(1),
            run_blocking=trio.to_thread.run_sync,
            ended_ns={},
            refused=print,
        )
        exchange = kind(settings, Services(http_get=http.get, connector=connector))
        feed = Memories(around).of(kind.id, Settings(settings, ())).feed
        pool = Pool(exchange, feed, config.logger.buffer_size, random.Random(1))
        nursery.start_soon(partial(run_writer, store, receive, config, running.writer, gate=NeverPaused()))
        nursery.start_soon(pool.run)
        pool.update(settings.symbols)
        figure = await body(running)
        nursery.cancel_scope.cancel()
    store.close()
    return figure
