"""What clients may ask the simulated Coinbase Exchange for.

Source: Coinbase Exchange documentation, "WebSocket Feed: Overview" and "Channels".
"""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Any, Final

_PUBLIC: Final = frozenset(
    ("heartbeat", "ticker", "ticker_batch", "matches", "status", "level2_batch", "auctionfeed", "rfq_matches")
)
_LOGIN: Final = frozenset(("full", "level2", "level3", "user", "balance"))

Wanted = list[tuple[str, list[str]]]
"""Channels, each with its products."""


class Refused(Exception):
    """A request is refused; ``reason`` is in the exchange's words."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def parse(text: str) -> tuple[str, Wanted]:
    """Return what a request wants: ``subscribe`` or ``unsubscribe``, and which channels.

    Raises:
        Refused: it is no request.
    """
    try:
        request = json.loads(text)
    except ValueError:
        raise Refused("Malformed JSON") from None
    if not isinstance(request, dict) or request.get("type") not in ("subscribe", "unsubscribe"):
        raise Refused("Type has to be either subscribe or unsubscribe")
    common = _texts(request.get("product_ids", []))
    channels = request.get("channels")
    if not isinstance(channels, list) or not channels:
        raise Refused("channels is not specified")
    return request["type"], [_channel(channel, common) for channel in channels]


def check(wanted: Wanted, listed: Container[str]) -> None:
    """Check that what is to be subscribed can be.

    Raises:
        Refused: there is no such channel or product, or it takes a login.
    """
    for channel, products in wanted:
        if channel in _LOGIN:
            raise Refused(
                "level2, level3, and full channels now require authentication."
                " https://docs.cdp.coinbase.com/exchange/docs/websocket-channels"
            )
        if channel not in _PUBLIC:
            raise Refused(f"{channel} is not a valid channel")
        for product in products:
            if product not in listed:
                raise Refused(f"{product} is not a valid product")
        if not products and channel != "status":
            raise Refused("product_ids is not specified")


def _channel(channel: Any, common: list[str]) -> tuple[str, list[str]]:
    if isinstance(channel, str):
        return channel, common
    if isinstance(channel, dict) and isinstance(channel.get("name"), str):
        return channel["name"], [*common, *_texts(channel.get("product_ids", []))]
    raise Refused("channels has an entry that is neither a name nor an object with one")


def _texts(values: Any) -> list[str]:
    if isinstance(values, list) and all(isinstance(value, str) for value in values):
        return values
    raise Refused("product_ids is not a list of strings")
