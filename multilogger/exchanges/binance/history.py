"""Past trades of Binance's markets, by REST.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints::

    GET /api/v3/historicalTrades?symbol=BTCUSDT&fromId=5000001&limit=1000
    [{"id":5000001,"price":"64000.10000000","qty":"0.01000000","quoteQty":"640.00100000",
      "time":1795341600100,"isBuyerMaker":true,"isBestMatch":true}, ..]
    GET /api/v3/aggTrades?symbol=BTCUSDT&fromId=3000001&limit=1000
    [{"a":3000001,"p":"64000.10","q":"0.03","f":5000001,"l":5000003,"T":1795341600100,"m":true,"M":true}, ..]

Ids rise from ``fromId`` on, the oldest first, back to the first trade; ``/api/v3/trades``, and ``aggTrades``
without ``fromId``, give the newest. Times are in milliseconds. Those of futures have the same form, other
paths and weights, and do not reach back as far.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import attrs
import msgspec

from multilogger.exchanges.base import HttpGet, TradeHistory
from multilogger.exchanges.binance.messages import SPECS, AggTradeData, TradeData, trade_of
from multilogger.exchanges.fields import Spec, convert, unnamed
from multilogger.exchanges.history import read_page
from multilogger.records import ExchangeId, Flag, Trade

_PAGE: Final = 1000
HISTORY: Final = TradeHistory(page=_PAGE)
"""Of spot."""


class PastTradeData(TradeData):
    """An entry of ``historicalTrades`` and ``trades``."""

    t: int = msgspec.field(name="id")
    p: float = msgspec.field(name="price")
    q: float = msgspec.field(name="qty")
    T: int = msgspec.field(name="time")
    m: bool = msgspec.field(name="isBuyerMaker")


PAST_TRADE_SPEC: Final[Spec] = (
    ("id", int, "bad id"),
    ("price", float, "bad price"),
    ("qty", float, "bad size"),
    ("time", int, "bad time"),
    ("isBuyerMaker", bool, "bad side"),
)


@attrs.frozen(kw_only=True)
class Source:
    """Where the past trades of a kind of stream are."""

    by_id: str = ""
    """Takes ``fromId``; empty if nothing does."""
    newest: str
    weight: int
    data: type[TradeData]
    spec: Spec


SOURCES: Final = {
    "trade": Source(
        by_id="historicalTrades", newest="trades", weight=25, data=PastTradeData, spec=PAST_TRADE_SPEC
    ),
    "aggTrade": Source(
        by_id="aggTrades", newest="aggTrades", weight=4, data=AggTradeData, spec=SPECS["aggTrade"]
    ),
}
"""Of spot, by the kind of stream."""


@attrs.frozen
class PastTrades:
    """The past trades of one market.

    Attributes:
        exchange: whose they are.
        http_get: asks.
        base: URL of the API, up to its version.
        source: which of them; it says which ids are meant.
    """

    exchange: ExchangeId
    http_get: HttpGet
    base: str
    source: Source

    async def newest(self, symbol: str) -> list[Trade]:
        """Fetch the newest trades, the oldest first.

        Raises:
            RestError: the exchange did not answer, or not as documented.
        """
        return await self._page(self.source.newest, {"symbol": symbol, "limit": str(_PAGE)}, symbol)

    async def span(self, symbol: str, first: int, last: int) -> list[Trade]:
        """Fetch the page of a span of ids with the highest of them, or the lowest if these are void.

        Where nothing takes ids it is what the newest trades have of the span.

        Raises:
            RestError: the exchange did not answer, or not as documented.
        """
        if not self.source.by_id:
            return [trade for trade in await self.newest(symbol) if first <= trade.trade_id <= last]
        highest = max(first, last - _PAGE + 1)
        page = await self._from(symbol, highest, last)
        return page or (await self._from(symbol, first, highest - 1) if first < highest else [])

    async def _from(self, symbol: str, first: int, last: int) -> list[Trade]:
        """Fetch the trades with the lowest ids of a span."""
        limit = str(min(_PAGE, last - first + 1))
        page = await self._page(
            self.source.by_id, {"symbol": symbol, "limit": limit, "fromId": str(first)}, symbol
        )
        return [trade for trade in page if first <= trade.trade_id <= last]

    async def _page(self, path: str, params: Mapping[str, str], symbol: str) -> list[Trade]:
        url = f"{self.base}/{path}"
        body = await self.http_get(url, params, weight=self.source.weight)
        return read_page(body, partial(self._trade, symbol), url)

    def _trade(self, symbol: str, entry: Mapping[str, Any]) -> Trade:
        source = self.source
        data = convert(entry, source.data, source.spec)
        named = frozenset(name for name, _, _ in source.spec)
        return trade_of(data, self.exchange, symbol, flags=Flag.BACKFILLED, rest=unnamed(entry, named))


def used_weight(headers: Mapping[str, str]) -> float | None:
    """Return the weight that an answer says was used within this minute; None if it says nothing."""
    used = headers.get("x-mbx-used-weight-1m", "")
    return float(used) if used.isascii() and used.isdigit() else None
