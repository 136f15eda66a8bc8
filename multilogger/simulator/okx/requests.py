"""What clients may ask the simulated OKX for, and its answers.

Source: https://www.okx.com/docs-v5/en/, "WebSocket: Overview, Connect, Subscribe, Unsubscribe, Notification",
and "Error Code: WebSocket".
"""

from __future__ import annotations

import abc
import json
from typing import Any, Final

import trio

from multilogger.simulator.okx.client import OkxClient
from multilogger.simulator.okx.messages import ALL_TRADES, TICKERS, TRADES
from multilogger.simulator.venue import Venue

_MOST_BYTES: Final = 64 * 1024
_OPERATIONS: Final = ("subscribe", "unsubscribe")
_PUBLIC: Final = frozenset(
    {TRADES, TICKERS, "books", "books5", "bbo-tbt", "mark-price", "funding-rate", "price-limit"}
)
"""Those that are not simulated bring nothing."""
_BUSINESS: Final = frozenset({ALL_TRADES, "candle1m", "candle1D"})


class OkxRequests(Venue[OkxClient]):
    """The part of a venue that answers requests; topics are ``channel:INSTID``."""

    refuses_whole: bool = False
    """Whether a request with one bad argument is void; else the good ones are acknowledged all the same."""

    def receive(self, client: OkxClient, text: str) -> None:
        """Answer a ping, or a request by its operation."""
        if text == "ping":
            self.send(client, b"pong")
            return
        if len(text.encode()) > _MOST_BYTES:
            client.leave(1009, "frame too big")
            return
        try:
            request = json.loads(text)
        except ValueError:
            request = None
        args = request.get("args") if isinstance(request, dict) else None
        if not isinstance(request, dict) or request.get("op") not in _OPERATIONS or not _are_args(args):
            self._error(client, {}, "60012", f"Invalid request: {text}")
        elif not client.operations.take(trio.current_time()):
            self.rules.note(f"more requests of a connection than {client.operations}")
            self._error(client, request, "60014", "Requests too frequent")
        elif request["op"] == "subscribe":
            self._subscribe(client, request)
        else:
            for arg in request["args"]:
                self.unsubscribe(client, _topic(arg))
                self._acknowledge(client, request, arg)

    def _subscribe(self, client: OkxClient, request: dict[str, Any]) -> None:
        args = request["args"]
        bad = [arg for arg in args if not self._is_known(client, arg)]
        if bad and self.refuses_whole:
            self._refuse(client, request, bad[0])
            return
        fresh = []
        for arg in args:
            if arg in bad:
                self._refuse(client, request, arg)
                continue
            if self.subscribe(client, _topic(arg)):
                fresh.append(_topic(arg))
            self._acknowledge(client, request, arg)
        for topic in fresh:
            if client.hears(topic):
                self.replay(client, topic)

    def _is_known(self, client: OkxClient, arg: dict[str, Any]) -> bool:
        channels = _BUSINESS if client.business else _PUBLIC
        return arg.get("channel") in channels and arg.get("instId") in self.market.instruments

    def _acknowledge(self, client: OkxClient, request: dict[str, Any], arg: dict[str, Any]) -> None:
        self.send(
            client, _encoded({**_id(request), "event": request["op"], "arg": arg, "connId": client.conn_id})
        )

    def _refuse(self, client: OkxClient, request: dict[str, Any], arg: dict[str, Any]) -> None:
        wanted = ",".join(f"{name}:{value}" for name, value in arg.items())
        words = (
            f"Wrong URL or {wanted} doesn't exist. Please use the correct URL, channel and parameters "
            "referring to API document."
        )
        self._error(client, request, "60018", words)

    def _error(self, client: OkxClient, request: dict[str, Any], code: str, words: str) -> None:
        answer = {**_id(request), "event": "error", "code": code, "msg": words, "connId": client.conn_id}
        self.send(client, _encoded(answer))

    def announce_shutdown(self) -> None:
        """Tell all clients that they will be cut: on real servers about a minute later."""
        words = "The connection will soon be closed for a service upgrade. Please reconnect."
        for client in list(self.connected()):
            notice = {"event": "notice", "code": "64008", "msg": words, "connId": client.conn_id}
            self.send(client, _encoded(notice))

    @abc.abstractmethod
    def replay(self, client: OkxClient, topic: str) -> None:
        """Send what was last of a topic that has just been subscribed."""


def _are_args(args: object) -> bool:
    return isinstance(args, list) and bool(args) and all(map(_is_arg, args))


def _is_arg(arg: object) -> bool:
    return isinstance(arg, dict) and all(isinstance(value, str) for value in arg.values())


def _topic(arg: dict[str, Any]) -> str:
    return f"{arg.get('channel')}:{arg.get('instId')}"


def _id(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request's id, which its answers have if it has one."""
    return {"id": request["id"]} if "id" in request else {}


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
