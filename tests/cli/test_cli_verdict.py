"""What a demo tells in the end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from rich.text import Text

from multilogger.archive.report import Counts, Problem, VerifyReport
from multilogger.cli.verdict import (
    ExchangeVerdict,
    Verdict,
    days_over,
    judge,
    verdict_lines,
    verify_lines,
    watch_lines,
)
from multilogger.simulator.compare import TableComparison
from multilogger.simulator.ledger import Ledger, TickerEntry
from multilogger.simulator.watch import FileWatch

HOUR_NS = 3600 * 10**9
NOON_NS = 1_795_348_800 * 10**9
"""2026-11-22 12:00 UTC."""
FIRST, SECOND = date(2026, 11, 22), date(2026, 11, 23)


def plain(lines: Iterable[str]) -> list[str]:
    """Return lines without their markup."""
    return [Text.from_markup(line).plain for line in lines]


def table(name: str, **counts: object) -> Verdict:
    """Return a table's verdict; what is not named is as it should be."""
    result = TableComparison(name, sent=10, on_disk=10)
    for key, value in counts.items():
        setattr(result, key, value)
    return Verdict("coinbase", result, 0)


@pytest.mark.parametrize(
    ("start_hour", "hours", "days"),
    [(12, 11.9, set()), (12, 12, {FIRST}), (12, 36, {FIRST, SECOND}), (0, 24, {FIRST}), (12, -40, set())],
)
def test_days_over(start_hour: int, hours: float, days: set[date]) -> None:
    """A day is over from midnight on; the one that recording began in counts."""
    start = NOON_NS + (start_hour - 12) * HOUR_NS
    assert days_over(start, start + int(hours * HOUR_NS)) == days


def test_without_seals_and_late_rows_there_is_a_line_a_table() -> None:
    """Where there was neither a midnight nor disorder, nothing is told of them."""
    lines = plain(verdict_lines([ExchangeVerdict("coinbase", [table("TRADES"), table("MD")])]))
    assert [line.split()[:3] for line in lines] == [["ok", "coinbase", "TRADES"], ["ok", "coinbase", "MD"]]


def test_sealed_days_and_late_rows_are_told() -> None:
    """An exchange has a line of its days and late rows, of all tables together."""
    trades = table("TRADES", sealed={FIRST, SECOND}, sent_late=1321, late=12)
    tickers = table("MD", sealed={FIRST}, unsealed={SECOND}, sent_late=1)
    verdict = ExchangeVerdict("coinbase", [trades, tickers], frozenset({FIRST, date(2026, 11, 21)}))
    assert verdict.good
    assert plain(verdict_lines([verdict]))[-1] == (
        "ok   coinbase       2 days sealed, sorted, without duplicates; "
        "1,322 rows sent late, 12 waiting for the next seal"
    )


@pytest.mark.parametrize(
    ("trades", "sealed", "overdue"),
    [
        (
            {"sealed": {FIRST}, "unsealed": {SECOND}, "unclean": 3},
            "1 day sealed, 3 tables of them in disorder or with duplicates",
            "2026-11-23",
        ),
        (
            {"sealed": {FIRST, SECOND}, "unsealed": {FIRST}},
            "2 days sealed, sorted, without duplicates",
            "2026-11-22",
        ),
        ({"unsealed": {FIRST, SECOND}}, "0 days sealed", "2026-11-22, 2026-11-23"),
    ],
)
def test_days_that_are_not_as_they_should_be(trades: dict[str, object], sealed: str, overdue: str) -> None:
    """Sealed days in disorder and days that are over and not sealed make the verdict bad."""
    verdict = ExchangeVerdict("coinbase", [table("TRADES", **trades)], frozenset({FIRST, SECOND}))
    assert not verdict.good
    late = "0 rows sent late, 0 waiting for the next seal"
    expected = f"FAIL coinbase       {sealed}; {late}; over, but not sealed: {overdue}"
    assert plain(verdict_lines([verdict]))[-1] == expected


def ledger_of(directory: Path, prices: Iterable[int]) -> None:
    """Write a ledger of tickers."""
    ledger = Ledger("binance", directory)
    for price in prices:
        text = str(price)
        ledger.ticker(
            TickerEntry(
                symbol="BTCUSDT", time_ns=NOON_NS + price, sequence=price, price=text, volume=text,
                best_bid=text, best_ask=text, bought=True,
            )
        )  # fmt: skip
    ledger.close()


def write_tickers(folder: Path, suffix: str, prices: list[int]) -> None:
    """Write column files of tickers, as the ledger has them."""
    folder.mkdir(parents=True)
    values = np.array(prices, "<f8")
    columns = {
        "time": np.full(len(prices), NOON_NS // 10**9, "<u4"), "nanos": np.array(prices, "<u4"),
        "side": np.ones(len(prices), "<u4"), "recv_ns": np.zeros(len(prices), "<i8"),
    }  # fmt: skip
    for name in ("price", "volume", "best_bid", "best_ask"):
        columns |= {name: values.astype("<f4"), f"{name}_f64": values}
    for name, column in columns.items():
        column.tofile(folder / f"{name}.22.11.26.{suffix}bin")


def test_judging_counts_late_files_and_earlier_runs(tmp_path: Path) -> None:
    """What is live or late of any run is there; what an earlier run lost is told apart."""
    ledgers = tmp_path / ".multilogger" / "ledger"
    ledger_of(ledgers / "1", range(100, 103))
    ledger_of(ledgers / "2", range(200, 204))
    write_tickers(tmp_path / "binance" / "BTCUSDT" / "MD", "", [100, 101, 200, 203])
    write_tickers(tmp_path / ".multilogger" / "late" / "binance" / "BTCUSDT" / "MD", "1.", [202, 201])
    manifest = tmp_path / "binance" / "BTCUSDT" / "MD" / "manifest.22.11.26.json"
    manifest.write_text(json.dumps({"generation": 1}))
    verdict = judge(ledgers / "2", tmp_path, "binance", frozenset({FIRST}))
    assert (verdict.good, verdict.lost_before, verdict.sealed) == (True, 1, {FIRST})
    tickers, days = plain(verdict_lines([verdict]))[1:]
    assert tickers.startswith(
        "ok   binance        MD              6 rows sent =         6 rows on disk: 0 missing"
    )
    assert days.startswith(
        "ok   binance        1 day sealed, sorted, without duplicates; 0 rows sent late, 2 wai"
    )


def test_what_was_seen_of_live_files_is_told(tmp_path: Path) -> None:
    """The watch has a line, and some of its faults one each, whatever brackets are in them."""
    watch = FileWatch(tmp_path)
    for _ in range(3):
        watch.look()
    assert plain(watch_lines(watch)) == [
        "ok   live files, looked at 3 times: time never decreased, and no row changed or went away"
    ]
    watch.found, watch.faults = 1234, [f"[red]{number}" for number in range(20)]
    lines = plain(watch_lines(watch))
    assert lines[:2] == ["FAIL live files, looked at 3 times: 1,234 faults", "     [red]0"]
    assert len(lines) == 6


def test_what_verifying_found_is_told(tmp_path: Path) -> None:
    """The report has a line, and some of its problems one each."""
    counts = Counts(files=1200, rows=5000, late_rows=7)
    good = VerifyReport(counts=counts, problems=(), logger_running=False)
    assert plain(verify_lines(good)) == ["ok   verify: 1,200 column files, 5,007 rows: no problem"]
    problem = Problem(path=tmp_path, row=3, words="time decreases")
    bad = VerifyReport(counts=counts, problems=(problem,) * 7, logger_running=False)
    lines = plain(verify_lines(bad))
    assert lines[0] == "FAIL verify: 1,200 column files, 5,007 rows: 7 problems"
    assert lines[1:] == [f"     {problem}"] * 5
