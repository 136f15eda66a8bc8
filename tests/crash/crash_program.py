"""The real program beside simulated exchanges, on a small disk in memory."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import httpx
import numpy as np

from multilogger.archive.reader import Rows, open_archive
from multilogger.simulator.ledger import read_ledgers
from multilogger.tables import TABLES, Array

MIB: Final = 1024**2
_PATIENCE_SECS: Final = 20.0
_STOP_SECS: Final = 10.0
_MD_KEYS: Final = ("price", "volume", "best_bid", "best_ask")


@attrs.frozen
class SmallDisk:
    """A filesystem of a few megabytes."""

    path: Path

    @property
    def free(self) -> int:
        """Bytes."""
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    @property
    def ballast(self) -> Path:
        """A file that takes room from everybody else."""
        return self.path / "ballast"

    def fill(self, left: int) -> None:
        """Write the ballast until only so many bytes are free; again and again, for others write, too."""
        with self.ballast.open("ab", buffering=0) as ballast:
            while self.free > left:
                try:
                    ballast.write(bytes(min(MIB, self.free - left)))
                except OSError:  # somebody else was quicker
                    return

    def relieve(self) -> None:
        """Remove the ballast."""
        self.ballast.unlink()


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a disk of ``size`` bytes around a block.

    Raises:
        subprocess.CalledProcessError: this process may not mount.
    """
    path.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)],  # noqa: S607
        check=True,
        capture_output=True,
    )
    try:
        yield SmallDisk(path)
    finally:
        # Lazily, if something still holds it: the next one must not find it there.
        subprocess.run(["umount", "-l", str(path)], check=True)  # noqa: S607


@contextmanager
def simulation(ledger: Path, rate: float) -> Iterator[dict[str, dict[str, str]]]:
    """Run both simulated exchanges around a block; yields their endpoints."""
    command = ["simulate", "--ledger", str(ledger), "--rate", str(rate)]
    command += ["--exchange", "coinbase", "--exchange", "binance"]
    with _program(*command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(_PATIENCE_SECS), "no endpoints"
        yield json.loads(process.stdout.readline())


@contextmanager
def _program(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MULTILOGGER__")}
    command = [sys.executable, "-m", "multilogger", *arguments]
    with subprocess.Popen(command, env=kept, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@attrs.define(eq=False)
class Logger:
    """A logger in a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""

    def events(self) -> list[dict[str, Any]]:
        """Return what it has logged."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def health(self) -> dict[str, Any]:
        """Return its ``/health``."""
        answer: dict[str, Any] = httpx.get(f"{self.url}/health", timeout=_PATIENCE_SECS).json()
        return answer

    def health_when(self, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first ``/health`` for which ``right`` holds."""
        found: dict[str, Any] = {}

        def holds() -> bool:
            nonlocal found
            found = self.health()
            return right(found)

        self.wait_until(holds, lambda: f"/health stays at {found}")
        return found

    def wait_until(self, true: Callable[[], bool], told: Callable[[], str] = str) -> None:
        """Wait until something is true; the logger has to live on."""
        deadline = time.monotonic() + _PATIENCE_SECS
        while not true():
            assert self.process.poll() is None, f"the logger ended with {self.process.returncode}"
            assert time.monotonic() < deadline, told()
            time.sleep(0.05)

    def listening(self) -> bool:
        """Return whether its health server is up."""
        for event in self.events():
            if event["event"] == "health server listens":
                self.url = f"http://{event['host']}:{event['port']}"
        return bool(self.url)

    def stop(self) -> None:
        """Ask it to stop, and wait until it has, in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(_STOP_SECS) == 0


@contextmanager
def logger(
    folder: Path, data: Path, endpoints: Mapping[str, Mapping[str, str]], storage: Mapping[str, object]
) -> Iterator[Logger]:
    """Run a logger around a block; the block stops it.

    Args:
        folder: for the configuration and the log.
        data: the data path.
        endpoints: of the exchanges.
        storage: keys of ``[storage]``.
    """
    lines = ["[logger]", f'data_path = "{data}"', "flush_interval_secs = 0.2", 'log_format = "json"']
    lines += ["[health]", 'host = "127.0.0.1"', "port = 0"]
    lines += ["[storage]", *(f"{key} = {value}" for key, value in storage.items())]
    for name, urls in endpoints.items():
        lines += [f"[exchanges.{name}]", *(f'{key} = "{url}"' for key, url in urls.items())]
    config, log = folder / "logger.toml", folder / "log"
    config.write_text("\n".join(lines) + "\n")
    with log.open("wb") as stderr, _program("run", "--config", str(config), stderr=stderr) as process:
        running = Logger(process, log)
        running.wait_until(running.listening)
        yield running


def receive_times(data: Path, exchange: str) -> Array:
    """Return when all rows of an exchange were received, those that were late included."""
    archive = open_archive(data)
    parts = [
        archive.read(exchange, symbol, table, columns=["recv_ns"]).columns["recv_ns"]
        for symbol in archive.symbols(exchange)
        for table in archive.tables(exchange, symbol)
    ]
    times: Array = np.concatenate(parts)
    return times


def missing_times(ledger: Path, data: Path, exchange: str) -> Array:
    """Return the times of rows that were sent between the first and the last one of a file, and are in none.

    Returns:
        Nanoseconds since the epoch, sorted; of all symbols and tables.
    """
    archive = open_archive(data)
    missing = []
    for table in TABLES:
        sent = read_ledgers([ledger], exchange, table.name)
        for symbol in archive.symbols(exchange):
            if table.name in archive.tables(exchange, symbol):
                rows = archive.read(exchange, symbol, table.name)
                ours = sent[sent["symbol"] == symbol.encode()]
                missing.append(_missing(table.name, ours, rows))
    found: Array = np.sort(np.concatenate(missing))
    return found


def _missing(table: str, sent: Array, rows: Rows) -> Array:
    low, high = rows.time_ns[0], rows.time_ns[-1]
    due = sent[(sent["time_ns"] > low) & (sent["time_ns"] < high)]
    if table == "TRADES":
        there = np.isin(due["trade_id"], rows.columns["trade_id"])
    else:
        stored = {name: rows.columns[f"{name}_f64"] for name in _MD_KEYS}
        there = np.isin(
            _keys(due["time_ns"], {name: due[name] for name in _MD_KEYS}), _keys(rows.time_ns, stored)
        )
    times: Array = due["time_ns"][~there]
    return times


def _keys(times: Array, values: Mapping[str, Array]) -> Array:
    keys = np.stack(
        [times.view("<u8"), *(np.ascontiguousarray(it).view("<u8") for it in values.values())], axis=1
    )
    return np.ascontiguousarray(keys).view(f"V{8 * keys.shape[1]}")[:, 0]
