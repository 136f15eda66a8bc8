"""``coverage``: what was recorded and what is missing, in tables, as JSON, and in the exit status."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cli_ledger import BACKFILLED, GAP, LIVE, Capsys, at, note, told, write_ledger
from cli_tools import write_config

from multilogger.cli.coverage_tables import length, share
from multilogger.cli.main import main
from multilogger.notes import gap_note
from multilogger.storage.layout import Paths

NOTES = (
    *(note(symbol, table, LIVE, 0, 1000) for symbol in ("BTC-USD", "ETH-USD") for table in ("MD", "TRADES")),
    note("BTC-USD", "MD", GAP, 100, 110, "connection lost"),
    note("ETH-USD", "MD", GAP, 100, 110, "connection lost"),
    note("BTC-USD", "TRADES", GAP, 100, 102, "ids missing", ids=7),
    note("BTC-USD", "TRADES", BACKFILLED, 300, 320),
    gap_note("coinbase", "offline", at(500), at(505)),
)


@pytest.fixture(name="data")
def data_fixture(tmp_path: Path) -> Path:
    """A data path in which the notes are."""
    return write_ledger(tmp_path / "data", NOTES)


def told_json(capsys: Capsys, *arguments: str) -> Any:
    """Run ``coverage --json``; return the object."""
    status, (line,), errors = told(capsys, *arguments, "--json")
    assert (status, errors) == (0, [])
    return json.loads(line)


def rows_of(lines: Sequence[str], title: str) -> list[list[str]]:
    """Return the rows of a table that was printed, their words apart."""
    start = lines.index(title) + 4
    end = lines.index("", start)
    return [line.split() for line in lines[start:end]]


def test_tables(data: Path, capsys: Capsys) -> None:
    """The sums, the causes, the worst symbols and gaps, by the path or by the configuration."""
    status, lines, errors = told(capsys, str(data))
    assert (status, errors) == (0, [])
    assert rows_of(lines, "Recorded, all symbols together") == [
        ["coinbase", "MD", "2", "98.5000", "%", "30", "s"],
        ["coinbase", "TRADES", "2", "99.4000", "%", "12", "s", "20", "s", "7"],
    ]
    assert rows_of(lines, "Why it is missing") == [
        ["coinbase", "MD", "connection", "lost", "20", "s"],
        ["coinbase", "MD", "offline", "10", "s"],
        ["coinbase", "TRADES", "offline", "10", "s"],
        ["coinbase", "TRADES", "ids", "missing", "2", "s"],
    ]
    assert rows_of(lines, "Worst symbols")[2] == [
        "coinbase",
        "BTC-USD",
        "TRADES",
        "99.3000",
        "%",
        "7",
        "s",
        "2",
        "7",
    ]
    assert rows_of(lines, "Worst gaps") == [
        ["2025-07-31", "00:01:40.000", "coinbase", "2", "symbols", "MD", "connection", "lost", "10", "s"],
        ["2025-07-31", "00:08:20.000", "coinbase", "2", "symbols", "MD", "TRADES", "offline", "5", "s"],
        ["2025-07-31", "00:01:40.000", "coinbase", "BTC-USD", "TRADES", "ids", "missing", "2", "s", "7"],
    ]
    assert lines[-1] == (
        "2025-07-31 00:00:00.000 to 2025-07-31 00:16:40.000 UTC: 98.9500 % recorded, 7 trade ids missing"
    )
    assert told(capsys, "--config", str(write_config(data.parent))) == (0, lines, [])


def test_nothing_missing(tmp_path: Path, capsys: Capsys) -> None:
    """Without gaps there is one table; a running logger is told."""
    data = write_ledger(tmp_path, [note("BTC-USD", "MD", LIVE, 0, None)])
    with Paths(data).lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _, lines, _ = told(capsys, str(data))
    assert rows_of(lines, "Recorded, all symbols together") == [["coinbase", "MD", "1", "100", "%"]]
    assert "Worst gaps" not in lines
    assert lines[-1].endswith(" UTC, a logger runs: 100 % recorded, no trade id missing")


def test_json(data: Path, capsys: Capsys) -> None:
    """The same as one JSON object, with every table of every symbol."""
    found = told_json(capsys, str(data), "--worst", "1")
    assert (found["path"], found["logger_running"]) == (str(data), False)
    assert found["total"]["percentage"] == 98.95
    assert [(it["exchange"], it["table"], it["symbols"]) for it in found["exchanges"]] == [
        ("coinbase", "MD", 2),
        ("coinbase", "TRADES", 2),
    ]
    assert found["tables"][1] == {
        "exchange": "coinbase",
        "symbol": "BTC-USD",
        "table": "TRADES",
        "percentage": 99.3,
        "expected_secs": 1000,
        "live_secs": 973,
        "backfilled_secs": 20,
        "gap_secs": {"ids missing": 2, "offline": 5},
        "halted_secs": 0,
        "not_listed_secs": 0,
        "unknown_secs": 0,
        "missing_ids": 7,
        "gaps": 2,
    }
    assert found["worst_symbols"] == [
        {"exchange": "coinbase", "symbol": "BTC-USD", "table": "MD", "percentage": 98.5}
    ]
    assert found["worst_gaps"] == [
        {
            "exchange": "coinbase",
            "symbols": ["BTC-USD", "ETH-USD"],
            "tables": ["MD"],
            "cause": "connection lost",
            "start": "2025-07-31T00:01:40.000000000Z",
            "end": "2025-07-31T00:01:50.000000000Z",
            "secs": 10,
            "missing_ids": 0,
        }
    ]


def test_parts(data: Path, capsys: Capsys) -> None:
    """Options narrow what is reckoned."""
    found = told_json(capsys, str(data), "--exchange", "coinbase", "--symbol", "ETH-USD", "--table", "MD")
    assert [(it["symbol"], it["table"], it["percentage"]) for it in found["tables"]] == [
        ("ETH-USD", "MD", 98.5)
    ]
    found = told_json(capsys, str(data), "--from", "2025-07-31T00:01:40", "--to", "2025-07-31T00:02:00")
    assert [it["gap_secs"] for it in found["tables"]] == [
        {"connection lost": 10},
        {"ids missing": 2},
        {"connection lost": 10},
        {},
    ]
    assert told_json(capsys, str(data), "--day", "2025-07-31")["total"]["expected_secs"] == 4000
    assert told_json(capsys, str(data), "--day", "2025-08-01")["total"]["expected_secs"] == 0


@pytest.mark.parametrize(("least", "status"), [("98.5", 0), ("98.6", 1), ("100", 1), ("0", 0)])
def test_the_least_share(least: str, status: int, data: Path, capsys: Capsys) -> None:
    """The status is 1 if a table of an exchange has less than what is asked for."""
    assert told(capsys, str(data), "--min", least)[0] == status


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no data in nowhere: there is no such directory"),
        (["data", "--exchange", "kraken"], "nothing is known of the coverage of kraken in data"),
        (["data", "--config", "logger.toml"], "PATH and --config are two data paths: give one"),
        (
            ["data", "--day", "2025-07-31", "--to", "2025-08-01"],
            "--day and --from or --to are two ranges of time: give one",
        ),
    ],
)
def test_what_can_not_be_told(arguments: list[str], words: str, data: Path, capsys: Capsys) -> None:
    """What can't be told is one line on standard error, status 2."""
    assert told(capsys, *arguments) == (2, [], [f"multilogger: {words}"])


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--from", "noon", "expected a day or a time such as 2026-11-23T09:30, UTC, got 'noon'"),
        ("--worst", "-1", "expected a whole number, got '-1'"),
        ("--min", "101", "expected a percentage from 0 to 100, got '101'"),
        ("--min", "most", "expected a percentage from 0 to 100, got 'most'"),
    ],
)
def test_wrong_values(option: str, value: str, words: str, capsys: Capsys) -> None:
    """A value that is none is told by the parser, status 2."""
    with pytest.raises(SystemExit, match="2"):
        main(["coverage", f"{option}={value}"])
    assert words in capsys.readouterr().err


def test_words() -> None:
    """Shares never round up to all; lengths are told in their two largest units."""
    assert [share(it) for it in (None, 100, 99.99999999, 0.0)] == ["-", "100 %", "99.9999 %", "0.0000 %"]
    spans = (0, 1, 2_500_000, 59.994e9, 61e9, 3600e9, 86_399.6e9, 400 * 86_400e9 + 1)
    words = ["", "< 1 ms", "0.0025 s", "60 s", "1 min 1 s", "1 h", "1 d", "400 d"]
    assert [length(round(it)) for it in spans] == words
