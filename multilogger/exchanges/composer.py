"""What tickers leave out, from elsewhere: the last trade of a symbol, its side, its best quotes."""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class Market:
    """What is known of a symbol; it outlives connections, so that a ticker after a reconnect has its side."""

    price: float = 0.0
    """Of the last trade; 0 before the first."""
    size: float = 0.0
    side: int | None = None
    """Aggressor of the last trade, or by the tick rule before one was received."""
    last: float = 0.0
    """Last price of the newest ticker, for the tick rule."""

    def ticker_side(self, last: float) -> int | None:
        """Return the aggressor for a ticker: the last trade's; before any trade up is a buy, down a sell."""
        if self.price == 0.0 and self.last not in (0.0, last):
            self.side = 1 if last > self.last else 0
        self.last = last
        return self.side
