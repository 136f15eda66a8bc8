"""The listings of Binance's futures, and how their contracts are called.

https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Exchange-Information
(``GET /fapi/v1/exchangeInfo``; that of COIN-M is ``GET /dapi/v1/exchangeInfo``)::

    {"symbols":[
      {"symbol":"BTCUSDT","pair":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING",
       "onboardDate":1569398400000,"deliveryDate":4133404800000,"baseAsset":"BTC","quoteAsset":"USDT",
       "marginAsset":"USDT","filters":[..]},
      {"symbol":"BTCUSD_261225","pair":"BTCUSD","contractType":"CURRENT_QUARTER","contractStatus":"TRADING",
       "onboardDate":1766736000000,"deliveryDate":1798185600000,"contractSize":100,"baseAsset":"BTC",
       "quoteAsset":"USD","marginAsset":"BTC","filters":[..]}, ..]}

What kind of contract one is, its symbol tells: ``contractType`` is empty while one is delivered or not traded
yet, and gets new words, such as ``TRADIFI_PERPETUAL``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import attrs
import msgspec

from multilogger.exchanges.binance.filters import Filter, Steps
from multilogger.exchanges.fields import epoch_ns, sane_time
from multilogger.records import ExchangeId
from multilogger.symbols.instruments import AssetClass, QuoteType, SymbolInfo
from multilogger.symbols.naming import contract_name
from multilogger.symbols.quotes import quote_type, split_venue_symbol
from multilogger.tables import NANOS_PER_SECOND

_FORM: Final = re.compile(r"(?P<pair>.+?)(?:_(?P<kind>PERP|\d{6}))?")
_NAME: Final = re.compile(r"(?P<base>.+?)-(?P<quote>[^-:]+)(?::[^-]+)?-(?P<kind>PERP|\d{8})")


class _Listed(msgspec.Struct, rename="camel"):
    """An entry of ``symbols``."""

    symbol: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    status: str = ""
    """Of USD-M."""
    contract_status: str = ""
    """Of COIN-M."""
    onboard_date: int | None = None
    delivery_date: int | None = None
    contract_size: float | None = None
    """Of COIN-M: what a contract stands for, in quote currency."""
    filters: list[Filter] = []


def read_contract(entry: object, exchange: ExchangeId) -> SymbolInfo:
    """Return an entry of a listing as an instrument.

    Raises:
        msgspec.ValidationError: a field is missing, or of another type.
    """
    listed = msgspec.convert(entry, _Listed, strict=False)
    base, quote, settle = listed.base_asset, listed.quote_asset, listed.margin_asset
    form = _FORM.fullmatch(listed.symbol)
    delivery_ns = _delivery_ns(form["kind"] if form else None)
    kind = AssetClass.PERPETUAL if delivery_ns is None else AssetClass.FUTURES
    status, steps = listed.status or listed.contract_status, Steps.of(listed.filters)
    return SymbolInfo(
        exchange=exchange,
        symbol=listed.symbol,
        normalized=contract_name(base, quote, kind, settle=settle, expiry_ns=delivery_ns),
        base=base,
        quote=quote,
        quote_type=quote_type(quote),
        asset_class=kind,
        active=status == "TRADING",
        status=status,
        tick_size=steps.tick_size,
        min_size=steps.min_size,
        settle=settle,
        contract_size=listed.contract_size,
        contract_unit="" if listed.contract_size is None else quote,
        # Perpetuals have a date in the year 2100.
        expiry_ns=_time_ns(listed.delivery_date) if kind is AssetClass.FUTURES else None,
        listed_ns=_time_ns(listed.onboard_date),
    )


def distinct(listed: Iterable[SymbolInfo]) -> list[SymbolInfo]:
    """Return instruments with names of their own: where two have the same, the one that trades keeps it.

    The other one is called as the exchange calls it.
    """
    infos = list(listed)
    owners: dict[str, str] = {}
    for info in sorted(infos, key=lambda it: not it.active):
        owners.setdefault(info.normalized, info.symbol)
    return [
        info if owners[info.normalized] == info.symbol else attrs.evolve(info, normalized=info.symbol)
        for info in infos
    ]


def name_by_form(symbol: str) -> str:
    """Return what a symbol would be called by its form alone, itself if it has none that is known."""
    form = _FORM.fullmatch(symbol)
    parts = split_venue_symbol(form["pair"]) if form else None
    if form is None or parts is None:
        return symbol
    base, quote = parts
    delivery_ns = _delivery_ns(form["kind"])
    if delivery_ns is None and form["kind"] not in (None, "PERP"):
        return symbol
    kind = AssetClass.PERPETUAL if delivery_ns is None else AssetClass.FUTURES
    settle = base if quote_type(quote) is QuoteType.FIAT else quote
    return contract_name(base, quote, kind, settle=settle, expiry_ns=delivery_ns)


def symbol_by_name(name: str, perpetual: str) -> str:
    """Return the symbol that a normalized name would have, itself if it is no contract's.

    Args:
        name: such as ``BTC-USDT-20261225``.
        perpetual: what the symbols of perpetuals end with.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return name
    pair = f"{found['base']}{found['quote']}".replace("-", "").upper()
    return pair + (perpetual if found["kind"] == "PERP" else f"_{found['kind'][2:]}")


def _delivery_ns(day: str | None) -> int | None:
    """Return the day ``YYMMDD`` in nanoseconds since the epoch; None for what is no day."""
    if day is None or day == "PERP":
        return None
    try:
        return int(datetime.strptime(f"{day}+0000", "%y%m%d%z").timestamp()) * NANOS_PER_SECOND
    except ValueError:
        return None


def _time_ns(millis: int | None) -> int | None:
    """Return a time of a listing; None for what is none."""
    time_ns = 0 if millis is None else epoch_ns(millis)
    return time_ns if sane_time(time_ns) else None
