"""Configurations and processes for the tests of the commands; nothing in them reaches beyond loopback."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Endpoints = Mapping[str, Mapping[str, str]]
"""By exchange: ``ws_endpoint`` and ``rest_endpoint``."""
START_SECS = 30.0
"""For a process to come up, on a busy machine."""

TWO = ("--exchange", "coinbase", "--exchange", "binance")
"""Options of `demo` and `simulate`: two exchanges are enough for most tests."""


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def dead_endpoints() -> dict[str, dict[str, str]]:
    """Return endpoints of both exchanges where nobody answers."""
    return {
        name: {
            "ws_endpoint": f"ws://127.0.0.1:{closed_port()}",
            "rest_endpoint": f"http://127.0.0.1:{closed_port()}",
        }
        for name in ("binance", "coinbase")
    }


def write_config(directory: Path, endpoints: Endpoints | None = None, *, extra: str = "") -> Path:
    """Write a configuration that knows loopback endpoints only; its data path is ``directory/data``."""
    lines = [
        "[logger]",
        f'data_path = "{directory / "data"}"',
        "flush_interval_secs = 0.1",
        "[health]",
        'host = "127.0.0.1"',
        "port = 0",
    ]
    for name, urls in (dead_endpoints() if endpoints is None else endpoints).items():
        lines += [f"[exchanges.{name}]", *(f'{key} = "{url}"' for key, url in urls.items())]
    path = directory / "logger.toml"
    path.write_text("\n".join([*lines, extra, ""]))
    return path


@contextmanager
def started(
    *arguments: str, stderr: int | None = None, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside the test; kill it at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "multilogger", *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, **(env or {})},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line that a process prints."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(START_SECS), "no output"
    return process.stdout.readline()


@contextmanager
def simulation(ledger: Path) -> Iterator[Endpoints]:
    """Run ``multilogger simulate`` around a block, and end it by SIGTERM."""
    with started("simulate", "--ledger", str(ledger), *TWO) as process:
        endpoints: Endpoints = json.loads(first_line(process))
        yield endpoints
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def rows_on_disk(data: Path) -> int:
    """Return the rows that readers see, over all tables."""
    files = [*data.glob("*/*/MD/time.*.bin"), *data.glob("*/*/TRADES/trade_time.*.bin")]
    return sum(file.stat().st_size // 4 for file in files)


def wait_for_rows(data: Path, rows: int) -> None:
    """Wait until so many rows are on disk."""
    deadline = time.monotonic() + START_SECS
    while rows_on_disk(data) < rows:
        assert time.monotonic() < deadline, f"{rows_on_disk(data)} of {rows} rows"
        time.sleep(0.02)
