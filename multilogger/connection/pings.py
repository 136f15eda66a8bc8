"""Pings of a dialect's own: some exchanges want them now and then, others are asked for a sign of life."""

from __future__ import annotations

from typing import NoReturn

import trio

from multilogger.connection.carriers import Carrier
from multilogger.exchanges.base import Adapter, ExchangeConnection


async def ping_each(secs: float, adapter: Adapter, link: ExchangeConnection) -> NoReturn:
    """Ping each ``secs``, whatever comes.

    Raises:
        ConnectionLost: the connection ended.
    """
    while True:
        await trio.sleep(secs)
        await _ping(adapter, link)


async def ping_when_quiet(secs: float, carrier: Carrier, link: ExchangeConnection) -> NoReturn:
    """Ping whenever nothing has come for ``secs``: the answer tells a thin market from a dead connection.

    Raises:
        ConnectionLost: the connection ended.
    """
    while True:
        if trio.current_time() >= carrier.heard + secs:
            if not carrier.busy:
                await _ping(carrier.adapter, link)
            await trio.sleep(secs)
        else:
            await trio.sleep_until(carrier.heard + secs)


async def _ping(adapter: Adapter, link: ExchangeConnection) -> None:
    frame = adapter.ping()
    if frame is not None:
        await link.send([frame])
