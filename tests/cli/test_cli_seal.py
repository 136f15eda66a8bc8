"""``seal``: an archive without a logger gets its manifests, and what can't be sealed is a line each."""

from __future__ import annotations

import fcntl
from pathlib import Path

import numpy as np
import pytest
from cli_tools import write_config

from multilogger.archive.verify import verify_archive
from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.cli.main import main
from multilogger.config import StorageConfig
from multilogger.records import ExchangeId
from multilogger.stats import WriterStats
from multilogger.storage.layout import Paths
from multilogger.storage.manifest import Manifest, decode_manifest
from multilogger.storage.store import Store

Capsys = pytest.CaptureFixture[str]
DAY = 1_753_920_000
"""2025-07-31, in seconds."""
SECOND = 1_000_000_000
SMALL = StorageConfig(journal_segment_bytes=64 * 1024)


def record_old(data: Path, symbol: str = "BTC-USD", times: tuple[int, ...] = (0, 1), **extra: int) -> Path:
    """Write tickers as an older logger did; ``extra`` is the bytes that a column has more."""
    folder = data / "coinbase" / symbol / "MD"
    folder.mkdir(parents=True)
    count = len(times)
    for name, values, dtype in (
        ("time", [DAY + time for time in times], "<u4"),
        ("nanos", [0] * count, "<u4"),
        ("price", range(2, 2 + count), "<f4"),
        ("volume", [1] * count, "<f4"),
        ("side", [1] * count, "<u4"),
        ("best_bid", range(2, 2 + count), "<f4"),
        ("best_ask", range(3, 3 + count), "<f4"),
    ):
        file = folder / f"{name}.31.07.25.bin"
        file.write_bytes(np.array(values, dtype).tobytes() + bytes(extra.get(name, 0)))
    return folder


def record_new(data: Path, *seconds: int, checkpoint: bool = True) -> None:
    """Record tickers with this logger, which then is killed."""
    store = Store.open(data, SMALL, WriterStats(), lambda: (DAY + 86_000) * SECOND)
    symbols = SymbolTable(ExchangeId("coinbase"))
    for second in seconds:
        buffer = RowBuffer()
        buffer.add_md(
            symbol=symbols.number("ETH/USD"),
            time_ns=(DAY + second) * SECOND,
            recv_ns=(DAY + second) * SECOND + 9,
            price=float(2 + second),
            volume=0.5,
            side=1,
            best_bid=2.0,
            best_ask=2.5,
        )
        store.commit([Batch(symbols, buffer.take())])
        store.apply()
    if checkpoint:
        store.checkpoint()
    store._held.close()


def told(capsys: Capsys, *arguments: str) -> tuple[int, list[str], str]:
    """Run ``seal``; return status, lines of output and errors."""
    status = main(["seal", *arguments])
    found = capsys.readouterr()
    return status, found.out.splitlines(), found.err


def manifest_in(folder: Path) -> Manifest:
    """Return the one manifest of a directory."""
    (file,) = folder.glob("manifest.*.json")
    return decode_manifest(file.read_bytes(), file)


def test_older_archive(tmp_path: Path, capsys: Capsys) -> None:
    """Days that only their files tell of are sealed; out of order, they are put in order."""
    tidy = record_old(tmp_path / "data")
    untidy = record_old(tmp_path / "data", "XBT_USD", (3, 1, 2))
    expected = [
        "sealed 2025-07-31 coinbase BTC-USD MD: 2 rows",
        "sealed 2025-07-31 coinbase XBT_USD MD: 3 rows",
        "2 days of tables sealed, 0 not",
    ]
    assert told(capsys, str(tmp_path / "data"))[:2] == (0, expected)
    assert manifest_in(tidy).rows == 2
    times = np.fromfile(untidy / "time.31.07.25.bin", "<u4") - DAY
    assert times.tolist() == [1, 2, 3]
    assert np.fromfile(untidy / "price.31.07.25.bin", "<f4").tolist() == [3.0, 4.0, 2.0]
    assert verify_archive(tmp_path / "data").ok
    assert told(capsys, str(tmp_path / "data"))[:2] == (0, ["0 days of tables sealed, 0 not"])


def test_older_archive_leaves_names_to_the_logger(tmp_path: Path, capsys: Capsys) -> None:
    """The guess at a symbol's spelling does not keep the logger from going on in its directory."""
    record_old(tmp_path / "data", "ETH_USD")
    assert told(capsys, str(tmp_path / "data"))[0] == 0
    record_new(tmp_path / "data", 5)
    assert [path.name for path in (tmp_path / "data/coinbase").iterdir()] == ["ETH_USD"]
    assert told(capsys, str(tmp_path / "data"))[0] == 0
    manifest = manifest_in(tmp_path / "data/coinbase/ETH_USD/MD")
    assert (manifest.rows, manifest.generation, manifest.late_rows) == (3, 2, 1)
    assert verify_archive(tmp_path / "data").ok


@pytest.mark.parametrize("checkpoint", [True, False])
def test_after_a_killed_logger(tmp_path: Path, capsys: Capsys, checkpoint: bool) -> None:
    """What a killed logger left is recovered and sealed, the journal gets nothing, and a start goes on."""
    data = tmp_path / "data"
    record_new(data, 7, 9, 8, checkpoint=checkpoint)
    before = {file.name: file.read_bytes() for file in Paths(data).journal.iterdir()}
    status, lines, _ = told(capsys, "--config", str(write_config(tmp_path)))
    assert (status, lines) == (
        0,
        [
            "sealed 2025-07-31 coinbase ETH/USD MD: 3 rows, 1 of them late",
            "1 day of a table sealed, 0 not",
        ],
    )
    assert {file.name: file.read_bytes() for file in Paths(data).journal.iterdir()} == before
    assert verify_archive(data).ok
    stats = WriterStats()
    store = Store.open(data, SMALL, stats, lambda: (DAY + 86_000) * SECOND)
    assert (stats.lost_rows, stats.recovered_rows) == (0, 0)
    store.close()
    assert verify_archive(data).ok


def test_late_rows_that_nothing_knows(tmp_path: Path, capsys: Capsys) -> None:
    """Without the state that the logger keeps, late rows are found by their files."""
    data = tmp_path / "data"
    record_new(data, 7, 9, 8)
    for name in ("checkpoint", "checkpoint.previous", "notes.log"):
        (Paths(data).own / name).unlink(missing_ok=True)
    for file in Paths(data).journal.iterdir():
        file.unlink()
    assert told(capsys, str(data))[:2] == (
        0,
        ["sealed 2025-07-31 coinbase ETH_USD MD: 3 rows, 1 of them late", "1 day of a table sealed, 0 not"],
    )
    assert not list(Paths(data).late.rglob("*.bin"))


def test_torn_rows_are_set_aside(tmp_path: Path, capsys: Capsys) -> None:
    """What a crash of the older logger left half written is cut off, and kept."""
    folder = record_old(tmp_path / "data", price=4, volume=3)
    assert told(capsys, str(tmp_path / "data"))[0] == 0
    assert manifest_in(folder).rows == 2
    assert len(list(Paths(tmp_path / "data").quarantine.iterdir())) == 2


def test_what_cannot_be_sealed(tmp_path: Path, capsys: Capsys) -> None:
    """A column that is missing or of another layout leaves its day alone, and is a line each."""
    first = record_old(tmp_path / "data", "A-USD")
    (first / "nanos.31.07.25.bin").unlink()
    second = record_old(tmp_path / "data", "B-USD")
    (second / "side.31.07.25.bin").write_bytes(b"\1\0")
    third = record_old(tmp_path / "data", "C-USD")
    before = {file: file.read_bytes() for file in [*first.iterdir(), *second.iterdir()]}
    status, lines, _ = told(capsys, str(tmp_path / "data"))
    assert status == 1
    assert lines == [
        "sealed 2025-07-31 coinbase C-USD MD: 2 rows",
        f"not sealed: {first}/nanos.31.07.25.bin is missing",
        f"not sealed: {second}/side.31.07.25.bin has 2 bytes, 8 belong to 2 rows",
        "1 day of a table sealed, 2 not",
    ]
    assert {file: file.read_bytes() for file in [*first.iterdir(), *second.iterdir()]} == before
    assert manifest_in(third).rows == 2


def test_one_day(tmp_path: Path, capsys: Capsys) -> None:
    """Only the day that is asked for is sealed; one that is not over can't be."""
    folder = record_old(tmp_path / "data")
    assert told(capsys, str(tmp_path / "data"), "--day", "2025-07-30")[1] == [
        "0 days of tables sealed, 0 not"
    ]
    assert not list(folder.glob("*.json"))
    assert told(capsys, str(tmp_path / "data"), "--day", "2025-07-31")[0] == 0
    assert manifest_in(folder).day == "2025-07-31"
    status, _, errors = told(capsys, str(tmp_path / "data"), "--day", "2090-01-01")
    assert (status, "2090-01-01 is not over for long enough" in errors) == (2, True)


def test_refusals(tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running logger, two data paths and a path that is none are one line and status 2."""
    record_old(tmp_path / "data")
    assert told(capsys, str(tmp_path / "nowhere"))[0] == 2
    assert not (tmp_path / "nowhere").exists()
    assert told(capsys, str(tmp_path / "data"), "--config", "logger.toml")[0] == 2
    lock = Paths(tmp_path / "data").lock
    lock.parent.mkdir()
    monkeypatch.setattr("multilogger.storage.lock._LEFTOVER_SECS", 0.0)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        status, lines, errors = told(capsys, str(tmp_path / "data"))
    assert (status, lines) == (2, [])
    assert "a running logger seals its days by itself" in errors
