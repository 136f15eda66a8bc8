"""Past trades by REST: what is asked for, and what becomes of each page, odd entries and nonsense."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest
import trio
from exchanges_tools import Fed, cases, configured
from structlog.testing import capture_logs
from test_exchanges_listing import no_connection

from multilogger.exchanges.base import Exchange, Services, TradeIds
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.records import Flag, Side, Trade

BTC = {"coinbase": "BTC-USD", "binance": "BTCUSDT"}
ANY_STREAM = [("coinbase", {}), ("binance", {}), ("binance", {"trades_stream": "aggTrade"})]
START_MS = 1_795_341_600_000


def entry(name: str, trade_id: int, options: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return an entry of a page, in the documented shape."""
    if name == "coinbase":
        time = f"2026-11-22T10:00:00.{trade_id % 10**6:06}Z"
        return {
            "trade_id": trade_id,
            "side": "sell",
            "size": "0.50000000",
            "price": "63999.00000000",
            "time": time,
        }
    if options and options.get("trades_stream") == "aggTrade":
        values = {"p": "63999.00", "q": "0.5", "f": 7, "l": 9, "T": START_MS + trade_id, "m": False}
        return {"a": trade_id, **values, "M": True}
    return {
        "id": trade_id,
        "price": "63999.00000000",
        "qty": "0.50000000",
        "quoteQty": "31999.5",
        "time": START_MS + trade_id,
        "isBuyerMaker": False,
        "isBestMatch": True,
    }


@attrs.define
class History:
    """Answers GET requests as the exchange does, from trades with ids 1 to ``newest``."""

    name: str
    options: Mapping[str, str]
    newest: int = 0
    void: range = range(0)
    """Ids that there are none of."""
    asked: list[tuple[str, dict[str, str], float]] = attrs.field(factory=list)

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0
    ) -> bytes:
        """Return a page."""
        await trio.lowlevel.checkpoint()
        query = dict(params or {})
        self.asked.append((url, query, weight))
        return json.dumps([entry(self.name, it, self.options) for it in self._page(query)]).encode()

    def _page(self, query: Mapping[str, str]) -> Sequence[int]:
        limit = min(1000, int(query["limit"]))
        ids = [it for it in range(1, self.newest + 1) if it not in self.void]
        if self.name == "coinbase":
            assert "before" not in query
            after = int(query.get("after", self.newest + 1))
            return [it for it in reversed(ids) if it < after][:limit]
        if "fromId" in query:
            return [it for it in ids if it >= int(query["fromId"])][:limit]
        return ids[-limit:]


def served(name: str, options: Mapping[str, str] | None = None, **fields: Any) -> tuple[Exchange, History]:
    """Return an exchange whose REST interface has a history."""
    rest = History(name, options or {}, **fields)
    return BUILT_IN[name](configured(name, options).config, Services(rest, no_connection)), rest


async def answered(name: str, page: object, options: Mapping[str, str] | None = None) -> list[Trade]:
    """Return what becomes of a page."""
    body = page if isinstance(page, bytes) else json.dumps(page).encode()

    async def get(url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0) -> bytes:
        await trio.lowlevel.checkpoint()
        return body

    exchange = BUILT_IN[name](configured(name, options).config, Services(get, no_connection))
    return await exchange.fetch_newest(BTC[name])


def ids(trades: Sequence[Trade]) -> list[int]:
    """Return the ids of trades."""
    return [trade.trade_id for trade in trades]


async def test_history_of_coinbase_is_asked_for_below_an_id() -> None:
    """A span is asked for from above, with a page as large as it needs, and never by ``before``."""
    exchange, rest = served("coinbase", newest=5000)
    assert ids(await exchange.fetch_trades("BTC-USD", 11, 20, 0)) == list(range(11, 21))
    assert ids(await exchange.fetch_trades("BTC-USD", 11, 4000, 0)) == list(range(3001, 4001))
    url = "https://api.exchange.coinbase.com/products/BTC-USD/trades"
    assert rest.asked == [
        (url, {"limit": "10", "after": "21"}, 1.0),
        (url, {"limit": "1000", "after": "4001"}, 1.0),
    ]


@pytest.mark.parametrize(
    ("stream", "path", "newest", "weight"),
    [("trade", "historicalTrades", "trades", 25), ("aggTrade", "aggTrades", "aggTrades", 4)],
)
async def test_history_of_binance_is_asked_for_from_an_id_on(
    stream: str, path: str, newest: str, weight: float
) -> None:
    """A span is asked for by the lowest id of its newest page, at the documented weight."""
    exchange, rest = served("binance", {"trades_stream": stream}, newest=5000)
    assert ids(await exchange.fetch_trades("BTCUSDT", 11, 20, 0)) == list(range(11, 21))
    assert ids(await exchange.fetch_trades("BTCUSDT", 11, 4000, 0)) == list(range(3001, 4001))
    assert ids(await exchange.fetch_newest("BTCUSDT")) == list(range(4001, 5001))
    base = "https://api.binance.com/api/v3/"
    assert rest.asked == [
        (base + path, {"symbol": "BTCUSDT", "limit": "10", "fromId": "11"}, weight),
        (base + path, {"symbol": "BTCUSDT", "limit": "1000", "fromId": "3001"}, weight),
        (base + newest, {"symbol": "BTCUSDT", "limit": "1000"}, weight),
    ]


@pytest.mark.parametrize(("name", "options"), ANY_STREAM)
async def test_history_is_walked_to_its_end(name: str, options: dict[str, str]) -> None:
    """Asking for what is left, page after page, gives every trade of a span once."""
    exchange, _ = served(name, options, newest=6000)
    left, got = (501, 4700), list[int]()
    while left[0] <= left[1]:
        page = ids(await exchange.fetch_trades(BTC[name], *left, 0))
        assert page == list(range(left[1] - len(page) + 1, left[1] + 1))
        got += page
        left = (left[0], page[0] - 1)
    assert sorted(got) == list(range(501, 4701))


@pytest.mark.parametrize(("name", "options"), ANY_STREAM)
async def test_history_that_has_nothing(name: str, options: dict[str, str]) -> None:
    """A page that does not reach the span, such as one from a stale cache, is empty."""
    exchange, _ = served(name, options, newest=100)
    assert await exchange.fetch_trades(BTC[name], 101, 103, 0) == []
    assert ids(await exchange.fetch_trades(BTC[name], 99, 103, 0)) == [99, 100]


@pytest.mark.parametrize(("name", "options"), ANY_STREAM)
async def test_history_with_a_void_at_the_end(name: str, options: dict[str, str]) -> None:
    """An answer is only empty if the whole span is: what lies below a page without trades is found."""
    exchange, _ = served(name, options, newest=9000, void=range(2000, 8001))
    assert 1999 in ids(await exchange.fetch_trades(BTC[name], 1500, 8000, 0))
    assert await exchange.fetch_trades(BTC[name], 2000, 8000, 0) == []


@pytest.mark.parametrize(("name", "options"), ANY_STREAM)
async def test_history_newest_trades_come_oldest_first(name: str, options: dict[str, str]) -> None:
    """The newest trades are in order of their ids, however the exchange sends them."""
    exchange, _ = served(name, options, newest=1500)
    assert ids(await exchange.fetch_newest(BTC[name])) == list(range(501, 1501))
    exchange, _ = served(name, options)
    assert await exchange.fetch_newest(BTC[name]) == []


@pytest.mark.parametrize(
    ("name", "case"),
    [(case.exchange, case) for case in cases(table="TRADES") if case.exchange in BTC],
    ids=lambda it: getattr(it, "about", it),
)
async def test_history_says_what_the_stream_says(name: str, case: Any) -> None:
    """A trade of a page is the row of its live frame: but for order ids, which Coinbase's pages lack."""
    frame = case.frame.get("data", case.frame)
    if name == "coinbase":
        past = {field: frame[field] for field in ("trade_id", "side", "size", "price", "time")}
    elif frame["e"] == "aggTrade":
        past = {field: frame[field] for field in ("a", "p", "q", "f", "l", "T", "m", "M")}
    else:
        past = {
            "id": frame["t"],
            "price": frame["p"],
            "qty": frame["q"],
            "time": frame["T"],
            "isBuyerMaker": frame["m"],
        }
    (trade,) = await answered(name, [past], case.options)
    fed = Fed(name, case.options)
    fed.feed(case.frame)
    (row,) = fed.take()["TRADES"]
    for field in ("symbol", "trade_id", "time_ns", "price", "size", "side"):
        assert getattr(trade, field) == row[field]
    assert trade.exchange == name
    assert trade.flags == Flag.BACKFILLED
    assert trade.maker_order_id == trade.taker_order_id == bytes(16)


async def test_history_keeps_what_has_no_column() -> None:
    """Fields without a column are in the record, and sides are the aggressor's."""
    (trade,) = await answered("binance", [entry("binance", 7)])
    assert trade.exchange_specific == {"quoteQty": "31999.5", "isBestMatch": True}
    assert trade.side is Side.BUY
    (trade,) = await answered("coinbase", [{**entry("coinbase", 7), "fee": "0"}])
    assert (trade.exchange_specific, trade.side) == ({"fee": "0"}, Side.BUY)
    (trade,) = await answered("coinbase", [{**entry("coinbase", 7), "side": "buy"}])
    assert trade.side is Side.SELL


NAMES = {
    "coinbase": ("trade_id", "price", "size", "time", "side"),
    "binance": ("id", "price", "qty", "time", "isBuyerMaker"),
    "aggTrade": ("a", "p", "q", "T", "m"),
}


@pytest.mark.parametrize(("name", "options"), ANY_STREAM)
async def test_history_leaves_out_odd_trades(name: str, options: dict[str, str]) -> None:
    """Trades that a stream would refuse are left out of a page, and told in one line."""
    trade_id, price, size, time, side = NAMES[options.get("trades_stream", name)]
    good = entry(name, 5, options)
    odd: list[Any] = [
        None,
        [],
        {},
        {**good, trade_id: -1},
        {**good, trade_id: 2**63},
        {**good, price: "nan"},
        {**good, price: "0"},
        {**good, size: "1e15"},
        {**good, size: None},
        {**good, time: 0 if name == "binance" else "1970-01-01T00:00:00Z"},
        {**good, time: "yesterday"},
        {**good, side: "hold"},
    ]
    with capture_logs() as logs:
        trades = await answered(name, [*odd[:6], good, *odd[6:], entry(name, 4, options)], options)
    assert ids(trades) == [4, 5]
    (line,) = logs
    assert (line["event"], line["odd"], line["read"]) == ("page has odd trades", len(odd), 2)


async def test_history_of_a_symbol_beyond_ascii() -> None:
    """A symbol is quoted in a path, and left to the client in a query."""
    exchange, rest = served("coinbase", newest=3)
    await exchange.fetch_newest("A/Б-USD")
    assert rest.asked[0][0].endswith("/products/A%2F%D0%91-USD/trades")


@pytest.mark.parametrize("name", BTC)
def test_history_is_stated(name: str) -> None:
    """Both exchanges count trades without a gap, and give all of them back by id."""
    exchange = configured(name)
    assert exchange.trade_ids is TradeIds.CONTIGUOUS
    assert exchange.history is not None
    assert (exchange.history.by_id, exchange.history.max_age_secs, exchange.history.page) == (
        True,
        None,
        1000,
    )


@pytest.mark.parametrize(
    ("name", "options", "has_time"),
    [
        ("coinbase", {}, True),
        ("binance", {}, True),
        ("binance", {"md_stream": "bookTicker"}, False),
    ],
)
def test_history_says_whether_tickers_have_a_time(
    name: str, options: dict[str, str], *, has_time: bool
) -> None:
    """Binance's bookTicker has no time of its own."""
    assert configured(name, options).md_has_time is has_time
