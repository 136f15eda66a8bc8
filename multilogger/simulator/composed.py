"""Tickers that a recorder composes from quotes and trades which came by different connections.

Which trade is the last one when quotes come depends on which connection was faster: nobody can say. So the
ledger leaves it open: its price is NaN. On disk there has to be some trade that was sent for the symbol.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TRADE_VALUES: Final = ("price", "volume")
"""What of a ticker is the last trade's, beside its side."""


def are_open(sent: Array) -> bool:
    """Return whether a symbol's tickers in the ledger leave their trade open."""
    return bool(np.isnan(sent["price"]).any())


def without_trade(values: dict[str, Array], side: Array) -> tuple[dict[str, Array], Array]:
    """Return tickers' values and sides without what is the last trade's."""
    blank = {name: np.zeros_like(values[name]) for name in TRADE_VALUES}
    return values | blank, np.zeros_like(side)


def invented(values: dict[str, Array], side: Array, trades: Array) -> Array:
    """Return the places of tickers on disk whose price, size and side are of no trade that was sent.

    Args:
        values: of the tickers, by column.
        side: of the tickers.
        trades: of the symbol, rows of the ledger.
    """
    narrow = values["price"].dtype
    sent = {
        (price, size, which)
        for price, size, which in zip(
            trades["price"].astype(narrow).tolist(),
            trades["size"].astype(narrow).tolist(),
            trades["side"].tolist(),
            strict=True,
        )
    }
    rows = zip(values["price"].tolist(), values["volume"].tolist(), side.tolist(), strict=True)
    return np.flatnonzero([row not in sent for row in rows])
