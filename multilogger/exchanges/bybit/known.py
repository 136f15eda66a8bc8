"""What is known of a symbol: by one connection, and by all connections of the exchange together.

A ticker row has a trade (price, volume, side) and quotes, which come in messages of their own. Price and
volume of a row always belong together: they are those of the last trade, or with the volume of 24 hours both
those of ``tickers``. A trade of an earlier connection counts as long as ``tickers`` names its price.
"""

from __future__ import annotations

from typing import Final

import attrs
import msgspec
from msgspec import UNSET

from multilogger.errors import FrameError
from multilogger.exchanges.bybit.tickers import Ticker, volume_of
from multilogger.exchanges.composer import Market
from multilogger.exchanges.fields import sane_value
from multilogger.records import Side


@attrs.define(eq=False)
class BybitMarket(Market):
    """What outlives connections: the last trade, and who has been told of the quotes last."""

    told: Known | None = None
    """The connection that asked for the symbol last: of use to the public parsers alone."""


class Quotes(msgspec.Struct, frozen=True, gc=False):
    """Last price, best quotes and volume of 24 hours, as far as they have been told: 0 if they weren't."""

    last: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    volume: float = 0.0


NO_QUOTES: Final = Quotes()


@attrs.define(eq=False)
class Known:
    """What one connection has been told of a symbol; it starts empty, as its quotes are of now."""

    number: int
    """Of the symbol."""
    market: BybitMarket
    price: float = 0.0
    """Of the last trade that this connection brought; 0 before."""
    size: float = 0.0
    side: int = 0
    quotes: Quotes = NO_QUOTES
    update: int | None = None
    """``u`` of the newest ``orderbook.1``."""
    begun: bool = False
    """Whether a ``tickers`` snapshot has come, without which a delta says nothing."""

    def trade(self, price: float, size: float, side: int) -> None:
        """Take note of a trade."""
        self.price, self.size, self.side = price, size, side
        market = self.market
        market.price, market.size, market.side = price, size, side


def merged(before: Quotes, message: Ticker, *, daily: bool) -> Quotes:
    """Return what is known after a ``tickers`` of linear or inverse.

    Args:
        before: what was known; nothing of it survives a snapshot.
        message: the snapshot or delta.
        daily: whether the volume of 24 hours is needed.

    Raises:
        FrameError: a value is absurd, or a snapshot lacks one.
    """
    data = message.data
    if message.type == "snapshot":
        if UNSET in (data.last_price, data.bid1_price, data.ask1_price):
            raise FrameError("missing field")
        before = NO_QUOTES
    last = before.last if data.last_price is UNSET else data.last_price
    bid = before.bid if data.bid1_price is UNSET else data.bid1_price
    ask = before.ask if data.ask1_price is UNSET else data.ask1_price
    if data.last_price is not UNSET and not sane_value(last):
        raise FrameError("bad price")
    if not ((data.bid1_price is UNSET or sane_value(bid)) and (data.ask1_price is UNSET or sane_value(ask))):
        raise FrameError("bad quote")
    volume = before.volume
    if daily and (data.volume24h is not UNSET or message.type == "snapshot"):
        volume = volume_of(data.volume24h)
    return Quotes(last, bid, ask, volume)


def trade_of_record(
    market: BybitMarket, quotes: Quotes, *, daily: bool
) -> tuple[float | None, float | None, Side | None]:
    """Return price, volume and side of a ticker as a public record has them: None for what isn't known.

    Args:
        market: of the symbol.
        quotes: what its ``tickers`` says.
        daily: whether price and volume are those of ``tickers``.
    """
    known = market.told
    price, size, side = market.price, market.size, market.side
    if known is not None and known.price:
        price, size, side = known.price, known.size, known.side
    elif price != quotes.last and not daily:
        price, size, side = 0.0, 0.0, None
    if daily:
        price, size = quotes.last, quotes.volume
    return price or None, size or None, None if side is None else Side(side)
