"""kill -9 at random moments, and a restart each time: nothing durable is lost, doubled or skewed.

``pytest tests/crash --kills 20`` runs as many rounds as asked; the seed is in the test's output.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from multilogger.simulator.compare import compare
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, FrameType, decode_header, hash_payload
from multilogger.storage.payload import decode
from multilogger.storage.streams import StreamEntry, decode_dictionary
from multilogger.tables import TABLES

EXCHANGES = ("binance", "coinbase")
Partition = tuple[str, str, str, int]
"""Exchange, symbol directory, table, day since the epoch."""


def start_demo(data: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a demo on a data path, with a quick market."""
    command = [
        sys.executable,
        "-m",
        "multilogger",
        "demo",
        "--data",
        str(data),
        "--rate",
        "1000",
        "--port",
        "0",
        *(word for name in EXCHANGES for word in ("--exchange", name)),
    ]
    return subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL)


def time_bytes(data: Path) -> int:
    """Bytes in the columns that grow last: a measure of what readers see."""
    return sum(file.stat().st_size for file in data.glob("*/*/*/*time.*.bin"))


def kill_at_random(data: Path, chance: random.Random) -> None:
    """Start a demo and kill it some time after its first rows are visible."""
    before = time_bytes(data)
    demo = start_demo(data)
    deadline = time.monotonic() + 30
    while time_bytes(data) == before:
        assert time.monotonic() < deadline, "no rows within 30 s"
        assert demo.poll() is None, f"the demo ended with {demo.returncode}"
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.9))
    demo.send_signal(signal.SIGKILL)
    demo.wait()


def journalled(data: Path) -> dict[Partition, int]:
    """Rows of each partition up to the last intact frame of the journal."""
    entries: dict[int, StreamEntry] = {}
    ends: dict[tuple[int, int], int] = {}
    for path in sorted((data / ".multilogger" / "journal").glob("*.wal")):
        segment = path.read_bytes()
        for at in range(0, len(segment), ALIGNMENT):
            header = decode_header(segment[at : at + HEADER_BYTES], int(path.stem))
            if header is None:
                continue
            payload = segment[at + HEADER_BYTES : at + HEADER_BYTES + header.length]
            if hash_payload(payload, header.sequence) != header.payload_hash:
                continue
            if header.type is FrameType.DICTIONARY:
                entries.update({entry.number: entry for entry in decode_dictionary(payload)})
            if header.type is not FrameType.ROWS:
                continue
            for rows in decode(np.frombuffer(payload, np.uint8)):
                for section in rows.sections:
                    key = (int(section["stream"]), int(section["day"]))
                    ends[key] = max(ends.get(key, 0), int(section["start_row"] + section["rows"]))
    return {
        (entries[n].exchange, entries[n].directory, TABLES[entries[n].table].name, day): end
        for (n, day), end in ends.items()
    }


def file_of(data: Path, partition: Partition, column: str) -> Path:
    """The file of a column."""
    exchange, symbol, table, day = partition
    date = np.datetime64(day, "D").item()
    return data / exchange / symbol / table / f"{column}.{date:%d.%m.%y}.bin"


def seen_by_readers(data: Path) -> dict[Path, bytes]:
    """What a reader could see: of each column the rows that all columns of its partition have."""
    seen: dict[Path, bytes] = {}
    for directory in {file.parent for file in data.glob("*/*/*/*.bin")}:
        table = next(table for table in TABLES if table.name == directory.name)
        for last in directory.glob(f"{table.time_column}.*.bin"):
            day = last.name.partition(".")[2]
            columns = [(directory / f"{c.name}.{day}", c.dtype.itemsize) for c in table.columns]
            rows = min(path.stat().st_size // width for path, width in columns)
            seen.update({path: path.read_bytes()[: rows * width] for path, width in columns})
    return seen


def check_kept(data: Path, seen: dict[Path, bytes], durable: dict[Partition, int]) -> None:
    """After a recovery: what was seen stands unchanged, and what was durable is there."""
    for path, content in seen.items():
        assert path.read_bytes()[: len(content)] == content, f"{path} changed under its readers"
    for partition, rows in durable.items():
        table = next(table for table in TABLES if table.name == partition[2])
        for column in table.columns:
            size = file_of(data, partition, column.name).stat().st_size
            assert size >= rows * column.dtype.itemsize, f"{partition} {column.name}: durable rows lost"


def test_kill_and_restart(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """Each recovery keeps every durable row once, whatever moment the kill struck."""
    kills = pytestconfig.getoption("kills")
    seed = pytestconfig.getoption("kill_seed")
    chance = random.Random(seed)
    durable: dict[Partition, int] = {}
    seen: dict[Path, bytes] = {}
    for _ in range(kills):
        kill_at_random(tmp_path, chance)
        check_kept(tmp_path, seen, durable)
        durable, seen = journalled(tmp_path), seen_by_readers(tmp_path)
        assert durable
    assert start_demo(tmp_path, "--seconds", "1").wait(timeout=60) == 0
    check_kept(tmp_path, seen, durable)
    runs = sorted((tmp_path / ".multilogger" / "ledger").iterdir())
    for exchange in EXCHANGES:
        comparison = compare(runs, tmp_path, exchange, missing_ok=True)
        assert comparison.ok, comparison
        for name, table in comparison.tables.items():
            kept = f"{table.on_disk} rows on disk, {table.missing} lost under way to a killed process"
            print(f"{kills} kills, seed {seed}: {exchange} {name}: {kept}, 0 extra, duplicates, skew")
