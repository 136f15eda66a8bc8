"""What a recorded message of Bybit v5 implies, from its JSON alone."""

from __future__ import annotations

from typing import Any

from recordings_tools import Row, Tables, uuid_bytes

SESSIONS: dict[str, tuple[str, list[str]]] = {
    "bybit/spot/session_20260809_2sym.jsonl": ("bybit", []),
    "bybit/spot/session_20250613_orderbook1.jsonl": ("bybit", []),
    "bybit/linear/session_20250613_orderbook1.jsonl": ("bybit_linear", []),
}
SKIPPED: dict[str, str] = {}


class Expectation:
    """The rows of one recording.

    An MD row for quotes that have changed, once a trade is known, and for a last price that has changed to
    that of the last trade. Contracts' tickers have both; their ``orderbook.1`` is not asked for.
    """

    def __init__(self) -> None:
        self.tables: Tables = {}
        self._known: dict[str, dict[str, Any]] = {}

    def add(self, message: Any, _recv: str | None) -> None:
        """Add what a message implies."""
        kind, _, symbol = message.get("topic", "").rpartition(".")
        if kind == "publicTrade":
            for fill in message["data"]:
                self.tables.setdefault((symbol, "TRADES"), []).append(trade_row(fill))
        elif kind == "orderbook.1":
            data = message["data"]
            quotes = (data["b"][0][0], data["a"][0][0], data["u"])
            self._tell(symbol, message["ts"], quotes=quotes)
        elif kind == "tickers":
            data = message["data"]
            told = {"last": data["lastPrice"]} if "lastPrice" in data else {}
            before = self._known.get(symbol, {}).get("quotes", (None, None, None))
            if "bid1Price" in data or "ask1Price" in data:
                told["quotes"] = (data.get("bid1Price", before[0]), data.get("ask1Price", before[1]), None)
            self._tell(symbol, message["ts"], **told)

    def _tell(self, symbol: str, ts: int, **told: Any) -> None:
        before = self._known.get(symbol, {})
        now = self._known[symbol] = {**before, **told}
        trades = self.tables.get((symbol, "TRADES"))
        if not trades or "quotes" not in now or now == before:
            return
        _, _, price, size, side, _, _ = trades[-1]
        if now["quotes"] != before.get("quotes") or float(now["last"]) == price:
            bid, ask, _ = now["quotes"]
            row = (ts * 10**6, price, size, side, float(bid), float(ask))
            self.tables.setdefault((symbol, "MD"), []).append(row)


def trade_row(fill: Any) -> Row:
    """The row of an entry of ``publicTrade``."""
    trade_id = int(fill["i"]) if fill["i"].isdigit() else int.from_bytes(uuid_bytes(fill["i"])[:8], "big")
    side = {"Buy": 1, "Sell": 0}[fill["S"]]
    price, size = float(fill["p"]), float(fill["v"])
    return (trade_id, fill["T"] * 10**6, price, size, side, bytes(16), bytes(16))
