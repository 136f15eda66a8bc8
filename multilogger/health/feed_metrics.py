"""The metrics of what keeps the feeds whole: renewals, silent symbols, checks, backfill and allowances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from multilogger.health.families import counter, gauge
from multilogger.stats import BreakerStats, ExchangeStats

_COUNTERS: Final = (
    ("renewals", "renewals", "Connections that were replaced by one that streamed already."),
    ("resubscribes", "resubscribes", "Symbols that were asked for anew because they were silent."),
    ("looks", "looks", "Requests that asked whether a silent symbol trades."),
    ("moves", "moves", "Symbols that were moved to another connection."),
    ("broken_rows", "broken_rows", "Rows that an open breaker set aside."),
    ("backfilled", "backfilled_trades", "Missed trades that were got from the exchange's history."),
    ("given_up", "given_up_trades", "Missed trades that the exchange's history does not give."),
)
_BREAKER_STATES: Final = ("open", "half-open", "closed")
_BUDGET_GAUGES: Final = (
    ("amount", "budget_amount", "What an allowance allows within its span."),
    ("used", "budget_used", "What was used of it within the last span."),
    ("waiting", "budget_waiting", "Who waits for room in it."),
    ("held_back_secs", "budget_held_back_seconds", "For how long the exchange wants to be left alone."),
)


def feed_metrics(exchanges: Iterable[ExchangeStats]) -> Iterator[Metric]:
    """Yield the metrics of some exchanges."""
    exchanges = list(exchanges)
    for field, name, words in _COUNTERS:
        family = counter(name, words, "exchange")
        for exchange in exchanges:
            family.add_metric([exchange.name], getattr(exchange, field))
        yield family
    suspect = counter("suspect_rows", "Rows that were kept, but look wrong.", "exchange", "reason")
    for exchange in exchanges:
        for reason, count in exchange.suspect.items():
            suspect.add_metric([exchange.name, reason], count)
    yield suspect
    yield from _gauges(exchanges)
    yield from _breakers(exchanges)
    yield from _budgets(exchanges)


def _gauges(exchanges: Iterable[ExchangeStats]) -> Iterator[Metric]:
    deaf = gauge("deaf", "Tables of symbols that trade, but bring nothing.", "exchange")
    missing = gauge("trades_to_backfill", "Trades that were missed and may yet be got.", "exchange")
    problem = gauge("backfill_problem", "1 while the history can't be asked.", "exchange")
    for exchange in exchanges:
        deaf.add_metric([exchange.name], len(exchange.deaf))
        missing.add_metric([exchange.name], exchange.missing)
        problem.add_metric([exchange.name], exchange.backfill_problem != "")
    yield from (deaf, missing, problem)


def _breakers(exchanges: Iterable[ExchangeStats]) -> Iterator[Metric]:
    words = "Breakers of symbols' tables that have ever opened, by their present state."
    breakers = gauge("breakers", words, "exchange", "state")
    openings = counter("breaker_openings", "Times that a breaker opened.", "exchange")
    for exchange in exchanges:
        known: list[BreakerStats] = list(exchange.breakers.values())
        states = Counter(breaker.state for breaker in known)
        for state in _BREAKER_STATES:
            breakers.add_metric([exchange.name, state], states[state])
        openings.add_metric([exchange.name], sum(breaker.opened for breaker in known))
    yield from (breakers, openings)


def _budgets(exchanges: Iterable[ExchangeStats]) -> Iterator[Metric]:
    spent = counter("budget_spent", "What was ever used of an allowance.", "exchange", "budget")
    gauges = [(field, gauge(name, words, "exchange", "budget")) for field, name, words in _BUDGET_GAUGES]
    for exchange in exchanges:
        for name, budget in exchange.budgets.items():
            spent.add_metric([exchange.name, name], budget.total)
            for field, family in gauges:
                family.add_metric([exchange.name, name], getattr(budget, field))
    yield spent
    yield from (family for _, family in gauges)
