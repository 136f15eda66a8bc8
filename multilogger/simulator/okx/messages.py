"""The messages of OKX, as its channels and REST API spell them.

Source: https://www.okx.com/docs-v5/en/, "Trades channel", "All trades channel", "Tickers channel", "Get
instruments", "Get trades history". Everything is text but ``seqId``; times are in milliseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import attrs

from multilogger.simulator.instruments import Instrument, spell
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.okx.instruments import TYPES, family

MILLISECOND: Final = 1_000_000
TRADES: Final = "trades"
ALL_TRADES: Final = "trades-all"
TICKERS: Final = "tickers"
_LISTED_MS: Final = "1548133413000"


@attrs.frozen(eq=False)
class Merged:
    """Fills of one taker order at one price."""

    fills: list[Fill]

    @property
    def first(self) -> Fill:
        """Its first fill; it tells whether the ledger has the whole, however often that is made anew."""
        return self.fills[0]

    @property
    def last(self) -> Fill:
        """Its last fill, whose id is that of the whole."""
        return self.fills[-1]

    @property
    def size(self) -> str:
        """All sizes together."""
        return f"{sum((Decimal(fill.size) for fill in self.fills), Decimal(0)):f}"


@attrs.define(eq=False)
class Ticker:
    """A ticker that was generated: however often it is sent, it is the same."""

    cascade: Cascade
    """What traded last."""
    time_ns: int
    made_at: float
    """On Trio's clock."""
    sent: bool = False
    bought: bool | None = None
    """The side that it has in the ledger; None if it is not there."""

    @property
    def size(self) -> str:
        """Size of the last trade."""
        return merged(self.cascade)[-1].size


def merged(cascade: Cascade) -> list[Merged]:
    """Return the trades that a cascade is on the channel ``trades``."""
    return [Merged(run) for run in cascade.runs()]


def _push(channel: str, symbol: str, entry: str) -> bytes:
    return (
        f'{{"arg":{{"channel":"{channel}","instId":"{symbol}"}},"data":[{{"instId":"{symbol}",{entry}}}]}}'
    ).encode()


def _side(fill: Fill) -> str:
    return "buy" if fill.bought else "sell"


def trade(symbol: str, one: Merged) -> bytes:
    """Return a push of ``trades``."""
    fill = one.last
    entry = (
        f'"tradeId":"{fill.trade_id}","px":"{fill.price}","sz":"{one.size}","side":"{_side(fill)}",'
        f'"ts":"{fill.time_ns // MILLISECOND}","count":"{len(one.fills)}","source":"0",'
        f'"seqId":{fill.sequence}'
    )
    return _push(TRADES, symbol, entry)


def single_trade(symbol: str, fill: Fill) -> bytes:
    """Return a push of ``trades-all``."""
    entry = (
        f'"tradeId":"{fill.trade_id}","px":"{fill.price}","sz":"{fill.size}","side":"{_side(fill)}",'
        f'"source":"0","ts":"{fill.time_ns // MILLISECOND}"'
    )
    return _push(ALL_TRADES, symbol, entry)


def ticker(it: Ticker) -> bytes:
    """Return a push of ``tickers``: last trade, best quotes and 24-hour statistics."""
    cascade, instrument = it.cascade, it.cascade.instrument
    quote, day, text = cascade.quote, cascade.day, instrument.price_text
    volume = spell(day.volume, instrument.size_decimals)
    entry = (
        f'"instType":"{TYPES[instrument.kind]}","last":"{cascade.last.price}","lastSz":"{it.size}",'
        f'"askPx":"{quote.ask}","askSz":"{quote.ask_size}","bidPx":"{quote.bid}","bidSz":"{quote.bid_size}",'
        f'"open24h":"{text(day.open)}","high24h":"{text(day.high)}","low24h":"{text(day.low)}",'
        f'"sodUtc0":"{text(day.open)}","sodUtc8":"{text(day.open)}",'
        f'"volCcy24h":"{Decimal(volume) * Decimal(cascade.last.price):f}","vol24h":"{volume}",'
        f'"ts":"{it.time_ns // MILLISECOND}"'
    )
    return _push(TICKERS, instrument.symbol, entry)


def listed(instrument: Instrument) -> dict[str, Any]:
    """Return an entry of ``GET /api/v5/public/instruments``."""
    spot = instrument.kind == "spot"
    linear = instrument.settle == instrument.quote
    step = spell(1, instrument.size_decimals)
    expiry = instrument.expiry_ns
    option = instrument.symbol.split("-")[3:] if instrument.kind == "option" else ["", ""]
    return {
        "instType": TYPES[instrument.kind],
        "instId": instrument.symbol,
        "uly": "" if spot else family(instrument),
        "instFamily": "" if spot else family(instrument),
        "baseCcy": instrument.base if spot else "",
        "quoteCcy": instrument.quote if spot else "",
        "settleCcy": instrument.settle,
        "ctVal": instrument.contract_size,
        "ctMult": "" if spot else "1",
        "ctValCcy": "" if spot else instrument.base if linear else instrument.quote,
        "ctType": "" if spot else "linear" if linear else "inverse",
        "optType": option[1],
        "stk": option[0],
        "listTime": _LISTED_MS,
        "expTime": "" if expiry is None else str(expiry // MILLISECOND),
        "lever": "10",
        "tickSz": spell(instrument.tick, instrument.decimals),
        "lotSz": step,
        "minSz": step,
        "state": "live" if instrument.online else "suspend",
        "ruleType": "normal",
    }


def rest_trade(symbol: str, fill: Fill) -> dict[str, Any]:
    """Return an entry of ``trades`` and ``history-trades``: every fill is one."""
    return {
        "instId": symbol,
        "side": _side(fill),
        "sz": fill.size,
        "source": "0",
        "px": fill.price,
        "tradeId": str(fill.trade_id),
        "ts": str(fill.time_ns // MILLISECOND),
    }


def garbage(cascade: Cascade) -> list[bytes]:
    """Return cut JSON, wrong types, impossible prices, a missing id, and a channel of an unknown name."""
    symbol, one = cascade.instrument.symbol, merged(cascade)[-1]
    good = trade(symbol, one)
    price = f'"px":"{one.last.price}"'.encode()
    return [
        good[: len(good) // 2],
        f'{{"arg":{{"channel":"trades","instId":"{symbol}"}},"data":'.encode(),
        good.replace(price, b'"px":{"amount":1}'),
        good.replace(price, b'"px":null'),
        good.replace(price, b'"px":"NaN"'),
        good.replace(price, b'"px":"-1.00"'),
        good.replace(f'"tradeId":"{one.last.trade_id}",'.encode(), b""),
        f'{{"arg":{{"channel":"weather","instId":"{symbol}"}},"data":[{{}}]}}'.encode(),
        b"[]",
    ]
