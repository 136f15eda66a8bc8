"""What is in the files of a day: its rows against the rules, and against its manifest."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import numpy as np
import xxhash

from multilogger.archive.report import Counts, Problem
from multilogger.archive.snapshot import DayFiles, OpenColumn, Rows
from multilogger.archive.values import TRADE_ID, Finding, RowChecks, known_before, repeated
from multilogger.storage.layout import symbol_directory
from multilogger.storage.manifest import ColumnFile, Manifest
from multilogger.tables import Array

_CHUNK_ROWS: Final = 1 << 18
_CHUNK_BYTES: Final = 1 << 22
_EPOCH: Final = date(1970, 1, 1)


def check_day(files: DayFiles, counts: Counts) -> Iterator[Problem]:
    """Return what is wrong inside a day's files, and count what they hold.

    Raises:
        ArchiveError: they can't be read.
    """
    counts.rows += len(files.live or ())
    counts.late_rows += len(files.late or ())
    for part in filter(None, (files.live, files.late)):
        counts.files += len(part.columns)
        counts.bytes += sum(column.bytes for column in part.columns.values())
    if files.manifest:
        counts.sealed_days += 1
        yield from _check_manifest(files, files.manifest)
    else:
        counts.days_without_manifest += 1
    yield from _check_rows(files)


def _check_rows(files: DayFiles) -> Iterator[Problem]:
    for part, ordered in ((files.live, True), (files.late, False)):
        if part is None:
            continue
        checks = RowChecks(part.table, files.day, ordered=ordered)
        for first in range(0, len(part), _CHUNK_ROWS):
            checks.feed(part.read(list(part.columns), first, min(first + _CHUNK_ROWS, len(part))))
        yield from (_problem(part, finding) for finding in checks.findings)
        if part is files.live and files.manifest:
            yield from _check_range(files, files.manifest, checks)
    yield from _check_ids(files)


def _check_ids(files: DayFiles) -> Iterator[Problem]:
    """Return trades that are there twice; late ones count as such even before they are folded in."""
    ids = {part: _ids(part) for part in (files.live, files.late) if part and TRADE_ID in part.columns}
    for part, found in ids.items():
        again = repeated(found)
        if again:
            yield _problem(part, again)
    if len(ids) == 2 and files.live and files.late:  # noqa: PLR2004 - both
        again = known_before(ids[files.late], ids[files.live])
        if again:
            yield _problem(files.late, again)


def _ids(part: Rows) -> Array:
    return part.columns[TRADE_ID].read(0, len(part))


def _problem(part: Rows, finding: Finding) -> Problem:
    return Problem(part.columns[finding.column].path, finding.row, str(finding))


def _check_manifest(files: DayFiles, manifest: Manifest) -> Iterator[Problem]:
    """Return where the files are not those of the manifest, byte by byte."""
    path = files.place.manifest(files.day)
    day = (_EPOCH + timedelta(days=files.day)).isoformat()
    place = files.place
    facts = (
        ("exchange", manifest.exchange, {place.exchange}),
        ("table", manifest.table, {place.table.name}),
        ("day", manifest.day, {day}),
        ("rows", manifest.rows, {len(files.live or ())}),
    )
    yield from (
        Problem(path, None, f"says {name} {said}, the files {'or '.join(map(str, found))}")
        for name, said, found in facts
        if said not in found
    )
    directories = {symbol_directory(manifest.symbol, distinct=distinct) for distinct in (False, True)}
    if place.directory not in directories:
        yield Problem(path, None, f"says symbol {manifest.symbol}, which is not of {place.directory}")
    for name, opened in (files.live.columns if files.live else {}).items():
        if name in manifest.columns:
            yield from _check_column(opened, manifest.columns[name], manifest.rows)
        else:
            yield Problem(opened.path, None, "the day's manifest doesn't know this column")


def _check_column(opened: OpenColumn, said: ColumnFile, rows: int) -> Iterator[Problem]:
    dtype = opened.column.dtype.str.replace("|V", "V")
    if said.dtype != dtype:
        yield Problem(opened.path, None, f"the day's manifest says {said.dtype}, the column is {dtype}")
    if said.bytes != rows * opened.column.dtype.itemsize:
        yield Problem(opened.path, None, f"the day's manifest says {said.bytes:,} bytes for {rows:,} rows")
    if said.bytes != opened.bytes:
        yield Problem(opened.path, None, f"{opened.bytes:,} bytes, the day's manifest says {said.bytes:,}")
        return
    crc, digest = _hashes(opened)
    if crc != said.crc32:
        yield Problem(opened.path, None, f"CRC-32 {crc}, the day's manifest says {said.crc32}")
    if digest != said.xxh3_128:
        yield Problem(opened.path, None, f"XXH3-128 {digest}, the day's manifest says {said.xxh3_128}")


def _hashes(opened: OpenColumn) -> tuple[str, str]:
    """Return CRC-32 and XXH3-128 of a file, in hexadecimal digits."""
    crc, digest = 0, xxhash.xxh3_128()
    buffer = np.empty(_CHUNK_BYTES, np.uint8)
    for offset in range(0, opened.bytes, _CHUNK_BYTES):
        part = buffer[: opened.bytes - offset]
        opened.read_into(part, offset)
        crc = zlib.crc32(part.data, crc)
        digest.update(part.data)
    return f"{crc:08x}", digest.hexdigest()


def _check_range(files: DayFiles, manifest: Manifest, checks: RowChecks) -> Iterator[Problem]:
    """Return where the manifest's first and last times and ids are not those of the rows."""
    said = [manifest.first_time_ns, manifest.last_time_ns]
    found = list(checks.times or said)
    facts = [("first_time_ns", said[0], found[0]), ("last_time_ns", said[1], found[1])]
    if files.live and TRADE_ID in files.live.columns:
        ids = _ids(files.live)
        facts += [
            ("first_trade_id", manifest.first_trade_id or 0, int(ids.min())),
            ("last_trade_id", manifest.last_trade_id or 0, int(ids.max())),
        ]
    for name, value, true in facts:
        if value != true:
            yield Problem(files.place.manifest(files.day), None, f"says {name} {value}, the rows {true}")
