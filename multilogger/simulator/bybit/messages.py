"""The messages of Bybit v5, as its public topics and its REST interface spell them.

Source: bybit-exchange.github.io/docs/v5, "Websocket Stream, Public", "Market". Spot and contracts have keys
in another order, and ids of another kind.
"""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any, Final

from multilogger.simulator.bybit.client import Told
from multilogger.simulator.instruments import Instrument, spell
from multilogger.simulator.market import Cascade, Fill

MILLISECOND: Final = 1_000_000
_FIRST_SPOT_ID: Final = 2_290_000_000_000_000_000
"""Spot's ids have nineteen digits."""
_SIDES: Final = {True: "Buy", False: "Sell"}
_CONTRACT_TYPES: Final = {"perpetual": "Perpetual", "future": "Futures"}


def spot_id(fill: Fill) -> int:
    """Return the id of a spot trade."""
    return _FIRST_SPOT_ID + fill.trade_id


def contract_uuid(symbol: str, fill: Fill) -> uuid.UUID:
    """Return the id of a contract's trade: always the same one of the same trade."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{symbol}/{fill.trade_id}")


def spot_trades(symbol: str, fills: list[Fill], sequence: int) -> bytes:
    """Return a ``publicTrade`` of spot."""
    entries = ",".join(
        f'{{"i":"{spot_id(fill)}","T":{_ms(fill.time_ns)},"p":"{fill.price}","v":"{fill.size}",'
        f'"S":"{_SIDES[fill.bought]}","seq":{sequence},"s":"{symbol}","BT":false,"RPI":false}}'
        for fill in fills
    )
    ts = _ms(fills[-1].time_ns) + 1
    return f'{{"topic":"publicTrade.{symbol}","ts":{ts},"type":"snapshot","data":[{entries}]}}'.encode()


def contract_trades(symbol: str, fills: list[Fill], sequence: int) -> bytes:
    """Return a ``publicTrade`` of a contract."""
    entries = ",".join(
        f'{{"T":{_ms(fill.time_ns)},"s":"{symbol}","S":"{_SIDES[fill.bought]}","v":"{fill.size}",'
        f'"p":"{fill.price}","L":"ZeroPlusTick","i":"{contract_uuid(symbol, fill)}","BT":false,"RPI":false,'
        f'"seq":{sequence}}}'
        for fill in fills
    )
    ts = _ms(fills[-1].time_ns) + 1
    return f'{{"topic":"publicTrade.{symbol}","type":"snapshot","ts":{ts},"data":[{entries}]}}'.encode()


def book(symbol: str, told: Told, sizes: tuple[str, str], sequence: int, cts_ns: int, ts_ns: int) -> bytes:
    """Return an ``orderbook.1``."""
    return (
        f'{{"topic":"orderbook.1.{symbol}","ts":{_ms(ts_ns)},"type":"snapshot","data":{{"s":"{symbol}",'
        f'"b":[["{told.bid}","{sizes[0]}"]],"a":[["{told.ask}","{sizes[1]}"]],"u":{told.update},'
        f'"seq":{sequence}}},"cts":{_ms(cts_ns)}}}'
    ).encode()


def spot_ticker(cascade: Cascade, ts_ns: int) -> bytes:
    """Return a ``tickers`` of spot, always a snapshot, without quotes."""
    data = {"symbol": cascade.instrument.symbol, **_day(cascade), "usdIndexPrice": cascade.quote.ask}
    return _json(
        {
            "topic": f"tickers.{cascade.instrument.symbol}",
            "ts": _ms(ts_ns),
            "type": "snapshot",
            "cs": cascade.last.sequence,
            "data": data,
        }
    )


def contract_ticker(cascade: Cascade, before: Told, after: Told, ts_ns: int) -> bytes:
    """Return a ``tickers`` of a contract: a snapshot if nothing was told before, else what has changed."""
    symbol, quote = cascade.instrument.symbol, cascade.quote
    data: dict[str, Any] = {"symbol": symbol}
    if before == Told():
        data |= {"tickDirection": "PlusTick", **_day(cascade), "openInterest": "68744.761"}
        data |= {"nextFundingTime": str(_ms(ts_ns) + 3_600_000), "fundingRate": "-0.000212"}
        data |= {"bid1Price": quote.bid, "bid1Size": quote.bid_size, "ask1Price": quote.ask}
        data |= {"ask1Size": quote.ask_size}
    else:
        data |= {"bid1Price": after.bid, "bid1Size": quote.bid_size} if after.bid != before.bid else {}
        data |= {"ask1Price": after.ask, "ask1Size": quote.ask_size} if after.ask != before.ask else {}
        day = _day(cascade)
        data |= day if after.last != before.last else {"volume24h": day["volume24h"]}
    data |= {"markPrice": cascade.last.price, "indexPrice": quote.ask}
    kind = "snapshot" if before == Told() else "delta"
    return _json(
        {
            "topic": f"tickers.{symbol}",
            "type": kind,
            "data": data,
            "cs": cascade.last.sequence,
            "ts": _ms(ts_ns),
        }
    )


def _day(cascade: Cascade) -> dict[str, str]:
    """Return what all tickers say of the last 24 hours."""
    instrument, day, last = cascade.instrument, cascade.day, Decimal(cascade.last.price)
    text = instrument.price_text
    opened = Decimal(text(day.open))
    volume = spell(day.volume, instrument.size_decimals)
    return {
        "lastPrice": cascade.last.price,
        "highPrice24h": text(day.high),
        "lowPrice24h": text(day.low),
        "prevPrice24h": text(day.open),
        "volume24h": volume,
        "turnover24h": f"{Decimal(volume) * last:f}",
        "price24hPcnt": f"{(last - opened) / opened:.6f}",
    }


def spot_listed(instrument: Instrument) -> dict[str, Any]:
    """Return an entry of ``instruments-info`` of spot."""
    step = spell(1, instrument.size_decimals)
    return {
        "symbolId": 9,
        "symbol": instrument.symbol,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "innovation": "0",
        "status": "Trading" if instrument.online else "Closed",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": step,
            "quotePrecision": "0.0000001",
            "minOrderQty": step,
            "maxOrderQty": "9000000000",
            "minOrderAmt": "5",
        },
        "priceFilter": {"tickSize": spell(instrument.tick, instrument.decimals)},
        "symbolType": "",
    }


def contract_listed(instrument: Instrument, category: str) -> dict[str, Any]:
    """Return an entry of ``instruments-info`` of linear or inverse."""
    step, expiry_ns = spell(1, instrument.size_decimals), instrument.expiry_ns
    return {
        "symbol": instrument.symbol,
        "symbolId": 5,
        "contractType": f"{category.capitalize()}{_CONTRACT_TYPES[instrument.kind]}",
        "status": "Trading" if instrument.online else "PreLaunch",
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "launchTime": "1585526400000",
        "deliveryTime": "0" if expiry_ns is None else str(_ms(expiry_ns)),
        "deliveryFeeRate": "",
        "priceScale": str(instrument.decimals),
        "priceFilter": {"maxPrice": "1999999.80", "tickSize": spell(instrument.tick, instrument.decimals)},
        "lotSizeFilter": {"maxOrderQty": "1190000", "minOrderQty": step, "qtyStep": step},
        "fundingInterval": 480,
        "settleCoin": instrument.settle,
        "isPreListing": not instrument.online,
        "preListingInfo": None if instrument.online else {"curAuctionPhase": "CallAuction", "phases": []},
        "symbolType": "",
    }


def rest_trade(symbol: str, fill: Fill, trade_id: str) -> dict[str, Any]:
    """Return an entry of ``recent-trade``."""
    return {
        "execId": trade_id,
        "symbol": symbol,
        "price": fill.price,
        "size": fill.size,
        "side": _SIDES[fill.bought],
        "time": str(_ms(fill.time_ns)),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(fill.sequence),
    }


def garbage(symbol: str, good: bytes, fill: Fill) -> list[bytes]:
    """Return cut JSON, wrong types, impossible prices, a missing id, and a message of an unknown topic."""
    price = f'"p":"{fill.price}"'.encode()
    return [
        good[: len(good) // 2],
        f'{{"topic":"publicTrade.{symbol}","data":'.encode(),
        good.replace(price, b'"p":{"amount":1}'),
        good.replace(price, b'"p":null'),
        good.replace(price, b'"p":"NaN"'),
        good.replace(price, b'"p":"-1.00"'),
        good.replace(b'"i":', b'"j":'),
        f'{{"topic":"weather.{symbol}","data":[]}}'.encode(),
        b"[]",
    ]


def _ms(time_ns: int) -> int:
    return time_ns // MILLISECOND


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
