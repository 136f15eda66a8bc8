"""The public REST API of Coinbase Exchange, from a market's memory.

Source: Coinbase Exchange documentation, "REST API: Get all known trading pairs", "Get product trades",
"Pagination".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from multilogger.simulator.coinbase import messages
from multilogger.simulator.market import InstrumentMarket, Market
from multilogger.simulator.rest import Request, Response

_PAGE: Final = 1000
"""Most trades on a page, and as many where no limit is asked for."""
_TRADES_PATH: Final = re.compile(r"/products/([^/]+)/trades")


def answer_rest(market: Market, clock: Callable[[], int], request: Request) -> Response:
    """Answer ``/products``, ``/products/{id}``, ``/products/{id}/trades`` and ``/time``."""
    if request.path == "/products":
        return Response.of([messages.product(instrument) for instrument in market.instruments.values()])
    if request.path == "/time":
        return Response.of({"iso": messages.iso(clock()), "epoch": clock() / messages.NANOS})
    asked = _TRADES_PATH.fullmatch(request.path)
    if asked and asked[1] in market.markets:
        return _trades(market.markets[asked[1]], request)
    single = request.path.removeprefix("/products/")
    if single in market.instruments:
        return Response.of(messages.product(market.instruments[single]))
    return Response.of({"message": "NotFound"}, 404)


def _trades(market: InstrumentMarket, request: Request) -> Response:
    try:
        limit = min(request.integer("limit", _PAGE) or _PAGE, _PAGE)
        after, before = request.integer("after"), request.integer("before")
    except ValueError:
        return Response.of({"message": "invalid pagination parameter"}, 400)
    # ``before`` gives the newest page above an id, not the page next to it: the documented trap.
    fills = market.span(None if before is None else before + 1, after)
    page = fills[: -limit - 1 : -1]
    cursors = (("CB-BEFORE", str(page[0].trade_id)), ("CB-AFTER", str(page[-1].trade_id))) if page else ()
    return Response.of([messages.rest_trade(fill) for fill in page], headers=cursors)
