"""What an exchange states of itself: limits, endpoints, legs, pings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
from contract_feeding import Fed, made
from contract_marks import by_exchange
from contract_subject import Subject

from multilogger.exchanges.base import Allowance, Exchange, TradeHistory, TradeIds

MANY = 300
"""Symbols, more than one request of most exchanges takes."""


def ways(subject: Subject) -> Iterator[Exchange]:
    """Give the exchange with each of the options that its fixtures have."""
    seen: list[Any] = []
    for options in ({}, *(case.options for case in subject.cases)):
        if options not in seen:
            seen.append(options)
            yield made(subject.kind, options)


@by_exchange
def test_limits_are_sane(subject: Subject) -> None:
    """Allowances are of something, in some time; a connection lives long enough to be of use."""
    limits = subject.kind.limits
    allowances: list[Allowance] = [
        *limits.connects,
        *limits.rest,
        *limits.messages_per_connection,
        *limits.messages_per_host,
    ]
    assert limits.connects
    assert limits.rest
    assert all(it.amount >= 1 and it.secs > 0 for it in allowances)
    assert 0 < limits.messages_per_second <= 1000
    assert limits.symbols_per_connection >= 1
    assert limits.max_message_bytes >= 64 * 1024
    assert limits.lifetime_secs is None or limits.lifetime_secs >= 600


@by_exchange
def test_pings(subject: Subject) -> None:
    """Of an exchange that is pinged it is said how often, or when; its adapter has pings, and only then."""
    limits, adapter = subject.kind.limits, Fed(made(subject.kind), ()).adapter
    ping = adapter.ping()
    assert (ping is not None) == (limits.ping_secs is not None or limits.pings_when_quiet)
    assert ping != ""
    if limits.ping_secs is not None:
        assert 1 <= limits.ping_secs <= 300
        assert not limits.pings_when_quiet, "what is pinged in any case needs no more"


@by_exchange
def test_configuration_stays_within_the_limits(subject: Subject) -> None:
    """What an exchange allows is not exceeded by its default configuration."""
    config, limits = made(subject.kind).config, subject.kind.limits
    assert config.symbols_per_connection <= limits.symbols_per_connection
    assert config.rest_endpoint.startswith("https://")


@by_exchange
def test_endpoints(subject: Subject) -> None:
    """The endpoint is the first of the endpoints, each of them is encrypted, and no two are the same."""
    for exchange in ways(subject):
        endpoints = exchange.endpoints(subject.symbols)
        assert endpoints[0] == exchange.endpoint(subject.symbols)
        assert len(set(endpoints)) == len(endpoints)
        assert all(urlsplit(url).scheme == "wss" and urlsplit(url).hostname for url in endpoints)


@by_exchange
def test_endpoints_follow_the_configuration(subject: Subject) -> None:
    """A configured host is the one that is connected to, by all legs."""
    config = attrs.evolve(made(subject.kind).config, ws_endpoint="ws://127.0.0.1:9")
    for url in subject.kind(config).endpoints(subject.symbols):
        assert urlsplit(url)[:2] == ("ws", "127.0.0.1:9")


@by_exchange
def test_legs(subject: Subject) -> None:
    """Every frame that an adapter wants sent has a leg, or goes on all of them; no leg is without any."""
    symbols = [f"{symbol}{number or ''}" for number in range(MANY) for symbol in subject.symbols][:MANY]
    for exchange in ways(subject):
        legs = range(len(exchange.endpoints(symbols)))
        fed = Fed(exchange, symbols)
        subscribed = {exchange.leg(frame) for frame in fed.requests}
        assert subscribed == set(legs)
        assert {exchange.leg(frame) for frame in fed.adapter.unsubscribe(symbols)} <= set(legs)
        ping = fed.adapter.ping()
        assert ping is None or exchange.leg(ping) in {*legs, None}


@by_exchange
def test_requests_are_text(subject: Subject) -> None:
    """Requests name the symbols that they are about, and each symbol is asked for."""
    fed = Fed(made(subject.kind), subject.symbols)
    asked = " ".join(fed.requests).lower()
    assert {symbol for symbol in subject.symbols if symbol.lower() not in asked} == set()


@by_exchange
def test_history_is_stated(subject: Subject) -> None:
    """What the exchange says of its ids and its history fits together."""
    for exchange in ways(subject):
        assert isinstance(exchange.trade_ids, TradeIds)
        assert exchange.history is None or isinstance(exchange.history, TradeHistory)
        if exchange.trade_ids is TradeIds.SUSPECTED:
            # Only a history can settle what is suspected.
            assert exchange.history is not None
            assert exchange.history.by_id
        if exchange.history is not None:
            assert exchange.history.page >= 1
            assert exchange.history.max_age_secs is None or exchange.history.max_age_secs > 0


@by_exchange
def test_without_services_it_parses_but_does_not_connect(subject: Subject) -> None:
    """Connecting without services is a mistake of the caller, and says so."""
    with pytest.raises(RuntimeError, match="can parse, but not connect"):
        made(subject.kind).create_connection(subject.symbols)
