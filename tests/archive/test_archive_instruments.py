"""What the reader tells of listings at any time, and of sizes that are counted in contracts."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
from archive_listings import record

from multilogger.archive.contracts import base_sizes
from multilogger.archive.instruments import exchanges_with_history
from multilogger.archive.reader import Archive, Rows, open_archive
from multilogger.errors import ArchiveError, UnknownSymbol
from multilogger.records import ExchangeId
from multilogger.storage.layout import Paths
from multilogger.symbols.changes import changes_between
from multilogger.symbols.instruments import AssetClass, QuoteType, SymbolInfo

SECOND = 10**9
DAY_1, DAY_2, DAY_3 = (day * 86_400 * SECOND for day in (20_000, 20_001, 20_002))
BTC = SymbolInfo(
    exchange=ExchangeId.KRAKEN,
    symbol="BTC/USD",
    normalized="BTC-USD",
    base="BTC",
    quote="USD",
    quote_type=QuoteType.FIAT,
    tick_size=0.1,
)
ETH = attrs.evolve(BTC, symbol="ETH/USD", normalized="ETH-USD", base="ETH")
INVERSE = attrs.evolve(
    BTC,
    symbol="PI_XBTUSD",
    normalized="BTC-USD-PERP",
    asset_class=AssetClass.PERPETUAL,
    contract_size=1.0,
    contract_unit="USD",
)
LISTINGS = {
    DAY_1: [BTC, ETH],
    DAY_2: [attrs.evolve(BTC, tick_size=0.5), INVERSE],
    DAY_3: [attrs.evolve(BTC, tick_size=0.5), attrs.evolve(INVERSE, contract_size=10.0)],
}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An archive whose one exchange has three listings."""
    record(tmp_path, "kraken", LISTINGS)
    return open_archive(tmp_path)


def test_instruments_of_a_time(archive: Archive) -> None:
    """The listing that was the newest then; without a time the last."""
    assert archive.instruments("kraken", DAY_1) == LISTINGS[DAY_1]
    assert archive.instruments("kraken", "2024-10-04T23:59:59.999999999Z") == LISTINGS[DAY_1]
    assert archive.instruments("kraken", "2024-10-05") == LISTINGS[DAY_2]
    assert archive.instruments("kraken") == LISTINGS[DAY_3]
    assert exchanges_with_history(archive.data) == ["kraken"]


@pytest.mark.parametrize("name", ["BTC/USD", "BTC-USD", "BTC_USD", "BTC%2FUSD"])
def test_an_instrument_by_any_of_its_names(archive: Archive, name: str) -> None:
    """Its symbol, its normalized name, or its directory's."""
    then, now = archive.instrument("kraken", name, DAY_1), archive.instrument("kraken", name)
    assert then == BTC
    assert now == attrs.evolve(BTC, tick_size=0.5)
    assert len(archive.instrument_changes("kraken", name)) == 2


def test_what_is_not_listed(archive: Archive) -> None:
    """Not then, or never: nothing; but before the first listing nobody knows."""
    assert archive.instrument("kraken", "ETH/USD", DAY_2) is None
    assert archive.instrument("kraken", "XYZ/USD") is None
    with pytest.raises(ArchiveError, match=r"of what kraken listed before 2024-10-04T00:00:00\.000000000Z$"):
        archive.instruments("kraken", DAY_1 - 1)
    with pytest.raises(ArchiveError, match=r"of what kraken listed before"):
        archive.instrument("kraken", "BTC/USD", DAY_1 - 1)
    with pytest.raises(ArchiveError, match=r"no instrument history of 'okx' in .*: there is one of kraken"):
        archive.instruments("okx")


def test_without_a_history(tmp_path: Path) -> None:
    """An archive of an older version has none; an empty one tells nothing."""
    archive = open_archive(tmp_path)
    with pytest.raises(ArchiveError, match="there is none of any exchange"):
        archive.instruments("kraken")
    record(tmp_path, "kraken", {})
    with pytest.raises(ArchiveError, match=r"of what kraken listed$"):
        archive.instruments("kraken")
    (tmp_path / ".multilogger/instruments/Odd Name.jsonl").touch()
    with pytest.raises(ArchiveError, match="is no exchange name"):
        archive.instruments("Odd Name")
    Paths(tmp_path).instrument_history("kraken").unlink()
    Paths(tmp_path).instrument_history("kraken").mkdir()
    with pytest.raises(ArchiveError, match="can't be read: Is a directory"):
        archive.instruments("kraken")


def test_changes_of_a_range(archive: Archive) -> None:
    """From a time up to another one, which is not part of it."""
    told = [(it.at_ns, it.kind.value, it.symbol) for it in archive.instrument_changes("kraken", start=DAY_2)]
    assert told == [
        (DAY_2, "changed", "BTC/USD"),
        (DAY_2, "found", "PI_XBTUSD"),
        (DAY_2, "delisted", "ETH/USD"),
        (DAY_3, "changed", "PI_XBTUSD"),
    ]
    assert len(archive.instrument_changes("kraken", end=DAY_2)) == 2
    assert len(archive.instrument_changes("kraken", start=DAY_2, end=DAY_3)) == 3
    assert [it.kind.value for it in archive.instrument_changes("kraken", "ETH-USD")] == ["found", "delisted"]
    assert archive.instrument_changes("kraken", "XYZ") == []


def test_the_mapper_of_a_time(archive: Archive) -> None:
    """All exchanges as they were; of one that was not recorded yet, what the mapping file says."""
    record(
        archive.data, "coinbase", {DAY_2: [attrs.evolve(BTC, exchange=ExchangeId.COINBASE, symbol="BTC-USD")]}
    )
    early, late = archive.mapper(DAY_1), archive.mapper("2024-10-05")
    assert early.to_exchange("ETH-USD", "kraken") == "ETH/USD"
    assert late.to_exchange("BTC-USD-PERP", "kraken") == "PI_XBTUSD"
    with pytest.raises(UnknownSymbol):
        early.to_exchange("BTC-USD-PERP", "kraken")
    for mapper, active in ((early, {False}), (late, {True})):
        related = mapper.find_related("BTC-USD")
        assert {info.active for info in related if info.exchange == "coinbase"} == active
    assert archive.mapper().normalize("kraken", "PI_XBTUSD") == "BTC-USD-PERP"


def test_sizes_in_base_currency(archive: Archive) -> None:
    """Contracts are what they were at the time; inverse ones are worth an amount of the quote currency."""
    times = np.array([DAY_1, DAY_3 - 1, DAY_3], np.int64)
    columns = {"price_f64": np.array([50.0, 50.0, 100.0]), "size_f64": np.array([100.0, 200.0, 300.0])}
    rows = Rows(columns, times, ())
    assert archive.base_sizes("kraken", "PI_XBTUSD", rows).tolist() == [2.0, 4.0, 30.0]
    assert archive.base_sizes("kraken", "BTC/USD", rows).tolist() == [100.0, 200.0, 300.0]
    md = {"price": np.array([4, 4, 4], "<f4"), "volume": np.array([2, 2, 2], "<f4")}
    assert archive.base_sizes("kraken", "BTC-USD-PERP", Rows(md, times, ())).tolist() == [0.5, 0.5, 5.0]
    with pytest.raises(ArchiveError, match="no record of the instrument"):
        archive.base_sizes("kraken", "XYZ", rows)
    with pytest.raises(
        ArchiveError, match="none of the columns size_f64, volume_f64, trade_size, volume was"
    ):
        archive.base_sizes("kraken", "BTC/USD", Rows({}, times, ()))


def test_linear_contracts() -> None:
    """A contract that stands for an amount of the base currency is multiplied."""
    linear = attrs.evolve(INVERSE, contract_size=0.01, contract_unit="BTC")
    changes = changes_between({}, [linear], at_ns=1, after_ns=0)
    columns = {"trade_price": np.array([50.0], "<f4"), "trade_size": np.array([300.0], "<f4")}
    assert base_sizes(columns, np.array([5], np.int64), changes).tolist() == [3.0]
