"""``multilogger run`` as a process: what it was sent until the signal is on disk, and it ends in order."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Endpoints, rows_on_disk, started, wait_for_rows, write_config

from multilogger.cli.main import main
from multilogger.errors import StorageError
from multilogger.simulator.compare import compare
from multilogger.simulator.ledger import read_ledgers
from multilogger.storage.store import Store


def check_nothing_between_is_missing(ledger: Path, data: Path, exchange: str) -> None:
    """Check that of each symbol every trade sent from the first one on disk to the last one is on disk."""
    sent = read_ledgers([ledger], exchange, "TRADES")
    for folder in (data / exchange).iterdir():
        files = sorted(folder.glob("TRADES/trade_id.*.bin"))
        stored = np.concatenate([np.fromfile(file, "<u8") for file in files])
        ids = np.sort(sent["trade_id"][sent["symbol"] == folder.name.encode()])
        between = ids[(ids >= stored.min()) & (ids <= stored.max())]
        np.testing.assert_array_equal(np.sort(stored), between)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal(number: signal.Signals, endpoints: Endpoints, ledger: Path, tmp_path: Path) -> None:
    """A signal ends the logger within ten seconds with status 0, and all it had accepted is on disk."""
    config, data = write_config(tmp_path, endpoints), tmp_path / "data"
    with started("run", "--config", str(config), stderr=subprocess.PIPE) as logger:
        wait_for_rows(data, 300)
        logger.send_signal(number)
        asked = time.monotonic()
        _, log = logger.communicate(timeout=10)
        assert logger.returncode == 0
        assert time.monotonic() - asked < 10
    entries = [json.loads(line) for line in log.splitlines()]
    assert entries[-1]["event"] == "stopped"
    assert entries[-1]["rows"] == rows_on_disk(data) >= 300
    for exchange in endpoints:
        result = compare(ledger, data, exchange, missing_ok=True)
        assert result.ok, result.tables
        check_nothing_between_is_missing(ledger, data, exchange)


def test_signal_at_once(endpoints: Endpoints, tmp_path: Path) -> None:
    """A signal that comes while nothing is connected yet ends the logger in order, too."""
    config = write_config(tmp_path, endpoints)
    with started("run", "--config", str(config), stderr=subprocess.PIPE) as logger:
        assert logger.stderr is not None
        while "health server listens" not in logger.stderr.readline():
            pass
        logger.send_signal(signal.SIGTERM)
        assert logger.wait(10) == 0


def test_dead_writer(
    endpoints: Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A logger whose writer dies ends with status 1 and the writer's own words."""

    def full(_store: Store, _batches: object) -> None:
        raise StorageError("journal: No space left on device")

    monkeypatch.setattr(Store, "commit", full)
    assert main(["--config", str(write_config(tmp_path, endpoints))]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "multilogger: journal: No space left on device"
