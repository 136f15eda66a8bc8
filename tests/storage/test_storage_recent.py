"""The newest trades on disk: of live and late rows, of what only the journal had, and of the days before."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_tools import DAY, NANOS, NOON, SMALL, crash, open_store
from structlog.testing import capture_logs

from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.records import ExchangeId
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.recent import DAYS_BACK, MOST
from multilogger.storage.store import Store
from multilogger.tables import TRADES

DAY_NANOS = 86_400 * NANOS
NAME = "bybit"


def batch(*trades: tuple[str, int, int], exchange: str = NAME) -> Batch:
    """Return trades: symbol, id, time."""
    symbols, rows = SymbolTable(ExchangeId(exchange)), RowBuffer()
    for symbol, trade_id, time_ns in trades:
        rows.add_trade(
            symbol=symbols.number(symbol),
            time_ns=time_ns,
            recv_ns=time_ns,
            trade_id=trade_id,
            price=1.0,
            size=1.0,
            side=1,
        )
    return Batch(symbols, rows.take())


def many(symbol: str, ids: range, start_ns: int) -> Batch:
    """Return trades of a symbol, a microsecond apart."""
    return batch(*((symbol, it, start_ns + at * 1000) for at, it in enumerate(ids)))


def open_files() -> int:
    """Return how many descriptors this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def found(store: Store, symbol: str = "A") -> list[tuple[int, int]]:
    """Return ids and times of what is known of a symbol."""
    rows = store.recent_trades(NAME).get(symbol, np.empty(0, [("trade_id", "<u8"), ("time_ns", "<i8")]))
    return list(zip(rows["trade_id"].tolist(), rows["time_ns"].tolist(), strict=True))


def test_recent_trades_after_a_crash(tmp_path: Path) -> None:
    """What was committed and never applied is among them; late rows have their place in time."""
    store = open_store(tmp_path)
    store.commit([batch(("A", 2**64 - 1, NOON), ("A", 5, NOON + 10), ("B", 7, NOON))])
    store.apply()
    store.commit([batch(("A", 9, NOON + 5), ("A", 2**63, NOON + 20))])
    crash(store)
    with_late = open_store(tmp_path)
    assert found(with_late) == [(2**64 - 1, NOON), (9, NOON + 5), (5, NOON + 10), (2**63, NOON + 20)]
    assert found(with_late, "B") == [(7, NOON)]
    assert with_late.recent_trades("binance") == {}
    with_late.close()


def test_recent_trades_of_an_orderly_stop(tmp_path: Path) -> None:
    """Those of the start are meant, however much is written since."""
    store = open_store(tmp_path)
    assert store.recent_trades(NAME) == {}
    store.commit([batch(("A/B", 1, NOON)), batch(("A/B", 3, NOON), exchange="okx")])
    store.close()
    again = open_store(tmp_path)
    assert found(again, "A/B") == [(1, NOON)]
    again.close()


def test_no_more_than_enough(tmp_path: Path) -> None:
    """The newest ones of the newest days, up to as many as can be needed."""
    store = open_store(tmp_path)
    store.commit([many("A", range(500), NOON - DAY_NANOS), many("B", range(MOST + 500), NOON)])
    store.commit([many("A", range(500, MOST), NOON)])
    store.close()
    again = open_store(tmp_path)
    assert [it for it, _ in found(again)] == [*range(MOST)]
    assert [it for it, _ in found(again, "B")] == [*range(500, MOST + 500)]
    again.commit([many("A", range(MOST, MOST + 700), NOON + NANOS)])
    again.close()
    third = open_store(tmp_path)
    assert [it for it, _ in found(third)] == [*range(700, MOST + 700)]
    third.close()


def test_days_before_are_read_if_they_are_near(tmp_path: Path) -> None:
    """A market that trades seldom has its trades of a week."""
    now = [NOON - 10 * DAY_NANOS]
    store = Store.open(tmp_path, SMALL, WriterStats(), lambda: now[0])
    for back in range(10, -1, -1):
        now[0] = NOON - back * DAY_NANOS
        store.commit([batch(("A", 100 - back, now[0]))])
    store.close()
    again = open_store(tmp_path)
    assert [it for it, _ in found(again)] == [*range(101 - DAYS_BACK, 101)]
    again.close()


def test_sealed_days(tmp_path: Path) -> None:
    """A sealed day has its late rows folded in, and is no longer known to the checkpoint after a while."""
    now = [NOON]
    store = Store.open(tmp_path, SMALL, WriterStats(), lambda: now[0])
    store.commit([batch(("A", 1, NOON), ("A", 2, NOON + 5))])
    store.apply()
    store.commit([batch(("A", 3, NOON + 2))])
    now[0] += 2 * DAY_NANOS
    store.close_day(DAY + 1)
    assert store.seal_step(60.0) == 0
    for _ in range(3):
        store.checkpoint()
    store.commit([batch(("A", 4, NOON + 3))])
    store.close()
    again = open_store(tmp_path)
    assert [it for it, _ in found(again)] == [1, 3, 4, 2]
    again.close()


def test_files_that_are_longer_in_some_columns(tmp_path: Path) -> None:
    """As a reader does, it takes the rows that all columns have."""
    store = open_store(tmp_path)
    store.commit([batch(("A", 1, NOON), ("A", 2, NOON + 5))])
    store.close()
    again = open_store(tmp_path)
    (file,) = (tmp_path / NAME / "A" / TRADES.name).glob("trade_nanos.*.bin")
    os.truncate(file, 4)
    assert [it for it, _ in found(again)] == [1]
    crash(again)


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and the start goes on: what comes again of it is folded by its id at midnight."""
    store = open_store(tmp_path)
    store.commit([batch(("A", 1, NOON), ("B", 2, NOON))])
    store.close()
    again = open_store(tmp_path)
    read = disk.read

    def fail(fd: int, size: int, offset: int) -> bytes:
        if "/A/" in str(Path(f"/proc/self/fd/{fd}").readlink()):
            raise OSError(errno.EIO, "Input/output error")
        return read(fd, size, offset)

    monkeypatch.setattr(disk, "read", fail)
    before = open_files()
    with capture_logs() as logs:
        assert (found(again), found(again, "B")) == ([], [(2, NOON)])
    assert {line["event"] for line in logs} == {"trades that are on disk may be recorded again"}
    assert open_files() == before
    again.close()


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(-3, 3)), min_size=1, max_size=8), max_size=8
    )
)
def test_every_trade_on_disk_is_known(
    tmp_path_factory: pytest.TempPathFactory, commits: list[list[tuple[int, int]]]
) -> None:
    """In whatever order trades came, and whether they were applied or not: all of them, and none else."""
    path = tmp_path_factory.mktemp("recent")
    store, expected = open_store(path), []
    for at, rows in enumerate(commits):
        trades = [("A", trade_id, NOON + hours * 3600 * NANOS + at) for trade_id, hours in rows]
        expected += [(trade_id, time_ns) for _, trade_id, time_ns in trades]
        store.commit([batch(*trades)])
        if at % 2:
            store.apply()
    crash(store)
    again = open_store(path)
    assert sorted(found(again)) == sorted(expected)
    assert [time_ns for _, time_ns in found(again)] == sorted(time_ns for _, time_ns in expected)
    again.close()
