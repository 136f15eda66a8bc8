"""The public REST API of Kraken spot, from a market's memory.

Source: docs.kraken.com, "Spot REST: Get tradable asset pairs", "Get recent trades", "Get server time".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from multilogger.simulator.instruments import Instrument
from multilogger.simulator.kraken import messages
from multilogger.simulator.kraken.limits import errors
from multilogger.simulator.market import Fill, Market
from multilogger.simulator.rest import Request, Response

_PAGE: Final = 1000
_INVALID: Final = "EGeneral:Invalid arguments"
_UNKNOWN: Final = "EQuery:Unknown asset pair"

Real = Callable[[Sequence[Fill]], list[Fill]]
"""Leaves out the fills whose ids are skipped."""


def answer_rest(market: Market, clock: Callable[[], int], real: Real, request: Request) -> Response:
    """Answer ``AssetPairs``, ``Trades``, ``Time`` and ``SystemStatus``."""
    match request.path:
        case "/0/public/AssetPairs":
            return _asset_pairs(market, request)
        case "/0/public/Trades":
            return _trades(market, clock, real, request)
        case "/0/public/Time":
            return _result({"unixtime": clock() // messages.NANOS})
        case "/0/public/SystemStatus":
            return _result({"status": "online", "timestamp": messages.rfc3339(clock())})
        case _:
            return errors("EGeneral:Unknown method")


def _asset_pairs(market: Market, request: Request) -> Response:
    """Return pairs of currencies; there are no tokenized assets here."""
    kind = request.query.get("aclass_base", "currency")
    if kind not in ("currency", "tokenized_asset"):
        return errors(_INVALID)
    listed = list(market.instruments.values()) if kind == "currency" else []
    wanted = request.query.get("pair")
    if wanted is not None:
        found = _named(market, wanted)
        if found is None:
            return errors(_UNKNOWN)
        listed = [found]
    return _result({messages.rest_names(it)[0]: messages.asset_pair(it) for it in listed})


def _trades(market: Market, clock: Callable[[], int], real: Real, request: Request) -> Response:
    instrument = _named(market, request.query.get("pair", ""))
    if instrument is None:
        return errors(_UNKNOWN)
    try:
        count, since = request.integer("count", _PAGE) or 0, request.integer("since")
    except ValueError:
        return errors(_INVALID)
    if not 1 <= count <= _PAGE:
        return errors(_INVALID)
    fills = real(market.markets[instrument.symbol].recent)
    if since is not None:
        # In order of time, which is not that of ids where the clock was put back.
        fills = sorted((it for it in fills if it.time_ns > since), key=lambda it: it.time_ns)[:count]
    page = fills[-count:]
    last_ns = page[-1].time_ns if page else clock() if since is None else since
    return Response(200, messages.past_trades(messages.rest_names(instrument)[0], page, last_ns))


def _named(market: Market, name: str) -> Instrument | None:
    """Return the instrument that has a name by REST."""
    return next((it for it in market.instruments.values() if name in messages.rest_names(it)), None)


def _result(result: Any) -> Response:
    return Response.of({"error": [], "result": result})
