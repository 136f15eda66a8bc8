"""Kraken's REST answers: results, or errors under the HTTP status 200.

https://docs.kraken.com/api/docs/guides/spot-errors::

    {"error":[],"result":{..}}
    {"error":["EGeneral:Too many requests"]}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from multilogger.errors import ListingError, RateLimited, RestError
from multilogger.exchanges.base import HttpGet
from multilogger.exchanges.fields import UNREADABLE

RATE_LIMIT_SECS: Final = 15.0
"""No answer tells how long to wait. One call a second is allowed: what was too much is forgotten by then."""
_RATE_LIMITED: Final = ("EAPI:Rate limit", "EGeneral:Too many requests", "EService:Throttled")
"""How errors begin that want fewer requests."""


class _Answer(msgspec.Struct):
    error: list[str]
    result: dict[str, msgspec.Raw] | None = None
    """Not decoded yet: numbers in it may have more digits than a float."""


_decode: Final = msgspec.json.Decoder(_Answer).decode


async def fetch_result(http_get: HttpGet, url: str, params: Mapping[str, str]) -> dict[str, msgspec.Raw]:
    """Fetch the result of a request: the JSON of each of its fields, by name.

    Args:
        http_get: asks.
        url: without query.
        params: of the query; may be empty.

    Raises:
        RateLimited: the exchange wants no requests for a while.
        ListingError: the answer is none of the documented form.
        RestError: the exchange did not answer, or refused, in its own words.
    """
    body = await http_get(url, params or None)
    try:
        answer = _decode(body)
    except UNREADABLE as error:
        raise ListingError(f"{url}: no answer of the documented form: {error}") from error
    words = ", ".join(answer.error)
    if any(error.startswith(_RATE_LIMITED) for error in answer.error):
        raise RateLimited(f"{url}: {words}; no requests for {RATE_LIMIT_SECS:g} s", RATE_LIMIT_SECS)
    if words:
        raise RestError(f"{url}: {words}")
    if answer.result is None:
        raise ListingError(f"{url}: no result")
    return answer.result
