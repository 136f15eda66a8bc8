"""The store with one mechanism switched off at a time: the crash images have to find each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import attrs
import msgspec
from durability_recorder import Recorder, replaced

from multilogger.batch import Batch
from multilogger.storage import disk, recovery, saver, segments
from multilogger.storage.checkpoint import PartitionState, StreamState
from multilogger.storage.columns import Columns
from multilogger.storage.frame import HEADER_BYTES, Header, decode_header
from multilogger.storage.journal import Journal
from multilogger.storage.partition import Partition
from multilogger.storage.saver import Saver
from multilogger.storage.seal import Sealer
from multilogger.storage.sealing import Prepared
from multilogger.storage.segments import SegmentPool, SegmentReader
from multilogger.storage.store import Store
from multilogger.storage.switch import rename_columns

_EVERYTHING: Final = 1 << 62


@attrs.frozen(eq=False)
class Mutant:
    """What is switched off, and where that must be found."""

    name: str
    workload: str
    finds: str
    """The invariant that is violated: how a line that says so begins."""
    patch: Callable[[], AbstractContextManager[None]]
    near: str = ""
    """Matches the calls at which it is to be looked for."""
    within: int = 1
    """Or so many calls from there on."""


def _replace(owner: Any, **functions: Callable[..., Any]) -> Callable[[], AbstractContextManager[None]]:
    return lambda: replaced(owner, functions)


def _nothing(*_args: object, **_named: object) -> None:
    """Do nothing."""


_switch = Sealer._switch
_sync = Recorder.sync
_retire = SegmentPool.retire
_commit = Store.commit
_write = Columns._write
_remember = Columns._remember
_states = Columns.states
_append = Journal._write


def _sync_but_checkpoints(recorder: Recorder, fd: int) -> None:
    if "checkpoint" not in recorder._open[fd][1]:
        _sync(recorder, fd)


def _retire_all(pool: SegmentPool, _sequence: int) -> None:
    _retire(pool, _EVERYTHING)


def _apply_first(store: Store, batches: Sequence[Batch]) -> None:
    """Write the frames, and sync them only when their rows can be seen."""
    with replaced(disk, {"sync_data": _nothing}):
        _commit(store, batches)
    store.apply()
    segment = store._committer.journal._open
    if segment is not None:
        disk.sync_data(segment.fd)


def _write_at_end(columns: Columns, *args: Any) -> bool:
    real = disk.write

    def append(fd: int, data: memoryview, _offset: int) -> None:
        real(fd, data, disk.length(fd))

    with replaced(disk, {"write": append}):
        return _write(columns, *args)


def _payload_at(reader: SegmentReader, offset: int, header: Header) -> bytes:
    return reader.read(header.length, offset + HEADER_BYTES)


def _any_segment(data: bytes, _segment: int) -> Header | None:
    return decode_header(data, int.from_bytes(data[8:16], "little"))


def _forget_ids(columns: Columns) -> tuple[list[StreamState], list[PartitionState]]:
    streams, partitions = _states(columns)
    return [msgspec.structs.replace(it, last_trade_id=None) for it in streams], partitions


def _remember_but_ids(columns: Columns, *args: Any) -> None:
    before = [stream.last_trade_id for stream in columns.streams.all]
    _remember(columns, *args)
    for stream, known in zip(columns.streams.all, before, strict=True):
        stream.last_trade_id = known


def _replay_without_ids() -> AbstractContextManager[None]:
    """Take the ids from the checkpoint as they are, whatever is replayed."""
    real = recovery._Recovery._apply

    def apply(it: recovery._Recovery) -> None:
        with replaced(Columns, {"_remember": _remember_but_ids}):
            real(it)

    return replaced(recovery._Recovery, {"_apply": apply})


def _keep_file(partition: Partition) -> None:
    partition.suspect = partition.uneven = False


def _sync_again(journal: Journal, *args: Any) -> None:
    """Take a second sync that succeeds for the first one."""
    real = disk.sync_data

    def sync(fd: int) -> None:
        try:
            real(fd)
        except OSError:
            real(fd)

    with replaced(disk, {"sync_data": sync}):
        _append(journal, *args)


def _rename_first(sealer: Sealer, prepared: Sequence[Prepared], *args: Any) -> None:
    """Rename the columns before the manifest says what they are."""
    for it in prepared:
        rename_columns(it.day.live, it.columns, it.manifest.generation)
    _switch(sealer, prepared, *args)


MUTANTS: Final[Mapping[str, Mutant]] = {
    it.name: it
    for it in (
        Mutant("journal-not-synced", "steady", "I1", _replace(Recorder, sync_data=_nothing)),
        Mutant("recycled-early", "steady", "I1", _replace(SegmentPool, retire=_retire_all)),
        Mutant("columns-before-journal", "steady", "I7", _replace(Store, commit=_apply_first)),
        Mutant("directories-not-synced", "steady", "I1", _replace(Recorder, sync_directory=_nothing)),
        Mutant("checkpoint-not-synced", "steady", "", _replace(Recorder, sync=_sync_but_checkpoints)),
        Mutant("columns-not-synced", "steady", "I", _replace(Saver, sync=_nothing)),
        Mutant("replay-appends", "steady", "I", _replace(Columns, _write=_write_at_end)),
        Mutant(
            "payloads-not-hashed",
            "recycling",
            "I4",
            _replace(SegmentReader, payload_at=_payload_at),
            near=r"Write.*MLJF",
        ),
        Mutant(
            "segments-not-numbered",
            "recycling",
            "I1",
            _replace(segments, decode_header=_any_segment),
            near=r"Rename.*\.free.*\.wal",
            within=3,
        ),
        Mutant("last-ids-forgotten", "steady", "the last trade", _replace(Columns, states=_forget_ids)),
        Mutant("last-ids-not-replayed", "steady", "the last trade", _replay_without_ids),
        Mutant("files-kept-after-failed-sync", "columns-fail", "I", _replace(saver, rebuild=_keep_file)),
        Mutant(
            "columns-before-manifest",
            "fold",
            "I",
            _replace(Sealer, _switch=_rename_first),
            near=r"Rename.*bin\.1\.tmp",
        ),
        Mutant("seal-not-synced", "fold", "I", _replace(Sealer, _make_durable=_nothing), near="Rename.*json"),
        Mutant("journal-synced-again", "journal-fails", "I1", _replace(Journal, _write=_sync_again)),
    )
}
