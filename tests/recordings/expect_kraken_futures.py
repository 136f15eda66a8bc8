"""What a recorded message of Kraken Futures' WebSocket API v1 implies, from its JSON alone."""

from __future__ import annotations

from typing import Any

from recordings_tools import Tables, uuid_bytes

SESSIONS: dict[str, tuple[str, list[str]]] = {
    "kraken/futures-v1/session_20210722_10prod.jsonl": ("kraken_futures", ["md_stream=ticker_lite"]),
}
SKIPPED: dict[str, str] = {}


class Expectation:
    """The rows of one recording: an MD row a ticker_lite, with the last trade of its product."""

    def __init__(self) -> None:
        self.tables: Tables = {}

    def add(self, message: Any, _recv: str | None) -> None:
        """Add what a message implies."""
        if "event" in message:
            return
        symbol, feed = message["product_id"], message["feed"]
        trades = self.tables.setdefault((symbol, "TRADES"), [])
        if feed == "trade_snapshot":
            for fill in reversed(message["trades"]):
                self._trade(symbol, fill)
        elif feed == "trade":
            self._trade(symbol, message)
        elif feed == "ticker_lite" and trades:
            _, _, price, size, side, _, _ = trades[-1]
            row = (None, price, size, side, float(message["bid"]), float(message["ask"]))
            self.tables.setdefault((symbol, "MD"), []).append(row)

    def _trade(self, symbol: str, fill: Any) -> None:
        trade_id = int.from_bytes(uuid_bytes(fill["uid"])[:8], "big")
        side = {"buy": 1, "sell": 0}[fill["side"]]
        price, size = float(fill["price"]), float(fill["qty"])
        self.tables[symbol, "TRADES"].append(
            (trade_id, fill["time"] * 10**6, price, size, side, bytes(16), bytes(16))
        )
