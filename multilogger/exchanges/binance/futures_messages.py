"""The messages of Binance's futures, USD-M and COIN-M.

https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams::

    {"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1795341600120,"s":"BTCUSDT","a":9001,
     "p":"64010.0","q":"0.50","nq":"0.45","f":7001,"l":7004,"T":1795341600100,"m":false,"st":1}}
    {"stream":"btcusdt@trade","data":{"e":"trade","E":1795341600120,"T":1795341600100,"s":"BTCUSDT",
     "t":7004,"p":"64010.0","q":"0.1","X":"MARKET","m":false,"st":1}}
    {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":501,"s":"BTCUSDT","ps":"BTCUSDT",
     "b":"64009.9","B":"3","a":"64010.0","A":"2","T":1795341600099,"E":1795341600101,"st":1}}

``T`` is the time in the matching engine, ``E`` that of the message. ``st`` says whose event it is: 1 USD-M,
2 COIN-M; messages of before 2026 lack it. ``@trade`` is undocumented: its ``X`` tells trades of the order
book (``MARKET``) from what insurance fund and automatic deleveraging settle beside it, at prices of their
own. Those are not in ``aggTrade``, nor in the REST API's past trades.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from multilogger.exchanges.binance.messages import SPECS, TradeData
from multilogger.exchanges.fields import Spec

MARKET: Final = "MARKET"


class FuturesTradeData(TradeData, gc=False, kw_only=True):
    """``@trade``."""

    # Any: what is wrong with them must not cost the trade.
    X: Any = MARKET
    st: Any = None


class FuturesAggTradeData(FuturesTradeData, gc=False, kw_only=True):
    """``@aggTrade``: fills of one side at one price within 100 ms, with ids of their own."""

    t: int = msgspec.field(name="a")


class QuotesData(msgspec.Struct, gc=False):
    """``@bookTicker``, at every change of the best quotes."""

    u: int
    """Rises with every change of the symbol's book."""
    b: float
    a: float
    T: int
    st: Any = None


class _Trade(msgspec.Struct, gc=False):
    data: FuturesTradeData


class _AggTrade(msgspec.Struct, gc=False):
    data: FuturesAggTradeData


class _Quotes(msgspec.Struct, gc=False):
    data: QuotesData


decode_trade: Final = msgspec.json.Decoder(_Trade, strict=False).decode
decode_agg_trade: Final = msgspec.json.Decoder(_AggTrade, strict=False).decode
decode_quotes: Final = msgspec.json.Decoder(_Quotes, strict=False).decode

FUTURES_SPECS: Final[dict[str, Spec]] = {
    "trade": SPECS["trade"],
    "aggTrade": SPECS["aggTrade"],
    "bookTicker": (
        ("u", int, "bad id"),
        ("b", float, "bad quote"),
        ("a", float, "bad quote"),
        ("T", int, "bad time"),
    ),
}
"""The fields that each stream must have."""
