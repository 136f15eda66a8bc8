"""Making files even at a start: those that lost rows, and those with more than the journal knows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import structlog

from multilogger.storage.columns import Columns, Key, runs
from multilogger.storage.grouping import Merged
from multilogger.storage.partition import Partition, choose_columns, cut, keep_existing_columns, measure

log = structlog.get_logger()


def repair_short(columns: Columns, keys: Iterable[Key], quarantine: Path) -> bool:
    """Cut partitions whose files have lost rows back to the rows that are complete.

    Returns:
        Whether there were any: then the new row counts must be made durable before rows are replayed.
    """
    repaired = [_repair(columns, key, quarantine) for key in keys]
    return any(repaired)


def _repair(columns: Columns, key: Key, quarantine: Path) -> bool:
    partition = columns.partitions[key]
    lengths = partition.lengths()
    if all((lengths[it.name] or 0) >= partition.rows * it.dtype.itemsize for it in partition.columns):
        return False
    if any(lengths.values()):
        keep_existing_columns(partition, list(partition.crcs))
    complete = partition.complete_rows()
    if complete < partition.rows:
        _log_missing(partition, lengths)
        cut(partition, complete, quarantine)
        partition.lost += partition.rows - complete
        partition.rows = complete
        if not complete:
            choose_columns(partition, columns.open(key).columns)
        measure(partition)
    return True


def _log_missing(partition: Partition, lengths: dict[str, int | None]) -> None:
    for column in partition.columns:
        found = (lengths[column.name] or 0) // column.dtype.itemsize
        if found < partition.rows:
            missing = partition.rows - found
            log.error("column file has lost rows", path=partition.path(column), missing_rows=missing)


def meet(columns: Columns, merged: Iterable[Merged], quarantine: Path) -> bool:
    """Open the partitions that a replay continues though the checkpoint doesn't know them.

    Returns:
        As for :func:`repair_short`.
    """
    new = [
        run for rows in merged for run in runs(rows) if run.start_row and run.key not in columns.partitions
    ]
    for run in new:
        partition = columns.partitions[run.key] = columns.open(run.key)
        partition.rows = run.start_row
        if any(partition.lengths().values()):
            keep_existing_columns(partition)
    repaired = repair_short(columns, [run.key for run in new], quarantine)
    for run in new:
        measure(columns.partitions[run.key])
    return repaired


def settle_excess(columns: Columns, quarantine: Path, *, same_boot: bool) -> None:
    """Even out the files that are longer than the journal knows.

    Within the boot that wrote them their content is as it was written, and rows that all columns have
    are taken over; after another boot it can't be trusted. What is not taken over is cut off.
    """
    for partition in columns.partitions.values():
        if partition.even():
            continue
        complete = partition.complete_rows()
        if same_boot and complete > partition.rows:
            log.warning(
                "column files hold rows that the journal doesn't know",
                path=partition.prefix,
                suffix=partition.suffix,
                rows=complete - partition.rows,
            )
            partition.rows = complete
            measure(partition)
        cut(partition, partition.rows, quarantine)
