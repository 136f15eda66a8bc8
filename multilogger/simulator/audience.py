"""Who is connected to a simulated exchange, and what they have subscribed."""

from __future__ import annotations

import abc
import math
from collections.abc import Collection
from functools import partial
from typing import Generic, TypeVar

import trio

from multilogger.simulator.client import Client

C = TypeVar("C", bound=Client)


class Audience(abc.ABC, Generic[C]):
    """Connections and their subscriptions."""

    def __init__(self) -> None:
        super().__init__()
        self.subscribers: dict[str, dict[C, None]] = {}
        """By topic, in order of subscription."""
        self.followed: set[str] = set()
        """Topics that have ever been subscribed."""
        self.activity = trio.Event()
        """Set, and then replaced, whenever a client comes, asks for something, or goes."""
        self._clients: dict[C, None] = {}

    def connected(self) -> Collection[C]:
        """Return the open connections, oldest first."""
        return self._clients.keys()

    def listeners(self, topic: str) -> list[C]:
        """Return the connections that have subscribed a topic and are to get something of it now."""
        clients = self.subscribers.get(topic, ())
        return [client for client in clients if not client.muted or client.hears(topic)]

    def add(self, client: C, topic: str, *, silently: bool = False) -> bool:
        """Enter a subscription; False if the client has it already.

        Args:
            client: who subscribes.
            topic: what.
            silently: it brings nothing until it is ended and entered again.
        """
        if topic in client.topics:
            return False
        client.topics[topic] = None
        self.subscribers.setdefault(topic, {})[client] = None
        self.followed.add(topic)
        if silently:
            client.mute(topic, math.inf)
        return True

    def unsubscribe(self, client: C, topic: str) -> None:
        """End a subscription, if there is one."""
        client.topics.pop(topic, None)
        client.muted.pop(topic, None)
        self.subscribers.get(topic, {}).pop(client, None)

    def enter(self, client: C) -> None:
        """Take note of a connection whose handshake is done."""
        self._clients[client] = None
        self.tell()
        client.unsubscribe_all = partial(self._unsubscribe_all, client)

    def drop(self, client: C) -> None:
        """Forget a connection."""
        self._unsubscribe_all(client)
        client.outbox.close()
        self._clients.pop(client, None)
        self.tell()

    def tell(self) -> None:
        """Wake whoever waits for :attr:`activity`."""
        self.activity.set()
        self.activity = trio.Event()

    def mute(self, symbol: str, until: float, part: str = "") -> None:
        """Let the present subscriptions of a symbol bring nothing until then.

        Args:
            symbol: whose.
            until: when they do again.
            part: only those with this in the topic's name.
        """
        for topic, clients in self.subscribers.items():
            if part in topic and self.topic_symbol(topic) == symbol:
                for client in clients:
                    client.mute(topic, until)

    @abc.abstractmethod
    def topic_symbol(self, topic: str) -> str:
        """Return the venue symbol of a subscription."""

    def _unsubscribe_all(self, client: C) -> None:
        for topic in list(client.topics):
            self.unsubscribe(client, topic)
