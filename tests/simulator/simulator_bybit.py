"""Simulated Bybit markets, their clients, and the ticker rows that their messages mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import attrs
import trio
from simulator_peer import START_NS, Peer, clock, connect

from multilogger.simulator.bybit.contracts import BybitInverseVenue, BybitLinearVenue
from multilogger.simulator.bybit.spot import BybitVenue
from multilogger.simulator.bybit.venue import BybitBase
from multilogger.simulator.market import Market

KINDS: Final[dict[str, type[BybitBase]]] = {
    kind.name: kind for kind in (BybitVenue, BybitLinearVenue, BybitInverseVenue)
}
SYMBOLS: Final = {"bybit": "BTCUSDT", "bybit_linear": "BTCUSDT", "bybit_inverse": "BTCUSD"}
MS: Final = 1_000_000


def venue(name: str = "bybit", time: Callable[[], int] = clock) -> BybitBase:
    """Return a market whose instruments have traded once."""
    kind = KINDS[name]
    market = Market(7, kind.instruments, first_trade_id=1000, resolution_ns=kind.resolution_ns)
    market.open(START_NS)
    return kind(market, time)


def topics(name: str, symbol: str | None = None) -> list[str]:
    """Return what a recorder subscribes of a symbol."""
    symbol = symbol or SYMBOLS[name]
    kinds = ["publicTrade", "tickers", *(["orderbook.1"] if name == "bybit" else [])]
    return [f"{kind}.{symbol}" for kind in kinds]


def request(*args: str, verb: str = "subscribe", number: str = "1") -> dict[str, Any]:
    """Return a request."""
    return {"req_id": number, "op": verb, "args": list(args)}


async def open_peer(nursery: trio.Nursery, market: BybitBase) -> Peer:
    """Return a connected client."""
    return await connect(nursery, market, f"/v5/public/{market.category}")


async def subscribed(nursery: trio.Nursery, market: BybitBase, *args: str) -> tuple[Peer, list[Any]]:
    """Return a client with subscriptions, and the data that came with the acknowledgement."""
    peer = await open_peer(nursery, market)
    await peer.send(request(*(args or topics(market.name))))
    messages = await data(peer)
    (answer,) = [message for message in messages if "topic" not in message]
    assert answer["success"] is True
    return peer, [message for message in messages if "topic" in message]


async def data(peer: Peer) -> list[Any]:
    """Return the messages that have come."""
    return [json.loads(text) for text in await peer.gathered()]


def trade_id(text: str) -> int:
    """Return a trade's id as tables have it."""
    return int(text) if text.isdigit() else int(text.replace("-", "")[:16], 16)


@attrs.define
class Recorder:
    """Makes ticker rows of one connection's messages, as documented."""

    trade: dict[str, Any] | None = None
    told: dict[str, Any] = attrs.field(factory=dict)
    rows: list[tuple[Any, ...]] = attrs.field(factory=list)
    """Time in ms, price, volume, side, bid, ask."""

    def take(self, message: dict[str, Any]) -> None:
        """Take a message of one symbol."""
        kind, content = message["topic"].rpartition(".")[0], message["data"]
        if kind == "publicTrade":
            self.trade = content[-1]
            return
        before = dict(self.told)
        if kind == "orderbook.1":
            self.told |= {"bid": content["b"][0][0], "ask": content["a"][0][0], "u": content["u"]}
        else:
            names = {"lastPrice": "last", "bid1Price": "bid", "ask1Price": "ask"}
            self.told |= {short: content[name] for name, short in names.items() if name in content}
        quotes_changed = any(self.told.get(name) != before.get(name) for name in ("bid", "ask", "u"))
        if self.trade is None or "bid" not in self.told or self.told == before:
            return
        if quotes_changed or self.told["last"] == self.trade["p"]:
            side = 1 if self.trade["S"] == "Buy" else 0
            trade = (float(self.trade["p"]), float(self.trade["v"]), side)
            self.rows.append((message["ts"], *trade, float(self.told["bid"]), float(self.told["ask"])))


def entered(market: BybitBase, symbol: str) -> list[tuple[Any, ...]]:
    """Return the ticker rows that the ledger has of a symbol, as a recorder makes them."""
    names = ("price", "volume", "side", "best_bid", "best_ask")
    rows = market.ledger.rows("MD")
    return [
        (row["time_ns"] // MS, *(row[name].item() for name in names))
        for row in rows[rows["symbol"] == symbol.encode()]
    ]
