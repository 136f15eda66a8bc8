"""Listings and names, against the simulation's REST side and the mapping file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest
import trio
from contract_feeding import made
from contract_marks import by_exchange
from contract_subject import Subject
from contract_world import World, open_world, symbols_of
from trio.testing import MockClock

from multilogger.errors import ListingError
from multilogger.exchanges.base import Exchange, ExchangeConnection, Services
from multilogger.symbols.instruments import AssetClass, SymbolInfo
from multilogger.symbols.mapper import SymbolMapper

NONSENSE = (
    *(b"", b"<html>", b"\xff", b"null", b"7", b"{}", b'{"message":"NotFound"}', b'{"symbols":null}'),
    *(b"[" * 100_000, b"[5, null]", b'{"symbols":[{}]}', b'{"result":{}}', b'{"data":7,"code":"0"}'),
)


async def listed(world: World) -> tuple[Exchange, list[SymbolInfo]]:
    """Return the exchange, and what it lists."""
    exchange = world.exchange()
    return exchange, await exchange.fetch_symbols()


@by_exchange
async def test_listing_is_the_simulations(
    subject: Subject, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Everything that the simulation lists comes, with base, quote, kind, tick, and whether it trades."""
    async with open_world(subject, tmp_path) as world:
        _, infos = await listed(world)
    by_symbol = {info.symbol: info for info in infos}
    instruments = world.venue.market.instruments
    assert by_symbol.keys() >= instruments.keys()
    for symbol, instrument in instruments.items():
        info = by_symbol[symbol]
        assert info.exchange == subject.name
        assert (info.base, info.quote, info.active) == (instrument.base, instrument.quote, instrument.online)
        kinds = {"spot": AssetClass.SPOT, "perpetual": AssetClass.PERPETUAL}
        kinds |= {"future": AssetClass.FUTURES, "option": AssetClass.OPTION}
        assert info.asset_class is kinds[instrument.kind]
        assert info.expiry_ns == instrument.expiry_ns
        assert info.settle == instrument.settle
        if info.tick_size is not None:
            steps = instrument.tick * 10**-instrument.decimals / info.tick_size
            assert steps == pytest.approx(max(1, round(steps)))


@by_exchange
async def test_names_lead_back(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """Every listed symbol has a name of its own, which leads back to it: the exchange's and the mapper's."""
    async with open_world(subject, tmp_path) as world:
        exchange, infos = await listed(world)
    mapper = SymbolMapper(subject.mapped)
    mapper.replace(subject.name, infos)
    assert len({info.normalized for info in infos}) == len(infos)
    for info in infos:
        assert exchange.normalize_symbol(info.symbol) == info.normalized
        assert exchange.venue_symbol(info.normalized) == info.symbol
        assert mapper.to_exchange(mapper.normalize(subject.name, info.symbol), subject.name) == info.symbol


@by_exchange
def test_names_before_a_listing(subject: Subject) -> None:
    """The symbols of the fixtures lead back from their names without any listing."""
    exchange = made(subject.kind)
    for symbol in subject.symbols:
        assert exchange.venue_symbol(exchange.normalize_symbol(symbol)) == symbol


@by_exchange
async def test_mapping_rows_agree_with_the_listing(
    subject: Subject, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A mapped symbol that is listed is mapped to its own base, and some are."""
    async with open_world(subject, tmp_path) as world:
        _, infos = await listed(world)
    entries = subject.mapped.entries
    by_symbol = {info.symbol: info for info in infos}
    found = [
        (entry.base, by_symbol[symbol])
        for entry in entries
        for exchange, symbol in entry.symbols()
        if exchange == subject.name and symbol in by_symbol
    ]
    assert found, "no mapped symbol is listed"
    before, after = SymbolMapper(subject.mapped), SymbolMapper(subject.mapped)
    after.replace(subject.name, infos)
    for base, info in found:
        name = before.normalize(subject.name, info.symbol)
        assert name.split("-")[0] == base
        assert after.normalize(subject.name, info.symbol) == name


def no_connection(exchange: Exchange, symbols: object) -> ExchangeConnection:
    """Refuse to connect."""
    raise AssertionError(f"{exchange.id} connects {symbols}")


@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: repr(body[:24]))
@by_exchange
async def test_a_listing_that_is_none(subject: Subject, body: bytes) -> None:
    """Nonsense is an error that names the URL, and so is nonsense from the history."""

    async def get(url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0) -> bytes:
        await trio.lowlevel.checkpoint()
        return body

    exchange = subject.kind(made(subject.kind).config, Services(get, no_connection))
    with pytest.raises(ListingError, match=r"https?://"):
        await exchange.fetch_symbols()
    if exchange.history is not None:
        with pytest.raises(ListingError, match=r"https?://"):
            await exchange.fetch_newest(subject.symbols[0])


@by_exchange
async def test_a_rest_endpoint_with_a_slash(
    subject: Subject, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A configured REST endpoint may end with a slash; the URLs then have not two of them."""
    asked: list[str] = []

    async def get(url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0) -> bytes:
        asked.append(url)
        return await world.get(url, params, weight=weight)

    async with open_world(subject, tmp_path) as world:
        config = world.config.exchanges[subject.name]
        slashed = attrs.evolve(config, rest_endpoint=f"{config.rest_endpoint}/")
        exchange = subject.kind(slashed, Services(get, no_connection))
        assert await exchange.fetch_symbols()
        if exchange.history is not None:
            await exchange.fetch_newest(symbols_of(world)[0])
    assert asked
    assert {url for url in asked if "//" in url.removeprefix("http://")} == set()
