"""Kraken's past trades: looked for by time, told apart by id, exact to the digit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest
from exchanges_kraken import Rest, served
from structlog.testing import capture_logs

from multilogger.errors import ListingError, RateLimited, RestError
from multilogger.exchanges.base import TradeIds
from multilogger.exchanges.kraken.exchange import Kraken
from multilogger.exchanges.kraken.history import MOST_PAGES
from multilogger.records import Flag, Side, Trade

URL = "https://api.kraken.com/0/public/Trades"
START_NS = 1_795_341_600_123_456_789
SECOND = 10**9


@attrs.define
class History:
    """The trades of a pair by id, each with its time, as REST answers for them."""

    times: dict[int, int]
    """Event times, nanoseconds."""
    key: str = "XXBTZUSD"

    def __call__(self, url: str, query: Mapping[str, str]) -> bytes:
        """Return a page."""
        assert url == URL
        rows = sorted(self.times.items(), key=lambda row: row[1])
        count = int(query["count"])
        if "since" in query:
            rows = [row for row in rows if row[1] > int(query["since"])][:count]
            last = rows[-1][1] if rows else int(query["since"])
        else:
            rows = rows[-count:]
            last = rows[-1][1] if rows else 0
        told = ",".join(row_text(trade_id, time_ns) for trade_id, time_ns in rows)
        return f'{{"error":[],"result":{{"{self.key}":[{told}],"last":"{last}"}}}}'.encode()


def row_text(trade_id: int, time_ns: int = START_NS, side: str = "b", **fields: str) -> str:
    """Return a row of a page as the exchange writes it."""
    seconds = f"{time_ns // SECOND}.{time_ns % SECOND:09d}"
    values = {"price": '"64000.10000"', "volume": '"0.01000000"', "time": seconds, **fields}
    return f'[{values["price"]},{values["volume"]},{values["time"]},"{side}","m","",{trade_id}]'


def page(*rows: str) -> bytes:
    """Return a page of rows."""
    return f'{{"error":[],"result":{{"XXBTZUSD":[{",".join(rows)}],"last":"{START_NS}"}}}}'.encode()


def every(trades: int, step_ns: int = SECOND, first: int = 1) -> dict[int, int]:
    """Return so many trades, one after the other."""
    return {first + number: START_NS + number * step_ns for number in range(trades)}


def answering(times: dict[int, int]) -> tuple[Kraken, Rest]:
    """Return an exchange with a history, not listed yet."""
    rest = Rest(History(times))
    return served(rest), rest


def ids(trades: Sequence[Trade]) -> list[int]:
    """Return the ids of trades."""
    return [it.trade_id for it in trades]


async def test_kraken_history_is_asked_for_by_time() -> None:
    """A span is asked for from a second before the trade below it, by the name that REST has for the pair."""
    times = every(2000)
    exchange, rest = answering(times)
    found = await exchange.fetch_trades("BTC/USD", 11, 20, times[10])
    assert ids(found) == list(range(11, 21))
    since = str(times[10] - SECOND)
    assert rest.asked == [(URL, {"pair": "XBTUSD", "since": since, "count": "1000"})]
    assert exchange.trade_ids is TradeIds.SUSPECTED
    assert ids(await exchange.fetch_newest("BTC/USD")) == list(range(1001, 2001))
    assert rest.asked[1] == (URL, {"pair": "XBTUSD", "count": "1000"})


async def test_kraken_history_of_listed_pairs() -> None:
    """Once listed, a pair is asked for by its own key; one of another class of assets by that, too."""
    pairs = {
        "XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD"},
        "AAPLxUSD": {
            "altname": "AAPLxUSD",
            "wsname": "AAPLx/USD",
            "base": "AAPLx",
            "quote": "ZUSD",
            "aclass_base": "tokenized_asset",
        },
    }
    history = History(every(3))

    def answer(url: str, query: Mapping[str, str]) -> object:
        return {"error": [], "result": pairs} if url.endswith("AssetPairs") else history(url, query)

    rest = Rest(answer)
    exchange = served(rest)
    await exchange.fetch_symbols()
    await exchange.fetch_newest("BTC/USD")
    await exchange.fetch_newest("AAPLx/USD")
    assert [query for _, query in rest.asked[-2:]] == [
        {"pair": "XXBTZUSD", "count": "1000"},
        {"pair": "AAPLxUSD", "asset_class": "tokenized_asset", "count": "1000"},
    ]


async def test_kraken_history_is_walked_to_the_span() -> None:
    """Where more trades than a page has lie within the second before, the next pages are asked for."""
    times = every(5000, step_ns=100_000)
    exchange, rest = answering(times)
    assert ids(await exchange.fetch_trades("BTC/USD", 3500, 3502, times[3499])) == [3500, 3501, 3502]
    # Each page begins right before the last trade of the one before.
    since = [int(query["since"]) for _, query in rest.asked]
    assert since == [times[3499] - SECOND, *(times[trade_id] - 1 for trade_id in (1000, 1999, 2998))]


async def test_kraken_history_with_one_time_for_many() -> None:
    """Trades that share the time at which a page ends are not lost between two pages."""
    times = {**every(999), **dict.fromkeys(range(1000, 1006), START_NS + 5000 * SECOND)}
    exchange, _ = answering(times)
    left, got = (2, 1005), list[int]()
    while left[0] <= left[1]:
        found = ids(await exchange.fetch_trades("BTC/USD", *left, times[left[0] - 1]))
        assert found
        got += found
        left = (found[-1] + 1, left[1])
    assert got == list(range(2, 1006))


@pytest.mark.parametrize("since_ns", [0, START_NS + 499 * SECOND])
async def test_kraken_history_knows_what_was_skipped(since_ns: int) -> None:
    """Ids between two trades that are there were never given; one page shows it, however it is found."""
    times = {it: at for it, at in every(1000).items() if it not in range(501, 504)}
    exchange, rest = answering(times)
    assert await exchange.fetch_trades("BTC/USD", 501, 503, since_ns) == []
    assert len(rest.asked) == 1


async def test_kraken_history_that_has_nothing_yet() -> None:
    """Of trades that the history does not have yet there is nothing; of a part, that part."""
    times = every(100)
    exchange, rest = answering(times)
    assert await exchange.fetch_trades("BTC/USD", 101, 103, times[100]) == []
    assert len(rest.asked) == 2
    assert ids(await exchange.fetch_trades("BTC/USD", 99, 103, times[98])) == [99, 100]
    empty, _ = answering({})
    assert await empty.fetch_trades("BTC/USD", 1, 3, START_NS) == []
    assert await empty.fetch_newest("BTC/USD") == []


@pytest.mark.parametrize("first", [2, 700, 25_000, 49_999])
async def test_kraken_history_is_searched_where_no_time_is_known(first: int) -> None:
    """Without a time the span is found by halves."""
    exchange, rest = answering(every(50_000, step_ns=7 * SECOND))
    found = await exchange.fetch_trades("BTC/USD", first, first + 2, 0)
    assert ids(found)[0] == first
    assert len(rest.asked) < 30


@pytest.mark.parametrize("wrong_secs", [5, -5, 50, -50])
async def test_kraken_history_with_a_clock_that_was_wrong(wrong_secs: int) -> None:
    """Trades whose times are ahead of those after them, or behind those before, are found all the same."""
    times = every(8000, step_ns=SECOND // 50)
    for trade_id in range(3000, 3500):
        times[trade_id] += wrong_secs * SECOND
    exchange, _ = answering(times)
    for first in (2990, 3000, 3200, 3490, 3500):
        found = await exchange.fetch_trades("BTC/USD", first, first + 5, times[first - 1])
        assert ids(found), first
        assert set(ids(found)) <= set(range(first, first + 6))


async def test_kraken_history_gives_up_searching() -> None:
    """A search that leads nowhere ends with an error, which is no word about the trades."""
    asked = 0

    def answer(_url: str, _query: Mapping[str, str]) -> bytes:
        nonlocal asked
        asked += 1
        # The trades go on and on, and their ids are never those asked for.
        rows = ",".join(row_text(trade_id) for trade_id in range(1, 1001))
        return f'{{"error":[],"result":{{"K":[{rows}],"last":"{START_NS + asked * SECOND}"}}}}'.encode()

    with pytest.raises(RestError, match=f"not found by {MOST_PAGES} requests"):
        await served(Rest(answer)).fetch_trades("BTC/USD", 5000, 5001, START_NS)
    assert asked == MOST_PAGES


async def test_kraken_past_trades_are_exact() -> None:
    """Times keep the digits that a float would lose; sides are the taker's; what has no column is kept."""
    body = page(
        row_text(7, time="1688669597.827736912"),
        row_text(8, side="s", price='"1.785e-05"', time="1688669598"),
    )
    seven, eight = await served(Rest(lambda _url, _query: body)).fetch_newest("BTC/USD")
    assert seven == Trade(
        exchange=seven.exchange,
        symbol="BTC/USD",
        trade_id=7,
        time_ns=1_688_669_597_827_736_912,
        recv_ns=0,
        price=64000.1,
        size=0.01,
        side=Side.BUY,
        flags=Flag.BACKFILLED,
        exchange_specific={"order": "m", "misc": ""},
    )
    assert (eight.side, eight.price, eight.time_ns) == (Side.SELL, 1.785e-05, 1_688_669_598 * SECOND)


async def test_kraken_history_leaves_out_odd_trades() -> None:
    """Trades that the stream would refuse are left out of a page, and told in one line."""
    odd = [
        *("null", "[]", "{}", '["1","1",1,"b"]'),
        row_text(-1),
        row_text(2**63),
        row_text(5, side="x"),
        row_text(5, price='"nan"'),
        row_text(5, price='"0"'),
        row_text(5, volume='"1e15"'),
        row_text(5, volume="null"),
        row_text(5, time='"yesterday"'),
        row_text(5, time="1e999999"),
        row_text(5, time="-1"),
        row_text(5, time="0"),
    ]
    with capture_logs() as logs:
        found = await served(Rest(lambda _url, _query: page(*odd, row_text(6), row_text(4)))).fetch_newest(
            "BTC/USD"
        )
    assert ids(found) == [4, 6]
    (line,) = logs
    assert (line["event"], line["odd"], line["read"]) == ("page has odd trades", len(odd), 2)
    with pytest.raises(ListingError, match="none of 15 trades"):
        await served(Rest(lambda _url, _query: page(*odd))).fetch_newest("BTC/USD")


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"XXBTZUSD": []},
        {"last": "5"},
        {"XXBTZUSD": [], "last": "soon"},
        {"XXBTZUSD": {}, "last": "5"},
        {"A": [], "B": [], "last": "5"},
    ],
)
async def test_kraken_history_that_is_none(result: object) -> None:
    """An answer without trades and the time where they end is an error that names the URL."""
    body = json.dumps({"error": [], "result": result}).encode()
    with pytest.raises(ListingError, match=f"{URL}: no trades of BTC/USD"):
        await served(Rest(lambda _url, _query: body)).fetch_newest("BTC/USD")


async def test_kraken_history_that_wants_fewer_requests() -> None:
    """Errors under the status 200 are errors; one about the rate says how long to wait."""
    answers: list[Any] = [{"error": ["EGeneral:Too many requests"]}, {"error": ["EQuery:Unknown asset pair"]}]
    exchange = served(Rest(lambda _url, _query: answers.pop(0)))
    with pytest.raises(RateLimited, match="Too many requests") as raised:
        await exchange.fetch_newest("BTC/USD")
    assert raised.value.retry_after_secs == 15.0
    with pytest.raises(RestError, match="EQuery:Unknown asset pair"):
        await exchange.fetch_trades("BTC/USD", 1, 2, 0)
