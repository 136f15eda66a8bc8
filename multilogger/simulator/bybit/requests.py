"""What clients may ask a simulated Bybit for, and its answers.

Source: bybit-exchange.github.io/docs/v5/ws/connect; that one topic that is bad, or subscribed already, voids
the whole request was seen by others on the wire.
"""

from __future__ import annotations

import abc
import json
import re
from typing import Any, ClassVar, Final

import trio

from multilogger.simulator.bybit.client import BybitClient
from multilogger.simulator.venue import Venue

MOST_CHARACTERS: Final = 21_000
"""Of the topics of a connection, as a JSON array."""
_KINDS: Final = re.compile(
    r"publicTrade|tickers|orderbook\.(?:1|50|200|1000)|kline\.(?:\d+|[DWM])|allLiquidation|priceLimit"
)


class BybitRequests(Venue[BybitClient]):
    """The part of a venue that answers requests; topics are the exchange's."""

    most_args: ClassVar[int | None] = None
    """Topics that a request may have."""

    def receive(self, client: BybitClient, text: str) -> None:
        """Answer a request by its verb."""
        client.heard_at = trio.current_time()
        try:
            request = json.loads(text)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            self._reply(client, {}, "Request not authorized, or no JSON", success=False)
            return
        topics = request.get("args", [])
        match request.get("op"):
            case "ping":
                self._reply(client, request, "pong")
            case "subscribe" | "unsubscribe" as verb if _are_texts(topics):
                (self._subscribe if verb == "subscribe" else self._unsubscribe)(client, request, topics)
            case _:
                self._reply(client, request, "Params Error", success=False)

    def _subscribe(self, client: BybitClient, request: dict[str, Any], topics: list[str]) -> None:
        refusal = self._why_not(client, topics)
        if refusal is not None:
            self._reply(client, request, refusal, success=False)
            return
        fresh = [topic for topic in topics if self.subscribe(client, topic)]
        if self.greets_first:
            self.greet(client, fresh)
        self._reply(client, request, self.ack)
        if not self.greets_first:
            self.greet(client, fresh)

    def _why_not(self, client: BybitClient, topics: list[str]) -> str | None:
        """Return in the exchange's words why a request is void."""
        if self.most_args is not None and len(topics) > self.most_args:
            self.rules.note(f"{len(topics)} topics in a request")
            return f"args size >{self.most_args}"
        for topic in topics:
            if topic in client.topics:
                return f"error:already subscribed,topic:{topic}"
            if not self._exists(topic):
                return self.no_such_topic(topic)
        if len(json.dumps([*client.topics, *topics], separators=(",", ":"))) > MOST_CHARACTERS:
            self.rules.note(f"topics of more than {MOST_CHARACTERS} characters on a connection")
            return f"error:args length over {MOST_CHARACTERS}"
        return None

    def _exists(self, topic: str) -> bool:
        kind, _, symbol = topic.rpartition(".")
        return _KINDS.fullmatch(kind) is not None and self.has_topics(symbol)

    def _unsubscribe(self, client: BybitClient, request: dict[str, Any], topics: list[str]) -> None:
        for topic in topics:
            self.unsubscribe(client, topic)
        self._reply(client, request, self.ack)

    def _reply(
        self, client: BybitClient, request: dict[str, Any], words: str, *, success: bool = True
    ) -> None:
        answer = {"success": success, "ret_msg": words, "conn_id": client.conn_id}
        number = request.get("req_id", "" if self.always_names_request else None)
        answer |= {} if number is None else {"req_id": number}
        answer |= {"op": request["op"]} if "op" in request else {}
        self.send(client, json.dumps(answer, separators=(",", ":")).encode())

    # What a dialect says.

    ack: ClassVar[str]
    """The words of an acknowledgement."""
    greets_first: ClassVar[bool]
    """Whether the first data of a subscription come before its acknowledgement."""
    always_names_request: ClassVar[bool]
    """Whether an answer has a ``req_id`` if the request had none: an empty one."""

    @abc.abstractmethod
    def no_such_topic(self, topic: str) -> str:
        """Return what is said of a topic that does not exist."""

    def has_topics(self, symbol: str) -> bool:
        """Return whether a symbol can be subscribed."""
        return symbol in self.market.instruments

    @abc.abstractmethod
    def greet(self, client: BybitClient, topics: list[str]) -> None:
        """Send the first messages of new subscriptions."""


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
