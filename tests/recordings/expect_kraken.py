"""What a recorded message of Kraken spot's WebSocket API v2 implies, from its JSON alone."""

from __future__ import annotations

from typing import Any

from recordings_tools import Row, Tables, nanoseconds

SESSIONS: dict[str, tuple[str, list[str]]] = {
    "kraken/spot-v2/session_20260802_book_ethusd.jsonl": ("kraken", []),
    "kraken/spot-v2/session_20260802_book_xrpusd.jsonl": ("kraken", []),
}
"""Books, and no rows: none of their frames may be taken for one."""
_VERSION_1 = "version 1, which sends lists and calls Bitcoin XBT; version 2 alone is spoken"
SKIPPED: dict[str, str] = {
    "kraken/spot-v1/session_20210417_book-1000.jsonl": _VERSION_1,
    "kraken/spot-v1/session_20210417_ticker.jsonl": _VERSION_1,
    "kraken/spot-v1/session_20210417_trade.jsonl": _VERSION_1,
}


class Expectation:
    """The rows of one recording: an MD row a ticker, with size and side of the last trade known."""

    def __init__(self) -> None:
        self.tables: Tables = {}
        self._last: dict[str, Row] = {}
        """The trade with the highest id, by symbol."""

    def add(self, message: Any, _recv: str | None) -> None:
        """Add what a message implies."""
        if message.get("channel") == "trade":
            for trade in sorted(message["data"], key=lambda it: it["trade_id"]):
                self._add_trade(trade)
        elif message.get("channel") == "ticker":
            for ticker in message["data"]:
                self._add_ticker(ticker)

    def _add_trade(self, trade: dict[str, Any]) -> None:
        side = {"sell": 0, "buy": 1}[trade["side"]]
        price, size = float(trade["price"]), float(trade["qty"])
        row = (trade["trade_id"], nanoseconds(trade["timestamp"]), price, size, side, bytes(16), bytes(16))
        self.tables.setdefault((trade["symbol"], "TRADES"), []).append(row)
        self._last[trade["symbol"]] = max(row, self._last.get(trade["symbol"], row))

    def _add_ticker(self, ticker: dict[str, Any]) -> None:
        last = self._last.get(ticker["symbol"])
        if last is not None and ticker["bid"] and ticker["ask"]:
            price = float(ticker.get("last") or last[2])
            row = (None, price, last[3], last[4], float(ticker["bid"]), float(ticker["ask"]))
            self.tables.setdefault((ticker["symbol"], "MD"), []).append(row)
