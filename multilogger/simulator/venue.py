"""What all simulated exchanges have in common: clients, subscriptions, the market's beat, the ledger.

A dialect (:mod:`.coinbase`, :mod:`.binance`) says how requests are answered and how trades are spelled; all
of it is synchronous. Whatever a beat of the market sends is entered in the ledger and written before any of
it can reach a socket, because the tasks that send run only after the beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Final, Generic, NoReturn, TypeVar

import trio

from multilogger.simulator import pulse
from multilogger.simulator.audience import Audience
from multilogger.simulator.client import Client
from multilogger.simulator.condition import Condition
from multilogger.simulator.dialect import Dialect
from multilogger.simulator.ledger import Ledger
from multilogger.simulator.market import Cascade, Fill, Market
from multilogger.simulator.rest import Request, Response, serve_rest
from multilogger.simulator.server import serve_connection
from multilogger.simulator.site import Fault
from multilogger.simulator.wire import text_frame

BEAT_SECS: Final = 0.02
"""The market's beat."""

C = TypeVar("C", bound=Client)


class Venue(Condition[C], Audience[C], Dialect[C], Generic[C]):
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

    beat_secs: float = BEAT_SECS
    """The least time between two steps of the market; where it trades more rarely, it sleeps longer."""
    period_secs: float = 1.0
    """How often :meth:`every_second` is called; what it sends once a second then comes as rarely."""
    rest_delay_secs: float = 0.0
    """How long a REST answer takes."""
    enter_all: bool = False
    """Whether the ledger has each trade as soon as the market makes it, once its symbol's trades have been
    subscribed: REST gives it, so a recorder that was not sent it can have it. Else it has what is sent."""

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
        self.ledger = Ledger(self.name, ledger_dir)
        self.rules = self.make_rules()
        self.sent_messages = 0
        """Data frames given to all clients, acknowledgements and garbage included."""
        self.garbage_messages = 0
        self.ws_url = ""
        """Known once :meth:`run` has started, or a network has the venue."""
        self.rest_url = ""
        self._rate = rate
        self._paused = False
        self._true_clock = clock
        self._host = host
        self._ports = (ws_port, rest_port)

    # What others ask for.

    @property
    def violations(self) -> list[str]:
        """What clients did that the exchange's rules forbid, in words, the oldest first."""
        return self.rules.violations

    def clock(self) -> int:
        """Return the exchange's time, right or wrong, in nanoseconds since the epoch."""
        return self._true_clock() + self.clock_offset_ns

    @property
    def rate(self) -> float:
        """Data messages a second that the market makes for a client who subscribed everything."""
        return self._rate

    @rate.setter
    def rate(self, value: float) -> None:
        self._rate = value
        self.stir()

    @property
    def paused(self) -> bool:
        """Whether the market and all periodic messages rest; see :meth:`pause`."""
        return self._paused

    @paused.setter
    def paused(self, value: bool) -> None:
        self._paused = value
        self.stir()

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
            await trio.sleep(self.beat_secs)
        for client in list(self.connected()):
            await client.outbox.wait_below(0)

    def inject(self, fault: Fault) -> None:
        """Let a fault strike now."""
        fault.strike(self)

    def open(self) -> None:
        """Let every instrument trade once, so that there is a last trade to ask for."""
        for cascade in self.market.open(self.clock()):
            self._enter_unsent(cascade)
        self.ledger.commit()

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
            self.open()
        try:
            async with trio.open_nursery() as nursery:
                rest_port = await nursery.start(serve_rest, self.reply, self._host, rest_port)
                serve = partial(trio.serve_tcp, partial(serve_connection, self), ws_port, host=self._host)
                listeners = await nursery.start(serve)
                ws_port = listeners[0].socket.getsockname()[1]
                self.ws_url = f"ws://{self._host}:{ws_port}"
                self.rest_url = f"http://{self._host}:{rest_port}"
                nursery.start_soon(self.run_market)
                task_status.started(self)
        finally:
            self.ledger.close()
        raise AssertionError("a server only ends by cancellation")

    async def run_market(self) -> NoReturn:
        """Let the market trade, without serving anybody, until cancelled: :meth:`run` does both."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pulse.run_market, self)
            nursery.start_soon(pulse.run_seconds, self)
            nursery.start_soon(self.alarms.run)
        raise AssertionError("a market only ends by cancellation")

    async def reply(self, request: Request) -> Response:
        """Answer a REST request, as soon and as well as rules and faults allow."""
        delay = self.rest_delay_secs + self.rest.delay()
        refusal = self.rules.request(self.weigh(request), delay) or self.rest.refuse(self.rules, delay)
        await trio.sleep(delay)
        return refusal or self.rest.failure() or self.answer(request)

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

    def enter_fill(self, symbol: str, fill: Fill) -> None:
        """Enter a trade, unless the ledger has it."""
        if not fill.entered:
            fill.entered = True
            self.ledger.trade(self.entry(symbol, fill))

    def subscribe(self, client: C, topic: str) -> bool:
        """Enter a subscription; False if the client has it already."""
        return self.add(client, topic, silently=trio.current_time() < self.silent_ack_until)

    # What faults ask for.

    def set_clock(self, offset_ns: int) -> None:
        """Let the exchange's clock be wrong by so much from now on; what it has told before stays told."""
        super().set_clock(offset_ns)
        self.market.rewind()

    def symbols(self) -> Sequence[str]:
        """Return the symbols that trade."""
        return [symbol for symbol, instrument in self.market.instruments.items() if instrument.online]

    def repeat(self, count: int, random: Random) -> None:
        """Send about so many trades again that were sent long ago."""
        for _ in range(count):
            cascades = self.market.markets[random.choice(self.symbols())].cascades
            if cascades and not self.silent:
                self.spread_again(cascades[random.randrange(len(cascades))])

    def send_oversized(self, size: int) -> None:
        """Send a text message of so many bytes to every connection."""
        frame = text_frame(b'{"type":"oversized","padding":"'.ljust(size - 2, b".") + b'"}')
        for client in list(self.connected()):
            if client.outbox.put(frame, whatever_size=True):
                self.sent_messages += 1

    # What a connection uses.

    def request(self, client: C, text: str) -> None:
        """Answer a message, unless the client sends more of them than it may."""
        within = self.rules.message()
        if self._asks_too_often(client):
            if within:
                self.rules.note(f"more messages of a connection than {self.requests_per_second} in 1 s")
            within = False
        if not within:
            client.leave(1008, "Too many requests")
            return
        self.receive(client, text)
        self.ledger.commit()
        self.tell()

    def _asks_too_often(self, client: C) -> bool:
        now = trio.current_time()
        client.requests.append(now)
        return len(client.requests) > self.requests_per_second and now - client.requests.popleft() < 1

    def step(self, fills: int) -> int:
        """Let the market make ``fills`` trades or a few more, send them, and return how many it made."""
        cascades = self.market.step(self.clock(), fills)
        silent = self.silent
        for cascade in cascades:
            if self.enter_all:
                self.enter_made(cascade)
            if not silent:
                self.spread(cascade)
            self._enter_unsent(cascade)
        if not silent:
            self._garble()
        self.ledger.commit()
        return sum(len(cascade.fills) for cascade in cascades)

    def _enter_unsent(self, cascade: Cascade) -> None:
        for entry in self.unsent(cascade):
            self.ledger.unsent(entry)

    def deliver_late(self) -> None:
        """Send what was held back and is due; during a stall nothing."""
        if self.detour.waiting and not self.silent:
            self.detour.deliver()
            self.ledger.commit()

    def _garble(self) -> None:
        if self.garbled:
            for payload in self.garbage():
                clients = [client for client in self._clients if not client.frozen]
                self.garbage_messages += len(clients)
                self.broadcast(clients, payload)
