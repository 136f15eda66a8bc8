"""Real recorded sessions, by replay and over a real WebSocket: what is on disk is exactly what was recorded.

The expectation is worked out from the recording's JSON alone, without the adapters: ``expect_*.py``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from recordings_tools import RECORDINGS, check, expected_tables, sessions, skipped

from multilogger.cli.main import main

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(),
    reason=f"no recordings at {RECORDINGS}: set MULTILOGGER_RECORDINGS to a directory that has them",
)
SESSIONS = sessions()


def test_every_session_is_known() -> None:
    """Each recorded session is compared, or named with the reason why it can't be."""
    found = {
        str(path.relative_to(RECORDINGS))
        for path in RECORDINGS.rglob("session_*.jsonl")
        if not path.name.endswith(".sent.jsonl")
    }
    without = skipped()
    for name, why in sorted(without.items()):
        print(f"{name}: not compared: {why}")
    assert found == {*SESSIONS, *without}
    assert all(without.values())


@pytest.mark.parametrize("name", SESSIONS)
def test_replay(name: str, tmp_path: Path) -> None:
    """``multilogger replay`` writes exactly the recording's trades and tickers."""
    _, exchange, options = SESSIONS[name]
    sets = [word for option in options for word in ("--set", option)]
    assert (
        main(["replay", str(RECORDINGS / name), "--exchange", exchange, "--data", str(tmp_path), *sets]) == 0
    )
    check(tmp_path, exchange, expected_tables(name))


def started(*arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a command of the program."""
    command = [sys.executable, "-m", "multilogger", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})


def rows_on_disk(data: Path) -> int:
    """Complete rows over all tables, by the columns that grow last."""
    places = (data, data / ".multilogger/late")
    files = [file for place in places for file in place.glob("*/*/*/*time.*.bin")]
    return sum(file.stat().st_size // 4 for file in files)


def wait_until(data: Path, rows: int) -> None:
    """Wait until so many rows are visible."""
    deadline = time.monotonic() + 30
    while rows_on_disk(data) < rows:
        assert time.monotonic() < deadline, f"{rows_on_disk(data)} of {rows} rows after 30 s"
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_frames(port: int, exchange: str, frames: int) -> None:
    """Wait until the logger has received as many frames as were recorded, answers to it not counted."""
    deadline = time.monotonic() + 30
    health = {"messages": 0}
    while health["messages"] < frames:
        assert time.monotonic() < deadline, f"{health} after 30 s: {frames} frames were played"
        with suppress(httpx.HTTPError):
            page = httpx.get(f"http://127.0.0.1:{port}/health").json()
            health = page["exchanges"][exchange]
        time.sleep(0.02)


@pytest.fixture
def playback(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A simulated exchange that plays the session; gives the environment that points the logger at it."""
    name: str = request.param
    _, exchange, options = SESSIONS[name]
    process = started("simulate", "--exchange", exchange, "--playback", str(RECORDINGS / name))
    assert process.stdout is not None
    endpoints = json.loads(process.stdout.readline())[exchange]
    section = f"MULTILOGGER__EXCHANGES__{exchange.upper()}"
    settings = dict(option.split("=") for option in options)
    yield {
        f"{section}__WS_ENDPOINT": endpoints["ws_endpoint"],
        f"{section}__REST_ENDPOINT": endpoints["rest_endpoint"],
        **{f"{section}__{key.upper()}": value for key, value in settings.items()},
    }
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)


@pytest.mark.parametrize(("playback", "name"), [(name, name) for name in SESSIONS], indirect=["playback"])
def test_run_from_playback(playback: dict[str, str], name: str, tmp_path: Path) -> None:
    """``multilogger run`` writes the same from a real WebSocket, and stops cleanly."""
    _, exchange, _ = SESSIONS[name]
    expected = expected_tables(name)
    data = tmp_path / "data"
    config = tmp_path / "empty.toml"
    port = free_port()
    config.write_text(f'[health]\nhost = "127.0.0.1"\nport = {port}\n[exchanges.{exchange}]\n')
    env = {
        "MULTILOGGER__LOGGER__DATA_PATH": str(data),
        "MULTILOGGER__LOGGER__FLUSH_INTERVAL_SECS": "0.2",
        "MULTILOGGER__STORAGE__ACCEPT_DAYS_BACK": "100000",
    }
    logger = started("run", "--config", str(config), env={**env, **playback})
    try:
        wait_until(data, sum(map(len, expected.values())))
        wait_for_frames(port, exchange, len((RECORDINGS / name).read_text().splitlines()))
    finally:
        logger.send_signal(signal.SIGTERM)
        logger.communicate(timeout=10)
    assert logger.returncode == 0
    check(data, exchange, expected)
