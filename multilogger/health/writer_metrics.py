"""The writer's and its storage's metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from multilogger.health.families import counter, gauge, histogram
from multilogger.health.writer import apply_lag_secs, checkpoint_age_secs, lag_secs
from multilogger.stats import WriterStats

_COUNTERS: Final = (
    ("rows", "rows_durable", "Rows made durable in the journal."),
    ("batches", "writer_batches", "Hand-overs that the writer took."),
    ("commits", "commits", "Commits to the journal."),
    ("journal_bytes", "journal_bytes", "Bytes written to the journal."),
    ("journal_syncs", "journal_syncs", "Syncs of the journal."),
    ("journal_failures", "journal_failures", "Journal segments given up after a failed write or sync."),
    ("flushes", "flushes", "Times that the column files grew."),
    ("flush_seconds", "flush_seconds", "Time spent growing the column files."),
    ("rows_in_columns", "rows_in_columns", "Rows written to the column files."),
    ("late_rows", "late_rows", "Rows that came too late for their column file, and wait for the seal."),
    ("absurd_rows", "absurd_rows", "Rows set aside because their event time can't be true."),
    ("lost_rows", "lost_rows", "Rows that had been accepted and are gone."),
    (
        "repaired_partitions",
        "repaired_partitions",
        "Partitions with changed files that were made even again.",
    ),
    ("sealed_days", "sealed_days", "Days of a symbol's table that were sealed."),
    ("seal_failures", "seal_failures", "Days of a symbol's table that could not be sealed."),
    ("removed_days", "removed_days", "Days of a symbol's table that the retention removed."),
    ("removed_bytes", "removed_bytes", "Bytes that the retention removed."),
    ("pauses", "pauses", "Times that recording paused."),
    ("checkpoints", "checkpoints", "Checkpoints taken."),
)
_GAUGES: Final = (
    ("held_bytes", "journal_held_bytes", "Size of the rows in memory that no journal takes."),
    ("unapplied_bytes", "apply_lag_bytes", "Size of the journal's part that is not in the column files yet."),
    ("flush_seconds_last", "last_flush_seconds", "Duration of the last growth of the column files."),
    ("recovered_rows", "recovered_rows", "Rows that the start replayed from the journal."),
    ("disk_free_bytes", "disk_free_bytes", "Free on the data path's disk, for this user."),
    ("disk_days_left", "disk_days_left", "Days until the disk's reserve is touched at the rate of late."),
)
_CONDITIONS: Final = (
    ("paused", "paused", "1 while recording pauses."),
    ("journal_problem", "journal_problem", "1 while no journal takes rows."),
    ("apply_problem", "apply_problem", "1 while the column files can't be written."),
)
"""Words that are empty while all is well."""


def writer_metrics(stats: WriterStats, now_ns: int) -> Iterator[Metric]:
    """Yield the writer's metrics.

    Args:
        stats: its counters.
        now_ns: nanoseconds since the epoch.
    """
    for field, name, words in _COUNTERS:
        yield counter(name, words, value=getattr(stats, field))
    for field, name, words in _GAUGES:
        yield gauge(name, words, value=getattr(stats, field))
    for field, name, words in _CONDITIONS:
        yield gauge(name, words, value=getattr(stats, field) != "")
    yield from _times(stats)
    yield from _ages(stats, now_ns)


def _times(stats: WriterStats) -> Iterator[Metric]:
    yield histogram("commit_seconds", "Duration of commits, sync included.", stats.commit_times)
    yield gauge("commit_seconds_max", "Longest commit since the start.", value=stats.commit_times.longest)
    yield histogram(
        "journal_sync_seconds", "Duration of writing and syncing journal frames.", stats.sync_times
    )


def _ages(stats: WriterStats, now_ns: int) -> Iterator[Metric]:
    lag = lag_secs(stats, now_ns)
    yield gauge("writer_lag_seconds", "Age of the oldest row that is not durable yet.", value=lag)
    behind = apply_lag_secs(stats, now_ns)
    words = "Age of the oldest commit that is not in the column files yet."
    yield gauge("apply_lag_seconds", words, value=behind)
    checkpoint = gauge("checkpoint_age_seconds", "Time since the newest checkpoint.")
    age = checkpoint_age_secs(stats, now_ns)
    if age is not None:
        checkpoint.add_metric([], age)
    yield checkpoint
