"""A store at work: what it is given and what it answers goes into the ledger, and its failures are met."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from durability_ledger import COINBASE, Ledger, Rows

from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.errors import ColumnsUnavailable, JournalUnavailable, StartupError, StorageError
from multilogger.notes import gap_note
from multilogger.stats import WriterStats
from multilogger.storage.layout import NANOS_PER_DAY, day_of
from multilogger.storage.store import Store
from multilogger.tables import MD, TRADES, Table

NANOS: Final = 1_000_000_000
DAY: Final = 20_300
NOON: Final = DAY * NANOS_PER_DAY + 43_200 * NANOS
_ATTEMPTS: Final = 4
_PATIENCE: Final = 2
"""Failures after which the disk is taken to be repaired."""
_STEPS: Final = 200
"""More than any workload has to seal or to remove."""


class UnhealedError(Exception):
    """The disk works again, and the store still does not."""


class Run:
    """One logger's store.

    Args:
        root: holds the data path ``data`` and, where the settings want it, ``alternate``.
        ledger: what is given to the store, and what was acknowledged.
        calls: returns how many calls there were.
        now: the time, in nanoseconds since the epoch.
        settings: changes to the usual ones.
        policies: by exchange.
        relief: called when something is done, or the disk has failed for long enough.
    """

    def __init__(
        self,
        root: Path,
        ledger: Ledger,
        calls: Callable[[], int] = lambda: 0,
        *,
        now: int = NOON,
        alternate: bool = False,
        policies: Mapping[str, ExchangePolicy] | None = None,
        relief: Callable[[], None] = lambda: None,
    ) -> None:
        self.root = root
        self.ledger = ledger
        self._calls = calls
        self._settings = StorageConfig(
            journal_segment_bytes=32 * 1024,
            journal_alternate=root / "alternate" if alternate else None,
            trade_aliases=True,
        )
        self._policies = policies or {}
        self._relief = relief
        self._ticks = itertools.count()
        self._held: list[Rows] = []
        self._held_notes: list[str] = []
        self._store: Store | None = None
        self.lost_rows = 0
        """Reported as lost by any of the starts."""
        self.now = now
        self.wait(0)

    @property
    def store(self) -> Store:
        """The open one."""
        if self._store is None:
            raise RuntimeError("not started")
        return self._store

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * NANOS)
        self.ledger.moments.append((self._calls(), self.now))

    # Rows.

    def trades(
        self, symbol: str, count: int = 2, *, exchange: str = COINBASE, ago: float = 0, step: float = 0
    ) -> Rows:
        """Return new trades, the first ``ago`` seconds old, ``step`` seconds apart."""
        return self._rows(TRADES, symbol, count, exchange, ago, step)

    def quotes(
        self, symbol: str, count: int = 2, *, exchange: str = COINBASE, ago: float = 0, step: float = 0
    ) -> Rows:
        """Return new market data."""
        return self._rows(MD, symbol, count, exchange, ago, step)

    def _rows(self, table: Table, symbol: str, count: int, exchange: str, ago: float, step: float) -> Rows:
        first = self.now - int(ago * NANOS)
        return self.ledger.make(
            table, exchange, symbol, [first + int(at * step * NANOS) + at for at in range(count)]
        )

    # What a logger does with its store.

    def start(self) -> None:
        """Open the store."""
        for attempt in range(_ATTEMPTS):
            stats = WriterStats()
            try:
                self._store = Store.open(
                    self.root / "data",
                    self._settings,
                    stats,
                    lambda: self.now,
                    policies=self._policies,
                    monotonic=lambda: float(next(self._ticks)),
                )
            except (StorageError, StartupError) as error:
                self._be_patient(attempt, error)
            else:
                self.lost_rows += stats.lost_rows
                self._relief()
                return

    def _be_patient(self, attempt: int, error: Exception) -> None:
        if attempt + 1 >= _PATIENCE:
            self._relief()
        if attempt + 1 == _ATTEMPTS:
            raise UnhealedError(str(error)) from error

    def _do(self, work: Callable[[Store], object]) -> bool:
        """Do something until the disk lets it be done; False if the store had to be started anew."""
        for attempt in range(_ATTEMPTS):
            try:
                work(self.store)
            except (JournalUnavailable, ColumnsUnavailable) as error:
                self._be_patient(attempt, error)
            except StorageError:
                self._relief()
                self.kill()
                self.start()
                return False
            else:
                self._relief()
                return True
        return False

    def commit(self, *rows: Rows) -> None:
        """Give rows to the store until it has them."""
        for it in rows:
            self.ledger.offer(self._calls(), it)
        self._held += rows
        batches = [it.batch for it in rows]

        def work(store: Store) -> None:
            given, batches[:] = batches[:], []
            store.commit(given)

        if self._do(work):
            self._acknowledge()

    def note(self, cause: str) -> None:
        """Have a note made durable with the next commit."""
        self.ledger.notes.append(cause)
        self._held_notes.append(cause)
        self.store.add_notes([gap_note(COINBASE, cause, self.now, self.now + NANOS)])

    def _acknowledge(self) -> None:
        for it in self._held:
            self.ledger.acknowledge(self._calls(), it)
        self.ledger.noted += [(self._calls(), cause) for cause in self._held_notes]
        self._forget()

    def _forget(self) -> None:
        self._held.clear()
        self._held_notes.clear()

    def apply(self) -> None:
        """Have committed rows brought into the column files."""
        self._do(Store.apply)

    def checkpoint(self, *, spares: bool = True) -> None:
        """Take a checkpoint, and make what spare segments are missing."""
        self._do(Store.checkpoint)
        if spares:
            self._do(Store.prepare)

    def close_day(self) -> None:
        """Close the day that is over, if any is."""
        day = self.store.day_to_close()
        if day is not None:
            self.store.close_day(day)

    def seal_step(self) -> int:
        """Seal at least one partition; return how many are left."""
        left = 1

        def work(store: Store) -> None:
            nonlocal left
            left = store.seal_step(0.0)

        self._do(work)
        return left

    def seal(self) -> None:
        """Close the day that is over, and seal all that is to be sealed."""
        for _ in range(_STEPS):
            self.close_day()
            if not self.seal_step():
                return
        raise UnhealedError("sealing comes to no end")

    def retain(self) -> None:
        """Remove all that is not to be kept."""
        today = day_of(self.now)
        for exchange, policy in self._policies.items():
            for day in range(today - 30, today - policy.retention_days):
                self.ledger.remove(self._calls(), exchange, day)
        finished = False

        def work(store: Store) -> None:
            nonlocal finished
            finished = store.retain_step(0.0)

        for _ in range(_STEPS):
            self._do(work)
            if finished:
                return
        raise UnhealedError("removing comes to no end")

    def stop(self) -> None:
        """Close the store."""
        if self._do(Store.mark):
            self._acknowledge()
            self._do(Store.finish)
        self.kill()

    def kill(self) -> None:
        """Let go of the store without a word; what it held in memory is gone."""
        self._forget()
        if self._store is not None:
            with suppress(OSError):  # whatever fails now, the process is gone
                self._store._held.close()
            self._store = None

    def restart(self) -> None:
        """Stop, and start again."""
        self.stop()
        self.start()
