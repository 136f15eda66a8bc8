"""Faults of the REST side."""

from __future__ import annotations

import attrs
import trio

from multilogger.simulator.site import Site


@attrs.frozen
class SlowRest:
    """Answers take a while longer."""

    secs: float
    delay: float
    """By which, in seconds."""

    def strike(self, site: Site) -> None:
        """Begin, in place of any slowness before."""
        site.rest.slow_until, site.rest.slow_secs = trio.current_time() + self.secs, self.delay


@attrs.frozen
class FailingRest:
    """All answers are errors of the server."""

    secs: float
    status: int = 500

    def strike(self, site: Site) -> None:
        """Begin, in place of any failure before."""
        site.rest.failing_until, site.rest.status = trio.current_time() + self.secs, self.status


@attrs.frozen
class TooManyRequests:
    """The exchange wants no more requests, however few there were.

    A request that comes before the time told has passed is a violation of the rules, and prolongs it.
    """

    secs: float
    """For so long, whoever asks is told so."""
    status: int = 429
    """Or 418, which is a ban already."""
    retry_after: float | None = 10.0
    """Told with it, in seconds; None tells nothing, and forbids nothing."""

    def strike(self, site: Site) -> None:
        """Begin, in place of any refusal before."""
        rest = site.rest
        rest.refusing_until = trio.current_time() + self.secs
        rest.refusal, rest.retry_after_secs = self.status, self.retry_after
