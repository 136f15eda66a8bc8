"""Bases and quotes out of venue symbols."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilogger.symbols.instruments import QuoteType
from multilogger.symbols.quotes import QUOTES, quote_type, split_venue_symbol

PAIRS = Path(__file__).with_name("symbols_pairs_2021.txt")
GUESSED_WRONG = {
    "kraken": {"ANTUSD", "BATUSD", "EWTUSD", "GRTUSD", "OXTUSD"},  # all could be of TUSD
    "binance": set[str](),
}


def pairs(exchange: str) -> Iterator[tuple[str, str]]:
    """Give base and quote of all pairs that an exchange listed."""
    for line in PAIRS.read_text(encoding="utf-8").splitlines():
        name, quote, *bases = line.split()
        if name == exchange:
            yield from ((base, quote) for base in bases)


@pytest.mark.parametrize(("exchange", "count"), [("binance", 1405), ("kraken", 293)])
def test_splitting_real_listings(exchange: str, count: int) -> None:
    """Of all names of two real listings only known ones are split wrongly."""
    all_pairs = list(pairs(exchange))
    wrong = {base + quote for base, quote in all_pairs if split_venue_symbol(base + quote) != (base, quote)}
    assert len(all_pairs) == count
    assert wrong == GUESSED_WRONG[exchange]


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("NEWFDUSD", ("NEW", "FDUSD")),
        ("BTCFDUSD", ("BTC", "FDUSD")),
        ("ADAEUR", ("ADA", "EUR")),
        ("AVAXUSD", ("AVAX", "USD")),
        ("PAXGUSD", ("PAXG", "USD")),
        ("BNBUSD", ("BNB", "USD")),
        ("BNBBUSD", ("BNB", "BUSD")),
        ("USDTUSD", ("USDT", "USD")),
        ("TUSDUSDT", ("TUSD", "USDT")),
        ("1INCHBTC", ("1INCH", "BTC")),
        ("BTC-USD", ("BTC", "USD")),
        ("XBT/USD", ("XBT", "USD")),
        ("BTC_USDT", ("BTC", "USDT")),
        ("BAT-USD", ("BAT", "USD")),
        ("PAX-GUSD", ("PAX", "GUSD")),
        ("AAA-BBB", ("AAA", "BBB")),
        ("BTCUSD_PERP", None),
        ("BTCUSDT_240628", None),
        ("BTC-USDT-SWAP", None),
        ("BTC-", None),
        ("-USD", None),
        ("USDT", None),
        ("NOTHING", None),
        ("", None),
    ],
)
def test_splitting(symbol: str, pair: tuple[str, str] | None) -> None:
    """Separators count first, then quotes that leave a known coin, then the longest quote."""
    assert split_venue_symbol(symbol) == pair


@given(st.text(alphabet="ABDEGIORSTUX-/_1", max_size=12))
def test_a_split_loses_nothing(symbol: str) -> None:
    """Base and quote are the whole name but for a separator, and neither is empty."""
    pair = split_venue_symbol(symbol)
    if pair is not None:
        assert all(pair)
        assert symbol in {separator.join(pair) for separator in ("", "-", "/", "_")}


def test_quote_types() -> None:
    """Money is fiat or a stablecoin, in any case of letters; all else is crypto."""
    assert [quote_type(quote) for quote in ("USD", "usdt", "BTC", "NEW")] == [
        QuoteType.FIAT,
        QuoteType.STABLECOIN,
        QuoteType.CRYPTO,
        QuoteType.CRYPTO,
    ]
    assert set(QUOTES.values()) == set(QuoteType)
