"""What was sent is what any program finds in the files: after a stop, after a restart, and meanwhile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from e2e_tree import EXCHANGES, assert_stored, recording, simulated

from multilogger.simulator.columns import COMPATIBLE, EXACT, TIME

Columns = dict[str, npt.NDArray[Any]]


async def test_sent_is_stored(tmp_path: Path) -> None:
    """After an orderly stop both tables of both exchanges hold exactly the rows that were sent."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    async with simulated(ledger, rate=2000) as venues, recording(venues, data) as run:
        await run.flowing(*EXCHANGES)
        for exchange in EXCHANGES:
            await run.more_rows(exchange, 1000)
        accepted = {exchange: run.stats.exchange(exchange) for exchange in EXCHANGES}
    for exchange, stats in accepted.items():
        assert_stored(ledger, data, exchange)
        assert not stats.refused
        assert stats.duplicates == 0
    assert run.stats.writer.rows_in_columns == sum(run.rows(exchange) for exchange in EXCHANGES)


async def test_restart_continues(tmp_path: Path) -> None:
    """A second run goes on where the first ended; what is replayed at subscribe is not recorded twice."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    async with simulated(ledger) as venues:
        async with recording(venues, data) as first:
            await first.flowing(*EXCHANGES)
        before = {exchange: first.rows(exchange) for exchange in EXCHANGES}
        # The markets rest between the runs: what Coinbase replays now has been recorded already.
        async with recording(venues, data, resume=False) as second:
            await second.health_when(
                lambda now: all(now["exchanges"][name]["connected"] for name in EXCHANGES)
            )
            await second.settle()
            assert second.rows("coinbase") == 0
            assert second.stats.exchange("coinbase").duplicates == 20
            for venue in venues.values():
                venue.resume()
            await second.flowing(*EXCHANGES)
    for exchange in EXCHANGES:
        assert before[exchange] > 0
        assert_stored(ledger, data, exchange)


def read_as_a_user_does(folder: Path, table: str, day: str) -> Columns:
    """Read one day as a program does that knows the format alone: the time column first, it grows last."""
    time_column = TIME[table][0]
    dtypes = {**COMPATIBLE[table], **EXACT[table]}
    rows = np.fromfile(folder / f"{time_column}.{day}", dtypes[time_column])
    columns = {}
    for name, dtype in dtypes.items():
        path = folder / f"{name}.{day}"
        values = np.fromfile(path, dtype)
        assert len(values) >= len(rows), f"{path} is shorter than {time_column}"
        columns[name] = values[: len(rows)]
    columns[time_column] = rows
    return columns


def check_trades(columns: Columns) -> None:
    """Check that rows of TRADES make sense, every column of them."""
    assert (np.diff(columns["trade_id"].astype(np.int64)) > 0).all()
    np.testing.assert_array_equal(columns["trade_price"], columns["price_f64"].astype("<f4"))
    np.testing.assert_array_equal(columns["trade_size"], columns["size_f64"].astype("<f4"))
    assert np.isin(columns["trade_side"], (0, 1)).all()
    assert np.isin(columns["flags"], (0, 2)).all()
    assert (columns["size_f64"] > 0).all()


def check_md(columns: Columns) -> None:
    """Check that rows of MD make sense, every column of them."""
    for name in ("price", "volume", "best_bid", "best_ask"):
        np.testing.assert_array_equal(columns[name], columns[f"{name}_f64"].astype("<f4"))
    assert np.isin(columns["side"], (0, 1)).all()
    assert (columns["best_bid_f64"] < columns["best_ask_f64"]).all()


def check_times(columns: Columns, table: str) -> None:
    """Check that both times of all rows are of this test, and in order."""
    seconds, nanos = (columns[name].astype(np.int64) for name in TIME[table])
    assert (np.diff(seconds) >= 0).all()
    assert (nanos < 10**9).all()
    for stamp in (seconds * 10**9 + nanos, columns["recv_ns"]):
        assert (abs(stamp - time.time_ns()) < 120 * 10**9).all()


def read_everything(data: Path) -> int:
    """Read and check every table there is; return the rows."""
    total = 0
    for table, check in (("TRADES", check_trades), ("MD", check_md)):
        time_column = TIME[table][0]
        for file in data.glob(f"*/*/{table}/{time_column}.*.bin"):
            columns = read_as_a_user_does(file.parent, table, file.name.partition(".")[2])
            check(columns)
            check_times(columns, table)
            total += len(columns[time_column])
    return total


async def test_readable_while_it_grows(tmp_path: Path) -> None:
    """At any moment of a run, all columns of a table give whole rows of the documented types."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    seen: list[int] = []
    async with simulated(ledger, rate=1000) as venues, recording(venues, data) as run:
        await run.flowing(*EXCHANGES)
        while len(set(seen)) < 8:
            # In this thread, which is the event loop's, while the writer's threads go on writing.
            seen.append(read_everything(data))
            for exchange in EXCHANGES:
                await run.more_rows(exchange, 20)
    assert seen == sorted(seen)
    assert read_everything(data) == sum(run.rows(exchange) for exchange in EXCHANGES) >= seen[-1]
    tables = {(path.parent.parent.parent.name, path.parent.name) for path in data.glob("*/*/*/*.bin")}
    assert tables == {(exchange, table) for exchange in EXCHANGES for table in COMPATIBLE}
    for folder in data.glob("*/*/*/"):
        if not folder.is_relative_to(data / ".multilogger"):
            assert (
                len({len(file.read_bytes()) // width(file, folder.name) for file in folder.glob("*.bin")})
                == 1
            )


def width(file: Path, table: str) -> int:
    """Bytes a row in a column file."""
    return np.dtype({**COMPATIBLE[table], **EXACT[table]}[file.name.partition(".")[0]]).itemsize
