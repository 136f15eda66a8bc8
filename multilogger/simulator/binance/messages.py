"""The messages of Binance spot, as its streams and REST API spell them.

Source: binance-spot-api-docs, ``web-socket-streams.md`` and ``rest-api.md``. Every time comes in the unit
that the connection asked for: ``unit_ns`` is its length, a millisecond or a microsecond.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import attrs

from multilogger.simulator.instruments import Instrument, spell
from multilogger.simulator.market import Cascade, Fill

MILLISECOND: Final = 1_000_000
MICROSECOND: Final = 1000
_DELAY_NS: Final = MILLISECOND
"""Event time after trade time."""
_DAY_NS: Final = 86_400_000_000_000


@attrs.define(eq=False)
class Aggregate:
    """Fills of one taker order at one price."""

    aggregate_id: int
    price: str
    size: str
    first: Fill
    last: Fill

    @property
    def entered(self) -> bool:
        """Whether the ledger has it; however often it is made anew, its first fill is the same."""
        return self.first.aggregate_entered


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
        for number, run in enumerate(cascade.runs())
    ]


def _bool(value: bool) -> str:
    return "true" if value else "false"


def trade(symbol: str, fill: Fill, unit_ns: int) -> str:
    """Return a ``@trade`` event."""
    return (
        f'{{"e":"trade","E":{(fill.time_ns + _DELAY_NS) // unit_ns},"s":"{symbol}","t":{fill.trade_id},'
        f'"p":"{fill.price}","q":"{fill.size}","T":{fill.time_ns // unit_ns},'
        f'"m":{_bool(not fill.bought)},"M":true}}'
    )


def agg_trade(symbol: str, aggregate: Aggregate, unit_ns: int) -> str:
    """Return an ``@aggTrade`` event."""
    first, last = aggregate.first, aggregate.last
    return (
        f'{{"e":"aggTrade","E":{(first.time_ns + _DELAY_NS) // unit_ns},"s":"{symbol}",'
        f'"a":{aggregate.aggregate_id},"p":"{aggregate.price}","q":"{aggregate.size}","f":{first.trade_id},'
        f'"l":{last.trade_id},"T":{first.time_ns // unit_ns},"m":{_bool(not first.bought)},"M":true}}'
    )


def ticker(cascade: Cascade, now_ns: int, unit_ns: int) -> str:
    """Return a ``@ticker`` event: last trade, best quotes and 24-hour statistics at ``now_ns``."""
    instrument, fill, quote, day = cascade.instrument, cascade.last, cascade.quote, cascade.day
    text = instrument.price_text
    opened, last = Decimal(text(day.open)), Decimal(fill.price)
    volume = spell(day.volume, instrument.size_decimals)
    return (
        f'{{"e":"24hrTicker","E":{now_ns // unit_ns},"s":"{instrument.symbol}","p":"{last - opened:f}",'
        f'"P":"{(last - opened) / opened * 100:.3f}","w":"{opened:f}","x":"{opened:f}","c":"{fill.price}",'
        f'"Q":"{fill.size}","b":"{quote.bid}","B":"{quote.bid_size}","a":"{quote.ask}","A":"{quote.ask_size}",'
        f'"o":"{opened:f}","h":"{text(day.high)}","l":"{text(day.low)}","v":"{volume}",'
        f'"q":"{Decimal(volume) * last:f}","O":{(now_ns - _DAY_NS) // unit_ns},"C":{now_ns // unit_ns},'
        f'"F":{day.first_id},"L":{fill.trade_id},"n":{day.trades}}}'
    )


def book_ticker(cascade: Cascade) -> str:
    """Return a ``@bookTicker`` event, which has neither type nor time."""
    quote = cascade.quote
    return (
        f'{{"u":{quote.update_id},"s":"{cascade.instrument.symbol}","b":"{quote.bid}","B":"{quote.bid_size}",'
        f'"a":"{quote.ask}","A":"{quote.ask_size}"}}'
    )


def listed(instrument: Instrument) -> dict[str, Any]:
    """Return an entry of ``exchangeInfo.symbols``."""
    step = spell(1, instrument.size_decimals)
    tick = spell(instrument.tick, instrument.decimals)
    return {
        "symbol": instrument.symbol,
        "status": "TRADING" if instrument.online else "BREAK",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000000", "stepSize": step},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def rest_trade(fill: Fill, unit_ns: int) -> dict[str, Any]:
    """Return an entry of ``trades`` and ``historicalTrades``."""
    return {
        "id": fill.trade_id,
        "price": fill.price,
        "qty": fill.size,
        "quoteQty": f"{Decimal(fill.price) * Decimal(fill.size):f}",
        "time": fill.time_ns // unit_ns,
        "isBuyerMaker": not fill.bought,
        "isBestMatch": True,
    }


def rest_agg_trade(aggregate: Aggregate, unit_ns: int) -> dict[str, Any]:
    """Return an entry of ``aggTrades``."""
    return {
        "a": aggregate.aggregate_id,
        "p": aggregate.price,
        "q": aggregate.size,
        "f": aggregate.first.trade_id,
        "l": aggregate.last.trade_id,
        "T": aggregate.first.time_ns // unit_ns,
        "m": not aggregate.first.bought,
        "M": True,
    }


def garbage(cascade: Cascade) -> list[bytes]:
    """Return cut JSON, wrong types, impossible prices, a missing id, and an event of an unknown type."""
    symbol, fill = cascade.instrument.symbol, cascade.last
    stem = symbol.lower()
    good = f'{{"stream":"{stem}@trade","data":{trade(symbol, fill, MILLISECOND)}}}'.encode()
    price = f'"p":"{fill.price}"'.encode()
    return [
        good[: len(good) // 2],
        f'{{"stream":"{stem}@trade","data":'.encode(),
        good.replace(price, b'"p":{"amount":1}'),
        good.replace(price, b'"p":null'),
        good.replace(price, b'"p":"NaN"'),
        good.replace(price, b'"p":"-1.00"'),
        good.replace(f'"t":{fill.trade_id},'.encode(), b""),
        f'{{"stream":"{stem}@weather","data":{{"e":"weather"}}}}'.encode(),
        b"[]",
    ]
