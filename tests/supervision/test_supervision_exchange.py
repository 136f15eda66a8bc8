"""What a listing changes: who is asked for, and who is set aside with which words."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from typing import Any, cast

import attrs
import pytest
import trio

from multilogger.batch import Batch, SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.connection.feed import Feed
from multilogger.connection.pool import Pool
from multilogger.errors import StartupError
from multilogger.exchanges.coinbase.exchange import Coinbase, CoinbaseConfig
from multilogger.records import ExchangeId
from multilogger.stats import ExchangeStats
from multilogger.supervision.exchange import NOT_LISTED, follow_listing, note_listing
from multilogger.symbols.instruments import QuoteType, SymbolInfo

WORDS = "Failed to subscribe: OLD-USD is not a valid product"


def listed(*symbols: str, active: bool = True) -> list[SymbolInfo]:
    """Return a listing of dollar markets."""
    return [
        SymbolInfo(
            exchange=ExchangeId.COINBASE,
            symbol=symbol,
            normalized=symbol,
            base=symbol.partition("-")[0],
            quote="USD",
            quote_type=QuoteType.FIAT,
            active=active,
        )
        for symbol in symbols
    ]


class Ledger:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def released(self, symbols: Iterable[str]) -> None:
        """Note it."""
        self._note("released", symbols)

    def not_listed(self, symbols: Iterable[str]) -> None:
        """Note it."""
        self._note("not listed", symbols)

    def halted(self, symbols: Iterable[str]) -> None:
        """Note it."""
        self._note("halted", symbols)

    def listed_again(self, symbols: Iterable[str]) -> None:
        """Note it."""
        self._note("listed", symbols)

    def _note(self, what: str, symbols: Iterable[str]) -> None:
        named = tuple(symbols)
        if named:
            self.told.append((what, *named))


class Bench:
    """An exchange with a pool that is never run: what it would carry can be asked."""

    def __init__(self, symbols: tuple[str, ...], *, room: int = 100) -> None:
        plain = attrs.evolve(
            CoinbaseConfig(), symbols=symbols, symbols_per_connection=room, max_connections=1
        )
        self.exchange = Coinbase(cast("ExchangeConfig", plain))
        self.explicit = [symbol for symbol in symbols if "*" not in symbol]
        self.stats = ExchangeStats("coinbase")
        send, self._receive = trio.open_memory_channel[Batch](1)
        table = SymbolTable(ExchangeId.COINBASE)
        self.ledger = Ledger()
        feed = Feed(
            symbols=table,
            stats=self.stats,
            quality=cast("Any", None),
            coverage=cast("Any", self.ledger),
            calendar=time.time_ns,
            send=send,
        )
        self.pool = Pool(self.exchange, feed, 100, random.Random(1))
        self.pool.update(self.explicit)

    def follow(self, listing: list[SymbolInfo]) -> None:
        """Let a listing arrive."""
        recorded = self.pool.symbols
        follow_listing(self.exchange, self.pool, listing, self.explicit, self.stats)
        note_listing(recorded, self.pool.symbols, listing, self.pool.coverage)

    async def reject(self, symbol: str, words: str) -> None:
        """Let the exchange reject a symbol."""
        await trio.lowlevel.checkpoint()
        self.pool._set_aside.add([symbol], words)

    @property
    def carried(self) -> list[str]:
        """What the connections are to carry."""
        return [symbol for lane in self.pool._lanes for symbol in lane.wanted.symbols]


def test_unlisted_name_is_set_aside() -> None:
    """A name that is not listed, or not trading, is not asked for, and /health says why."""
    bench = Bench(("BTC-USD", "OLD-USD", "XYO-USD"))
    bench.follow([*listed("BTC-USD", "ETH-USD"), *listed("XYO-USD", active=False)])
    assert bench.carried == ["BTC-USD"]
    assert bench.stats.set_aside == {"OLD-USD": NOT_LISTED, "XYO-USD": NOT_LISTED}


async def test_own_words_survive_the_listing() -> None:
    """The words of a rejection are kept beside what the listing says, listing after listing."""
    bench = Bench(("BTC-USD", "OLD-USD"))
    await bench.reject("OLD-USD", WORDS)
    for _ in range(3):
        bench.follow(listed("BTC-USD"))
        assert bench.stats.set_aside == {"OLD-USD": f"{NOT_LISTED}: {WORDS}"}


async def test_rejected_after_the_listing() -> None:
    """A rejection that arrives after the listing replaces our words by the exchange's."""
    bench = Bench(("BTC-USD", "OLD-USD"))
    bench.follow(listed("BTC-USD"))
    await bench.reject("OLD-USD", WORDS)
    assert bench.stats.set_aside == {"OLD-USD": WORDS}


@pytest.mark.parametrize("rejected", [True, False])
async def test_listed_again(rejected: bool) -> None:
    """A symbol that joins the listing is asked for again and no longer set aside."""
    bench = Bench(("BTC-USD", "OLD-USD"))
    if rejected:
        await bench.reject("OLD-USD", WORDS)
    bench.follow(listed("BTC-USD"))
    bench.follow(listed("BTC-USD", "OLD-USD"))
    assert bench.carried == ["BTC-USD", "OLD-USD"]
    assert bench.stats.set_aside == {}


async def test_rejected_though_listed() -> None:
    """A listed symbol that the exchange rejects all the same stays set aside."""
    bench = Bench(("*-USD",))
    bench.follow(listed("BTC-USD", "OLD-USD"))
    await bench.reject("OLD-USD", WORDS)
    bench.follow(listed("BTC-USD", "OLD-USD"))
    assert bench.stats.set_aside == {"OLD-USD": WORDS}


def test_too_many_listed() -> None:
    """A listing that does not fit changes nothing: the error names the numbers."""
    bench = Bench(("BTC-USD", "*-USD"), room=2)
    with pytest.raises(StartupError, match="3 symbols do not fit: 1 connections of at most 2 symbols"):
        bench.follow(listed("BTC-USD", "ETH-USD", "SOL-USD"))
    assert bench.carried == ["BTC-USD"]


def test_the_ledger_hears_of_the_listing() -> None:
    """What is gone from the listing, what stopped trading and what trades again have a word each."""
    bench = Bench(("*-USD",))
    bench.follow(listed("BTC-USD", "ETH-USD", "SOL-USD"))
    bench.ledger.told.clear()
    bench.follow([*listed("BTC-USD"), *listed("ETH-USD", active=False)])
    assert bench.ledger.told == [
        ("released", "ETH-USD", "SOL-USD"),
        ("not listed", "SOL-USD"),
        ("halted", "ETH-USD"),
        ("listed", "BTC-USD"),
    ]
    bench.ledger.told.clear()
    bench.follow(listed("BTC-USD", "ETH-USD"))
    assert bench.ledger.told == [("listed", "BTC-USD", "ETH-USD")]
