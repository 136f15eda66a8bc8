"""The newest trades on disk, by their ids: for exchanges that send trades again, and whose ids have no order.

Read off the ends of the column files, and of the late rows beside them that no seal has folded in yet. What
the journal had is in these files once a recovery is over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from multilogger.storage import disk
from multilogger.storage.checkpoint import StreamState
from multilogger.storage.layout import Paths, day_of, day_suffix, parse_day
from multilogger.storage.scan import names
from multilogger.storage.streams import LIVE
from multilogger.tables import NANOS_PER_SECOND, TRADES, Array

log = structlog.get_logger(__name__)

MOST: Final = 2_000
"""Trades of a symbol: twice the longest page of newest trades that an exchange gives."""
DAYS_BACK: Final = 7
"""No day is read that is so much older than the newest: what an exchange sends again of one is taken for a
repetition without looking."""

_ROW: Final = np.dtype([("trade_id", "<u8"), ("time_ns", "<i8")])
_LATE: Final = re.compile(r"trade_id(?P<suffix>\.(?P<day>\d\d\.\d\d\.\d\d)\.\d+\.bin)", re.ASCII)
_ID, _NANOS, _SECONDS = (
    next(it for it in TRADES.columns if it.name == name) for name in ("trade_id", "trade_nanos", "trade_time")
)


def recent_trades(paths: Paths, streams: Sequence[StreamState], exchange: str) -> dict[str, Array]:
    """Return the newest trades of each venue symbol of an exchange; blocks.

    Args:
        paths: recovered, and of this exchange not written to since.
        streams: as they were at the end of the recovery.
        exchange: its name.

    Returns:
        Arrays of ``trade_id`` (u8) and ``time_ns`` (i8), at most :data:`MOST` of a symbol, the oldest first.
    """
    found = {}
    for state in streams:
        entry = state.entry
        if (entry.exchange, entry.table, entry.kind) == (exchange, TRADES.number, LIVE):
            # As text: for a thousand symbols, making paths would cost more than reading.
            live, late = (
                f"{it}/{exchange}/{entry.directory}/{TRADES.name}" for it in (paths.data, paths.late)
            )
            rows = _of_symbol(live, late, state.last_row)
            if len(rows):
                found[entry.symbol] = rows
    return found


def _of_symbol(live: str, late: str, last_row: bytes) -> Array:
    """Return the newest trades in two directories: of column files, and of late partitions' files."""
    suffixes: dict[int, list[str]] = {}
    for name in names(Path(late)):
        parts = _LATE.fullmatch(name)
        day = parse_day(parts["day"]) if parts else None
        if parts is not None and day is not None:
            suffixes.setdefault(day, []).append(parts["suffix"])
    newest = max(suffixes, default=0)
    if last_row:
        newest = max(newest, day_of(int(np.frombuffer(last_row, TRADES.row)["time_ns"][0])))
    parts_of = [np.empty(0, _ROW)]
    for day in range(newest, newest - DAYS_BACK, -1):
        if sum(map(len, parts_of)) >= MOST:
            break
        parts_of.append(_tail(live, day_suffix(day)))
        parts_of += [_tail(late, suffix) for suffix in suffixes.get(day, ())]
    rows = np.concatenate(parts_of)
    return rows[np.argsort(rows["time_ns"], kind="stable")][-MOST:]


def _tail(directory: str, suffix: str) -> Array:
    """Return the last rows that all columns have of a partition, none if it isn't there."""
    files: list[int] = []
    try:
        # The time column grows last: what it has, the others have.
        files += (disk.open_file(f"{directory}/{it.name}{suffix}") for it in (_SECONDS, _NANOS, _ID))
        return _read_tail(*files)
    except FileNotFoundError:
        return np.empty(0, _ROW)
    except OSError as error:
        log.warning("trades that are on disk may be recorded again", directory=directory, why=error.strerror)
        return np.empty(0, _ROW)
    finally:
        for fd in files:
            disk.let_go(fd)


def _read_tail(seconds: int, nanos: int, ids: int) -> Array:
    end = disk.length(seconds) // _SECONDS.dtype.itemsize
    start = max(0, end - MOST)
    columns = []
    for fd, column in ((seconds, _SECONDS), (nanos, _NANOS), (ids, _ID)):
        width = column.dtype.itemsize
        columns.append(np.frombuffer(disk.read(fd, (end - start) * width, start * width), column.dtype))
    count = min(map(len, columns))
    rows = np.empty(count, _ROW)
    rows["time_ns"] = columns[0][:count].astype(np.int64) * NANOS_PER_SECOND + columns[1][:count]
    rows["trade_id"] = columns[2][:count]
    return rows
