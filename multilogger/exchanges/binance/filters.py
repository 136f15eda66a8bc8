"""The trading rules of a listed instrument, ``filters`` of every Binance market's ``exchangeInfo``."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import msgspec


class Filter(msgspec.Struct, rename="camel"):
    """A rule; each type has fields of its own."""

    filter_type: str
    tick_size: float | None = None
    min_qty: float | None = None


@attrs.frozen
class Steps:
    """What is recorded of the rules; None where none says it."""

    tick_size: float | None
    min_size: float | None

    @classmethod
    def of(cls, filters: Iterable[Filter]) -> Steps:
        """Return the tick of ``PRICE_FILTER`` and the smallest order of ``LOT_SIZE``."""
        rules = {rule.filter_type: rule for rule in filters}
        price, lot = rules.get("PRICE_FILTER"), rules.get("LOT_SIZE")
        return cls(price.tick_size if price else None, lot.min_qty if lot else None)
