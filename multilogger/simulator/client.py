"""One open connection, as a simulated exchange sees it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
import trio

from multilogger.simulator.wire import Outbox


@attrs.define(eq=False)
class Client:
    """One open connection, as the exchange sees it."""

    path: str
    """The request target of its handshake."""
    outbox: Outbox
    topics: dict[str, None] = attrs.field(factory=dict)
    """What it has subscribed, in order, in the dialect's spelling."""
    muted: dict[str, float] = attrs.field(factory=dict)
    """Topics that it has subscribed and that bring nothing, until when on Trio's clock."""
    told: set[str] = attrs.field(factory=set)
    """Topics of which it has been sent something at its turn."""
    frozen: bool = False
    """Whether the connection is half-open: neither side hears of the other any more."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Cancelled to end the connection."""
    reset: bool = False
    """Whether it ends by a TCP reset."""
    close_code: int | None = None
    """Of the close frame it ends with; None: there is none."""
    close_reason: str = ""
    leaving: trio.Event = attrs.field(factory=trio.Event)
    spoke: bool = False
    """Whether any message has come from it."""
    requests: deque[float] = attrs.field(factory=deque)
    """Times of its last requests, as many as the limit allows in a second."""
    unsubscribe_all: Callable[[], None] = lambda: None

    def hears(self, topic: str) -> bool:
        """Return whether it has subscribed a topic that brings it something now."""
        return topic in self.topics and self.muted.get(topic, 0.0) <= trio.current_time()

    def mute(self, topic: str, until: float) -> None:
        """Let a topic bring nothing until then, or until it is subscribed anew."""
        self.muted[topic] = max(until, self.muted.get(topic, 0.0))

    def freeze(self) -> None:
        """Leave the connection half-open: it stands until the client leaves, but nothing gets through."""
        self.unsubscribe_all()
        self.frozen = True
        self.outbox.freeze()

    def abort(self, *, reset: bool) -> None:
        """End the connection at once, without a close frame; what waits to be sent is lost."""
        if self.frozen:
            return  # Not even the end of it would get through.
        self.unsubscribe_all()
        self.reset = reset
        self.outbox.close()
        self.scope.cancel()

    def leave(self, code: int | None, reason: str = "") -> None:
        """Send what waits, then close; without a close frame if ``code`` is None."""
        if self.frozen:
            return
        self.unsubscribe_all()
        self.close_code, self.close_reason = code, reason
        self.leaving.set()
