"""The messages of Kraken spot, as WebSocket API v2 and REST spell them.

Source: docs.kraken.com, "Spot WebSocket v2: trade, ticker, instrument, status" and "Spot REST: Market data".
Numbers stand in JSON as numbers, with all their digits; small ones have an exponent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from multilogger.simulator.instruments import Instrument, spell
from multilogger.simulator.market import Cascade, Fill

NANOS: Final = 1_000_000_000
_SMALL: Final = Decimal("0.0001")
"""Numbers below it have an exponent."""
_REST_ASSETS: Final[Mapping[str, str]] = {"BTC": "XBT", "DOGE": "XDG"}
"""What REST calls some assets."""
_OLD_ASSETS: Final = frozenset({"XBT", "ETH", "XRP", "LTC", "XDG", "XLM", "ZEC", "ETC", "XMR", "REP", "MLN"})
"""Assets whose code has an X before it by REST, as that of a national currency has a Z."""
_NATIONAL: Final = frozenset({"USD", "EUR", "GBP", "CAD", "JPY", "AUD"})


def number(text: str) -> str:
    """Spell a decimal as a JSON number: its own digits, or with an exponent if it is small."""
    value = Decimal(text)
    if not value or abs(value) >= _SMALL:
        return text
    mantissa, _, exponent = f"{value.normalize():e}".partition("e")
    return f"{mantissa}e-{abs(int(exponent)):02d}"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def rfc3339(time_ns: int) -> str:
    """Return a time as the exchange writes it: UTC, microseconds."""
    seconds, nanos = divmod(time_ns, NANOS)
    return f"{_second(seconds)}.{nanos // 1000:06d}Z"


def trades(kind: str, symbol: str, fills: Iterable[Fill]) -> bytes:
    """Return a message of trades; ``kind`` is ``snapshot`` or ``update``."""
    data = ",".join(_trade(symbol, fill) for fill in fills)
    return f'{{"channel":"trade","type":"{kind}","data":[{data}]}}'.encode()


def _trade(symbol: str, fill: Fill) -> str:
    return (
        f'{{"symbol":"{symbol}","side":"{"buy" if fill.bought else "sell"}","price":{number(fill.price)},'
        f'"qty":{number(fill.size)},"ord_type":"market","trade_id":{fill.trade_id},'
        f'"timestamp":"{rfc3339(fill.time_ns)}"}}'
    )


def ticker(kind: str, cascade: Cascade, last: Fill) -> bytes:
    """Return a ticker: the quotes after a cascade, and the price of the last trade without its size."""
    instrument, quote, day = cascade.instrument, cascade.quote, cascade.day
    text = instrument.price_text
    opened = Decimal(text(day.open))
    change = Decimal(last.price) - opened
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{instrument.symbol}",'
        f'"bid":{number(quote.bid)},"bid_qty":{number(quote.bid_size)},'
        f'"ask":{number(quote.ask)},"ask_qty":{number(quote.ask_size)},"last":{number(last.price)},'
        f'"volume":{number(spell(day.volume, instrument.size_decimals))},"vwap":{number(text(day.open))},'
        f'"low":{number(text(day.low))},"high":{number(text(day.high))},"change":{change:f},'
        f'"change_pct":{change / opened * 100:.2f}}}]}}'
    ).encode()


def status(connection_id: int, maintenance: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """Return the status that opens a connection, or one that announces a maintenance."""
    told: dict[str, Any] = {"version": "2.0.10", "system": "online", "api_version": "v2"}
    told["connection_id"] = connection_id
    if maintenance:
        told["upcoming_maintenance"] = list(maintenance)
    return compact({"channel": "status", "type": "update", "data": [told]})


def restart(now_ns: int) -> dict[str, Any]:
    """Return the announcement that the servers of the feed will be restarted."""
    start, end = now_ns + 30 * NANOS, now_ns + 330 * NANOS
    return {
        "event_id": 21,
        "title": "Scheduled Maintenance - Websockets",
        "expected_start_utc": rfc3339(start),
        "expected_end_utc": rfc3339(end),
        "time_to_start_s": 30,
        "phase": "final_warning_30s",
        "affected_services": ["spot_ws"],
        "order_submission": "blocked",
        "recommended_action": "stop_new_orders",
    }


def instruments(listed: Iterable[Instrument]) -> bytes:
    """Return the snapshot of the channel ``instrument``."""
    kept = list(listed)
    assets = sorted({name for it in kept for name in (it.base, it.quote)})
    pairs = ",".join(map(_pair, kept))
    named = compact([{"id": name, "status": "enabled", "precision": 10} for name in assets]).decode()
    return (
        f'{{"channel":"instrument","type":"snapshot","data":{{"assets":{named},"pairs":[{pairs}]}}}}'
    ).encode()


def _pair(instrument: Instrument) -> str:
    step = number(spell(1, instrument.size_decimals))
    tick = number(spell(instrument.tick, instrument.decimals))
    return (
        f'{{"symbol":"{instrument.symbol}","base":"{instrument.base}","quote":"{instrument.quote}",'
        f'"status":"{_status(instrument)}","qty_precision":{instrument.size_decimals},"qty_increment":{step},'
        f'"price_precision":{instrument.decimals},"cost_precision":5,"marginable":false,"has_index":true,'
        f'"cost_min":0.5,"price_increment":{tick},"qty_min":{step}}}'
    )


def _status(instrument: Instrument) -> str:
    return "online" if instrument.online else "cancel_only"


def rest_names(instrument: Instrument) -> tuple[str, str, str]:
    """Return what REST calls a pair: its key, ``altname`` and ``wsname``."""
    base, quote = (_REST_ASSETS.get(name, name) for name in (instrument.base, instrument.quote))
    old = base in _OLD_ASSETS and quote in _NATIONAL and base != "XDG"
    return f"X{base}Z{quote}" if old else base + quote, base + quote, f"{base}/{quote}"


def _code(name: str) -> str:
    if name in _NATIONAL:
        return f"Z{name}"
    return f"X{name}" if name in _OLD_ASSETS else name


def asset_pair(instrument: Instrument) -> dict[str, Any]:
    """Return an entry of ``AssetPairs``."""
    _, altname, wsname = rest_names(instrument)
    base, _, quote = wsname.partition("/")
    return {
        "altname": altname,
        "wsname": wsname,
        "aclass_base": "currency",
        "base": _code(base),
        "aclass_quote": "currency",
        "quote": _code(quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": instrument.decimals,
        "lot_decimals": instrument.size_decimals,
        "lot_multiplier": 1,
        "fee_volume_currency": "ZUSD",
        "ordermin": spell(1, instrument.size_decimals),
        "costmin": "0.5",
        "tick_size": spell(instrument.tick, instrument.decimals),
        "status": _status(instrument),
    }


def past_trades(key: str, fills: Sequence[Fill], last_ns: int) -> bytes:
    """Return the answer to ``Trades``; times are numbers of more digits than a float keeps."""
    rows = ",".join(
        f'["{fill.price}","{fill.size}",{fill.time_ns // NANOS}.{fill.time_ns % NANOS:09d},'
        f'"{"b" if fill.bought else "s"}","m","",{fill.trade_id}]'
        for fill in fills
    )
    return f'{{"error":[],"result":{{"{key}":[{rows}],"last":"{last_ns}"}}}}'.encode()


def garbage(symbol: str, fill: Fill, cascade: Cascade) -> list[bytes]:
    """Return cut JSON, wrong types, impossible prices, a missing id, and a message of an unknown channel."""
    good, tick = trades("update", symbol, [fill]), ticker("update", cascade, fill)
    price, bid = f'"price":{number(fill.price)}'.encode(), f'"bid":{number(cascade.quote.bid)}'.encode()
    return [
        good[: len(good) // 2],
        b'{"channel":"trade","type":"update","data":[{"symbol":',
        good.replace(price, b'"price":{"amount":1}'),
        good.replace(price, b'"price":null'),
        good.replace(price, b'"price":-1.0'),
        tick.replace(bid, b'"bid":"NaN"'),
        tick.replace(bid, b'"bid":0'),
        good.replace(f'"trade_id":{fill.trade_id},'.encode(), b""),
        good.replace(b'"type":"update"', b'"type":"downdate"'),
        b'{"channel":"weather","type":"update","data":[{"temperature":21}]}',
        b"[]",
    ]


def compact(value: Any) -> bytes:
    """Return JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()
