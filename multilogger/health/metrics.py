"""The counters as Prometheus metrics, read at the moment of the scrape; ``docs/metrics.md`` lists them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from multilogger import __version__
from multilogger.config import Config
from multilogger.health.families import counter, gauge
from multilogger.health.feed_metrics import feed_metrics
from multilogger.health.judgement import Status, age_secs
from multilogger.health.status import build_status
from multilogger.health.writer_metrics import writer_metrics
from multilogger.stats import ExchangeState, ExchangeStats, LinkState, Stats

_EXCHANGE_COUNTERS: Final = (
    ("messages", "Data frames received."),
    ("bytes", "Payload bytes of the data frames."),
    ("reconnects", "Connections opened again."),
    ("restarts", "Restarts of the exchange after an unexpected error."),
    ("duplicates", "Rows dropped because they had come before."),
)
_LABELLED_COUNTERS: Final = (
    ("rows", "table", "Rows accepted."),
    ("refused", "reason", "Rows and frames refused because of what is in them."),
    ("ignored", "kind", "Frames of a kind that is not recorded."),
)


class StatsCollector(Collector):
    """Turns the plain counters into metrics.

    Args:
        stats: what is exposed.
        config: for the overall status.
        clock: nanoseconds since the epoch.
    """

    def __init__(self, stats: Stats, config: Config, clock: Callable[[], int]) -> None:
        self._stats = stats
        self._config = config
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as of now."""
        now_ns = self._clock()
        exchanges = list(self._stats.exchanges.values())
        yield from _process_metrics(self._stats)
        yield from _status_metrics(self._stats, self._config, now_ns)
        yield from _exchange_metrics(exchanges, now_ns)
        yield from feed_metrics(exchanges)
        yield from _connection_metrics(exchanges, now_ns)
        yield from writer_metrics(self._stats.writer, now_ns)


def make_registry(stats: Stats, config: Config, clock: Callable[[], int]) -> CollectorRegistry:
    """Return a registry of this program's metrics and those of its process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatsCollector(stats, config, clock))
    ProcessCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return all metrics as text, and its content type.

    Args:
        registry: as of :func:`make_registry`.
        accept: the request's ``Accept`` header: OpenMetrics where it is asked for, else Prometheus text.
    """
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _process_metrics(stats: Stats) -> Iterator[Metric]:
    info = gauge("build_info", "Always 1; the labels tell the versions.", "version", "python")
    info.add_metric([__version__, platform.python_version()], 1)
    yield info
    yield gauge(
        "start_time_seconds", "When the logger started, since the epoch.", value=stats.started_ns / 1e9
    )
    yield counter("reloads", "Times that the configuration was reloaded.", value=stats.reloads)
    words = "1 while the last reload has changed nothing, or was taken back."
    yield gauge("reload_problem", words, value=stats.reload_problem != "")


def _status_metrics(stats: Stats, config: Config, now_ns: int) -> Iterator[Metric]:
    report = build_status(stats, config, now_ns, {})
    overall = gauge("status", "1 for the present status of /health, 0 for the others.", "status")
    single = gauge("exchange_status", "The same for each exchange.", "exchange", "status")
    for status in Status:
        overall.add_metric([status.value], report.status is status)
        for name, exchange in report.exchanges.items():
            single.add_metric([name, status.value], exchange.status is status)
    yield overall
    yield single


def _exchange_metrics(exchanges: Iterable[ExchangeStats], now_ns: int) -> Iterator[Metric]:
    for name, words in _EXCHANGE_COUNTERS:
        family = counter(name, words, "exchange")
        for exchange in exchanges:
            family.add_metric([exchange.name], getattr(exchange, name))
        yield family
    for name, label, words in _LABELLED_COUNTERS:
        family = counter(name, words, "exchange", label)
        for exchange in exchanges:
            for key, count in getattr(exchange, name).items():
                family.add_metric([exchange.name, key], count)
        yield family
    yield from _exchange_gauges(exchanges, now_ns)


def _exchange_gauges(exchanges: Iterable[ExchangeStats], now_ns: int) -> Iterator[Metric]:
    state = gauge("exchange_state", "1 for the present state of the exchange.", "exchange", "state")
    missing = gauge("missing_trades", "Trade ids that were skipped and have not come since.", "exchange")
    symbols = gauge("symbols", "Symbols assigned to connections.", "exchange")
    aside = gauge("symbols_set_aside", "Symbols that the exchange rejected.", "exchange")
    age = gauge("last_message_age_seconds", "Time since the newest data frame.", "exchange")
    for exchange in exchanges:
        for known in ExchangeState:
            state.add_metric([exchange.name, known.value], exchange.state is known)
        missing.add_metric([exchange.name], exchange.gaps)
        symbols.add_metric([exchange.name], exchange.symbols)
        aside.add_metric([exchange.name], len(exchange.set_aside))
        if exchange.last_data_ns:
            age.add_metric([exchange.name], age_secs(exchange.last_data_ns, now_ns))
    yield from (state, missing, symbols, aside, age)


def _connection_metrics(exchanges: Iterable[ExchangeStats], now_ns: int) -> Iterator[Metric]:
    labels = ("exchange", "connection")
    state = gauge("connection_state", "1 for the present state of the connection.", *labels, "state")
    messages = counter("connection_messages", "Data frames received.", *labels)
    reconnects = counter("connection_reconnects", "Times the connection was opened again.", *labels)
    renewals = counter("connection_renewals", "Of these, those without an interruption.", *labels)
    symbols = gauge("connection_symbols", "Symbols assigned to the connection.", *labels)
    age = gauge("connection_last_message_age_seconds", "Time since the newest data frame.", *labels)
    for exchange in exchanges:
        for link in exchange.links.values():
            names = [exchange.name, link.name]
            for known in LinkState:
                state.add_metric([*names, known.value], link.state is known)
            messages.add_metric(names, link.messages)
            reconnects.add_metric(names, link.reconnects)
            renewals.add_metric(names, link.renewals)
            symbols.add_metric(names, link.symbols)
            if link.last_data_ns:
                age.add_metric(names, age_secs(link.last_data_ns, now_ns))
    yield from (state, messages, reconnects, renewals, symbols, age)
