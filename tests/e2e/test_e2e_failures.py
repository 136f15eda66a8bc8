"""Bugs, dead writers, wrong symbols and absent listings: who suffers from them, and who does not."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from e2e_tree import assert_stored, make_plan, recording, simulated, wait_until

from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.errors import StartupError, StorageError
from multilogger.exchanges.base import Event
from multilogger.exchanges.coinbase.adapter import CoinbaseAdapter
from multilogger.exchanges.coinbase.exchange import Coinbase
from multilogger.stats import ExchangeStats
from multilogger.storage.store import Store
from multilogger.supervision.tree import run_tree


class BuggyAdapter(CoinbaseAdapter):
    """An adapter that forgets a key, once it has seen some frames."""

    seen = 0

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Receive the first frames as it should."""
        self.seen += len(frames)
        if self.seen > 60:
            raise KeyError("forgotten")
        return super().receive(frames, recv_ns, rows)


class BuggyCoinbase(Coinbase):
    """A plugin with a bug."""

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> CoinbaseAdapter:
        """Return the adapter with the bug."""
        return BuggyAdapter(symbols, stats, daily_volume=False)


async def test_bug_in_one_exchange(tmp_path: Path) -> None:
    """An exchange that raises what no one expects is restarted; the other one does not notice."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    buggy = {"coinbase": BuggyCoinbase}
    async with simulated(ledger) as venues, recording(venues, data, types=buggy) as run:
        await wait_until(lambda: run.stats.exchange("coinbase").restarts == 2)
        report = await run.health_when(lambda now: "KeyError" in now["exchanges"]["coinbase"]["detail"])
        assert report["status"] == "degraded"
        assert report["exchanges"]["binance"]["status"] == "healthy"
        await run.flowing("binance")
        assert run.stats.exchange("binance").restarts == 0
        assert run.stats.exchange("binance").reconnects == 0
    assert_stored(ledger, data, "binance")
    assert_stored(ledger, data, "coinbase", missing_ok=True)


async def test_dead_writer_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that can't keep what was accepted ends the run with its error: nobody logs into the void."""

    def full(_store: Store, _batches: Sequence[Batch]) -> None:
        raise StorageError("no space left on device")

    monkeypatch.setattr(Store, "commit", full)
    async with simulated(tmp_path / "ledger") as venues:
        plan = make_plan(venues, tmp_path / "data", trio.sleep_forever)
        with (
            trio.fail_after(10),
            pytest.RaisesGroup(pytest.RaisesExc(StorageError, match="no space left"), flatten_subgroups=True),
        ):
            await run_tree(plan)


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_rejected_symbol(tmp_path: Path) -> None:
    """A symbol that the exchange rejects is set aside with its own words, without a listing to warn of it."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    settings = {
        "exchanges.coinbase.symbols": "BTC-USD,NOPE-USD,ETH-USD",
        "exchanges.coinbase.rest_endpoint": f"http://127.0.0.1:{closed_port()}",
    }
    async with simulated(ledger) as venues, recording(venues, data, settings) as run:
        await run.flowing("coinbase")
        report = await run.health_when(lambda now: bool(now["exchanges"]["coinbase"]["set_aside"]))
        (symbol, words), *others = report["exchanges"]["coinbase"]["set_aside"].items()
        assert symbol == "NOPE-USD"
        assert "NOPE-USD is not a valid product" in words
        assert not others
    assert_stored(ledger, data, "coinbase")
    assert {folder.name for folder in (data / "coinbase").iterdir()} == {"BTC-USD", "ETH-USD"}


async def test_unlisted_symbol(tmp_path: Path) -> None:
    """With a listing, too, an unknown symbol and one that is not trading stay set aside, with a reason."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    settings = {"exchanges.coinbase.symbols": "BTC-USD,NOPE-USD,XYO-USD"}
    async with simulated(ledger) as venues, recording(venues, data, settings) as run:
        await run.flowing("coinbase")
        report = await run.health_when(lambda now: len(now["exchanges"]["coinbase"]["set_aside"]) == 2)
        assert report["exchanges"]["coinbase"]["set_aside"].keys() == {"NOPE-USD", "XYO-USD"}
        await run.more_rows("coinbase")
        report = await run.health_when(lambda now: now["exchanges"]["coinbase"]["symbols"] == 1)
        assert report["exchanges"]["coinbase"]["set_aside"].keys() == {"NOPE-USD", "XYO-USD"}
    assert_stored(ledger, data, "coinbase")


async def test_listing_down_at_start(tmp_path: Path) -> None:
    """Symbols configured by name are recorded although no listing can be had; /health tells of it."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    dead = f"http://127.0.0.1:{closed_port()}"
    settings = {
        "exchanges.coinbase.symbols": "BTC-USD,*-EUR",
        "exchanges.coinbase.rest_endpoint": dead,
        "exchanges.binance.symbols": "BTC-USDT,ETHUSDT",
        "exchanges.binance.rest_endpoint": dead,
    }
    async with simulated(ledger) as venues, recording(venues, data, settings) as run:
        await run.flowing("coinbase", "binance")
        report = (await run.get("/health")).json()
        assert report["status"] == "degraded"
        for exchange in report["exchanges"].values():
            assert exchange["connected"]
            assert dead in exchange["detail"]
    for exchange, symbols in (("coinbase", {"BTC-USD"}), ("binance", {"BTCUSDT", "ETHUSDT"})):
        assert_stored(ledger, data, exchange)
        assert {folder.name for folder in (data / exchange).iterdir()} == symbols


async def test_symbols_do_not_fit(tmp_path: Path) -> None:
    """More symbols by name than the connections carry: the start is refused, and the numbers are named."""
    settings = {
        "exchanges.binance.symbols": "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,LTCUSDT",
        "exchanges.binance.max_connections": 2,
        "exchanges.binance.symbols_per_connection": 2,
    }
    async with simulated(tmp_path / "ledger") as venues:
        plan = make_plan(venues, tmp_path / "data", trio.sleep_forever, settings)
        words = "5 symbols do not fit: 2 connections of at most 2 symbols each carry 4"
        with trio.fail_after(10), pytest.raises(StartupError, match=words):
            await run_tree(plan)
    assert not (tmp_path / "data").exists()


async def test_listing_does_not_fit(tmp_path: Path) -> None:
    """More listed symbols than fit: that exchange is down and says why; the other one is recorded."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    settings = {"exchanges.coinbase.max_connections": 1, "exchanges.coinbase.symbols_per_connection": 9}
    async with simulated(ledger) as venues, recording(venues, data, settings) as run:
        report = await run.health_when(lambda now: now["exchanges"]["coinbase"]["state"] == "down")
        assert "10 symbols do not fit" in report["exchanges"]["coinbase"]["detail"]
        await run.flowing("binance")
    assert_stored(ledger, data, "binance")
