"""A recorder of an exchange whose ids have no order, and pages of its newest trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from quality_rows import SECOND, SYMBOL, Recorder

from multilogger.notes import CoverageNote
from multilogger.quality.overlaps import Overlaps
from multilogger.quality.pages import Page
from multilogger.records import Flag
from multilogger.tables import Array

RECENT = np.dtype([("trade_id", "<u8"), ("time_ns", "<i8")])
HIGH = 2**63 + 11
"""Ids are far above what fits into a signed integer."""

AT = [18, 19.4, 19.6, 24, 29.9, 31]
"""Before the gap of :func:`lost`, in it, and behind it."""


def uid(number: int) -> int:
    """Return an id that has nothing to do with the order of ``number``."""
    return HIGH + number * 0x9E3779B97F4A7C15 % (2**63 - 11)


def on_disk(*trades: tuple[int, float]) -> Array:
    """Return what is known of trades (number, seconds) on disk."""
    return np.array([(uid(number), round(secs * SECOND)) for number, secs in trades], RECENT)


def unordered(
    disk: Array | None = None,
    stopped_secs: float = 0.0,
    before: Recorder | None = None,
    doubted: Mapping[str, int] | None = None,
) -> Recorder:
    """Return a recorder; after a restart with what was on disk, and the ledger of the run before."""
    recorder = Recorder(
        stopped_ns=round(stopped_secs * SECOND),
        last={} if disk is None else {SYMBOL: (int(disk["trade_id"][-1]), int(disk["time_ns"][-1]))},
        recent=on_disk() if disk is None else disk,
        doubted=doubted or {},
    )
    if before is not None:
        recorder.log, recorder.now_ns = before.log, before.now_ns
    return recorder


def overlaps(recorder: Recorder) -> Overlaps:
    """Return its gaps."""
    return recorder.book.overlaps


def come(recorder: Recorder, *trades: tuple[int, float], flags: int = 0) -> list[int]:
    """Let trades (number, seconds) come; return the numbers of those that are kept."""
    numbers = {uid(number): number for number, _ in trades}
    kept, _ = recorder.trades(*((uid(number), secs) for number, secs in trades), flags=flags)
    return [numbers[trade_id] for trade_id in kept]


def page(
    recorder: Recorder, *trades: tuple[int, float], asked: float | None = None, cut: bool = True
) -> tuple[list[int], list[CoverageNote]]:
    """Let a page (number, seconds) come, the oldest first.

    Returns:
        The numbers of the trades that are recorded, and the notes that go with them.
    """
    number = recorder.symbols.number(SYMBOL)
    asked = recorder.now_ns / SECOND if asked is None else asked
    made = Page(
        np.array([uid(it) for it, _ in trades], np.uint64),
        np.array([round(secs * SECOND) for _, secs in trades], np.int64),
        asked,
        cut,
    )
    wanted = overlaps(recorder).judge(number, made)
    chosen = [trade for trade, is_wanted in zip(trades, wanted.tolist(), strict=True) if is_wanted]
    ahead = len(recorder.log.notes)
    kept = come(recorder, *chosen, flags=Flag.BACKFILLED)
    return kept, recorder.log.notes[ahead:]


def span(first: int, last: int) -> Iterable[tuple[int, float]]:
    """Return trades, each at the second of its number."""
    return ((it, float(it)) for it in range(first, last + 1))


def streaming() -> Recorder:
    """Return a recorder that carries the symbol since 10 s, with trades of 11 to 20 s, each of its second."""
    recorder = unordered().at(10)
    recorder.carry()
    for secs in range(11, 21):
        come(recorder.at(secs), (secs, secs))
    return recorder


def lost() -> Recorder:
    """Return one that was last heard at 20.5 s, and is carried again at 30 s."""
    recorder = streaming().at(25)
    recorder.lose(20.5)
    recorder.at(30).carry()
    return recorder


def states(recorder: Recorder) -> str:
    """Return what is said of the trades at these times."""
    return recorder.log.states(AT)
