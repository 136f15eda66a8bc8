"""Prometheus metric families under this program's prefix."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from multilogger.stats import DURATION_BOUNDS, Durations

_PREFIX: Final = "multilogger_"


def gauge(name: str, words: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    """Return a gauge; without ``labels`` it has a ``value`` at once."""
    return GaugeMetricFamily(_PREFIX + name, words, value=value, labels=labels or None)


def counter(name: str, words: str, *labels: str, value: float | None = None) -> CounterMetricFamily:
    """Return a counter; without ``labels`` it has a ``value`` at once."""
    return CounterMetricFamily(_PREFIX + name, words, value=value, labels=labels or None)


def histogram(name: str, words: str, durations: Durations) -> HistogramMetricFamily:
    """Return a histogram in seconds."""
    return HistogramMetricFamily(
        _PREFIX + name, words, buckets=list(_buckets(durations)), sum_value=durations.total
    )


def _buckets(durations: Durations) -> Iterator[tuple[str, float]]:
    """Yield each bound with the number of observations up to it, those of smaller buckets included."""
    bounds = (*map(str, DURATION_BOUNDS), "+Inf")
    yield from zip(bounds, accumulate(durations.counts), strict=True)
