"""What a recorded message of Coinbase Exchange implies, from its JSON alone."""

from __future__ import annotations

from typing import Any

from recordings_tools import Tables, nanoseconds, uuid_bytes

SESSIONS: dict[str, tuple[str, list[str]]] = {
    "coinbase/exchange/session_20210417_4prod.jsonl": ("coinbase", []),
}
SKIPPED: dict[str, str] = {}


class Expectation:
    """The rows of one recording."""

    def __init__(self) -> None:
        self.tables: Tables = {}

    def add(self, message: Any, _recv: str | None) -> None:
        """Add what a message implies."""
        symbol = message.get("product_id", "")
        if message["type"] in ("match", "last_match"):
            self.tables.setdefault((symbol, "TRADES"), []).append(
                (
                    message["trade_id"],
                    nanoseconds(message["time"]),
                    float(message["price"]),
                    float(message["size"]),
                    {"sell": 1, "buy": 0}[message["side"]],
                    uuid_bytes(message["maker_order_id"]),
                    uuid_bytes(message["taker_order_id"]),
                )
            )
        elif message["type"] == "ticker":
            self.tables.setdefault((symbol, "MD"), []).append(
                (
                    nanoseconds(message["time"]),
                    float(message["price"]),
                    float(message["last_size"]),
                    {"buy": 1, "sell": 0}[message["side"]],
                    float(message["best_bid"]),
                    float(message["best_ask"]),
                )
            )
