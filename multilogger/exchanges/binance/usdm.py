"""Binance USD-M futures: contracts quoted, margined and settled in stablecoins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import attrs

from multilogger.config import ExchangeConfig, url
from multilogger.exchanges.binance.endpoints import COMBINED, combined_url, has_path
from multilogger.exchanges.binance.futures import BinanceFutures, FuturesConfig
from multilogger.exchanges.binance.streams import Kinds
from multilogger.records import ExchangeId

_PLACES: Final = {"aggTrade": "market", "trade": "public", "bookTicker": "public"}
"""Where the streams are since March 2026; elsewhere they are acknowledged, and stay silent."""


@attrs.frozen(kw_only=True)
class UsdmConfig(FuturesConfig):
    """``[exchanges.binance_usdm]``."""

    ws_endpoint: str = attrs.field(default="wss://fstream.binance.com", validator=COMBINED)
    """With the path ``/stream`` all streams are asked for there, on hosts that do not part them."""
    rest_endpoint: str = attrs.field(default="https://fapi.binance.com", validator=url("http", "https"))


class BinanceUsdm(BinanceFutures):
    """Binance USD-M futures, https://developers.binance.com/docs/derivatives/usds-margined-futures."""

    id: ClassVar[ExchangeId] = ExchangeId.BINANCE_USDM
    name: ClassVar[str] = "Binance USD-M futures"
    config_type: ClassVar[type[ExchangeConfig]] = UsdmConfig
    api: ClassVar[str] = "/fapi/v1"
    other_market: ClassVar[int] = 2
    perpetual: ClassVar[str] = ""

    @property
    def kinds(self) -> Sequence[Kinds]:
        """The kinds of streams on each of :meth:`endpoints`."""
        if has_path(self.config.ws_endpoint):
            return super().kinds
        [wanted] = super().kinds
        places = sorted({_PLACES[kind] for kind in wanted})
        return [tuple(kind for kind in wanted if _PLACES[kind] == place) for place in places]

    def endpoint(self, symbols: Sequence[str]) -> str:
        """Return the URL of the first leg."""
        return self.endpoints(symbols)[0]

    def endpoints(self, symbols: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002 - the same for all
        """Return the URLs of the combined streams, as far as the options need them."""
        return tuple(
            combined_url(self.config.ws_endpoint, f"/{_PLACES[kinds[0]]}/stream") for kinds in self.kinds
        )
