"""Rows that stand for several merged fills, where ids are missing: taken whole, or not at all."""

from __future__ import annotations

import numpy as np

from multilogger.quality.grouping import Grouped
from multilogger.quality.holes import Holes
from multilogger.records import Flag
from multilogger.tables import Array


def take_whole(holes: Holes, trades: Array, grouped: Grouped, row: int, last: int) -> bool:
    """Return whether all fills of a row up to ``last`` were missing; they are no more then.

    If the history has given one of them already, it gives the others as well: the row would repeat it.

    Args:
        holes: of the exchange.
        trades: a hand-over.
        grouped: the same by symbol.
        row: a place in ``grouped``.
        last: an id of the row's fills.
    """
    number, first = int(grouped.symbol[row]), int(grouped.firsts[row])
    if not holes.lacks(number, first, last):
        return False
    trade, ids = trades[grouped.order[row]], np.arange(first, last + 1)
    holes.fill(
        np.full(len(ids), number),
        ids,
        np.full(len(ids), trade["time_ns"], np.int64),
        np.full(len(ids), bool(trade["flags"] & Flag.BACKFILLED)),
    )
    return True
