"""Making files even: those that lost rows, those that are too long, and those the journal has gaps for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
import structlog

from multilogger.storage.partition import (
    Partition,
    choose_columns,
    cut,
    keep_existing_columns,
    measure,
)
from multilogger.storage.shelf import Shelf
from multilogger.storage.streams import Stream

log = structlog.get_logger()


@attrs.frozen
class Loss:
    """Rows that had been accepted and are gone."""

    stream: Stream
    day: int
    first_row: int
    """Number of the first of them among all rows of its stream and day, from 0."""
    rows: int
    cause: str

    @property
    def name(self) -> str:
        """Which table of which symbol of which exchange."""
        entry = self.stream.entry
        return f"{entry.exchange} {entry.symbol} {self.stream.table.name}"


def mend(partition: Partition, shelf: Shelf) -> list[Loss]:
    """Bring all files of a partition to the rows that they all have, at most those they should have.

    What is longer is cut off, and kept in the quarantine.

    Returns:
        What is missing.
    """
    lengths = partition.lengths()
    if any(lengths.values()):
        keep_existing_columns(partition, list(partition.crcs))
    complete = min(partition.complete_rows(), partition.rows)
    losses = []
    if complete < partition.rows:
        _log_missing(partition, lengths)
        missing = partition.rows - complete
        losses.append(
            Loss(partition.stream, partition.day, partition.offset + complete, missing, "files shortened")
        )
        partition.offset += missing
        partition.rows = complete
    cut(partition, complete, shelf.paths.quarantine)
    if not complete:
        blank = shelf.blank(partition.stream.entry.number, partition.day, generation=partition.generation)
        choose_columns(partition, blank.columns)
        partition.settled = False
    measure(partition)
    partition.uneven = False
    return losses


def _log_missing(partition: Partition, lengths: Mapping[str, int | None]) -> None:
    for column in partition.columns:
        found = (lengths.get(column.name) or 0) // column.dtype.itemsize
        if found < partition.rows:
            missing = partition.rows - found
            log.error("column file has lost rows", path=partition.path(column), missing_rows=missing)


def mend_short(partitions: Iterable[Partition], shelf: Shelf) -> list[Loss]:
    """Mend the partitions whose files have fewer rows than they should; longer ones stay as they are."""
    losses = []
    for partition in partitions:
        lengths = partition.lengths()
        if any((lengths[it.name] or 0) < partition.rows * it.dtype.itemsize for it in partition.columns):
            losses += mend(partition, shelf)
            partition.uneven = True
    return losses


def bridge(partition: Partition, end: int, shelf: Shelf, *, trusted: bool, cause: str) -> list[Loss]:
    """Pass over rows that the journal no longer has, up to row ``end`` of it.

    Args:
        partition: whose rows.
        end: number of the first row in the journal that is there again.
        shelf: for the quarantine.
        trusted: the files are as this boot wrote them: rows beyond those known are kept.
        cause: of the loss.

    Returns:
        The rows that are gone: those the files don't have either.
    """
    wanted = end - partition.offset
    if wanted <= partition.rows:
        return []
    kept = max(min(partition.complete_rows(), wanted), partition.rows) if trusted else partition.rows
    if kept > partition.rows:
        log.warning(
            "rows that the journal has lost are in the column files",
            path=partition.prefix,
            rows=kept - partition.rows,
        )
        partition.rows = kept
        measure(partition)
    if kept == wanted:
        return []
    cut(partition, kept, shelf.paths.quarantine)
    loss = Loss(partition.stream, partition.day, partition.end, wanted - kept, cause)
    partition.offset += loss.rows
    return [loss]


def settle_excess(partitions: Iterable[Partition], shelf: Shelf, *, trusted: bool) -> None:
    """Even out the files that are longer than the journal knows.

    Within the boot that wrote them their content is as it was written, and rows that all columns have
    are taken over; after another boot it can't be trusted. What is not taken over is cut off.
    """
    for partition in partitions:
        partition.uneven = False
        if partition.even():
            continue
        complete = partition.complete_rows()
        if trusted and complete > partition.rows:
            log.warning(
                "column files hold rows that the journal doesn't know",
                path=partition.prefix,
                suffix=partition.suffix,
                rows=complete - partition.rows,
            )
            partition.rows = complete
            measure(partition)
        cut(partition, partition.rows, shelf.paths.quarantine)
