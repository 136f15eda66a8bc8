"""What makes the connections of all exchanges."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence

import trio

from multilogger.batch import SymbolTable
from multilogger.connection.budget import Budgets
from multilogger.connection.handshake import Endpoint
from multilogger.connection.http import make_tls_context
from multilogger.connection.joined import JoinedLink
from multilogger.connection.link import OpenStream, WebSocketLink
from multilogger.exchanges.base import Adapter, Connector, Exchange, ExchangeConnection
from multilogger.stats import ExchangeStats


def make_connector(
    clock: Callable[[], int],
    *,
    tls: Callable[[], ssl.SSLContext] = make_tls_context,
    open_stream: OpenStream = trio.open_tcp_stream,
    budgets: Budgets | None = None,
    stats: Callable[[str], ExchangeStats] = ExchangeStats,
) -> Connector:
    """Return what makes the connections of all exchanges.

    Args:
        clock: nanoseconds since the epoch.
        tls: makes the TLS context; called once, at the first ``wss://`` connection.
        open_stream: opens transports; the seam for tests.
        budgets: of the process; the connector's own without.
        stats: gives the counters of an exchange, in which its budgets are shown.
    """
    shared_budgets = budgets or Budgets()
    contexts: list[ssl.SSLContext] = []

    def shared_tls() -> ssl.SSLContext:
        # Loading the certificate authorities takes tens of milliseconds.
        if not contexts:
            contexts.append(tls())
        return contexts[0]

    def connector(exchange: Exchange, symbols: Sequence[str]) -> ExchangeConnection:
        def make_adapter() -> Adapter:
            return exchange.create_adapter(SymbolTable(exchange.id), ExchangeStats(exchange.id))

        def make_leg(url: str) -> WebSocketLink:
            host = Endpoint.of(url).host
            return WebSocketLink(
                url,
                symbols,
                make_adapter,
                limits=exchange.limits,
                clock=clock,
                tls=shared_tls,
                open_stream=open_stream,
                budget=shared_budgets.of(exchange.id, exchange.limits, host, stats(exchange.id)),
            )

        legs = [make_leg(url) for url in exchange.endpoints(symbols)]
        return legs[0] if len(legs) == 1 else JoinedLink(legs, exchange.leg, make_adapter, symbols)

    return connector
