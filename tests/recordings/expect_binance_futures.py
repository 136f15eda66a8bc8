"""What a recorded message of Binance's futures implies, from its JSON alone."""

from __future__ import annotations

from typing import Any

from recordings_tools import Tables

_FILLS = ["trades_stream=trade"]
_AGGREGATES = ["trades_stream=aggTrade"]
SESSIONS: dict[str, tuple[str, list[str]]] = {
    "binance/usdm/session_20210722_4sym.jsonl": ("binance_usdm", _AGGREGATES),
    "binance/usdm/session_20240808_btcusdt.jsonl": ("binance_usdm", _FILLS),
    "binance/coinm/session_20210722_10sym.jsonl": ("binance_coinm", _AGGREGATES),
    "binance/coinm/session_20240808_btcusd_perp.jsonl": ("binance_coinm", _FILLS),
}
SKIPPED: dict[str, str] = {}


class Expectation:
    """The rows of one recording: an MD row a bookTicker once a trade is known, at the time of its `T`."""

    def __init__(self) -> None:
        self.tables: Tables = {}

    def add(self, message: Any, _recv: str | None) -> None:
        """Add what a message implies."""
        data = message["data"]
        trades = self.tables.setdefault((data["s"], "TRADES"), [])
        if data["e"] in ("trade", "aggTrade"):
            assert data.get("X", "MARKET") == "MARKET"
            trade_id = data["t"] if data["e"] == "trade" else data["a"]
            side = 0 if data["m"] else 1
            price, size = float(data["p"]), float(data["q"])
            trades.append((trade_id, data["T"] * 10**6, price, size, side, bytes(16), bytes(16)))
        elif data["e"] == "bookTicker" and trades:
            _, _, price, size, side, _, _ = trades[-1]
            row = (data["T"] * 10**6, price, size, side, float(data["b"]), float(data["a"]))
            self.tables.setdefault((data["s"], "MD"), []).append(row)
