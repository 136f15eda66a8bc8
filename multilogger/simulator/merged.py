"""Trades that stand for several fills: in which of two forms a recorder has them.

An exchange streams the fills of one order at one price as one trade, and gives them one by one when it is
asked for past trades. Either will do on disk, and nothing in between: for each merged trade of the ledger,
what has to be on disk is the trade itself or exactly its fills.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from multilogger.simulator.columns import Stored

Array = npt.NDArray[Any]

_COUNT_BIT: Final = 8
"""From this bit on, ``flags`` on disk count the fills beyond the first that a trade stands for."""


def as_recorded(sent: Array, fills: Array, stored: Stored) -> tuple[Array, Array]:
    """Return the ledger's trades in the form that the disk has them in.

    Args:
        sent: the trades of one symbol.
        fills: what its merged ones consist of.
        stored: the disk.

    Returns:
        The trades, and of each for how many fills it stands.
    """
    merged_ids, counts = np.unique(fills["merged_id"], return_counts=True)
    of = np.searchsorted(merged_ids, sent["trade_id"]).clip(max=max(len(merged_ids) - 1, 0))
    is_merged = merged_ids[of] == sent["trade_id"] if len(merged_ids) else np.zeros(len(sent), np.bool_)
    stands_for = np.where(is_merged, counts[of], 1) if len(merged_ids) else np.ones(len(sent), np.int64)
    split = is_merged & np.isin(sent["trade_id"], _split_ids(sent[is_merged], fills, stored))
    parts = fills[np.isin(fills["merged_id"], sent["trade_id"][split])]
    single = np.empty(len(parts), sent.dtype)
    for name in sent.dtype.names or ():
        single[name] = parts[name]
    trades = np.concatenate([sent[~split], single])
    return trades, np.concatenate([stands_for[~split], np.ones(len(single), np.int64)])


def with_asked(sent: Array, unsent: Array, fills: Array, stored: Stored) -> Array:
    """Return the trades that were sent, and those that were not and are on disk: REST gave them.

    Args:
        sent: the ledger's trades of one symbol.
        unsent: its trades that nobody was sent when they happened.
        fills: what merged ones of those sent consist of.
        stored: the disk.
    """
    known = np.concatenate([sent["trade_id"], fills["trade_id"]])
    asked = np.isin(unsent["trade_id"], stored.columns["trade_id"]) & ~np.isin(unsent["trade_id"], known)
    return np.concatenate([sent, unsent[asked]])


def stored_counts(stored: Stored) -> Array | None:
    """Return of each trade on disk for how many fills it stands; None if the disk does not tell."""
    if "flags" not in stored.columns:
        return None
    counts: Array = (stored.columns["flags"] >> _COUNT_BIT).astype(np.int64) + 1
    return counts


def _split_ids(merged: Array, fills: Array, stored: Stored) -> Array:
    """Return the ids of the merged trades of which the disk has fills, and not the trade itself.

    The last fill has the id of the whole: what the disk counts tells them apart, or else the size.
    """
    ids, first = np.unique(stored.columns["trade_id"], return_index=True)
    wanted, sent_first = np.unique(merged["trade_id"], return_index=True)
    _, at_disk, at_sent = np.intersect1d(ids, wanted, assume_unique=True, return_indices=True)
    rows = first[at_disk]
    counts = stored_counts(stored)
    if counts is None:
        sizes = merged["size"][sent_first[at_sent]].astype("<f4")
        is_whole = stored.columns["trade_size"][rows] == sizes
    else:
        is_whole = counts[rows] > 1
    some = fills["merged_id"][np.isin(fills["trade_id"], ids)]
    found: Array = np.setdiff1d(some, wanted[at_sent][is_whole])
    return found
