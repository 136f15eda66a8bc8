"""Refused rows and frames reach the log as one line a minute and reason, whatever their number."""

from __future__ import annotations

from typing import Any, NoReturn

import structlog
import trio

from multilogger.stats import ExchangeStats

INTERVAL_SECS = 60.0


async def report_refusals(stats: ExchangeStats, log: Any = None, interval: float = INTERVAL_SECS) -> NoReturn:
    """Log every ``interval`` seconds, by reason, how much was refused since, with the newest sample.

    Ends by cancellation only, and logs the rest then.

    Args:
        stats: of the exchange; its ``refused`` and ``refused_samples`` are read.
        log: a structlog logger; this module's own if there is none.
        interval: seconds.
    """
    log = structlog.get_logger(__name__) if log is None else log
    reported = dict(stats.refused)
    try:
        while True:
            await trio.sleep(interval)
            reported = _report(stats, reported, log)
    finally:
        _report(stats, reported, log)


def _report(stats: ExchangeStats, reported: dict[str, int], log: Any) -> dict[str, int]:
    refused = dict(stats.refused)
    for reason, count in refused.items():
        new = count - reported.get(reason, 0)
        if new:
            sample = stats.refused_samples.get(reason, "")
            log.warning("refused", exchange=stats.name, reason=reason, count=new, sample=sample)
    return refused
