"""How the writer and its storage are: healthy when what comes becomes durable, and visible, in time."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any, Final

import attrs

from multilogger.config import Config
from multilogger.health.judgement import Status, age_secs
from multilogger.stats import WriterStats

LAG_DEGRADED_SECS: Final = 1.0
"""Rows are to be durable this long after they came, beside the configured journal interval."""
LAG_UNHEALTHY_SECS: Final = 5.0
APPLY_LAG_DEGRADED_SECS: Final = 60.0
"""Rows are to be in the column files this long after they became durable, beside the flush interval."""
_LOG: Final = "the errors in the log name them"

_PLAIN: Final = (
    "rows",
    "rows_in_columns",
    "journal_bytes",
    "held_bytes",
    "unapplied_bytes",
    "late_rows",
    "absurd_rows",
    "lost_rows",
    "repaired_partitions",
    "sealed_days",
    "seal_failures",
    "removed_days",
    "journal_problem",
    "apply_problem",
    "paused",
    "disk_free_bytes",
)
"""Fields that are shown as they are counted."""


@attrs.frozen(kw_only=True)
class WriterHealth:
    """The writer; the fields are those of ``/health``, described in ``docs/operations.md``."""

    status: Status
    problems: tuple[str, ...]
    """What is wrong, in words; empty if nothing is."""
    rows: int
    """Durable in the journal."""
    rows_in_columns: int
    lag_secs: float
    """Age of the oldest row that is not durable yet; 0 when there is none."""
    apply_lag_secs: float
    """Age of the oldest commit that is not in the column files yet; 0 when there is none."""
    checkpoint_age_secs: float | None
    """None before the first."""
    last_flush_secs: float
    """Duration of the last flush of the column files."""
    journal_bytes: int
    held_bytes: int
    unapplied_bytes: int
    late_rows: int
    absurd_rows: int
    lost_rows: int
    repaired_partitions: int
    sealed_days: int
    seal_failures: int
    removed_days: int
    journal_problem: str
    apply_problem: str
    paused: str
    disk_free_bytes: int
    disk_days_left: float | None
    """None while the disk isn't known to fill."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        shown = attrs.asdict(self, filter=lambda field, _: field.name not in {"status", "problems"})
        return {"status": self.status.value, "detail": "; ".join(self.problems), **shown}


def judge_writer(stats: WriterStats, config: Config, now_ns: int) -> WriterHealth:
    """Judge the writer.

    Args:
        stats: its counters.
        config: what it promises.
        now_ns: nanoseconds since the epoch.
    """
    found = list(_problems(stats, config, now_ns))
    if not found:
        status = Status.HEALTHY
    else:
        unhealthy = any(how is Status.UNHEALTHY for how, _ in found)
        status = Status.UNHEALTHY if unhealthy else Status.DEGRADED
    age = checkpoint_age_secs(stats, now_ns)
    days = stats.disk_days_left
    return WriterHealth(
        status=status,
        problems=tuple(words for _, words in found),
        lag_secs=round(lag_secs(stats, now_ns), 3),
        apply_lag_secs=round(apply_lag_secs(stats, now_ns), 3),
        checkpoint_age_secs=None if age is None else round(age, 3),
        last_flush_secs=round(stats.flush_seconds_last, 6),
        disk_days_left=round(days, 2) if isfinite(days) else None,
        **{name: getattr(stats, name) for name in _PLAIN},
    )


def _problems(stats: WriterStats, config: Config, now_ns: int) -> Iterator[tuple[Status, str]]:
    if stats.paused:
        yield Status.DEGRADED, f"recording pauses: {stats.paused}"
    if stats.journal_problem:
        held = f"{stats.held_bytes / 1e6:.1f} MB of rows wait in memory"
        yield Status.UNHEALTHY, f"journal: {stats.journal_problem}: {held}"
    yield from _lags(stats, config, now_ns)
    if stats.apply_problem:
        yield Status.DEGRADED, f"column files: {stats.apply_problem}"
    if stats.lost_rows:
        yield Status.DEGRADED, f"accepted rows that are lost, since the start: {stats.lost_rows}: {_LOG}"
    if stats.seal_failures:
        yield (
            Status.DEGRADED,
            f"days that could not be sealed, since the start: {stats.seal_failures}: {_LOG}",
        )


def _lags(stats: WriterStats, config: Config, now_ns: int) -> Iterator[tuple[Status, str]]:
    lag = lag_secs(stats, now_ns)
    words = f"writer: rows wait for {lag:.1f} s to become durable"
    if lag > LAG_UNHEALTHY_SECS:
        yield Status.UNHEALTHY, words
    elif lag > LAG_DEGRADED_SECS + config.storage.journal_sync_secs:
        yield Status.DEGRADED, words
    behind = apply_lag_secs(stats, now_ns)
    if behind > APPLY_LAG_DEGRADED_SECS + config.logger.flush_interval_secs:
        yield Status.DEGRADED, f"column files: {behind:.0f} s behind the journal"


def lag_secs(stats: WriterStats, now_ns: int) -> float:
    """Return the age of the oldest row that is not durable yet, in seconds; 0 when there is none."""
    return _since(stats.oldest_pending_ns, now_ns)


def apply_lag_secs(stats: WriterStats, now_ns: int) -> float:
    """Return the age of the oldest commit that is not in the column files, in seconds; 0 without one."""
    return _since(stats.oldest_unapplied_ns, now_ns)


def checkpoint_age_secs(stats: WriterStats, now_ns: int) -> float | None:
    """Return the age of the newest checkpoint, in seconds; None before the first."""
    taken_ns = stats.checkpoint_ns  # read once: the writer changes it from its thread
    return age_secs(taken_ns, now_ns) if taken_ns else None


def _since(then_ns: int, now_ns: int) -> float:
    return max(0, now_ns - then_ns) / 1e9 if then_ns else 0.0
