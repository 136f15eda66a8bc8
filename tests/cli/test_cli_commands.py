"""``simulate``, ``symbols``, ``check`` and ``demo``, against simulated exchanges and against closed ports."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from cli_tools import TWO, Endpoints, first_line, started, write_config

from multilogger.batch import Batch
from multilogger.cli.main import main
from multilogger.storage.store import Store

Capsys = pytest.CaptureFixture[str]


def test_simulate_names_its_endpoints(endpoints: Endpoints) -> None:
    """The first line of ``simulate`` is JSON: where each exchange is, ready for a configuration."""
    assert endpoints.keys() == {"binance", "coinbase"}
    for urls in endpoints.values():
        assert urls["ws_endpoint"].startswith("ws://127.0.0.1:")
        assert urls["rest_endpoint"].startswith("http://127.0.0.1:")
    products = httpx.get(f"{endpoints['coinbase']['rest_endpoint']}/products").json()
    assert "BTC-USD" in [product["id"] for product in products]


def test_simulate_plays_a_recording(tmp_path: Path) -> None:
    """``simulate --playback`` lists the instruments of the recording, and ends at Ctrl-C."""
    trade = {"e": "trade", "s": "XYZUSDT", "t": 1, "p": "2", "q": "3", "T": 1_700_000_000_000, "m": True}
    text = json.dumps({"stream": "xyzusdt@trade", "data": trade})
    recording = tmp_path / "frames.jsonl"
    recording.write_text(json.dumps({"recv": 1.5, "conn": None, "text": text}) + "\n")
    with started("simulate", "--exchange", "binance", "--playback", str(recording)) as process:
        urls = json.loads(first_line(process))["binance"]
        info = httpx.get(f"{urls['rest_endpoint']}/api/v3/exchangeInfo").json()
        assert [symbol["symbol"] for symbol in info["symbols"]] == ["XYZUSDT"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_symbols(endpoints: Endpoints, tmp_path: Path, capsys: Capsys) -> None:
    """``symbols`` lists what all exchanges trade, a line each, with what it is the same as elsewhere."""
    config = str(write_config(tmp_path, endpoints))
    assert main(["symbols", "--config", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    (bitcoin,) = [line.split() for line in lines if " BTCUSDT " in line and line.split()[0] == "binance"]
    assert bitcoin[:5] == ["binance", "BTCUSDT", "BTC-USDT", "spot", "stablecoin"]
    assert "coinbase:BTC-USD" in bitcoin
    assert lines[-1] == "22 symbols"
    assert not (tmp_path / "data").exists()


def test_symbols_of_one_exchange(endpoints: Endpoints, tmp_path: Path, capsys: Capsys) -> None:
    """An exchange and a query narrow the list to what is related."""
    config = str(write_config(tmp_path, endpoints))
    assert main(["symbols", "coinbase", "--query", "BTCUSDT", "--config", config]) == 0
    out = capsys.readouterr().out
    assert "BTC-USD" in out
    assert "ETH-USD" not in out
    assert out.endswith("1 symbol\n")
    assert main(["symbols", "--query", "NOPE-USD", "--config", config]) == 0
    assert capsys.readouterr().out == "0 symbols\n"


def test_symbols_without_a_listing(tmp_path: Path, capsys: Capsys) -> None:
    """Each listing that can't be had is a line on standard error, and the status 1."""
    assert main(["symbols", "--config", str(write_config(tmp_path))]) == 1
    found = capsys.readouterr()
    assert found.out == "0 symbols\n"
    words = found.err.splitlines()
    assert [line.split(": ")[:3] for line in words] == [
        ["multilogger", name, "no listing"] for name in ("binance", "coinbase")
    ]


def test_check(endpoints: Endpoints, tmp_path: Path, capsys: Capsys) -> None:
    """Where all is well, ``check`` says so of everything it looked at, with status 0."""
    assert main(["check", "--config", str(write_config(tmp_path, endpoints))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in lines), lines
    assert [line[5:].partition(":")[0] for line in lines] == [
        "configuration",
        "data path",
        "disk",
        "groups of files",
        "open files",
        "binance REST and clock",
        "binance WebSocket",
        "coinbase REST and clock",
        "coinbase WebSocket",
    ]


def test_check_finds_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    """What is wrong is a line that says what to do, and the status 1; the rest is checked all the same."""
    monkeypatch.setenv("MULTILOGGER__LOGGER__DATA_PATH", "/dev/null/data")
    assert main(["check", "--config", str(write_config(tmp_path))]) == 1
    lines = capsys.readouterr().out.splitlines()
    failed = [line for line in lines if line.startswith("FAIL ")]
    assert len(failed) == 5
    assert "set logger.data_path" in failed[0]
    assert all("check network, DNS and proxy" in line for line in failed[1:])
    assert any(line.startswith("ok   open files") for line in lines)


def test_demo(tmp_path: Path) -> None:
    """A demo tells where its page is, counts, and ends at Ctrl-C with the comparison, in a pipe, too."""
    data = tmp_path / "data"
    arguments = ("demo", "--data", str(data), "--port", "0", "--rate", "300", *TWO)
    with started(*arguments, stderr=subprocess.PIPE, env={"COLUMNS": "80"}) as demo:
        title = first_line(demo)
        assert demo.stdout is not None
        assert demo.stdout.readline() == f"files in {data}\n"
        assert title.startswith("health page http://127.0.0.1:")
        assert httpx.get(title.split()[2] + "health").json()["status"] in ("healthy", "degraded")
        while not list(data.glob("*/*/MD/time.*.bin")):
            assert demo.poll() is None
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=20)
        assert demo.returncode == 0, err
    lines = out.splitlines()
    assert lines[-1] == "All that was sent is on disk, once and whole."
    assert lines[-2].startswith("ok   verify: ")
    assert [line.split()[:3] for line in lines[-6:-2]] == [
        ["ok", name, table] for name in ("coinbase", "binance") for table in ("TRADES", "MD")
    ]
    assert all("0 missing, 0 extra, 0 duplicates, 0 skew" in line for line in lines[-6:-2])
    assert "Traceback" not in err


def test_demo_of_short_days(tmp_path: Path, capsys: Capsys) -> None:
    """Midnights and late rows in the middle of it: sealed days are clean, and so is what any reader sees."""
    arguments = ["demo", "--data", str(tmp_path), "--port", "0", "--rate", "400", *TWO]
    assert main([*arguments, "--seconds", "5", "--day-seconds", "2", "--late", "0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("coinbase", "binance"):
        (line,) = [line for line in lines if re.match(rf"ok   {name} +\d+ days? sealed, sorted", line)]
        days, late = re.findall("[0-9,]+(?= days? sealed| rows sent late)", line)
        assert int(days) >= 1
        assert int(late.replace(",", "")) > 20
    assert lines[-3].startswith("ok   verify: ")
    assert lines[-2].startswith("ok   live files, looked at ")
    assert lines[-1] == "All that was sent is on disk, once and whole."


def test_demo_after_a_loss(tmp_path: Path, capsys: Capsys) -> None:
    """What earlier demos sent and a kill or a disk lost does not fail this one, but is told."""
    arguments = ["demo", "--data", str(tmp_path), "--port", "0", "--seconds", "2", *TWO]
    assert main(arguments) == 0
    prices = next(tmp_path.glob("coinbase/*/TRADES/trade_price.*.bin"))
    os.truncate(prices, prices.stat().st_size - 4)
    capsys.readouterr()
    assert main(arguments) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "All that this run sent is on disk, once and whole; 1 row of earlier runs is not."


def test_demo_finds_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    """A demo whose files lack rows says which, and ends with status 1."""
    commit, calls = Store.commit, iter(range(1_000_000))

    def forgetful(store: Store, batches: Sequence[Batch]) -> None:
        if next(calls) != 1:
            commit(store, batches)

    monkeypatch.setattr(Store, "commit", forgetful)
    assert main(["demo", "--data", str(tmp_path), "--port", "0", "--seconds", "1", *TWO]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "The files do not hold what was sent."
    assert any(line.startswith("FAIL ") and "rows sent ≠" in line for line in lines)
    assert any("missing trade: " in line for line in lines)
