"""A network without sockets: simulated exchanges that are reached through memory, so that time may jump.

Whoever connects is lent :meth:`MemoryNetwork.open_stream` in place of :func:`trio.open_tcp_stream`, and
:attr:`MemoryNetwork.transport` in place of httpx's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

import httpx
import trio

from multilogger.simulator.pipes import stream_pair
from multilogger.simulator.rest import Request
from multilogger.simulator.server import serve_connection
from multilogger.simulator.venue import Venue

_WS_PORT: Final = 1
_REST_PORT: Final = 2


class MemoryNetwork:
    """Reaches the venues that are registered, by the names that their URLs then have.

    :meth:`run` is where everything happens; before and after it, connections are refused.
    """

    def __init__(self) -> None:
        self.transport: httpx.AsyncBaseTransport = _Transport(self)
        """For an :class:`httpx.AsyncClient`."""
        self.opened = 0
        """Streams opened so far."""
        self._venues: dict[str, Venue[Any]] = {}
        self._nursery: trio.Nursery | None = None

    def register(self, venue: Venue[Any]) -> None:
        """Give a venue its names; once the network runs, also let its market begin.

        Raises:
            ValueError: there is one of that name.
        """
        host = f"{venue.name}.sim"
        if host in self._venues:
            raise ValueError(f"{host} is there already")
        self._venues[host] = venue
        venue.ws_url = f"ws://{host}:{_WS_PORT}"
        venue.rest_url = f"http://{host}:{_REST_PORT}"
        if self._nursery is not None:
            self._begin(venue, self._nursery, trade_at_start=True)

    def _begin(self, venue: Venue[Any], nursery: trio.Nursery, *, trade_at_start: bool) -> None:
        if trade_at_start:
            venue.open()
        nursery.start_soon(venue.run_market)

    async def run(
        self,
        *,
        trade_at_start: bool = True,
        task_status: trio.TaskStatus[MemoryNetwork] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Run all markets and connections until cancelled.

        Args:
            trade_at_start: every instrument trades once, so that there is a last trade to ask for.
            task_status: for :meth:`trio.Nursery.start`.
        """
        try:
            async with trio.open_nursery() as nursery:
                for venue in self._venues.values():
                    self._begin(venue, nursery, trade_at_start=trade_at_start)
                self._nursery = nursery
                task_status.started(self)
                await trio.sleep_forever()
        finally:
            self._nursery = None
            for venue in self._venues.values():
                venue.ledger.close()
        raise AssertionError("a network only ends by cancellation")

    async def open_stream(self, host: str, port: int) -> trio.abc.Stream:
        """Open a connection to a venue's WebSocket server.

        Raises:
            OSError: nobody listens there.
        """
        await trio.lowlevel.checkpoint()
        if self._nursery is None or port != _WS_PORT or host not in self._venues:
            raise ConnectionRefusedError(f"nobody listens at {host}:{port}")
        self.opened += 1
        here, there = stream_pair()
        self._nursery.start_soon(serve_connection, self._venues[host], there)
        return here

    def _venue_at(self, url: httpx.URL) -> Venue[Any] | None:
        reachable = self._nursery is not None and url.port == _REST_PORT
        return self._venues.get(url.host) if reachable else None


class _Transport(httpx.AsyncBaseTransport):
    """Answers the requests of an httpx client."""

    def __init__(self, network: MemoryNetwork) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the venue does, within the client's patience.

        Raises:
            httpx.ConnectError: nobody listens there.
            httpx.ReadTimeout: the answer took longer than the client waits.
        """
        venue = self._network._venue_at(request.url)  # noqa: SLF001 - both are one thing
        if venue is None:
            await trio.lowlevel.checkpoint()
            raise httpx.ConnectError(f"nobody listens at {request.url.netloc.decode()}", request=request)
        asked = Request(request.url.path, dict(parse_qsl(request.url.query.decode())), _headers(request))
        patience: Mapping[str, float | None] = request.extensions.get("timeout", {})
        with trio.move_on_after(patience.get("read") or float("inf")):
            answer = await venue.reply(asked)
            headers = [("Content-Type", "application/json"), *answer.headers]
            return httpx.Response(answer.status, headers=headers, content=answer.body, request=request)
        raise httpx.ReadTimeout("no answer in time", request=request)


def _headers(request: httpx.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}
