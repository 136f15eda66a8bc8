"""Kraken spot's past trades, by REST.

https://docs.kraken.com/api/docs/rest-api/get-recent-trades::

    GET /0/public/Trades?pair=XXBTZUSD&since=1795341600123455999&count=1000
    {"error":[],"result":{"XXBTZUSD":[["64000.10000","0.01000000",1795341600.1234567,"b","m","",81000001],
     ..],"last":"1795341600123456789"}}

The oldest comes first, back to the first trade; without ``since`` the newest are given. There is no way to
ask for ids: trades are looked for by time, and a span is found by the ids around it. Whether a trade at
``since`` itself is given has not always been the same, so that pages are asked for from a little before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import attrs
import msgspec
import structlog

from multilogger.errors import FrameError, ListingError, RestError
from multilogger.exchanges.base import HttpGet, TradeHistory
from multilogger.exchanges.fields import LAST_NS
from multilogger.exchanges.kraken.messages import trade_record
from multilogger.exchanges.kraken.rest import fetch_result
from multilogger.records import Flag, Side, Trade
from multilogger.tables import NANOS_PER_SECOND

log = structlog.get_logger(__name__)

HISTORY: Final = TradeHistory(page=1000)
MOST_PAGES: Final = 60
"""Requests for one page of a span, at about one a second: more than any search takes."""
_MARGIN_NS: Final = NANOS_PER_SECOND
"""Times are cut to microseconds on the stream, and need not rise as ids do."""
_FIRST_TRADE_NS: Final = 1_378_771_200 * NANOS_PER_SECOND
"""2013-09-10: Kraken opened."""
_SKEW_NS: Final = 60 * NANOS_PER_SECOND
"""By this much an exchange's clock may have been wrong, and put right."""
_CLOSE_NS: Final = 1_000_000
"""Times that are closer are not searched between."""
_SIDES: Final[Mapping[str, Side]] = {"b": Side.BUY, "s": Side.SELL}
"""The taker's."""


class PastTradeData(msgspec.Struct, array_like=True, gc=False):
    """A row of a page."""

    price: float
    volume: float
    time: Decimal
    """Seconds since the epoch, with more digits than a float holds."""
    side: str
    order: str
    """``m`` of a market order, ``l`` of a limit order."""
    misc: str
    trade_id: int


_decode_rows: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_last: Final = msgspec.json.Decoder(int, strict=False).decode
_decode_row: Final = msgspec.json.Decoder(PastTradeData, strict=False).decode


@attrs.frozen
class _Page:
    """Some trades, ascending by id, and how far they go."""

    trades: Sequence[Trade]
    last_ns: int
    """Where the next page begins."""
    full: bool
    """Whether there may be a next page."""

    @property
    def highest(self) -> int:
        """The highest id, -1 if there are no trades."""
        return self.trades[-1].trade_id if self.trades else -1

    def within(self, first: int, last: int) -> list[Trade]:
        """Return the trades of a span."""
        return [trade for trade in self.trades if first <= trade.trade_id <= last]

    def proves_void(self, first: int, last: int) -> bool:
        """Return whether the trades on both sides of a span are here: then so would those of the span."""
        return {first - 1, last + 1} <= {trade.trade_id for trade in self.trades}


class PastTrades:
    """The past trades of one pair.

    Args:
        http_get: asks.
        endpoint: of the REST API.
        symbol: of the pair.
        query: the parameters that name it by REST.
    """

    def __init__(self, http_get: HttpGet, endpoint: str, symbol: str, query: Mapping[str, str]) -> None:
        self._http_get = http_get
        self._url = f"{endpoint.rstrip('/')}/0/public/Trades"
        self._symbol = symbol
        self._query = query
        self._left = MOST_PAGES

    async def newest(self) -> list[Trade]:
        """Fetch the newest trades, the lowest id first.

        Raises:
            RestError: the exchange did not answer, or not as documented.
        """
        return list((await self._page()).trades)

    async def span(self, first: int, last: int, since_ns: int) -> list[Trade]:
        """Fetch a page of the trades with ids ``first`` to ``last``; nothing if there are none of them.

        Args:
            first: the lowest id.
            last: the highest.
            since_ns: event time of the trade before; 0 if it isn't known.

        Raises:
            RestError: the exchange did not answer, or not as documented.
        """
        if not since_ns:
            return await self._search(first, last)
        found = await self._walk(first, last, since_ns - _MARGIN_NS)
        if found is None:
            # The exchange's clock was wrong, then or since.
            found = await self._walk(first, last, since_ns - _SKEW_NS, until_ns=since_ns + _SKEW_NS)
        return found or []

    async def _walk(
        self, first: int, last: int, since_ns: int, until_ns: int | None = None
    ) -> list[Trade] | None:
        """Go from a time on to the span, or past it; None if that does not tell whether it is void.

        Args:
            first: the lowest id.
            last: the highest.
            since_ns: where to begin.
            until_ns: how far to go, whatever the ids say.
        """
        while True:
            page = await self._page(since_ns)
            found = page.within(first, last)
            if found or page.proves_void(first, last):
                return found
            passed = page.highest > last if until_ns is None else page.last_ns > until_ns
            if passed or not page.full or page.last_ns - 1 <= since_ns:
                return None
            # Several trades may share the time at which a page ends.
            since_ns = page.last_ns - 1

    async def _search(self, first: int, last: int) -> list[Trade]:
        """Look for the span between the first trade there ever was and the newest ones, by halves."""
        page = await self._page()
        if page.highest < first:
            return []
        low_ns, high_ns = _FIRST_TRADE_NS, page.trades[0].time_ns
        while not (found := page.within(first, last)):
            if page.proves_void(first, last) or high_ns - low_ns < _CLOSE_NS:
                return []
            middle_ns = (low_ns + high_ns) // 2
            page = await self._page(middle_ns)
            if page.trades and page.highest < first:
                low_ns = middle_ns
            else:
                high_ns = middle_ns
        return found

    async def _page(self, since_ns: int | None = None) -> _Page:
        if not self._left:
            raise RestError(
                f"{self._url}: {self._symbol}: the trades were not found by {MOST_PAGES} requests"
            )
        self._left -= 1
        since = {} if since_ns is None else {"since": str(max(0, since_ns))}
        params = {**self._query, **since, "count": str(HISTORY.page)}
        result = await fetch_result(self._http_get, self._url, params)
        try:
            last_ns = _decode_last(result.pop("last"))
            (rows,) = map(_decode_rows, result.values())
        except (KeyError, ValueError, msgspec.DecodeError) as error:
            raise ListingError(f"{self._url}: no trades of {self._symbol} with a last time") from error
        trades = self._read(rows)
        return _Page(trades, last_ns, full=len(rows) >= HISTORY.page)

    def _read(self, rows: Sequence[msgspec.Raw]) -> list[Trade]:
        """Read the rows of a page; those that can't be read are left out and logged as one line."""
        trades: list[Trade] = []
        odd: list[str] = []
        for row in rows:
            try:
                trades.append(self._trade(row))
            except (FrameError, msgspec.DecodeError) as error:
                odd.append(f"{error}: {bytes(row)[:100].decode(errors='replace')}")
        if odd and not trades:
            raise ListingError(f"{self._url}: none of {len(odd)} trades could be read; the first: {odd[0]}")
        if odd:
            log.warning("page has odd trades", source=self._url, odd=len(odd), read=len(trades), first=odd[0])
        return sorted(trades, key=lambda trade: trade.trade_id)

    def _trade(self, row: msgspec.Raw) -> Trade:
        data = _decode_row(row)
        if data.side not in _SIDES:
            raise FrameError("bad side")
        return trade_record(
            self._symbol,
            trade_id=data.trade_id,
            time_ns=_nanoseconds(data.time),
            price=data.price,
            size=data.volume,
            side=_SIDES[data.side],
            flags=Flag.BACKFILLED,
            rest={"order": data.order, "misc": data.misc},
        )


def _nanoseconds(seconds: Decimal) -> int:
    """Return a time exactly; what is finer than a nanosecond is cut off.

    Raises:
        FrameError: it is no time that a column can hold.
    """
    # Compared before it is made an integer, which of a large exponent would have as many digits.
    if not (seconds.is_finite() and 0 < seconds < LAST_NS // NANOS_PER_SECOND):
        raise FrameError("bad time")
    return int(seconds * NANOS_PER_SECOND)
