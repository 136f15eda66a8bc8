"""What clients may ask the simulated Binance for, and its answers.

Source: binance-spot-api-docs, ``web-socket-streams.md``, "Live Subscribing/Unsubscribing to streams".
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final, Generic, TypeVar

from multilogger.simulator.binance.client import StreamClient
from multilogger.simulator.venue import Venue

S = TypeVar("S", bound=StreamClient)

_METHODS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class BinanceRequests(Venue[S], Generic[S]):
    """The part of a venue that answers requests; topics are stream names."""

    most_streams: ClassVar[int] = 1024
    """Of a connection."""

    def receive(self, client: S, text: str) -> None:
        """Answer a request by its method."""
        try:
            request = json.loads(text)
        except ValueError as error:
            self._error(client, 3, f"Invalid JSON: {error}", None)
            return
        if not isinstance(request, dict) or request.get("method") not in _METHODS:
            asked = request.get("method") if isinstance(request, dict) else request
            expected = ", ".join(f"`{method}`" for method in _METHODS)
            self._error(
                client, 2, f"Invalid request: unknown variant `{asked}`, expected one of {expected}", None
            )
            return
        method, params, number = request["method"], request.get("params", []), request.get("id")
        if method == "LIST_SUBSCRIPTIONS":
            self._result(client, list(client.topics), number)
        elif method in ("SET_PROPERTY", "GET_PROPERTY"):
            self._property(client, method, params, number)
        elif not isinstance(params, list) or not all(isinstance(stream, str) for stream in params):
            self._error(client, 2, "Invalid request: params must be a list of strings", number)
        elif method == "SUBSCRIBE" and len({*client.topics, *params}) > self.most_streams:
            self._error(client, 4, "Too many subscriptions", number)
        else:
            for stream in params:
                (self.subscribe if method == "SUBSCRIBE" else self.unsubscribe)(client, stream)
            self._result(client, None, number)

    def _property(self, client: S, method: str, params: Any, number: Any) -> None:
        match method, params:
            case "GET_PROPERTY", ["combined"]:
                self._result(client, client.combined, number)
            case "SET_PROPERTY", ["combined", bool(value)]:
                client.combined = value
                self._result(client, None, number)
            case "SET_PROPERTY", ["combined", _]:
                self._error(client, 1, "Invalid value type: expected Boolean", number)
            case _:
                self._error(client, 0, "Unknown property", number)

    def _result(self, client: S, result: Any, number: Any) -> None:
        self.send(client, _encoded({"result": result, "id": number}))

    def _error(self, client: S, code: int, words: str, number: Any) -> None:
        self.send(client, _encoded({"error": {"code": code, "msg": words}, "id": number}))


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
