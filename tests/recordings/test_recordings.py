"""Real recorded sessions, by replay and over a real WebSocket: what is on disk is exactly what was recorded.

The expectation is worked out here from the recording's JSON alone, without the adapters.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multilogger.archive.reader import Rows, open_archive
from multilogger.cli.main import main

ROOT = Path(__file__).parents[2]
RECORDINGS = Path(os.environ.get("MULTILOGGER_RECORDINGS", ROOT.parent / "shared" / "recordings"))

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(),
    reason=f"no recordings at {RECORDINGS}: set MULTILOGGER_RECORDINGS to a directory that has them",
)

SESSIONS = {
    "coinbase/exchange/session_20210417_4prod.jsonl": ("coinbase", []),
    "binance/spot/session_20240808_btcusdt.jsonl": (
        "binance",
        ["trades_stream=trade", "md_stream=bookTicker"],
    ),
    "binance/spot/session_20211012_4sym.jsonl": (
        "binance",
        ["trades_stream=aggTrade", "md_stream=bookTicker"],
    ),
    "binance/spot/session_20210814_4sym.jsonl": (
        "binance",
        ["trades_stream=aggTrade", "md_stream=bookTicker"],
    ),
    "binance-us/spot/session_20210814_4sym.jsonl": (
        "binance",
        ["trades_stream=aggTrade", "md_stream=bookTicker"],
    ),
}

Row = tuple[Any, ...]
Tables = dict[tuple[str, str], list[Row]]
"""Rows by symbol and table: id, ns, price, size, side, maker, taker of TRADES; ns or None, price, volume,
side, bid, ask of MD."""


def nanoseconds(text: str) -> int:
    """An ISO time as nanoseconds since the epoch."""
    head, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(head).replace(tzinfo=UTC).timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0"))


def uuid_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID."""
    return bytes.fromhex(text.replace("-", ""))


def coinbase_rows(message: dict[str, Any], tables: Tables) -> None:
    """Add what a Coinbase message implies."""
    symbol = message.get("product_id", "")
    if message["type"] in ("match", "last_match"):
        tables.setdefault((symbol, "TRADES"), []).append(
            (
                message["trade_id"],
                nanoseconds(message["time"]),
                float(message["price"]),
                float(message["size"]),
                {"sell": 1, "buy": 0}[message["side"]],
                uuid_bytes(message["maker_order_id"]),
                uuid_bytes(message["taker_order_id"]),
            )
        )
    elif message["type"] == "ticker":
        tables.setdefault((symbol, "MD"), []).append(
            (
                nanoseconds(message["time"]),
                float(message["price"]),
                float(message["last_size"]),
                {"buy": 1, "sell": 0}[message["side"]],
                float(message["best_bid"]),
                float(message["best_ask"]),
            )
        )


def binance_rows(message: dict[str, Any], tables: Tables) -> None:
    """Add what a Binance combined-stream message implies: an MD row a bookTicker once a trade is known."""
    stream, data = message["stream"].split("@", 1)[1], message["data"]
    symbol = data.get("s", "")
    trades = tables.setdefault((symbol, "TRADES"), [])
    if stream in ("trade", "aggTrade"):
        trade_id = data["t"] if stream == "trade" else data["a"]
        side = 0 if data["m"] else 1
        price, size = float(data["p"]), float(data["q"])
        trades.append((trade_id, data["T"] * 10**6, price, size, side, bytes(16), bytes(16)))
    elif stream == "bookTicker" and trades:
        _, _, price, size, side, _, _ = trades[-1]
        row = (None, price, size, side, float(data["b"]), float(data["a"]))
        tables.setdefault((symbol, "MD"), []).append(row)


def expected_tables(recording: Path, exchange: str) -> Tables:
    """Return the rows that a recording implies."""
    tables: Tables = {}
    add = {"coinbase": coinbase_rows, "binance": binance_rows}[exchange]
    for line in recording.read_text().splitlines():
        add(json.loads(json.loads(line)["text"]), tables)
    return {key: rows for key, rows in tables.items() if rows}


def stored_trades(rows: Rows) -> list[Row]:
    """The rows of a TRADES table, with f4 columns checked against the exact ones."""
    columns = rows.columns
    np.testing.assert_array_equal(columns["trade_price"], columns["price_f64"].astype("<f4"))
    np.testing.assert_array_equal(columns["trade_size"], columns["size_f64"].astype("<f4"))
    orders = [[value.tobytes() for value in columns[f"{who}_order_id"]] for who in ("maker", "taker")]
    names = ("price_f64", "size_f64", "trade_side")
    values = [
        columns["trade_id"].tolist(),
        rows.time_ns.tolist(),
        *(columns[name].tolist() for name in names),
    ]
    return list(zip(*values, *orders, strict=True))


def stored_md(rows: Rows) -> list[Row]:
    """The rows of an MD table, with f4 columns checked against the exact ones."""
    columns = rows.columns
    assert (np.diff(rows.time_ns) >= 0).all()
    values = [rows.time_ns.tolist()]
    for name in ("price", "volume", "best_bid", "best_ask"):
        exact = columns[f"{name}_f64"]
        np.testing.assert_array_equal(columns[name], exact.astype("<f4"))
        values.append(exact.tolist())
    values.insert(3, columns["side"].tolist())
    return list(zip(*values, strict=True))


def check(data: Path, exchange: str, expected: Tables) -> None:
    """Compare every table on disk, late rows included, with the expectation, row by row and in order.

    To a running logger the recorded days are long over, so that it takes all their rows for late ones.
    """
    archive = open_archive(data)
    symbols = archive.symbols(exchange)
    assert {(symbol, table) for symbol in symbols for table in archive.tables(exchange, symbol)} == set(
        expected
    )
    for (symbol, table), rows in expected.items():
        stored = archive.read(exchange, symbol, table)
        if table == "TRADES":
            assert sorted(stored_trades(stored)) == sorted(rows)
        elif rows[0][0] is None:
            assert [(None, *row[1:]) for row in stored_md(stored)] == rows
        else:
            assert stored_md(stored) == rows
        print(f"{symbol}/{table}: {len(rows)} rows, equal")


@pytest.mark.parametrize("name", SESSIONS)
def test_replay(name: str, tmp_path: Path) -> None:
    """``multilogger replay`` writes exactly the recording's trades and tickers."""
    exchange, options = SESSIONS[name]
    sets = [word for option in options for word in ("--set", option)]
    assert (
        main(["replay", str(RECORDINGS / name), "--exchange", exchange, "--data", str(tmp_path), *sets]) == 0
    )
    check(tmp_path, exchange, expected_tables(RECORDINGS / name, exchange))


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


@pytest.fixture
def playback(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A simulated exchange that plays the session; gives the environment that points the logger at it."""
    name: str = request.param
    exchange, options = SESSIONS[name]
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
    exchange, _ = SESSIONS[name]
    expected = expected_tables(RECORDINGS / name, exchange)
    data = tmp_path / "data"
    config = tmp_path / "empty.toml"
    config.write_text(f"[health]\nport = 0\n[exchanges.{exchange}]\n")
    env = {
        "MULTILOGGER__LOGGER__DATA_PATH": str(data),
        "MULTILOGGER__LOGGER__FLUSH_INTERVAL_SECS": "0.2",
        "MULTILOGGER__STORAGE__ACCEPT_DAYS_BACK": "100000",
    }
    logger = started("run", "--config", str(config), env={**env, **playback})
    try:
        wait_until(data, sum(map(len, expected.values())))
    finally:
        logger.send_signal(signal.SIGTERM)
        logger.communicate(timeout=10)
    assert logger.returncode == 0
    check(data, exchange, expected)
