"""The mapper: names of the same thing, before and after listings."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import attrs
import pytest
from symbols_samples import MAPPING, RULES, listed, mapper_of

from multilogger.errors import UnknownSymbol
from multilogger.symbols.instruments import AssetClass, QuoteType, SymbolInfo

PERPETUALS = """\
symbol_mappings:
  - {normalized: BTC-USD, base: BTC, quote: USD, quote_type: fiat, exchanges: {okx: BTC-USDT}}
  - {normalized: BTC-USDT-PERP, base: BTC, quote: USDT, quote_type: stablecoin, asset_class: perpetual,
     exchanges: {usdm: BTCUSDT, okx: BTC-USDT-SWAP}}
  - {normalized: "BTC-USD:USD-PERP", base: BTC, quote: USD, quote_type: fiat, asset_class: perpetual,
     exchanges: {kraken_futures: PF_XBTUSD}}
"""
COINBASE = [listed("coinbase", "BTC-USD", "BTC", "USD"), listed("coinbase", "ETH-BTC", "ETH", "BTC")]
BINANCE = [listed("binance", "BTCUSDT", "BTC", "USDT"), listed("binance", "ETHBTC", "ETH", "BTC")]
KRAKEN = [listed("kraken", "XBTUSD", "XBT", "USD"), listed("kraken", "XBTEUR", "XBT", "EUR")]


def names(infos: Iterable[SymbolInfo]) -> list[str]:
    """Return instruments as ``exchange:SYMBOL``."""
    return [f"{info.exchange}:{info.symbol}" for info in infos]


@pytest.mark.parametrize(
    ("exchange", "symbol", "normalized"),
    [
        ("coinbase", "BTC-USD", "BTC-USD"),
        ("binance", "BTCUSDT", "BTC-USDT"),
        ("binance", "ETHUSDT", "ETH-USDT"),
        ("binance", "ETHBUSD", "ETH-BUSD"),
        ("kraken", "XBTUSD", "BTC-USD"),
    ],
)
def test_normalize_by_the_file(tmp_path: Path, exchange: str, symbol: str, normalized: str) -> None:
    """A symbol has the name of its true quote, whatever it is listed under."""
    assert mapper_of(tmp_path).normalize(exchange, symbol) == normalized


@pytest.mark.parametrize(
    ("symbol", "normalized"),
    [("BATUSD", "BAT-USD"), ("BAT/USD", "BAT-USD"), ("XXBATZUSD", "BAT-USD"), ("batusd", "BAT-USD")],
)
def test_an_entry_beats_the_guess(tmp_path: Path, symbol: str, normalized: str) -> None:
    """BATUSD alone could be BA in TUSD; the entry's base and quote say what it is."""
    text = (
        "symbol_mappings: [{normalized: BAT-USD, base: BAT, quote: USD, quote_type: fiat,"
        f" exchanges: {{kraken: {symbol}}}}}]"
    )
    assert mapper_of(tmp_path, text).normalize("kraken", symbol) == normalized


def test_a_name_without_a_quote_is_its_entry(tmp_path: Path) -> None:
    """Where a venue's symbol tells no quote, the entry does."""
    text = (
        "symbol_mappings: [{normalized: BTC-EUR, base: BTC, quote: EUR, quote_type: fiat,"
        " exchanges: {kraken: '1001'}}]"
    )
    assert mapper_of(tmp_path, text).normalize("kraken", "1001") == "BTC-EUR"


def test_the_listing_decides(tmp_path: Path) -> None:
    """A listed symbol is what the exchange says; unknown ones are refused."""
    mapper = mapper_of(tmp_path)
    mapper.add([listed("binance", "NEWABC", "NEW", "ABC")])
    assert mapper.normalize("binance", "NEWABC") == "NEW-ABC"
    assert mapper.to_exchange("NEW-ABC", "binance") == "NEWABC"
    with pytest.raises(UnknownSymbol, match="okx lists no NEWABC"):
        mapper.normalize("okx", "NEWABC")
    with pytest.raises(UnknownSymbol, match="okx has no NEW-ABC"):
        mapper.to_exchange("NEW-ABC", "okx")


def test_to_exchange(tmp_path: Path) -> None:
    """The mapped equivalent is the venue symbol; true names work too, also of second symbols."""
    mapper = mapper_of(tmp_path)
    assert mapper.to_exchange("BTC-USD", "binance") == "BTCUSDT"
    assert mapper.to_exchange("BTC-USDT", "binance") == "BTCUSDT"
    assert mapper.to_exchange("ETH-USD", "binance") == "ETHUSDT"
    assert mapper.to_exchange("ETH-BUSD", "binance") == "ETHBUSD"


def test_to_exchange_with_a_listing(tmp_path: Path) -> None:
    """What is listed under a name goes before an equivalent; what is not listed is no answer."""
    mapper = mapper_of(tmp_path)
    mapper.add([listed("binance", "BTCUSDT", "BTC", "USDT"), listed("binance", "ETHBUSD", "ETH", "BUSD")])
    assert mapper.to_exchange("BTC-USD", "binance") == "BTCUSDT"
    assert mapper.to_exchange("ETH-USD", "binance") == "ETHBUSD"  # the second one: the first is not listed
    with pytest.raises(UnknownSymbol, match="binance has no ETH-USDT"):
        mapper.to_exchange("ETH-USDT", "binance")
    mapper.add([listed("binance", "BTCUSDT", "BTC", "USDT"), listed("binance", "BTCUSD", "BTC", "USD")])
    assert mapper.to_exchange("BTC-USD", "binance") == "BTCUSD"
    assert mapper.to_exchange("BTC-USDT", "binance") == "BTCUSDT"


def test_perpetuals(tmp_path: Path) -> None:
    """An entry may be of perpetuals: they are named, found and told from spot, listed or not."""
    mapper = mapper_of(tmp_path, PERPETUALS + RULES)
    perpetual = listed("usdm", "BTCUSDT", "BTC", "USDT", asset_class=AssetClass.PERPETUAL)
    for _ in range(2):
        assert mapper.to_exchange("BTC-USDT-PERP", "usdm") == "BTCUSDT"
        assert mapper.to_exchange("BTC-USDT-PERP", "okx") == "BTC-USDT-SWAP"
        assert mapper.to_exchange("BTC-USD", "okx") == "BTC-USDT"
        assert mapper.normalize("okx", "BTC-USDT-SWAP") == "BTC-USDT-PERP"
        assert mapper.normalize("kraken_futures", "PF_XBTUSD") == "BTC-USD:USD-PERP"
        assert mapper.normalize("usdm", "BTCUSDT") == "BTC-USDT-PERP"
        related = mapper.find_related("BTC-USDT-PERP")
        assert set(names(related)) == {"usdm:BTCUSDT", "okx:BTC-USDT-SWAP", "kraken_futures:PF_XBTUSD"}
        assert {info.asset_class for info in related} == {AssetClass.PERPETUAL}
        assert mapper.are_equivalent("BTC-USDT-SWAP", "BTC-USD:USD-PERP")
        assert mapper.are_equivalent("BTC-USDT-SWAP", "BTC-USDC-PERP")  # known by its form alone
        assert not mapper.are_equivalent("BTC-USDT-SWAP", "BTC-USDC")
        mapper.add([attrs.evolve(perpetual, normalized="BTC-USDT-PERP")])


def test_a_contract_takes_the_mapped_name_of_its_asset(tmp_path: Path) -> None:
    """A listing that says XBT is corrected in the names of contracts too."""
    mapper = mapper_of(tmp_path, PERPETUALS + RULES)
    odd = listed("kraken_futures", "PF_XBTUSD", "XBT", "USD", asset_class=AssetClass.PERPETUAL)
    mapper.add([attrs.evolve(odd, normalized="XBT-USD:USD-PERP")])
    assert mapper.normalize("kraken_futures", "PF_XBTUSD") == "BTC-USD:USD-PERP"
    mapper.add([attrs.evolve(odd, normalized="PF_XBTUSD")])
    assert mapper.normalize("kraken_futures", "PF_XBTUSD") == "PF_XBTUSD"


def test_a_venues_own_name_of_an_asset_is_the_mapped_one(tmp_path: Path) -> None:
    """Kraken's XBTUSD, listed with the base XBT, is BTC-USD as the mapping says."""
    mapper = mapper_of(tmp_path)
    mapper.add([*COINBASE, *BINANCE, *KRAKEN])
    assert mapper.normalize("kraken", "XBTUSD") == "BTC-USD"
    assert mapper.to_exchange("BTC-USD", "kraken") == "XBTUSD"
    assert mapper.to_exchange("XBT-USD", "kraken") == "XBTUSD"
    assert names(mapper.find_related("BTC-USD")) == ["coinbase:BTC-USD", "binance:BTCUSDT", "kraken:XBTUSD"]
    assert mapper.equivalents(BINANCE[0]) == ["coinbase:BTC-USD", "kraken:XBTUSD"]
    assert mapper.are_equivalent("XBTUSD", "BTCUSDT")
    assert mapper.normalize("kraken", "XBTEUR") == "XBT-EUR"  # stands under no entry


def test_equivalence(tmp_path: Path) -> None:
    """One base in quotes of one group is one thing; other quotes and kinds are others."""
    mapper = mapper_of(tmp_path)
    perpetual = listed("okx", "BTC-USDT-SWAP", "BTC", "USDT", asset_class=AssetClass.PERPETUAL)
    mapper.add([*COINBASE, *BINANCE, perpetual])
    assert mapper.are_equivalent("BTC-USD", "BTCUSDT")
    assert mapper.are_equivalent("ETH-BTC", "ETHBTC")
    assert not mapper.are_equivalent("BTC-USD", "BTC-EUR")
    assert not mapper.are_equivalent("BTC-USD", "ETH-USD")
    assert not mapper.are_equivalent("BTC-USDT-SWAP", "BTC-USDT")
    assert mapper.equivalents(perpetual) == []


def test_equivalence_without_groups(tmp_path: Path) -> None:
    """A symbol under two entries is equivalent to both without any rule; the two are not to each other."""
    mapper = mapper_of(tmp_path, MAPPING)
    for _ in range(2):
        assert mapper.are_equivalent("BTCUSDT", "BTC-USD")
        assert mapper.are_equivalent("BTCUSDT", "BTC-USDT")
        assert not mapper.are_equivalent("BTC-USD", "ETH-USD")
        mapper.add([*COINBASE, *BINANCE])
    assert mapper.equivalents(COINBASE[0]) == ["binance:BTCUSDT", "kraken:XBTUSD"]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("BTC-USD", "BTCUSDT", True),
        ("XBTUSD", "BTCUSDT", True),
        ("ETHBUSD", "ETH-USD", True),
        ("NEW-USD", "NEWUSDT", True),
        ("NEW-USD", "NEW/USDC", True),
        ("NEW-USD", "NEWEUR", False),
        ("NEW", "NEW", True),
        ("NEW", "OLD", False),
    ],
)
def test_equivalence_before_a_listing(tmp_path: Path, first: str, second: str, same: bool) -> None:
    """The file and the names themselves tell as much as they can."""
    mapper = mapper_of(tmp_path)
    assert mapper.are_equivalent(first, second) is same
    assert mapper.are_equivalent(second, first) is same


def test_related_before_a_listing(tmp_path: Path) -> None:
    """Mapped symbols of exchanges without a listing are known by name, and not as active."""
    mapper = mapper_of(tmp_path)
    related = mapper.find_related("BTC-USD")
    assert names(related) == ["coinbase:BTC-USD", "binance:BTCUSDT", "kraken:XBTUSD", "coinbase:BTC-USDT"]
    assert not any(info.active for info in related)
    by_name = {info.symbol: info for info in related}
    assert (by_name["XBTUSD"].base, by_name["XBTUSD"].normalized) == ("BTC", "BTC-USD")
    assert (by_name["BTCUSDT"].quote, by_name["BTCUSDT"].quote_type) == ("USDT", QuoteType.STABLECOIN)
    assert mapper.get_usd_pairs() == []
    mapper.add(BINANCE)
    assert names(mapper.find_related("BTC-USD"))[0] == "binance:BTCUSDT"
    assert mapper.find_related("BTC-USD")[0].active
    assert names(mapper.find_related("ETHBUSD")) == ["coinbase:ETH-USD"]  # Binance lists it no more


def test_listings_are_replaced(tmp_path: Path) -> None:
    """A newer listing replaces an exchange's older one, and no other's; it may be empty."""
    mapper = mapper_of(tmp_path)
    mapper.add([*COINBASE, *BINANCE])
    mapper.add([listed("binance", "NEWUSDT", "NEW", "USDT")])
    assert names(mapper.get_usd_pairs()) == ["coinbase:BTC-USD", "binance:NEWUSDT"]
    mapper.replace("binance", [])
    assert names(mapper.get_usd_pairs()) == ["coinbase:BTC-USD"]
    assert names(mapper.find_related("BTC-USDT")) == ["coinbase:BTC-USD", "kraken:XBTUSD"]
    assert mapper.find_related("NEWUSDT") == []
    mapper.replace("kraken", [])
    assert mapper.are_equivalent("XBTUSD", "BTC-USD")  # delisted, but the file still tells what it was
    mapper.replace("binance", BINANCE)
    assert names(mapper.find_related("ETH-BTC")) == ["coinbase:ETH-BTC", "binance:ETHBTC"]
    with pytest.raises(ValueError, match="instruments of coinbase in the listing of binance"):
        mapper.replace("binance", COINBASE)


def test_usd_pairs_are_active_ones(tmp_path: Path) -> None:
    """Dollars are what the group says; what is not traded is left out."""
    mapper = mapper_of(tmp_path)
    mapper.add(
        [*COINBASE, *BINANCE, listed("okx", "A-USDC", "A", "USDC"), listed("okx", "A-EUR", "A", "EUR")]
    )
    mapper.add([listed("bybit", "AUSDT", "A", "USDT", active=False)])
    assert names(mapper.get_usd_pairs()) == ["coinbase:BTC-USD", "binance:BTCUSDT", "okx:A-USDC"]


def test_big_listings_are_not_searched_through(tmp_path: Path) -> None:
    """Looking up all of 4,000 symbols takes about as long per symbol as in a small listing."""
    mapper = mapper_of(tmp_path)
    big = [listed("binance", f"A{number}USDT", f"A{number}", "USDT") for number in range(3000)]
    big += [listed("coinbase", f"A{number}-USD", f"A{number}", "USD") for number in range(1000)]
    mapper.add(big)
    began = time.perf_counter()
    for info in big:
        mapper.equivalents(info)
        mapper.find_related(info.symbol)
        mapper.to_exchange(info.normalized, info.exchange)
    assert time.perf_counter() - began < 2  # a search takes 20 s
    assert mapper.equivalents(big[0]) == ["coinbase:A0-USD"]
