"""Sizes in base currency, where an exchange counts contracts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from multilogger.errors import ArchiveError
from multilogger.symbols.changes import InstrumentChange
from multilogger.symbols.instruments import SymbolInfo
from multilogger.tables import Array

_PRICES: Final = ("price_f64", "trade_price", "price")
_SIZES: Final = ("size_f64", "volume_f64", "trade_size", "volume")
"""The exact columns first."""


def base_sizes(columns: dict[str, Array], time_ns: Array, changes: Sequence[InstrumentChange]) -> Array:
    """Return the sizes of rows in base currency, f8; those recorded are as the exchange sent them.

    What a contract stands for is looked up in the instrument's record as it was at each row's time; rows of
    before the first record have that one.

    Args:
        columns: of trades or market data, price and size or volume among them.
        time_ns: the rows' times, nanoseconds since the epoch.
        changes: of this instrument, in order of time.

    Raises:
        ArchiveError: a column is not there; or there is no record.
    """
    records = [(it.at_ns, it.after) for it in changes if it.after is not None]
    if not records:
        raise ArchiveError("no record of the instrument: what a contract stands for is not known")
    size = _first_of(columns, _SIZES)
    starts = np.array([at_ns for at_ns, _ in records], np.int64)
    which = np.maximum(np.searchsorted(starts, time_ns, "right") - 1, 0)
    factors = np.array([_factor(info) for _, info in records])[which]
    inverse = np.array([_is_inverse(info) for _, info in records])[which]
    sizes: Array = size.astype(np.float64) * factors
    if inverse.any():
        sizes[inverse] /= _first_of(columns, _PRICES).astype(np.float64)[inverse]
    return sizes


def _first_of(columns: dict[str, Array], names: Sequence[str]) -> Array:
    for name in names:
        if name in columns:
            return columns[name]
    raise ArchiveError(f"none of the columns {', '.join(names)} was read")


def _factor(info: SymbolInfo) -> float:
    return 1.0 if info.contract_size is None else info.contract_size


def _is_inverse(info: SymbolInfo) -> bool:
    """Return whether a contract stands for an amount of the quote currency."""
    return info.contract_size is not None and info.contract_unit not in ("", info.base)
