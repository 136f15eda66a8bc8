"""The store against a model: any order of commits, applies, checkpoints, crashes and restarts."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from storage_tools import (
    DAY,
    NANOS,
    Feed,
    assert_checkpoint_is_true,
    column_files,
    crash,
    fork,
    open_store,
    read_late,
    read_rows,
)

from multilogger.batch import Batch
from multilogger.stats import WriterStats
from multilogger.storage.store import Store
from multilogger.tables import MD, TRADES, Array, Table

SYMBOLS = ("BTC-USD", "ETH/USD")
MIDNIGHT = (DAY + 1) * 86_400 * NANOS


class StoreMachine(RuleBasedStateMachine):
    """Keeps, beside the store, what every column file has to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="multilogger-model-"))
        self.generation = 0
        self.path = self.root / "0"
        self.feed = Feed()
        self.committed: dict[tuple[str, int, int], list[Array]] = {}
        """Rows of the public column files."""
        self.waiting: dict[tuple[str, int, int], list[Array]] = {}
        """Rows of the late partitions."""
        self.newest: dict[tuple[str, int, int], int] = {}
        self.late = 0
        self.unseen_late = 0
        self.stats = WriterStats()
        self.store: Store = open_store(self.path, stats=self.stats)

    @rule(
        plan=st.lists(
            st.tuples(
                st.sampled_from(SYMBOLS),
                st.booleans(),
                st.lists(st.integers(-3, 3), min_size=1, max_size=5),
                st.sampled_from([1, 1, 1, 60]),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def commit(self, plan: list[tuple[str, bool, list[int], int]]) -> None:
        """Commit some batches around a midnight, some of them larger than a segment."""
        batches = []
        for symbol, trades, seconds, times in plan:
            stamps = [MIDNIGHT + second * NANOS for second in seconds] * times
            make = self.feed.trades if trades else self.feed.quotes
            batches.append(make(symbol, stamps))
        self._commit(batches)

    def _commit(self, batches: list[Batch]) -> None:
        self.store.commit(batches)
        grouped: dict[tuple[str, int, int], list[Array]] = {}
        for batch in batches:
            for number, rows in batch.rows.items():
                for row in rows:
                    key = (
                        batch.symbols.names[row["symbol"]],
                        number,
                        int(row["time_ns"]) // (86_400 * NANOS),
                    )
                    grouped.setdefault(key, []).append(row)
        for key, found in grouped.items():
            found.sort(key=lambda row: int(row["time_ns"]))
            # A commit may take several frames: rows of a later one are late against those before.
            for row in found:
                late = int(row["time_ns"]) < self.newest.get(key, 0)
                self.late += late
                (self.waiting if late else self.committed).setdefault(key, []).append(row)
                self.newest[key] = max(self.newest.get(key, 0), int(row["time_ns"]))

    @rule()
    def apply(self) -> None:
        """Bring the columns up to date."""
        self.store.apply()

    @rule()
    def checkpoint(self) -> None:
        """Free what the journal needn't keep."""
        self.store.checkpoint()

    @rule()
    def restart(self) -> None:
        """Stop in good order, and start."""
        self.store.close()
        self._reopen()

    @rule()
    def crash(self) -> None:
        """Stop without a word, and start."""
        crash(self.store)
        self._reopen()

    @precondition(lambda self: self.committed)
    @rule(column=st.integers(0, 200), cut=st.floats(0, 1))
    def tear(self, column: int, cut: float) -> None:
        """Lose power in the middle of an apply: one column file has only part of it."""
        before = column_files(self.path)
        self.store.apply()
        crash(self.store)
        after = column_files(self.path)
        name = sorted(after)[column % len(after)]
        durable = len(before.get(name, b""))
        kept = durable + round(cut * (len(after[name]) - durable))
        (self.path / name).write_bytes(after[name][:kept])
        self._reopen()

    @rule()
    def move_to_a_copy(self) -> None:
        """Go on from a copy of the directory as it is: a machine that stopped at this moment."""
        self.generation += 1
        copy = fork(self.path, self.root / str(self.generation))
        crash(self.store)
        shutil.rmtree(self.path)
        self.path = copy
        self._reopen()

    def _reopen(self) -> None:
        self.unseen_late += self.stats.late_rows
        self.stats = WriterStats()
        self.store = open_store(self.path, stats=self.stats)
        if self.committed:
            assert_checkpoint_is_true(self.path)
        self._check_all(whole=True)
        ids: dict[str, int] = {}
        for (symbol, number, _), rows in [*self.committed.items(), *self.waiting.items()]:
            if number == TRADES.number:
                ids[symbol] = max(ids.get(symbol, 0), *(int(row["trade_id"]) for row in rows))
        assert self.store.last_trade_ids("coinbase") == ids

    @invariant()
    def columns_are_a_prefix(self) -> None:
        """Whatever is visible is even, and the beginning of what was committed."""
        self._check_all(whole=self.store.pending_bytes == 0)

    @invariant()
    def late_rows_are_counted(self) -> None:
        """Late rows are counted once each, over all restarts."""
        assert self.unseen_late + self.stats.late_rows == self.late

    def _check_all(self, *, whole: bool) -> None:
        for (symbol, number, day), rows in self.committed.items():
            table = (MD, TRADES)[number]
            self._check(read_rows(self.path, symbol, table, day=day), symbol, table, rows, whole=whole)
        for (symbol, number, day), rows in self.waiting.items():
            table = (MD, TRADES)[number]
            late = {
                column.name: np.array(read_late(self.path, symbol, table, column.name, day), column.dtype)
                for column in table.columns
            }
            self._check(late, symbol, table, rows, whole=whole)

    def _check(
        self, found: dict[str, Array], symbol: str, table: Table, rows: list[Array], *, whole: bool
    ) -> None:
        stacked = np.array(rows, table.row)
        fields = {name: stacked[name] for name in table.stored_fields}
        for column in table.columns:
            expected = column.derive(fields).astype(column.dtype)
            values = found[column.name]
            assert not whole or len(values) == len(expected), (symbol, column.name)
            assert values.tobytes() == expected[: len(values)].tobytes(), (symbol, column.name)

    def teardown(self) -> None:
        """Let go of everything."""
        crash(self.store)
        shutil.rmtree(self.root)


StoreMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStore = StoreMachine.TestCase
