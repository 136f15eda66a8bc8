"""What is true of the data now, judged from counters alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from multilogger import __version__
from multilogger.config import Config
from multilogger.health.exchanges import ExchangeHealth, judge_exchange
from multilogger.health.judgement import Status, age_secs, iso_time
from multilogger.health.writer import WriterHealth, judge_writer
from multilogger.stats import ExchangeState, ExchangeStats, Stats

NO_DATA_SECS: Final = 30.0
"""Without data from any exchange for longer than this, the process is unhealthy; also its time to start."""


@attrs.frozen(kw_only=True)
class HealthReport:
    """All of ``/health``."""

    status: Status
    reasons: tuple[str, ...]
    """Why it is not healthy, a line each."""
    started_ns: int
    uptime_secs: float
    reloads: int
    reload_problem: str
    """Why the last reload of the configuration changed nothing, or was taken back; empty if it went well."""
    exchanges: dict[str, ExchangeHealth]
    writer: WriterHealth

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "status": self.status.value,
            "reasons": list(self.reasons),
            "version": __version__,
            "started": iso_time(self.started_ns),
            "uptime_secs": round(self.uptime_secs, 1),
            "reload": {"count": self.reloads, "problem": self.reload_problem},
            "exchanges": {name: exchange.to_json() for name, exchange in self.exchanges.items()},
            "writer": self.writer.to_json(),
        }


def build_status(stats: Stats, config: Config, now_ns: int, rates: Mapping[str, float]) -> HealthReport:
    """Judge the process.

    Args:
        stats: all counters.
        config: which exchanges are to run, and when data is stale.
        now_ns: nanoseconds since the epoch.
        rates: messages a second by exchange, as :meth:`RateMeter.rates` gives them.
    """
    names = dict.fromkeys([name for name, exchange in config.exchanges.items() if exchange.enabled])
    counters = {name: stats.exchanges.get(name) or ExchangeStats(name) for name in [*names, *stats.exchanges]}
    writer = judge_writer(stats.writer, config, now_ns)
    # After a pause everything connects anew: that is a start, too.
    began_ns = max(stats.started_ns, stats.resumed_ns)
    starting = bool(writer.paused) or now_ns - began_ns <= NO_DATA_SECS * 1e9
    exchanges = {
        name: judge_exchange(
            exchange, config.health.stale_secs, now_ns, rates.get(name, 0.0), starting=starting
        )
        for name, exchange in counters.items()
    }
    newest = max((exchange.last_data_ns for exchange in counters.values()), default=0)
    silence = 0.0 if writer.paused else age_secs(max(newest, began_ns), now_ns)
    status, reasons = _overall(exchanges, writer, stats.reload_problem, silence)
    return HealthReport(
        status=status,
        reasons=tuple(reasons),
        started_ns=stats.started_ns,
        uptime_secs=max(0, now_ns - stats.started_ns) / 1e9,
        reloads=stats.reloads,
        reload_problem=stats.reload_problem,
        exchanges=exchanges,
        writer=writer,
    )


def _overall(
    exchanges: Mapping[str, ExchangeHealth], writer: WriterHealth, reload_problem: str, silence_secs: float
) -> tuple[Status, list[str]]:
    reasons = [
        f"{name}: {exchange.detail}"
        for name, exchange in exchanges.items()
        if exchange.detail and not (writer.paused and exchange.state is ExchangeState.PAUSED)
    ]
    reasons += writer.problems
    if reload_problem:
        reasons.append(f"configuration not reloaded: {reload_problem}")
    if not exchanges:
        reasons.append("no exchange is enabled")
    if silence_secs > NO_DATA_SECS:
        reasons.append(f"no data from any exchange for {silence_secs:.0f} s")
    if silence_secs > NO_DATA_SECS or writer.status is Status.UNHEALTHY:
        return Status.UNHEALTHY, reasons
    return (Status.DEGRADED if reasons else Status.HEALTHY), reasons
