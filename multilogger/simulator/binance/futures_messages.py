"""The messages of Binance's futures, as their streams and REST APIs spell them.

Source: developers.binance.com, "USDS-Margined Futures" and "COIN-Margined Futures": "Websocket Market
Streams" and "Market Data Endpoints"; ``@trade`` is undocumented, and as recorded.

Insurance fund and automatic deleveraging settle some trades beside the order book. They have ids of
``@trade``, whose ``X`` tells them; aggregate trades and the REST API leave them out.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from multilogger.simulator.binance.messages import MILLISECOND, Aggregate
from multilogger.simulator.instruments import Instrument, spell
from multilogger.simulator.market import Cascade, Fill

USDM: Final = 1
COINM: Final = 2

_DELAY_MS: Final = 2
"""Event time after the matching engine's."""
_OFF_BOOK: Final = 97
"""Of the fills that follow others at their price, those with ids that it divides are off the book."""
_NEVER_MS: Final = 4_133_404_800_000
"""A perpetual's day of delivery."""
_ONBOARD_MS: Final = 1_569_398_400_000


def on_book(cascade: Cascade) -> list[list[Fill]]:
    """Return the fills that were made in the order book, in runs of one price; none of the runs is empty."""
    return [
        [fill for at, fill in enumerate(run) if not (at and fill.trade_id % _OFF_BOOK == 0)]
        for run in cascade.runs()
    ]


def aggregates(cascade: Cascade) -> list[Aggregate]:
    """Return the aggregate trades of a cascade."""
    return [
        Aggregate(
            cascade.aggregate_id + number,
            run[0].price,
            str(sum((Decimal(fill.size) for fill in run), Decimal(0))),
            run[0],
            run[-1],
        )
        for number, run in enumerate(on_book(cascade))
    ]


def _bool(value: bool) -> str:
    return "true" if value else "false"


def agg_trade(symbol: str, aggregate: Aggregate, market: int) -> str:
    """Return an ``@aggTrade`` event."""
    first, last = aggregate.first, aggregate.last
    time = first.time_ns // MILLISECOND
    return (
        f'{{"e":"aggTrade","E":{time + _DELAY_MS},"a":{aggregate.aggregate_id},"s":"{symbol}",'
        f'"p":"{aggregate.price}","q":"{aggregate.size}","nq":"{aggregate.size}","f":{first.trade_id},'
        f'"l":{last.trade_id},"T":{time},"m":{_bool(not first.bought)},"st":{market}}}'
    )


def trade(symbol: str, fill: Fill, kind: str, market: int) -> str:
    """Return a ``@trade`` event.

    Args:
        symbol: whose.
        fill: what was traded.
        kind: ``MARKET``, or by whom it was settled off the book.
        market: 1 USD-M, 2 COIN-M.
    """
    time = fill.time_ns // MILLISECOND
    return (
        f'{{"e":"trade","E":{time + _DELAY_MS},"T":{time},"s":"{symbol}","t":{fill.trade_id},'
        f'"p":"{fill.price}","q":"{fill.size}","X":"{kind}","m":{_bool(not fill.bought)},"st":{market}}}'
    )


def book_ticker(cascade: Cascade, market: int) -> str:
    """Return a ``@bookTicker`` event, which has the time of the order that changed the book."""
    quote, symbol = cascade.quote, cascade.instrument.symbol
    time = cascade.last.time_ns // MILLISECOND
    kind = '"e":"bookTicker",'
    begins = f'{kind}"u":{quote.update_id},' if market == USDM else f'"u":{quote.update_id},{kind}'
    return (
        f'{{{begins}"s":"{symbol}","ps":"{symbol.partition("_")[0]}","b":"{quote.bid}",'
        f'"B":"{quote.bid_size}","a":"{quote.ask}","A":"{quote.ask_size}","T":{time},'
        f'"E":{time + _DELAY_MS},"st":{market}}}'
    )


def listed(instrument: Instrument, market: int) -> dict[str, Any]:
    """Return an entry of ``exchangeInfo.symbols``."""
    step = spell(1, instrument.size_decimals)
    tick = spell(instrument.tick, instrument.decimals)
    future, status = instrument.kind == "future", "TRADING" if instrument.online else "PENDING_TRADING"
    kind = "CURRENT_QUARTER" if future else "PERPETUAL"
    entry: dict[str, Any] = {
        "symbol": instrument.symbol,
        "pair": f"{instrument.base}{instrument.quote}",
        # What is not traded yet has none.
        "contractType": kind if instrument.online else "",
        "deliveryDate": _NEVER_MS if instrument.expiry_ns is None else instrument.expiry_ns // MILLISECOND,
        "onboardDate": _ONBOARD_MS,
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.settle,
        "underlyingType": "COIN",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
        ],
    }
    if market == USDM:
        return {**entry, "status": status}
    return {**entry, "contractStatus": status, "contractSize": int(instrument.contract_size or "1")}


def rest_trade(fill: Fill) -> dict[str, Any]:
    """Return an entry of ``trades``."""
    return {
        "id": fill.trade_id,
        "price": fill.price,
        "qty": fill.size,
        "quoteQty": f"{Decimal(fill.price) * Decimal(fill.size):f}",
        "time": fill.time_ns // MILLISECOND,
        "isBuyerMaker": not fill.bought,
    }


def rest_agg_trade(aggregate: Aggregate) -> dict[str, Any]:
    """Return an entry of ``aggTrades``."""
    return {
        "a": aggregate.aggregate_id,
        "p": aggregate.price,
        "q": aggregate.size,
        "f": aggregate.first.trade_id,
        "l": aggregate.last.trade_id,
        "T": aggregate.first.time_ns // MILLISECOND,
        "m": not aggregate.first.bought,
    }


def garbage(cascade: Cascade, market: int) -> list[bytes]:
    """Return cut JSON, wrong types, impossible prices and times, a missing id, and an unknown event."""
    symbol, [first, *_] = cascade.instrument.symbol, aggregates(cascade)
    stem = symbol.lower()
    good = f'{{"stream":"{stem}@aggTrade","data":{agg_trade(symbol, first, market)}}}'.encode()
    price = f'"p":"{first.price}"'.encode()
    quotes = f'{{"stream":"{stem}@bookTicker","data":{book_ticker(cascade, market)}}}'.encode()
    return [
        good[: len(good) // 2],
        f'{{"stream":"{stem}@aggTrade","data":'.encode(),
        good.replace(price, b'"p":{"amount":1}'),
        good.replace(price, b'"p":null'),
        good.replace(price, b'"p":"NaN"'),
        good.replace(price, b'"p":"-1.00"'),
        good.replace(f'"a":{first.aggregate_id},'.encode(), b""),
        quotes.replace(f'"b":"{cascade.quote.bid}"'.encode(), b'"b":"0"'),
        quotes.replace(b'"T":', b'"T":-'),
        f'{{"stream":"{stem}@weather","data":{{"e":"weather"}}}}'.encode(),
        b"[]",
    ]
