"""What a recorded message of OKX v5 implies, from its JSON alone."""

from __future__ import annotations

from typing import Any

from recordings_tools import Tables

SESSIONS: dict[str, tuple[str, list[str]]] = {
    # As of 2021: trades without a count, and books that are no concern of ours.
    "okx/mixed/session_20210722_10inst.jsonl": ("okx", ["inst_types=SPOT,SWAP,FUTURES,OPTION"]),
}
SKIPPED: dict[str, str] = {}


class Expectation:
    """The rows of one recording: an MD row a ticker that tells a last size, once a trade is known.

    Once in ten seconds, and of an option that did not trade always, OKX sent a last size of zero.
    """

    def __init__(self) -> None:
        self.tables: Tables = {}

    def add(self, message: Any, _recv: str | None) -> None:
        """Add what a message implies."""
        if "data" not in message:
            return
        channel, symbol = message["arg"]["channel"], message["arg"]["instId"]
        trades = self.tables.setdefault((symbol, "TRADES"), [])
        for entry in message["data"]:
            if channel == "trades":
                side = {"buy": 1, "sell": 0}[entry["side"]]
                price, size = float(entry["px"]), float(entry["sz"])
                time_ns = int(entry["ts"]) * 10**6
                trades.append((int(entry["tradeId"]), time_ns, price, size, side, bytes(16), bytes(16)))
            elif channel == "tickers" and trades and float(entry["lastSz"]) > 0:
                price, size = float(entry["last"]), float(entry["lastSz"])
                quotes = (float(entry["bidPx"]), float(entry["askPx"]))
                row = (int(entry["ts"]) * 10**6, price, size, trades[-1][4], *quotes)
                self.tables.setdefault((symbol, "MD"), []).append(row)
