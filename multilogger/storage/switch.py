"""What a manifest says becomes what the files are: the second half of a seal, repeated at a start."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from multilogger.storage import disk
from multilogger.storage.layout import manifest_name
from multilogger.storage.manifest import Manifest, temporary_column
from multilogger.storage.partition import Partition, choose_columns
from multilogger.tables import Column

_HEXADECIMAL: Final = 16


def temporary_manifest(partition: Partition) -> str:
    """Return where a live partition's manifest stands until it is renamed into place."""
    return f"{partition.manifest_path}.tmp"


def removed_manifest(partition: Partition) -> str:
    """Return where the manifest of a live partition's day is when its files are being removed."""
    return f"{partition.prefix}{manifest_name(partition.day).removesuffix('json')}removed.tmp"


def manifest_columns(partition: Partition, manifest: Manifest) -> tuple[Column, ...]:
    """Return the columns that a sealed day has, in writing order."""
    every = partition.stream.table.disk_columns(exact=True)
    return tuple(column for column in every if column.name in manifest.columns)


def take_over(partition: Partition, manifest: Manifest) -> None:
    """Make a live partition what its day's manifest says it is; touches no file."""
    choose_columns(partition, manifest_columns(partition, manifest))
    partition.crcs = {
        column.name: int(manifest.columns[column.name].crc32, _HEXADECIMAL) for column in partition.columns
    }
    partition.generation, partition.rows = manifest.generation, manifest.rows
    partition.offset = manifest.journal.live - manifest.rows
    partition.last_time_ns = manifest.last_time_ns
    partition.uneven = partition.suspect = False


def switched(partition: Partition, columns: Iterable[Column], generation: int) -> bool:
    """Return whether no column of a sealed generation has its temporary name any more."""
    names = (temporary_column(partition.path(column), generation) for column in columns)
    return all(disk.length_of(name) is None for name in names)


def rename_columns(partition: Partition, columns: Iterable[Column], generation: int) -> None:
    """Rename the columns of a sealed generation that still have temporary names, in the order given.

    The manifest has to be durable: once a column is renamed, there is no way back to the generation before.
    """
    for column in columns:
        path = partition.path(column)
        temporary = temporary_column(path, generation)
        if disk.length_of(temporary) is not None:
            disk.rename(Path(temporary), Path(path))


def complete_switch(partition: Partition, manifest: Manifest) -> bool:
    """Complete a seal that was interrupted behind its manifest, and take the day over as it is now.

    Doing it again changes nothing.

    Returns:
        Whether anything was left to do.
    """
    columns = manifest_columns(partition, manifest)
    incomplete = not switched(partition, columns, manifest.generation)
    if incomplete:
        # The manifest may have been renamed a moment before the program was killed.
        disk.sync_directory(Path(partition.prefix))
        rename_columns(partition, columns, manifest.generation)
    take_over(partition, manifest)
    return incomplete


def drop_unswitched(partition: Partition, generation: int) -> None:
    """Remove what a seal left that did not get as far as its manifest.

    Args:
        partition: a live one.
        generation: the one that the seal was to make.
    """
    for column in partition.stream.table.columns:
        disk.unlink(temporary_column(partition.path(column), generation))
    disk.unlink(temporary_manifest(partition))
