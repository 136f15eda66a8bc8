"""Listings that real exchanges once gave, through their adapters, for the tests of the mapping file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from multilogger.cli.symbols_sources import Listings, saved
from multilogger.config import Config, LoggerConfig
from multilogger.exchanges import catalog
from multilogger.exchanges.base import Exchange
from multilogger.exchanges.binance.coinm import BinanceCoinm
from multilogger.exchanges.binance.spot import Binance
from multilogger.exchanges.binance.usdm import BinanceUsdm
from multilogger.exchanges.bybit.spot import Bybit
from multilogger.exchanges.coinbase.exchange import Coinbase
from multilogger.exchanges.kraken.exchange import Kraken
from multilogger.exchanges.kraken_futures.exchange import KrakenFutures
from multilogger.exchanges.okx.exchange import Okx, OkxConfig

ROOT: Final = Path(__file__).parents[2]
RECORDINGS: Final = Path(os.environ.get("MULTILOGGER_RECORDINGS", ROOT.parent / "shared" / "recordings"))
TYPES: Final[Mapping[str, type[Exchange]]] = {
    kind.id: kind
    for kind in (Coinbase, Binance, Kraken, Bybit, Okx, BinanceUsdm, BinanceCoinm, KrakenFutures)
}
_FILES: Final = {
    "coinbase/products.json": "coinbase/exchange/rest/products_20210417.json",
    "binance/exchangeInfo.json": "binance/spot/rest/exchangeInfo_2021a.json",
    "binance_usdm/exchangeInfo.json": "binance/usdm/rest/exchangeInfo_20210722.json",
    "binance_coinm/exchangeInfo.json": "binance/coinm/rest/exchangeInfo_20210722.json",
    "kraken/AssetPairs.json": "kraken/spot/rest/AssetPairs_20210417.json",
    "kraken/AssetPairs.tokenized_asset.json": "kraken/spot/rest/AssetPairs_tokenized.json",
    "kraken_futures/instruments.json": "kraken/futures-v1/rest/instruments_20210722.json",
    "bybit/instruments-info.json": "bybit/spot/rest/instruments-info_20260809.json",
    "okx/instruments.SPOT.json": "okx/spot/rest/instruments_20220513.json",
    "okx/instruments.SWAP.json": "okx/swap/rest/instruments_20220513.json",
    "okx/instruments.FUTURES.json": "okx/futures/rest/instruments_20250508.rows.json",
}
"""What each file is to be called, so that it answers a request."""


def recorded_listings(directory: Path) -> Listings:
    """Return what the exchanges once listed, by files that are laid out in ``directory`` for the purpose."""
    for name, recording in _FILES.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        body: Any = json.loads((RECORDINGS / recording).read_bytes())
        # Of one file the list alone was kept.
        answer = {"code": "0", "msg": "", "data": body} if isinstance(body, list) and "okx" in name else body
        path.write_text(json.dumps(answer))
    config = Config(
        logger=LoggerConfig(data_path=directory),
        exchanges={"okx": OkxConfig(inst_types=("SPOT", "SWAP", "FUTURES"))},
    )
    known = dict(catalog.BUILT_IN)
    catalog.BUILT_IN.update(TYPES)
    try:
        return saved(config, directory, None)
    finally:
        catalog.BUILT_IN.clear()
        catalog.BUILT_IN.update(known)
