"""What clients may ask the simulated Kraken for, and its answers: one for each symbol of a request.

Source: docs.kraken.com, "Spot WebSocket v2: trade, ticker, instrument, ping".
"""

from __future__ import annotations

import abc
import json
from typing import Any, Final

import trio

from multilogger.simulator.kraken import messages
from multilogger.simulator.kraken.client import KrakenClient
from multilogger.simulator.venue import Venue

TRIGGERS: Final = ("trades", "bbo")
_CHANNELS: Final = ("trade", "ticker", "book", "ohlc", "instrument")
"""The public ones; ``book`` and ``ohlc`` are granted, and bring nothing here."""
_INSTRUMENT: Final = "instrument:"

Asked = dict[str, Any]
"""A request."""


class KrakenRequests(Venue[KrakenClient]):
    """The part of a venue that answers requests; topics are ``channel:SYMBOL``.

    A ticker's topic names what triggers it: ``ticker.bbo:BTC/USD``.
    """

    def request(self, client: KrakenClient, text: str) -> None:
        """Answer a message; too many of them are refused, and do not end the connection."""
        client.heard_at = trio.current_time()
        if self._asks_too_often(client):
            self.rules.note(f"more messages of a connection than {self.requests_per_second} in 1 s")
            self._refuse(client, self._read(text) or {}, "Exceeded msg rate")
        else:
            self.receive(client, text)
        self.ledger.commit()
        self.tell()

    def receive(self, client: KrakenClient, text: str) -> None:
        """Answer a request by its method."""
        request = self._read(text)
        if request is None:
            self._refuse(client, {}, "Malformed request")
            return
        match request.get("method"):
            case "ping":
                self._answer(client, request, {"method": "pong"})
            case "subscribe":
                self._subscribe(client, request)
            case "unsubscribe":
                self._unsubscribe(client, request)
            case _:
                self._refuse(client, request, "Unsupported method")

    @abc.abstractmethod
    def replay(self, client: KrakenClient, channel: str, symbol: str) -> None:
        """Send what a new subscription begins with."""

    def _read(self, text: str) -> Asked | None:
        try:
            request = json.loads(text)
        except ValueError:
            return None
        return request if isinstance(request, dict) else None

    def _subscribe(self, client: KrakenClient, request: Asked) -> None:
        params = self._params(client, request)
        if params is None:
            return
        channel, snapshot = params["channel"], params.get("snapshot", True)
        if channel == "instrument":
            self.subscribe(client, _INSTRUMENT)
            self._grant(client, request, {"channel": channel, "snapshot": snapshot})
            if client.hears(_INSTRUMENT):
                self.send(client, messages.instruments(self.market.instruments.values()))
            return
        granted = []
        for symbol in params["symbol"]:
            if symbol not in self.market.instruments:
                self._refuse(client, request, f"Currency pair not supported {symbol}", symbol)
            elif not self.subscribe(client, _topic(params, symbol)):
                self._refuse(client, request, "Already subscribed to this channel", symbol)
            else:
                granted.append(symbol)
                own = {"event_trigger": _trigger(params)} if channel == "ticker" else {}
                result = {"channel": channel, **own, "snapshot": snapshot, "symbol": symbol}
                self._grant(client, request, result)
        for symbol in granted:
            if snapshot and client.hears(_topic(params, symbol)):
                self.replay(client, channel, symbol)

    def _unsubscribe(self, client: KrakenClient, request: Asked) -> None:
        params = self._params(client, request)
        if params is None:
            return
        channel = params["channel"]
        for symbol in params["symbol"] if channel != "instrument" else [""]:
            topic = _topic(params, symbol)
            if topic in client.topics:
                self.unsubscribe(client, topic)
                if channel == "trade":
                    client.last.pop(symbol, None)
                self._grant(client, request, {"channel": channel, "symbol": symbol})
            else:
                self._refuse(client, request, "Subscription Not Found", symbol)

    def _params(self, client: KrakenClient, request: Asked) -> dict[str, Any] | None:
        """Return the parameters of a request; None if it had to be refused whole."""
        params = request.get("params")
        channel = params.get("channel") if isinstance(params, dict) else None
        if not isinstance(params, dict) or channel not in _CHANNELS:
            self._refuse(client, request, f"Unsupported channel {channel}")
            return None
        symbols = params.get("symbol")
        named = isinstance(symbols, list) and bool(symbols) and all(isinstance(it, str) for it in symbols)
        if channel != "instrument" and not named:
            self._refuse(client, request, "Symbol(s) not specified")
            return None
        if channel == "ticker" and _trigger(params) not in TRIGGERS:
            self._refuse(client, request, "Unsupported event_trigger")
            return None
        return params

    def _grant(self, client: KrakenClient, request: Asked, result: dict[str, Any]) -> None:
        self._answer(client, request, {"method": request["method"], "result": result, "success": True})

    def _refuse(self, client: KrakenClient, request: Asked, words: str, symbol: str | None = None) -> None:
        answer = {"error": words, "method": request.get("method"), "success": False}
        self._answer(client, request, answer if symbol is None else {**answer, "symbol": symbol})

    def _answer(self, client: KrakenClient, request: Asked, answer: dict[str, Any]) -> None:
        now = messages.rfc3339(self.clock())
        number = {"req_id": request["req_id"]} if "req_id" in request else {}
        self.send(client, messages.compact({**answer, "time_in": now, "time_out": now, **number}))


def _trigger(params: dict[str, Any]) -> Any:
    return params.get("event_trigger", TRIGGERS[0])


def _topic(params: dict[str, Any], symbol: str) -> str:
    channel = params["channel"]
    return f"ticker.{_trigger(params)}:{symbol}" if channel == "ticker" else f"{channel}:{symbol}"
