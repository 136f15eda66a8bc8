"""What all simulated exchanges have in common: clients, subscriptions, the market's beat, the ledger.

A dialect (:mod:`.coinbase`, :mod:`.binance`) says how requests are answered and how trades are spelled; all
of it is synchronous. Whatever a beat of the market sends is entered in the ledger and written before any of
it can reach a socket, because the tasks that send run only after the beat.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, Generic, NoReturn, TypeVar

import trio

from multilogger.simulator.client import Client
from multilogger.simulator.condition import Condition
from multilogger.simulator.faults import Fault
from multilogger.simulator.ledger import Ledger
from multilogger.simulator.market import Cascade, Market
from multilogger.simulator.rest import Request, Response, serve_rest
from multilogger.simulator.server import serve_connection
from multilogger.simulator.wire import Outbox, text_frame

BEAT_SECS: Final = 0.02
"""The market's beat."""
_CATCH_UP_SECS: Final = 0.25
"""A late beat makes up for at most this much; a machine that can't keep the rate gets a lower one."""


C = TypeVar("C", bound=Client)


class Venue(Condition[C], abc.ABC, Generic[C]):
    """One simulated exchange.

    Args:
        market: what trades.
        clock: exchange time, nanoseconds since the epoch.
        ledger_dir: where the ledger is written; None keeps it in memory.
        rate: data messages per second that the market makes for a client who subscribed everything.
        host: the address to serve on.
        ws_port: of the WebSocket server; 0 takes a free one.
        rest_port: of the REST server; 0 takes a free one.
    """

    name: ClassVar[str]
    messages_per_fill: ClassVar[float]
    """Data messages that a fill becomes, on average."""
    requests_per_second: ClassVar[int]
    """Client messages a second; more end the connection."""
    ping_secs: ClassVar[float | None] = None
    """The server pings this often."""
    pong_secs: ClassVar[float] = 60.0
    """A pong is due within this time."""
    outbox_bytes: ClassVar[int] = 16 * 1024 * 1024
    """A client for whom more is waiting is too slow, and cut."""

    def __init__(
        self,
        market: Market,
        clock: Callable[[], int],
        *,
        ledger_dir: Path | None = None,
        rate: float = 500.0,
        host: str = "127.0.0.1",
        ws_port: int = 0,
        rest_port: int = 0,
    ) -> None:
        super().__init__()
        self.market = market
        self.clock = clock
        self.ledger = Ledger(self.name, ledger_dir)
        self.rate = rate
        self.paused = False
        self.sent_messages = 0
        """Data frames given to all clients, acknowledgements and garbage included."""
        self.garbage_messages = 0
        self.ws_url = ""
        """Known once :meth:`run` has started."""
        self.rest_url = ""
        self.subscribers: dict[str, dict[C, None]] = {}
        """By topic, in order of subscription."""
        self.activity = trio.Event()
        """Set, and then replaced, whenever a client comes, asks for something, or goes."""
        self._host = host
        self._ports = (ws_port, rest_port)
        self._clients: dict[C, None] = {}

    # What a dialect says.

    @abc.abstractmethod
    def admit(self, path: str, outbox: Outbox) -> C | None:
        """Return a client for a handshake with this request target; None: there is no such path."""

    @abc.abstractmethod
    def receive(self, client: C, text: str) -> None:
        """Answer a client's message."""

    @abc.abstractmethod
    async def attend(self, client: C) -> None:
        """Enforce the rules that depend on a connection's age; cancelled when it ends."""

    @abc.abstractmethod
    def spread(self, cascade: Cascade) -> None:
        """Send a cascade to those who subscribed it, and enter what was sent."""

    @abc.abstractmethod
    def every_second(self) -> None:
        """Send what comes once a second."""

    @abc.abstractmethod
    def answer(self, request: Request) -> Response:
        """Answer a REST request."""

    @abc.abstractmethod
    def garbage(self) -> list[bytes]:
        """Return malformed messages; none of them may be taken for data."""

    @abc.abstractmethod
    def symbol_of(self, payload: bytes) -> str | None:
        """Return the venue symbol that a data message of this exchange is about."""

    @abc.abstractmethod
    def topic_symbol(self, topic: str) -> str:
        """Return the venue symbol of a subscription."""

    # What others ask for.

    def pause(self) -> None:
        """Let the market and all periodic messages rest, so that clients catch up; see :meth:`drained`.

        What was held back before still goes out when it is due.
        """
        self.paused = True

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self.paused = False

    async def drained(self) -> None:
        """Wait until everything sent has been handed to the operating system, late messages included."""
        while self.detour.waiting:  # noqa: ASYNC110 - they go out by the clock
            await trio.sleep(BEAT_SECS)
        for client in list(self._clients):
            await client.outbox.wait_below(0)

    def inject(self, fault: Fault) -> None:
        """Let a fault strike now."""
        fault.strike(self)

    def connected(self) -> Collection[C]:
        """Return the open connections, oldest first."""
        return self._clients.keys()

    async def run(
        self,
        *,
        trade_at_start: bool = True,
        task_status: trio.TaskStatus[Venue[C]] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Serve until cancelled; starts with the venue itself, whose URLs are then known.

        Args:
            trade_at_start: every instrument trades once, so that there is a last trade to ask for.
            task_status: for :meth:`trio.Nursery.start`.

        Raises:
            ExceptionGroup: of an OSError, where a port can't be bound.
        """
        ws_port, rest_port = self._ports
        if trade_at_start:
            self.market.open(self.clock())
        try:
            async with trio.open_nursery() as nursery:
                rest_port = await nursery.start(serve_rest, self.answer, self._host, rest_port)
                serve = partial(trio.serve_tcp, partial(serve_connection, self), ws_port, host=self._host)
                listeners = await nursery.start(serve)
                ws_port = listeners[0].socket.getsockname()[1]
                self.ws_url = f"ws://{self._host}:{ws_port}"
                self.rest_url = f"http://{self._host}:{rest_port}"
                nursery.start_soon(self._run_market)
                nursery.start_soon(self._run_seconds)
                task_status.started(self)
        finally:
            self.ledger.close()
        raise AssertionError("a server only ends by cancellation")

    # What the dialects use.

    def send(self, client: C, payload: bytes) -> None:
        """Send one text message to one client."""
        self.send_frame(client, text_frame(payload))

    def send_frame(self, client: C, frame: bytes) -> None:
        """Send one encoded frame to one client; a client too slow for it is cut."""
        if client.outbox.put(frame):
            self.sent_messages += 1
        elif not client.outbox.closed:
            client.abort(reset=False)

    def broadcast(self, clients: Iterable[C], payload: bytes) -> None:
        """Send one text message to several clients."""
        frame = text_frame(payload)
        for client in list(clients):
            self.send_frame(client, frame)

    def subscribe(self, client: C, topic: str) -> bool:
        """Enter a subscription; False if the client has it already."""
        if topic in client.topics:
            return False
        client.topics[topic] = None
        self.subscribers.setdefault(topic, {})[client] = None
        return True

    def unsubscribe(self, client: C, topic: str) -> None:
        """End a subscription, if there is one."""
        client.topics.pop(topic, None)
        self.subscribers.get(topic, {}).pop(client, None)

    # What a connection uses.

    def enter(self, client: C) -> None:
        """Take note of a connection whose handshake is done."""
        self._clients[client] = None
        self._tell()
        client.unsubscribe_all = partial(self._unsubscribe_all, client)

    def drop(self, client: C) -> None:
        """Forget a connection."""
        self._unsubscribe_all(client)
        client.outbox.close()
        self._clients.pop(client, None)
        self._tell()

    def request(self, client: C, text: str) -> None:
        """Answer a message, unless the client sends more of them than it may."""
        now = trio.current_time()
        client.requests.append(now)
        if len(client.requests) > self.requests_per_second and now - client.requests.popleft() < 1:
            client.leave(1008, "Too many requests")
            return
        self.receive(client, text)
        self.ledger.commit()
        self._tell()

    def _tell(self) -> None:
        self.activity.set()
        self.activity = trio.Event()

    def _unsubscribe_all(self, client: C) -> None:
        for topic in list(client.topics):
            self.unsubscribe(client, topic)

    def step(self, fills: int) -> int:
        """Let the market make ``fills`` trades or a few more, send them, and return how many it made."""
        cascades = self.market.step(self.clock(), fills)
        if not self.silent:
            for cascade in cascades:
                self.spread(cascade)
            self._garble()
            self.ledger.commit()
        return sum(len(cascade.fills) for cascade in cascades)

    def deliver_late(self) -> None:
        """Send what was held back and is due; during a stall nothing."""
        if self.detour.waiting and not self.silent:
            self.detour.deliver()
            self.ledger.commit()

    def _garble(self) -> None:
        if self.garbled:
            for payload in self.garbage():
                self.garbage_messages += len(self._clients)
                self.broadcast(self._clients, payload)

    async def _run_market(self) -> NoReturn:
        owed, last = 0.0, trio.current_time()
        while True:
            await trio.sleep(BEAT_SECS)
            self.deliver_late()
            now = trio.current_time()
            fills_per_second = 0.0 if self.paused else self.rate / self.messages_per_fill
            owed = min(owed + fills_per_second * (now - last), fills_per_second * _CATCH_UP_SECS + 1)
            last = now
            if owed >= 1:
                owed -= self.step(int(owed))

    async def _run_seconds(self) -> NoReturn:
        while True:
            await trio.sleep(1)
            if not (self.paused or self.silent):
                self.every_second()
                self.ledger.commit()
