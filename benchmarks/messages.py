"""Trades as each exchange spells them, made up; one a message."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import attrs

SYMBOLS: Final = 50
_UUID: Final = "a714a99e-e437-46dc-890e-a8bc12d3f306"


@attrs.frozen
class _Made:
    """A trade, before an exchange has spelled it."""

    symbol: str
    number: int
    """Its id."""
    price: float
    size: float
    us: int
    """Microseconds since the epoch."""
    bought: bool

    @property
    def iso(self) -> str:
        """The time as text."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.us // 1_000_000))
        return f"{stamp}.{self.us % 1_000_000:06d}Z"

    @property
    def side(self) -> str:
        """The aggressor's."""
        return "buy" if self.bought else "sell"


def _coinbase(it: _Made) -> str:
    return (
        f'{{"type":"match","trade_id":{it.number},"maker_order_id":"{_UUID}","taker_order_id":"{_UUID}",'
        f'"side":"{"sell" if it.bought else "buy"}","size":"{it.size:.8f}","price":"{it.price:.2f}",'
        f'"product_id":"{it.symbol}","sequence":{9_000_000 + it.number},"time":"{it.iso}"}}'
    )


def _binance(it: _Made) -> str:
    return (
        f'{{"stream":"{it.symbol.lower()}@trade","data":{{"e":"trade","E":{it.us},"s":"{it.symbol}",'
        f'"t":{it.number},"p":"{it.price:.8f}","q":"{it.size:.8f}","T":{it.us},'
        f'"m":{"false" if it.bought else "true"},"M":true}}}}'
    )


def _binance_futures(it: _Made) -> str:
    return (
        f'{{"stream":"{it.symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{it.us // 1000},'
        f'"s":"{it.symbol}","a":{it.number},"p":"{it.price:.2f}","q":"{it.size:.3f}",'
        f'"nq":"{it.size:.3f}","f":{it.number},"l":{it.number},"T":{it.us // 1000},'
        f'"m":{"false" if it.bought else "true"}}}}}'
    )


def _kraken(it: _Made) -> str:
    return (
        f'{{"channel":"trade","type":"update","data":[{{"symbol":"{it.symbol}","side":"{it.side}",'
        f'"price":{it.price:.2f},"qty":{it.size:.8f},"ord_type":"market","trade_id":{it.number},'
        f'"timestamp":"{it.iso}"}}]}}'
    )


def _kraken_futures(it: _Made) -> str:
    return (
        f'{{"feed":"trade","product_id":"{it.symbol}","uid":"{it.number:08x}{_UUID[8:]}","side":"{it.side}",'
        f'"type":"fill","seq":{it.number},"time":{it.us // 1000},"qty":{it.size:.3f},"price":{it.price:.2f}}}'
    )


def _bybit(it: _Made) -> str:
    return (
        f'{{"topic":"publicTrade.{it.symbol}","type":"snapshot","ts":{it.us // 1000},"data":['
        f'{{"T":{it.us // 1000},"s":"{it.symbol}","S":"{it.side.title()}","v":"{it.size:.6f}",'
        f'"p":"{it.price:.2f}","L":"PlusTick","i":"{{}}","BT":false,"RPI":false,"seq":{it.number}}}]}}'
    )


def _bybit_spot(it: _Made) -> str:
    return _bybit(it).replace("{}", str(2_290_000_000_000_000_000 + it.number))


def _bybit_contracts(it: _Made) -> str:
    return _bybit(it).replace("{}", f"{it.number:08x}{_UUID[8:]}")


def _okx(it: _Made) -> str:
    return (
        f'{{"arg":{{"channel":"trades","instId":"{it.symbol}"}},"data":[{{"instId":"{it.symbol}",'
        f'"tradeId":"{it.number}","px":"{it.price:.2f}","sz":"{it.size:.8f}","side":"{it.side}",'
        f'"ts":"{it.us // 1000}","count":"1","source":"0","seqId":{it.number}}}]}}'
    )


_SPELLINGS: Final[Mapping[str, tuple[str, Callable[[_Made], str]]]] = {
    "coinbase": ("S{:03d}-USD", _coinbase),
    "binance": ("S{:03d}USDT", _binance),
    "kraken": ("S{:03d}/USD", _kraken),
    "bybit": ("S{:03d}USDT", _bybit_spot),
    "okx": ("S{:03d}-USDT", _okx),
    "binance_usdm": ("S{:03d}USDT", _binance_futures),
    "binance_coinm": ("S{:03d}USD_PERP", _binance_futures),
    "bybit_linear": ("S{:03d}USDT", _bybit_contracts),
    "bybit_inverse": ("S{:03d}USD", _bybit_contracts),
    "kraken_futures": ("PF_S{:03d}USD", _kraken_futures),
}
"""Pattern of the symbols, and what spells a trade, by exchange."""


def symbols(exchange: str) -> list[str]:
    """Return the venue symbols of an exchange's messages."""
    return [_SPELLINGS[exchange][0].format(number) for number in range(SYMBOLS)]


def message(exchange: str, at: int, now_us: int) -> bytes:
    """Return the text of trade number ``at``, at a time in microseconds since the epoch."""
    pattern, spell = _SPELLINGS[exchange]
    made = _Made(
        pattern.format(at % SYMBOLS),
        5_000_000 + at // SYMBOLS,
        60000 + at % 997 / 100,
        (1 + at % 89) / 1000,
        now_us,
        at % 3 == 0,
    )
    return spell(made).encode()
