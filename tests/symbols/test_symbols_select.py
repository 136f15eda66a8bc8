"""Which symbols the patterns of the configuration choose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from symbols_samples import listed, mapper_of

from multilogger.connection.pool import Pool
from multilogger.exchanges.binance.spot import Binance, BinanceConfig
from multilogger.records import ExchangeId
from multilogger.stats import ExchangeStats
from multilogger.supervision.exchange import follow_listing
from multilogger.symbols.select import explicit_symbols, select_symbols

LISTED = [
    listed("binance", "ETHUSDT", "ETH", "USDT"),
    listed("binance", "BTCUSDT", "BTC", "USDT"),
    listed("binance", "BTCEUR", "BTC", "EUR"),
    listed("binance", "OLDUSDT", "OLD", "USDT", active=False),
]


class Venue:
    """An exchange whose names have no separator."""

    id = ExchangeId("binance")

    def venue_symbol(self, normalized: str) -> str:
        """Return the name without its dash."""
        return normalized.replace("-", "")


class NotedPool(Pool):
    """A pool that only notes what it is told to record."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    def update(self, symbols: Sequence[str]) -> list[str]:
        """Note the symbols; there is room for all."""
        self.told.append(list(symbols))
        return []


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["*"], ["ETHUSDT", "BTCUSDT", "BTCEUR"]),
        ([], []),
        (["BTC-EUR", "ETHUSDT"], ["ETHUSDT", "BTCEUR"]),
        (["BTC-*"], ["BTCUSDT", "BTCEUR"]),
        (["?TC*", "!*EUR"], ["BTCUSDT"]),
        (["!BTC-USDT", "*"], ["ETHUSDT", "BTCEUR"]),
        (["BTCUSDT", "!BTCUSDT"], []),
        (["!ETH*"], ["BTCUSDT", "BTCEUR"]),
        (["!ETH*", "!BTC-EUR"], ["BTCUSDT"]),
        (["OLDUSDT", "NONE", "BTC"], []),
        (["[AB]*"], ["BTCUSDT", "BTCEUR"]),
        (["btcusdt"], []),
    ],
)
def test_selecting(patterns: list[str], chosen: list[str]) -> None:
    """Names and globs of both spellings choose active symbols in the listing's order."""
    assert select_symbols(patterns, LISTED) == chosen


@pytest.mark.parametrize(
    ("patterns", "symbols"),
    [
        (["BTC-USD"], ["BTCUSDT"]),
        (["BTC-USD", "BTCUSDT", "BTC-USDT"], ["BTCUSDT"]),
        (["NEW-USDT", "*", "A?"], ["NEWUSDT"]),
        (["BTCUSDT", "!BTC-USDT"], []),
        (["BTCUSDT", "NEWUSDT", "!NEW-*"], ["BTCUSDT"]),
        (["BTC-USD", "!BTC-USD"], []),
        (["BTC-USD", "!*USDT"], []),
        (["!BTCUSDT"], []),
        (["NOTHING", "!OTHER"], ["NOTHING"]),
    ],
)
def test_explicit_names(tmp_path: Path, patterns: list[str], symbols: list[str]) -> None:
    """Names are known before any listing, and excluded by either spelling."""
    assert explicit_symbols(patterns, Venue(), mapper_of(tmp_path)) == symbols


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (("BTC-USD",), ["BTCUSDT"]),
        (("BTC-USD", "BTC-EUR"), ["BTCUSDT", "BTCEUR"]),
        (("BTC-USD", "!BTC-USDT"), []),
        (("BTC-USD", "!BTC-USD"), []),
        (("!ETH*",), ["BTCUSDT", "BTCEUR"]),
    ],
)
def test_a_listing_keeps_what_was_started_by_name(
    tmp_path: Path, patterns: tuple[str, ...], chosen: list[str]
) -> None:
    """A symbol that an equivalent name asks for is recorded after the listing as it was before."""
    exchange = Binance(BinanceConfig(symbols=patterns), None)
    explicit = explicit_symbols(patterns, exchange, mapper_of(tmp_path))
    pool, stats = NotedPool(), ExchangeStats("binance")
    follow_listing(exchange, pool, LISTED, explicit, stats)
    assert set(explicit) <= set(chosen)
    assert (pool.told, stats.set_aside) == ([chosen], {})


def test_a_name_that_is_not_listed_is_set_aside(tmp_path: Path) -> None:
    """What the listing lacks or does not trade is no longer wanted, and told."""
    exchange = Binance(BinanceConfig(symbols=("OLDUSDT", "BTC-USD", "NEW-USD")), None)
    explicit = explicit_symbols(exchange.config.symbols, exchange, mapper_of(tmp_path))
    pool, stats = NotedPool(), ExchangeStats("binance")
    follow_listing(exchange, pool, LISTED, explicit, stats)
    assert pool.told == [["BTCUSDT"]]
    assert set(stats.set_aside) == {"OLDUSDT", "NEWUSD"}


def test_hundreds_of_names_are_quick() -> None:
    """The event loop waits for this: a whole exchange by name takes well under a tenth of a second."""
    big = [listed("binance", f"A{number}USDT", f"A{number}", "USDT") for number in range(2000)]
    patterns = [info.symbol for info in big]
    began = time.perf_counter()
    assert select_symbols([*patterns, "B*", "!A1999USDT"], big) == patterns[:-1]
    assert time.perf_counter() - began < 0.5
