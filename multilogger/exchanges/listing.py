"""What the listings of all exchanges have in common: one odd entry must not cost the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import structlog

from multilogger.errors import ListingError
from multilogger.exchanges.fields import UNREADABLE
from multilogger.symbols.instruments import SymbolInfo

log = structlog.get_logger(__name__)


def decode_listing(body: bytes, source: str) -> Any:
    """Decode a listing's body.

    Raises:
        ListingError: it is no JSON; names the source.
    """
    try:
        return msgspec.json.decode(body)
    except UNREADABLE as error:
        raise ListingError(f"{source}: no JSON: {error}") from error


def read_entries(
    entries: Iterable[object], read: Callable[[object], SymbolInfo], source: str
) -> list[SymbolInfo]:
    """Read the entries of a listing; those that can't be read are left out and logged as one line.

    Raises:
        ListingError: not a single entry could be read.
    """
    listed: list[SymbolInfo] = []
    odd: list[str] = []
    for entry in entries:
        try:
            listed.append(read(entry))
        except (msgspec.ValidationError, ValueError) as error:
            odd.append(f"{error}: {str(entry)[:100]}")
    if odd and not listed:
        raise ListingError(f"{source}: none of {len(odd)} entries could be read; the first: {odd[0]}")
    if odd:
        log.warning("listing has odd entries", source=source, odd=len(odd), read=len(listed), first=odd[0])
    return listed
