"""What all exchanges' pages of past trades have in common: one odd trade must not cost the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from multilogger.errors import FrameError, ListingError
from multilogger.exchanges.listing import decode_listing
from multilogger.records import Trade

log = structlog.get_logger(__name__)


def read_page(body: bytes, read: Callable[[Mapping[str, Any]], Trade], source: str) -> list[Trade]:
    """Read a page of trades; those that can't be read are left out and logged as one line.

    Args:
        body: a JSON list of objects.
        read: makes a trade of an object, or raises FrameError.
        source: the URL, for messages.

    Returns:
        The trades by id, the lowest first.

    Raises:
        ListingError: it is no such list, or not a single one of its trades could be read.
    """
    entries = decode_listing(body, source)
    if not isinstance(entries, list):
        raise ListingError(f"{source}: no list of trades: {str(entries)[:200]}")
    trades: list[Trade] = []
    odd: list[str] = []
    for entry in entries:
        try:
            if not isinstance(entry, dict):
                raise FrameError("not an object")  # noqa: TRY301 - it is counted as the others are
            trades.append(read(entry))
        except FrameError as error:
            odd.append(f"{error.reason}: {str(entry)[:100]}")
    if odd and not trades:
        raise ListingError(f"{source}: none of {len(odd)} trades could be read; the first: {odd[0]}")
    if odd:
        log.warning("page has odd trades", source=source, odd=len(odd), read=len(trades), first=odd[0])
    return sorted(trades, key=lambda trade: trade.trade_id)
