"""A start: recovery, and who applies from there on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import attrs
import numpy as np

from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.notes import CoverageNote
from multilogger.storage.applier import Applier
from multilogger.storage.catalog import open_catalog
from multilogger.storage.checkpoint import StreamState
from multilogger.storage.layout import Paths
from multilogger.storage.lock import WriterLock
from multilogger.storage.partition import Partition
from multilogger.storage.recovery import Recovered, recover
from multilogger.storage.remote import RemoteApplier
from multilogger.storage.runs import Key
from multilogger.storage.streams import LIVE
from multilogger.tables import Array, Table


@attrs.frozen(eq=False)
class Opened:
    """A data path that was recovered, and is being applied to."""

    paths: Paths
    applier: Applier | RemoteApplier
    recovered: Recovered
    journal_directories: Sequence[Path]
    streams: list[StreamState]
    """As they were at the end of the recovery."""
    partitions: Mapping[Key, Partition]
    """The same; the applier's own ones change."""
    open_coverage: list[CoverageNote]
    """What the last run's coverage left open; see :attr:`multilogger.storage.store.Store.open_coverage`."""


def open_applier(
    paths: Paths,
    settings: StorageConfig,
    policies: Mapping[str, ExchangePolicy],
    lock: WriterLock,
    *,
    in_process: bool,
) -> Opened:
    """Recover a data path.

    Args:
        paths: where things are.
        settings: ``[storage]``.
        policies: permissions and retention by exchange.
        lock: held; another process that applies holds it too.
        in_process: whether this process applies.
    """
    applier = Applier(paths, settings, policies)
    try:
        recovered = recover(applier)
        streams, _ = applier.states()
        partitions = dict(applier.columns.partitions)
        coverage = _open_coverage(paths) if applier.update_catalog() else []
    except BaseException:
        applier.close()
        raise
    chosen: Applier | RemoteApplier = applier
    if not in_process:
        applier.close()
        chosen = RemoteApplier(paths.data, settings, policies, lock)
    return Opened(paths, chosen, recovered, applier.journal_directories, streams, partitions, coverage)


def _open_coverage(paths: Paths) -> list[CoverageNote]:
    """Return the intervals that are open, and those said over them since, from the earliest word on.

    What is said again becomes the latest word: so whatever was said over that, too, is among them.
    """
    with open_catalog(paths.catalog) as catalog:
        intervals = sorted(catalog.coverage(), key=attrgetter("position"))
    found: list[CoverageNote] = []
    begun: dict[tuple[str, str, str], int] = {}
    for it in intervals:
        line = it.exchange, it.symbol, it.table
        if it.end_ns is not None and (line not in begun or it.end_ns <= begun[line]):
            continue
        begun[line] = min(it.start_ns, begun.get(line, it.start_ns))
        found.append(CoverageNote(*line, it.state, it.cause, it.start_ns, it.end_ns, it.first_id, it.last_id))
    return found


def last_trade_ids(streams: Sequence[StreamState], exchange: str) -> dict[str, int]:
    """Return the highest trade id of each venue symbol of an exchange."""
    return {
        state.entry.symbol: state.last_trade_id
        for state in streams
        if state.entry.exchange == exchange and state.entry.kind == LIVE and state.last_trade_id is not None
    }


def last_rows(streams: Sequence[StreamState], exchange: str, table: Table) -> dict[str, Array]:
    """Return the newest row of each venue symbol of an exchange, as an array of one row of ``table.row``."""
    return {
        state.entry.symbol: np.frombuffer(state.last_row, table.row)
        for state in streams
        if state.entry.exchange == exchange and state.entry.table == table.number and state.last_row
    }
