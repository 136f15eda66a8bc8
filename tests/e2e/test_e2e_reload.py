"""SIGHUP: a broken file changes nothing, a bad endpoint is rolled back, a good change costs no row."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import attrs
import trio
from e2e_tree import EXCHANGES, Run, assert_stored, recording, simulated, wait_until
from structlog.testing import capture_logs

from multilogger.config import Config, ExchangeConfig
from multilogger.errors import ConfigError


class ConfigFile:
    """What a reload reads."""

    def __init__(self) -> None:
        self.content: Config | ConfigError | None = None

    def read(self) -> Config:
        """Return the configuration, or raise its faults."""
        assert self.content is not None
        if isinstance(self.content, ConfigError):
            raise self.content
        return self.content


def changed(run: Run, exchange: str, **changes: Any) -> Config:
    """Return the running configuration with some keys of an exchange changed."""
    config = run.plan.config
    settings: ExchangeConfig = attrs.evolve(config.exchanges[exchange], **changes)
    return attrs.evolve(config, exchanges={**config.exchanges, exchange: settings})


def hang_up() -> None:
    """Send SIGHUP to this process."""
    os.kill(os.getpid(), signal.SIGHUP)


async def test_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    """The faults are in the log and in /health, and recording goes on on the same connections."""
    data, ledger, file = tmp_path / "data", tmp_path / "ledger", ConfigFile()
    async with simulated(ledger) as venues, recording(venues, data, read_config=file.read) as run:
        await run.flowing(*EXCHANGES)
        file.content = ConfigError(["logger.toml: exchanges.binance.ws_endpoint: expected a URL"])
        hang_up()
        report = await run.health_when(lambda now: bool(now["reload"]["problem"]))
        assert (
            "nothing was changed: logger.toml: exchanges.binance.ws_endpoint" in report["reload"]["problem"]
        )
        assert any("exchanges.binance.ws_endpoint" in reason for reason in report["reasons"])
        await run.more_rows("binance")
        assert sum(stats.reconnects for stats in run.stats.exchanges.values()) == 0
    for exchange in EXCHANGES:
        assert_stored(ledger, data, exchange)


async def test_a_bad_endpoint_is_rolled_back(tmp_path: Path) -> None:
    """The new connections never stream; the old ones were there all the time, and not a row is missing."""
    data, ledger, file = tmp_path / "data", tmp_path / "ledger", ConfigFile()
    settings = {"supervision.probation_secs": 0.7}
    async with (
        simulated(ledger) as venues,
        recording(venues, data, settings, read_config=file.read) as run,
    ):
        await run.flowing(*EXCHANGES)
        file.content = changed(run, "binance", ws_endpoint="ws://127.0.0.1:9/")
        with capture_logs() as logs:
            hang_up()
            report = await run.health_when(lambda now: "binance" in now["reload"]["problem"])
        assert report["reload"]["problem"].endswith("the earlier ones were kept")
        assert report["status"] == "degraded"
        assert [log["exchange"] for log in logs if log["event"] == "new settings refused"] == ["binance"]
        await run.more_rows("binance")
    for exchange in EXCHANGES:
        assert_stored(ledger, data, exchange)


async def test_a_good_change_costs_no_row(tmp_path: Path) -> None:
    """Other settings take over make-before-break: both tables hold exactly what was sent."""
    data, ledger, file = tmp_path / "data", tmp_path / "ledger", ConfigFile()
    settings = {"supervision.probation_secs": 1.0}
    async with (
        simulated(ledger) as venues,
        recording(venues, data, settings, read_config=file.read) as run,
    ):
        await run.flowing(*EXCHANGES)
        before = len(venues["binance"].connected())
        file.content = changed(run, "binance", symbols_per_connection=5)
        hang_up()
        await wait_until(lambda: len(venues["binance"].connected()) > before)
        await wait_until(lambda: len(run.stats.exchange("binance").links) == 2 * before)
        await run.more_rows("binance")
        assert run.stats.reload_problem == ""
        await trio.sleep(0.5)
    for exchange in EXCHANGES:
        assert_stored(ledger, data, exchange)
