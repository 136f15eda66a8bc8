"""How a simulated exchange fares: what faults have done to it, and until when."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import attrs
import trio

from multilogger.simulator.alarms import Alarms
from multilogger.simulator.client import Client
from multilogger.simulator.detour import Detour
from multilogger.simulator.rest import Response
from multilogger.simulator.rules import Rules

C = TypeVar("C", bound=Client)

_NANOS: Final = 1_000_000_000


@attrs.define
class RestCondition:
    """What faults have done to the REST side; times are Trio's."""

    slow_until: float = 0.0
    slow_secs: float = 0.0
    """An answer takes so much longer until then."""
    failing_until: float = 0.0
    status: int = 500
    """Of all answers until then."""
    refusing_until: float = 0.0
    """Until then every request that comes is answered as one too many."""
    refusal: int = 429
    retry_after_secs: float | None = None
    """Told with the refusal; None tells nothing."""

    def delay(self) -> float:
        """Return how much longer than usual an answer to a request of now takes, in seconds."""
        return self.slow_secs if trio.current_time() < self.slow_until else 0.0

    def refuse(self, rules: Rules, delay_secs: float) -> Response | None:
        """Return the refusal of a request of now; None if requests are welcome.

        Args:
            rules: know then that the client has been told to wait.
            delay_secs: after which it is answered.
        """
        if trio.current_time() >= self.refusing_until:
            return None
        headers: tuple[tuple[str, str], ...] = ()
        if self.retry_after_secs is not None:
            told = max(1, round(self.retry_after_secs))
            rules.ban(trio.current_time() + told, delay_secs)
            headers = (("Retry-After", str(told)),)
        return Response.of({"message": "too many requests"}, self.refusal, headers)

    def failure(self) -> Response | None:
        """Return what stands for the answer now; None if all is well."""
        if trio.current_time() >= self.failing_until:
            return None
        return Response(self.status, b"<html>the server is not well</html>")


class Condition(Generic[C]):
    """What a fault may set; see :class:`multilogger.simulator.site.Site`."""

    def __init__(self) -> None:
        super().__init__()
        self.stalled_until = self.refusing_until = self.garbled_until = 0.0
        self.silent_ack_until = 0.0
        self.stirred = trio.Event()
        """Set, and then replaced, whenever the market may have to do something sooner than it thought."""
        self.detour: Detour[C] = Detour(self.stir)
        self.alarms = Alarms()
        self.rest = RestCondition()
        self.clock_offset_ns = 0
        """By which the exchange's clock is wrong now."""
        self._wrong_until = 0.0

    def stir(self) -> None:
        """Let the market look anew at what it has to do when."""
        self.stirred.set()
        self.stirred = trio.Event()

    @property
    def silent(self) -> bool:
        """Whether nothing is sent now."""
        return trio.current_time() < self.stalled_until

    @property
    def garbled(self) -> bool:
        """Whether malformed frames stand between the good ones now."""
        return trio.current_time() < self.garbled_until

    def refuses(self) -> bool:
        """Whether new connections are refused now."""
        return trio.current_time() < self.refusing_until

    async def wait_flowing(self) -> None:
        """Wait for the end of a stall."""
        while self.silent:  # noqa: ASYNC110 - a stall ends by the clock, and may be prolonged
            await trio.sleep_until(self.stalled_until)

    def put_clock_wrong(self, secs: float, offset_secs: float) -> None:
        """Let the exchange's clock be wrong for a while, in place of any earlier error."""
        self._wrong_until = trio.current_time() + secs
        self.set_clock(round(offset_secs * _NANOS))
        self.alarms.at(self._wrong_until, self._put_clock_right)

    def _put_clock_right(self) -> None:
        if trio.current_time() >= self._wrong_until:
            self.set_clock(0)

    def set_clock(self, offset_ns: int) -> None:
        """Let the exchange's clock be wrong by so much from now on."""
        self.clock_offset_ns = offset_ns
