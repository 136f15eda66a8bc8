"""A session in a task of its own."""

from __future__ import annotations

import random

import trio
from connection_peer import Peer, Rig, until

from multilogger.connection.session import Session
from multilogger.connection.wanted import SetAside, Wanted
from multilogger.errors import (
    FeedError,
)
from multilogger.stats import LinkState, LinkStats


class Run:
    """A session in a task of its own, and how it ended."""

    def __init__(self, rig: Rig, symbols: tuple[str, ...] = ("A", "B"), buffer_size: int = 1000) -> None:
        self.rig = rig
        self.wanted = Wanted(symbols)
        self.set_aside = SetAside(rig.stats)
        self.stats = LinkStats("words-0")
        self.ended: FeedError | None = None
        self.scope = trio.CancelScope()
        self.session = Session(
            rig.exchange,
            rig.feed,
            self.wanted,
            set_aside=self.set_aside,
            stats=self.stats,
            buffer_size=buffer_size,
            chance=random.Random(1),
        )

    async def go(self) -> None:
        """Run to the end."""
        with self.scope:
            try:
                await self.session.run()
            except FeedError as error:
                self.ended = error

    async def streaming(self, nursery: trio.Nursery) -> Peer:
        """Start, and wait until all is confirmed."""
        nursery.start_soon(self.go)
        await until(lambda: self.stats.state is LinkState.STREAMING)
        return await self.rig.venue.peer(0)
