"""``verify``: what is wrong is a line each, and the exit status says whether anything is."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import numpy as np
import pytest
from cli_tools import write_config

from multilogger.cli.main import main

Capsys = pytest.CaptureFixture[str]
DAY = 1_753_920_000
"""2025-07-31, in seconds."""


def record(data: Path, symbol: str = "BTC-USD", *, side: int = 1) -> Path:
    """Write two tickers without exact columns; return their directory."""
    folder = data / "coinbase" / symbol / "MD"
    folder.mkdir(parents=True)
    for name, values, dtype in (
        ("time", (DAY, DAY + 1), "<u4"),
        ("nanos", (5, 0), "<u4"),
        ("price", (2, 3), "<f4"),
        ("volume", (1, 1), "<f4"),
        ("side", (1, side), "<u4"),
        ("best_bid", (2, 3), "<f4"),
        ("best_ask", (2.5, 3.5), "<f4"),
    ):
        np.array(values, dtype).tofile(folder / f"{name}.31.07.25.bin")
    return folder


def told(capsys: Capsys, *arguments: str) -> tuple[int, list[str], list[str]]:
    """Run ``verify``; return status, lines of output and lines of errors."""
    status = main(["verify", *arguments])
    found = capsys.readouterr()
    return status, found.out.splitlines(), found.err.splitlines()


def test_clean(tmp_path: Path, capsys: Capsys) -> None:
    """Nothing wrong is status 0 and one line, by the path or by the configuration."""
    record(tmp_path / "data")
    line = "2 rows, 0 late, 1 day of tables, 0 sealed, 7 files, 56 bytes, 0 journal frames: no problem"
    assert told(capsys, str(tmp_path / "data")) == (0, [line], [])
    assert told(capsys, "--config", str(write_config(tmp_path))) == (0, [line], [])


def test_problems(tmp_path: Path, capsys: Capsys) -> None:
    """Each problem is a line that names file and row; status 1."""
    folder = record(tmp_path, side=9)
    (folder / "caf\udce9.txt").touch()
    status, lines, errors = told(capsys, str(tmp_path))
    assert (status, errors) == (1, [])
    assert lines == [
        f"{folder}/caf\\udce9.txt: no name of a file that belongs here",
        f"{folder}/side.31.07.25.bin: row 1: side is neither 0 nor 1: 9",
        "2 rows, 0 late, 1 day of tables, 0 sealed, 7 files, 56 bytes, 0 journal frames: 2 problems",
    ]


def test_json(tmp_path: Path, capsys: Capsys) -> None:
    """The same as one JSON object."""
    folder = record(tmp_path, side=9)
    status, (line,), _ = told(capsys, str(tmp_path), "--json")
    found = json.loads(line)
    assert (status, found["ok"], found["rows"], found["logger_running"]) == (1, False, 2, False)
    assert found["problems"] == [
        {"path": f"{folder}/side.31.07.25.bin", "row": 1, "words": "side is neither 0 nor 1: 9"}
    ]
    assert found["path"] == str(tmp_path)


def test_parts(tmp_path: Path, capsys: Capsys) -> None:
    """Options narrow what is looked at."""
    record(tmp_path, side=9)
    record(tmp_path, "ETH_USD")
    assert told(capsys, str(tmp_path), "--exchange", "coinbase", "--symbol", "ETH/USD")[0] == 0
    assert told(capsys, str(tmp_path), "--exchange", "coinbase", "--day", "2025-07-31")[0] == 1


def test_beside_a_logger(tmp_path: Path, capsys: Capsys) -> None:
    """A running logger is told, and no fault."""
    record(tmp_path)
    (tmp_path / ".multilogger").mkdir()
    with (tmp_path / ".multilogger/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        status, (line,), _ = told(capsys, str(tmp_path))
    assert (status, line.rpartition(", ")[2]) == (0, "a logger runs: no problem")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no data in nowhere: there is no such directory"),
        (["."], "nothing to verify in ."),
        ([".", "--exchange", "kraken"], "no exchange 'kraken' in .: it is empty"),
        ([".", "--symbol", "BTC-USD"], "--symbol needs --exchange: the same name may be on several"),
        ([".", "--config", "logger.toml"], "PATH and --config are two data paths: give one"),
    ],
)
def test_nothing_to_verify(arguments: list[str], words: str, capsys: Capsys) -> None:
    """What can't be verified is one line on standard error, status 2."""
    assert told(capsys, *arguments) == (2, [], [f"multilogger: {words}"])


def test_a_wrong_day(capsys: Capsys) -> None:
    """A day that is none is told by the parser, status 2."""
    with pytest.raises(SystemExit, match="2"):
        main(["verify", ".", "--day", "31.07.25"])
    assert "expected a day such as 2026-11-23, got '31.07.25'" in capsys.readouterr().err
