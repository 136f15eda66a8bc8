"""Pings of a dialect's own: some exchanges want them now and then, others are asked for a sign of life."""

from __future__ import annotations

from typing import NoReturn, Protocol

import trio

from multilogger.exchanges.base import Adapter, ExchangeConnection


class Listener(Protocol):
    """What tells how long ago a connection brought anything."""

    heard: float
    """When it last did, by Trio's clock."""
    busy: bool
    """Whether what came is still being dealt with, so that nobody listens."""


async def ping_each(secs: float, adapter: Adapter, link: ExchangeConnection) -> NoReturn:
    """Ping each ``secs``, whatever comes.

    Raises:
        ConnectionLost: the connection ended.
    """
    while True:
        await trio.sleep(secs)
        await _ping(adapter, link)


async def ping_when_quiet(
    secs: float, adapter: Adapter, link: ExchangeConnection, listener: Listener
) -> NoReturn:
    """Ping whenever nothing has come for ``secs``: the answer tells a thin market from a dead connection.

    Raises:
        ConnectionLost: the connection ended.
    """
    while True:
        if trio.current_time() >= listener.heard + secs:
            if not listener.busy:
                await _ping(adapter, link)
            await trio.sleep(secs)
        else:
            await trio.sleep_until(listener.heard + secs)


async def _ping(adapter: Adapter, link: ExchangeConnection) -> None:
    frame = adapter.ping()
    if frame is not None:
        await link.send([frame])
