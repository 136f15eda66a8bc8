"""What the tests of the writer task share: a store and a gate that take notes, and no threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import attrs
import pytest
import trio
from storage_tools import SMALL, Feed

from multilogger.batch import Batch
from multilogger.config import Config, LoggerConfig, StorageConfig
from multilogger.stats import WriterStats
from multilogger.storage.store import Store
from multilogger.storage.writer import run_writer


def config_of(path: Path, storage: StorageConfig = SMALL, *, flush: float = 5.0) -> Config:
    """Return a configuration of what the writer reads."""
    return Config(logger=LoggerConfig(data_path=path, flush_interval_secs=flush), storage=storage)


@attrs.define(eq=False)
class FakeStore:
    """Notes when it is called; says what it is told to say."""

    pending_bytes: int = 0
    journal_bytes: int = 0
    held_bytes: int = 0
    due_day: int | None = None
    unsealed: int = 0
    marks: list[float] = attrs.field(factory=list)
    seals: list[float] = attrs.field(factory=list)
    commits: list[tuple[float, int]] = attrs.field(factory=list)
    applies: list[float] = attrs.field(factory=list)
    checkpoints: list[float] = attrs.field(factory=list)
    apply_secs: float = 0.0
    """How long an apply takes, in virtual seconds."""

    def commit(self, batches: Sequence[Batch]) -> None:
        """Note the time and the number of rows."""
        self.commits.append((trio.current_time(), sum(len(batch) for batch in batches)))
        self.pending_bytes += sum(batch.nbytes for batch in batches)

    def apply(self) -> None:
        """Note the time."""
        self.applies.append(trio.current_time())
        self.pending_bytes = 0

    def checkpoint(self) -> None:
        """Note the time."""
        self.checkpoints.append(trio.current_time())

    def finish(self) -> None:
        """Apply and checkpoint."""
        self.apply()
        self.checkpoint()

    def mark(self) -> None:
        """Note the time."""
        self.marks.append(trio.current_time())

    def prepare(self) -> None:
        """There are always enough."""

    def is_about_noon(self) -> bool:
        """It never is."""
        return False

    def day_to_close(self) -> int | None:
        """Return the day that is over."""
        return self.due_day

    def close_day(self, day: int) -> None:
        """There is much to seal now."""
        assert day == self.due_day
        self.due_day, self.unsealed = None, 3

    def seal_step(self, seconds: float, round_: int | None = None) -> int:  # noqa: ARG002 - the store's signature
        """Seal a third of it."""
        if self.unsealed:
            self.seals.append(trio.current_time())
            self.unsealed -= 1
        return self.unsealed

    async def write(
        self, receive: trio.MemoryReceiveChannel[Batch], config: Config, stats: WriterStats
    ) -> None:
        """Run the writer over this store."""
        await run_writer(cast("Store", self), receive, config, stats, gate=NoGate())


@attrs.define
class NoGate:
    """Notes what the writer asks of the feeds."""

    reasons: list[str] = attrs.field(factory=list)

    def pause(self, reason: str, *, cause: str = "") -> None:  # noqa: ARG002 - the gate's signature
        """Note the reason."""
        self.reasons.append(reason)

    def resume(self) -> None:
        """Note that there is none."""
        self.reasons.append("")


@pytest.fixture(name="inline_threads")
def inline_threads_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call the store without a thread: the virtual clock would jump while one works."""

    async def run_sync(call: Callable[..., object], *args: object) -> object:
        owner = getattr(call, "__self__", None)
        if isinstance(owner, FakeStore) and call.__name__ == "apply":
            await trio.sleep(owner.apply_secs)
        else:
            await trio.lowlevel.checkpoint()
        return call(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


@pytest.fixture(name="feed")
def feed_fixture() -> Feed:
    """Return a maker of batches."""
    return Feed()
