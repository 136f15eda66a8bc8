"""Which exchanges there are: those built in, and those that plugins register."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Final

from multilogger.errors import StartupError
from multilogger.exchanges.base import Exchange
from multilogger.exchanges.binance.coinm import BinanceCoinm
from multilogger.exchanges.binance.spot import Binance
from multilogger.exchanges.binance.usdm import BinanceUsdm
from multilogger.exchanges.bybit.contracts import BybitInverse, BybitLinear
from multilogger.exchanges.bybit.spot import Bybit
from multilogger.exchanges.coinbase.exchange import Coinbase
from multilogger.exchanges.kraken.exchange import Kraken
from multilogger.exchanges.kraken_futures.exchange import KrakenFutures
from multilogger.exchanges.okx.exchange import Okx

GROUP: Final = "multilogger.exchanges"
"""The entry point group; an entry's name is the exchange's name in the configuration."""

BUILT_IN: Final[dict[str, type[Exchange]]] = {
    kind.id: kind
    for kind in (
        *(Coinbase, Binance, Kraken, Bybit, Okx),
        *(BinanceUsdm, BinanceCoinm, BybitLinear, BybitInverse, KrakenFutures),
    )
}


def exchange_types() -> dict[str, type[Exchange]]:
    """Return all exchanges by name; a plugin can't take the name of a built-in one.

    Raises:
        StartupError: a plugin can't be imported, or is no exchange of that name.
    """
    plugins = {entry.name: _load(entry) for entry in entry_points(group=GROUP) if entry.name not in BUILT_IN}
    return {**BUILT_IN, **plugins}


def _load(entry: EntryPoint) -> type[Exchange]:
    where = f"exchange plugin {entry.name!r} ({entry.value})"
    try:
        found = entry.load()
    except Exception as error:  # an import runs the plugin's code, which may raise anything
        what = f"{type(error).__name__}: {error}"
        raise StartupError(f"{where} can't be loaded: {what}: repair or uninstall it") from error
    if not (isinstance(found, type) and issubclass(found, Exchange)):
        raise StartupError(f"{where} is no subclass of multilogger.exchanges.base.Exchange")
    own_name = str(getattr(found, "id", ""))
    if own_name != entry.name:
        raise StartupError(f"{where} calls itself {own_name!r}: entry point and id must be the same")
    return found
