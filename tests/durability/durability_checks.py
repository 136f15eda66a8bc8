"""The invariants: what must be true of a data path after a start, whatever happened before."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import xxhash
from durability_calls import Tree
from durability_ledger import Expected, Ledger
from durability_reader import Place, Seen, partitions

from multilogger.notes import CoverageNote, SealNote
from multilogger.storage.layout import NANOS_PER_DAY, Paths
from multilogger.storage.manifest import decode_manifest
from multilogger.storage.notes_log import NotesLog
from multilogger.storage.store import Store
from multilogger.storage.streams import ABSURD, LATE, LIVE
from multilogger.tables import TABLES, TRADES, Array, Table

_UNSWITCHED: Final = re.compile(r"(.*)/\w+\.([\d.]+)\.bin\.(\d+)\.tmp", re.ASCII)
"""A column that a seal has still to rename into place."""
Seens = Mapping[Place, Seen]


def check_tree(tree: Tree, ledger: Ledger, expected: Expected, visible: Seens) -> list[str]:
    """Return what is wrong with a data path after a start.

    Args:
        tree: its files.
        ledger: of all rows.
        expected: what must be there and what may.
        visible: what readers could see before the stop.
    """
    found = partitions(tree)
    wrong = list(_check_switches(tree))
    wrong += [it for seen in found.values() for it in _check_partition(seen, ledger)]
    if not wrong:
        wrong += _check_symbols(found, ledger)
        wrong += _check_counts(found, ledger, expected)
        wrong += _check_visible(found, visible, expected)
    return wrong


def _check_switches(tree: Tree) -> Iterator[str]:
    """Check that no seal is half done: readers of plain files would see columns of two generations."""
    for path in tree:
        match = _UNSWITCHED.fullmatch(path)
        manifest = tree.get(f"{match[1]}/manifest.{match[2]}.json") if match else None
        sealed = decode_manifest(manifest, path).generation if isinstance(manifest, bytes) else 0
        if match and sealed == int(match[3]):
            yield f"I3 {path} was to be renamed"


def _check_partition(seen: Seen, ledger: Ledger) -> Iterator[str]:
    """Check I3, I4, I10 and I11 of one partition."""
    rows, serials = seen.rows, seen.serials
    present = [column for column in seen.columns if column.name in seen.files]
    exact = [column.exact for column in present].count(True)
    if exact not in (0, [column.exact for column in seen.columns].count(True)):
        yield f"I3 {seen.place}: has {exact} of the exact columns"
    lengths = {column.name: len(seen.files[column.name]) / column.dtype.itemsize for column in present}
    untouched = bool(rows) and serials.max() <= ledger.foreign.get(seen.table.number, 0)
    if not rows or (set(lengths.values()) != {float(rows)} and not untouched):
        yield f"I3 {seen.place}: the columns' rows are {lengths}"
        return
    if serials.min() < 1 or serials.max() > ledger.newest_serial(seen.table):
        yield f"I4 {seen.place}: rows that nobody sent: {serials.tolist()}"
        return
    for column in present:
        expected = ledger.values(seen.table, column.name, raw=seen.place.kind == ABSURD)[serials]
        if seen.files[column.name][: rows * column.dtype.itemsize] != expected.tobytes():
            yield f"I4 {seen.place}: {column.name} is not of the rows {serials.tolist()}"
    yield from _check_times(seen, ledger.rows(seen.table)["time_ns"][serials])
    yield from _check_manifest(seen)


def _check_times(seen: Seen, times: Array) -> Iterator[str]:
    if seen.place.kind != ABSURD and (times // NANOS_PER_DAY != seen.place.day_number).any():
        yield f"I11 {seen.place}: has rows of other days"
    if seen.place.kind == LIVE and (np.diff(times) < 0).any():
        yield f"I11 {seen.place}: time decreases: {times.tolist()}"


def _check_manifest(seen: Seen) -> Iterator[str]:
    if seen.place.kind != LIVE or seen.manifest is None:
        return
    if seen.table is TRADES and len(np.unique(seen.serials)) != seen.rows:
        yield f"I1 {seen.place}: sealed with the same trade twice"
    if set(seen.manifest.columns) != set(seen.files) or seen.manifest.rows != seen.rows:
        yield f"I10 {seen.place}: {seen.rows} rows, {seen.manifest.rows} in the manifest"
    for name, column in seen.manifest.columns.items():
        data = seen.files.get(name, b"")
        digests = f"{zlib.crc32(data):08x}", xxhash.xxh3_128_hexdigest(data)
        if (column.bytes, column.crc32, column.xxh3_128) != (len(data), *digests):
            yield f"I10 {seen.place}: {name} is not what the manifest says"


def _check_symbols(found: Seens, ledger: Ledger) -> Iterator[str]:
    """Check that every symbol has a directory of its own."""
    owners: dict[tuple[str, str, str], tuple[str, str]] = {}
    for place, seen in found.items():
        of = {ledger.owners[seen.table.number][serial] for serial in seen.serials.tolist()}
        owner = owners.setdefault((place.exchange, place.directory, place.table), next(iter(of)))
        if of != {owner} or owner[0] != place.exchange:
            yield f"I4 {place}: has rows of {of}"
    directories: dict[tuple[str, str, str], set[str]] = {}
    for (_, directory, table), (exchange, symbol) in owners.items():
        directories.setdefault((exchange, symbol, table), set()).add(directory)
    yield from (f"I1 {of} is in {found}" for of, found in directories.items() if len(found) > 1)


def _check_counts(found: Seens, ledger: Ledger, expected: Expected) -> Iterator[str]:
    """Check I1: each acknowledged row is there, once."""
    for table in TABLES:
        counts, sealed = _count_rows(found, table, ledger)
        least, most = expected.acknowledged[table.number].copy(), expected.offered[table.number]
        least[sealed] = np.minimum(least[sealed], 1)
        least[_leaving(found, table, ledger, expected)] = 0
        for serial in np.flatnonzero((counts < least) | (counts > most)).tolist():
            owner = ledger.owners[table.number][serial]
            yield (
                f"I1 {table.name} row {serial} of {owner}: is there {counts[serial]} times, "
                f"acknowledged {least[serial]}, sent {most[serial]} times"
            )


def _count_rows(found: Seens, table: Table, ledger: Ledger) -> tuple[Array, Array]:
    """Return how often each row is there, and which ones are in sealed days."""
    counts = np.zeros(ledger.newest_serial(table) + 1, np.int64)
    sealed = np.zeros(len(counts), np.bool_)
    for seen in found.values():
        if seen.table is table:
            np.add.at(counts, seen.serials, 1)
            sealed[seen.serials] |= seen.generation > 0
    return counts, sealed


def _leaving(found: Seens, table: Table, ledger: Ledger, expected: Expected) -> Array:
    """Return which rows may be gone: of days that are being removed, and of which nothing is left."""
    days = (ledger.rows(table)["time_ns"] // NANOS_PER_DAY).tolist()
    left = {
        (place.exchange, *ledger.owners[seen.table.number][int(seen.serials[0])], place.day_number)
        for place, seen in found.items()
        if seen.table is table and place.kind != ABSURD
    }
    flags = [
        (owner[0], day) in expected.leaving and (owner[0], *owner, day) not in left
        for owner, day in zip(ledger.owners[table.number], days, strict=True)
    ]
    return np.array(flags, np.bool_)


def _check_visible(found: Seens, visible: Seens, expected: Expected) -> Iterator[str]:
    """Check I2: rows that could be seen are there, at their places unless a seal reordered them."""
    for place, before in visible.items():
        serials = before.serials
        day = (place.exchange, place.day_number)
        if not before.rows or (place.kind != ABSURD and day in expected.leaving):
            continue
        after = found.get(place)
        if after is not None and after.generation == before.generation:
            now = after.serials[: before.rows]
        else:
            now = np.concatenate(
                [found[it].serials for it in (place.live, _late(place)) if it in found] or [serials[:0]]
            )
            now = serials if np.isin(serials, now).all() else now
        if not np.array_equal(now, serials):
            yield f"I2 {place}: rows {serials.tolist()} could be seen, and then {now.tolist()}"


def _late(place: Place) -> Place:
    return Place(LATE, place.exchange, place.directory, place.table, place.day)


def check_durable(visible: Seens, ledger: Ledger, expected: Expected) -> Iterator[str]:
    """Check I7: no row can be seen that was not acknowledged."""
    for table in TABLES:
        counts, _ = _count_rows(visible, table, ledger)
        for serial in np.flatnonzero(counts > expected.acknowledged[table.number]).tolist():
            yield f"I7 {table.name} row {serial} can be seen before it is acknowledged"


def check_store(root: Path, store: Store, tree: Tree, ledger: Ledger, expected: Expected) -> Iterator[str]:
    """Check what a store says after a start: nothing lost, the newest trades, every note once."""
    lost = store._stats.lost_rows
    if lost:
        yield f"I8 {lost} rows are reported lost"
    yield from _check_newest(store, tree, ledger)
    yield from _check_notes(root, ledger, expected)


def _check_notes(root: Path, ledger: Ledger, expected: Expected) -> Iterator[str]:
    path = Paths(root / "data").notes
    log = NotesLog(path)
    log.open(path.stat().st_size)
    notes = [record.note for _, record in log.read()]
    log.close()
    causes = [note.cause for note in notes if isinstance(note, CoverageNote)]
    for cause in ledger.notes:
        if not (cause in expected.noted) <= causes.count(cause) <= 1:
            yield f"I1 note {cause!r} is there {causes.count(cause)} times"
    for note in notes:
        if isinstance(note, SealNote) and notes.count(note) > 1:
            yield f"I1 {note} is there {notes.count(note)} times"


def _check_newest(store: Store, tree: Tree, ledger: Ledger) -> Iterator[str]:
    newest: dict[tuple[str, str], int] = {}
    for place, seen in partitions(tree).items():
        if seen.table is TRADES and place.kind != ABSURD:
            own = seen.serials[seen.serials > ledger.foreign.get(TRADES.number, 0)]
            if len(own):
                owner = ledger.owners[TRADES.number][int(own[0])]
                newest[owner] = max(newest.get(owner, 0), int(own.max()))
    for (exchange, symbol), serial in newest.items():
        known = store.last_trade_ids(exchange).get(symbol, 0)
        if known < serial or known > ledger.newest_serial(TRADES):
            yield f"the last trade of {exchange} {symbol} is {serial}, the store says {known}"
