"""What a recorded message of Binance's combined streams implies, from its JSON alone."""

from __future__ import annotations

from typing import Any

from recordings_tools import Tables

_FILLS = ["trades_stream=trade", "md_stream=bookTicker"]
_AGGREGATES = ["trades_stream=aggTrade", "md_stream=bookTicker"]
SESSIONS: dict[str, tuple[str, list[str]]] = {
    "binance/spot/session_20240808_btcusdt.jsonl": ("binance", _FILLS),
    "binance/spot/session_20211012_4sym.jsonl": ("binance", _AGGREGATES),
    "binance/spot/session_20210814_4sym.jsonl": ("binance", _AGGREGATES),
    "binance-us/spot/session_20210814_4sym.jsonl": ("binance", _AGGREGATES),
}
SKIPPED: dict[str, str] = {}


class Expectation:
    """The rows of one recording: an MD row a bookTicker once a trade is known."""

    def __init__(self) -> None:
        self.tables: Tables = {}

    def add(self, message: Any, _recv: str | None) -> None:
        """Add what a message implies."""
        stream, data = message["stream"].split("@", 1)[1], message["data"]
        symbol = data.get("s", "")
        trades = self.tables.setdefault((symbol, "TRADES"), [])
        if stream in ("trade", "aggTrade"):
            trade_id = data["t"] if stream == "trade" else data["a"]
            side = 0 if data["m"] else 1
            price, size = float(data["p"]), float(data["q"])
            trades.append((trade_id, data["T"] * 10**6, price, size, side, bytes(16), bytes(16)))
        elif stream == "bookTicker" and trades:
            _, _, price, size, side, _, _ = trades[-1]
            row = (None, price, size, side, float(data["b"]), float(data["a"]))
            self.tables.setdefault((symbol, "MD"), []).append(row)
