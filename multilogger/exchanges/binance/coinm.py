"""Binance COIN-M futures: contracts of so many dollars, margined and settled in the coin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from multilogger.config import ExchangeConfig, url
from multilogger.exchanges.binance.endpoints import COMBINED, combined_url
from multilogger.exchanges.binance.futures import BinanceFutures, FuturesConfig
from multilogger.records import ExchangeId


@attrs.frozen(kw_only=True)
class CoinmConfig(FuturesConfig):
    """``[exchanges.binance_coinm]``."""

    ws_endpoint: str = attrs.field(default="wss://dstream.binance.com", validator=COMBINED)
    rest_endpoint: str = attrs.field(default="https://dapi.binance.com", validator=url("http", "https"))


class BinanceCoinm(BinanceFutures):
    """Binance COIN-M futures, https://developers.binance.com/docs/derivatives/coin-margined-futures."""

    id: ClassVar[ExchangeId] = ExchangeId.BINANCE_COINM
    name: ClassVar[str] = "Binance COIN-M futures"
    config_type: ClassVar[type[ExchangeConfig]] = CoinmConfig
    api: ClassVar[str] = "/dapi/v1"
    other_market: ClassVar[int] = 1
    perpetual: ClassVar[str] = "_PERP"

    def endpoint(self, symbols: Sequence[str]) -> str:
        """Return the URL of the combined streams."""
        return combined_url(super().endpoint(symbols), "/stream")
