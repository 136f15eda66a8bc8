"""Kraken spot's instruments: by REST, and on the channel ``instrument``.

https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs and .../websocket-v2/instrument::

    GET /0/public/AssetPairs
    {"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","aclass_base":"currency",
     "base":"XXBT","quote":"ZUSD","tick_size":"0.1","ordermin":"0.00005","status":"online",..}, ..}}
    {"channel":"instrument","type":"snapshot","data":{"assets":[..],"pairs":[{"symbol":"BTC/USD","base":"BTC",
     "quote":"USD","status":"online","price_increment":0.1,"qty_min":0.00005,..}, ..]}}

REST still calls two assets by other names than WebSocket v2, which refuses those. Without ``aclass_base``
it lists currencies only, and not the tokenized shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import msgspec

from multilogger.errors import FrameError
from multilogger.exchanges.base import HttpGet
from multilogger.exchanges.fields import decode_object
from multilogger.exchanges.kraken.messages import as_object
from multilogger.exchanges.kraken.rest import fetch_result
from multilogger.exchanges.listing import read_entries
from multilogger.records import ExchangeId
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.naming import pair_name
from multilogger.symbols.quotes import quote_type

CURRENCY: Final = "currency"
TOKENIZED: Final = "tokenized_asset"
_RENAMED: Final[Mapping[str, str]] = {"XBT": "BTC", "XDG": "DOGE"}
"""Assets that WebSocket v2 calls otherwise than REST, by their name there."""
_REST_NAMES: Final[Mapping[str, str]] = {new: old for old, new in _RENAMED.items()}
_LEGACY_CHARS: Final = 4
"""Old assets have a code of as many letters by REST: ``XXBT``, ``ZUSD``."""
_TRADABLE: Final = frozenset({"online", "limit_only", "post_only", "reduce_only"})
"""Statuses under which there are trades, or will be within the hour: ``post_only`` opens a new pair."""


@attrs.frozen
class Listed:
    """A pair, and how REST is asked about it."""

    info: SymbolInfo
    rest_name: str
    asset_class: str = CURRENCY
    """Of the base; requests about any other have to name it."""

    def query(self) -> dict[str, str]:
        """Return the parameters that name the pair in a request."""
        named = {"pair": self.rest_name}
        return named if self.asset_class == CURRENCY else {**named, "asset_class": self.asset_class}


class _AssetPair(msgspec.Struct):
    """An entry of ``AssetPairs``."""

    altname: str
    base: str
    quote: str
    wsname: str = ""
    """None of the pairs that WebSocket does not know, such as dark pools."""
    status: str = "online"
    """Not told before 2022: what was listed could be traded."""
    tick_size: float | None = None
    ordermin: float | None = None
    aclass_base: str = CURRENCY


class _Pair(msgspec.Struct):
    """An entry of ``pairs`` of the channel ``instrument``."""

    symbol: str
    base: str
    quote: str
    status: str
    price_increment: float | None = None
    qty_min: float | None = None


async def fetch_listing(http_get: HttpGet, endpoint: str) -> list[Listed]:
    """Fetch all pairs: of currencies, and of tokenized assets.

    Raises:
        ListingError: the exchange did not answer as documented.
        RestError: it did not answer, or refused.
    """
    source = f"{endpoint.rstrip('/')}/0/public/AssetPairs"
    pairs = await fetch_result(http_get, source, {})
    pairs |= await fetch_result(http_get, source, {"aclass_base": TOKENIZED})
    listed: list[Listed] = []

    def read(entry: object) -> SymbolInfo:
        listed.append(_listed(*entry))  # type: ignore[misc] # they are the items below
        return listed[-1].info

    entries = [(name, msgspec.json.decode(raw)) for name, raw in pairs.items()]
    read_entries(entries, read, source)
    return _distinct(listed)


def _listed(rest_name: str, entry: object) -> Listed:
    pair = msgspec.convert(entry, _AssetPair, strict=False)
    base, slash, quote = pair.wsname.partition("/")
    if not slash:
        base, quote = _short_names(pair)
    base, quote = _RENAMED.get(base, base), _RENAMED.get(quote, quote)
    info = _info(
        f"{base}/{quote}" if slash else pair.altname,
        base,
        quote,
        active=bool(slash) and pair.status in _TRADABLE,
        status=pair.status,
        tick_size=pair.tick_size,
        min_size=pair.ordermin,
    )
    return Listed(info, rest_name, pair.aclass_base)


def _info(symbol: str, base: str, quote: str, **rest: Any) -> SymbolInfo:
    return SymbolInfo(
        exchange=ExchangeId.KRAKEN,
        symbol=symbol,
        # What WebSocket has no name for keeps that of REST.
        normalized=pair_name(base, quote) if symbol == f"{base}/{quote}" else symbol,
        base=base,
        quote=quote,
        quote_type=quote_type(quote),
        **rest,
    )


def _short_names(pair: _AssetPair) -> tuple[str, str]:
    """Return base and quote without the letter before old codes, if the pair's other name has neither."""
    joined = pair.altname.partition(".")[0]
    for base in (pair.base, _short(pair.base)):
        for quote in (pair.quote, _short(pair.quote)):
            if base + quote == joined:
                return base, quote
    return pair.base, pair.quote


def _short(code: str) -> str:
    return code[1:] if len(code) == _LEGACY_CHARS and code[0] in "XZ" else code


def _distinct(listed: Iterable[Listed]) -> list[Listed]:
    """Return pairs that all have names of their own: of two with one name, the one that trades keeps it."""
    found: dict[str, Listed] = {}
    for it in sorted(listed, key=lambda it: not it.info.active):
        own = it
        if it.info.normalized in found:
            info = attrs.evolve(it.info, symbol=it.rest_name, normalized=it.rest_name, active=False)
            own = attrs.evolve(it, info=info)
        found[own.info.normalized] = own
    return list(found.values())


def read_instruments(raw: bytes) -> list[SymbolInfo]:
    """Return the pairs in a message of the channel ``instrument``; an empty list for any other message.

    Raises:
        FrameError: it is no JSON object, or has no list of pairs.
    """
    message = decode_object(raw)
    if message.get("channel") != "instrument":
        return []
    pairs = as_object(message.get("data")).get("pairs")
    if not isinstance(pairs, list):
        raise FrameError("not a list")
    return read_entries(pairs, _of_channel, "channel instrument") if pairs else []


def _of_channel(entry: object) -> SymbolInfo:
    pair = msgspec.convert(entry, _Pair, strict=False)
    return _info(
        pair.symbol,
        pair.base,
        pair.quote,
        active=pair.status in _TRADABLE,
        status=pair.status,
        tick_size=pair.price_increment,
        min_size=pair.qty_min,
    )


def rest_name(symbol: str) -> str:
    """Return the name by which REST knows a pair that has not been listed yet: ``XBTUSD`` for ``BTC/USD``."""
    return "".join(_REST_NAMES.get(asset, asset) for asset in symbol.split("/"))
