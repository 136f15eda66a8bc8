"""Bybit linear and Bybit inverse, simulated: ``publicTrade``, and ``tickers`` as a snapshot and then deltas.

Sizes of inverse contracts are in contracts of 1 USD. What is off-line is listed before its launch.

Source: bybit-exchange.github.io/docs/v5/websocket/public.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import attrs

from multilogger.simulator.bybit import messages
from multilogger.simulator.bybit.client import BybitClient, Told
from multilogger.simulator.bybit.venue import BybitBase
from multilogger.simulator.instruments import Instrument, guess_instrument, listing
from multilogger.simulator.market import Cascade, Fill

_ID_BYTES: Final = 8
"""Of a UUID, that are a trade's id in the recorder's tables."""
_EXPIRY_NS: Final = int(datetime(2031, 12, 26, 8, tzinfo=UTC).timestamp()) * 1_000_000_000
"""The last Friday of its month."""
_CONTRACT_USD: Final = 500.0
"""Median trade size of inverse contracts."""
_IN_USDC: Final = "LTC"
_FUTURES: Final = {"AVAX": "AVAX-26DEC31", "LINK": "LINKUSDT-26DEC31"}
_INVERSE_FUTURE: Final = "LINK"


def _linear(spot: Instrument) -> Instrument:
    if spot.base in _FUTURES:
        symbol = _FUTURES[spot.base]
        quote = "USDT" if "USDT" in symbol else "USDC"
        return attrs.evolve(
            spot, symbol=symbol, quote=quote, settle=quote, kind="future", expiry_ns=_EXPIRY_NS
        )
    if spot.base == _IN_USDC:
        return attrs.evolve(spot, symbol=f"{spot.base}PERP", quote="USDC", settle="USDC", kind="perpetual")
    return attrs.evolve(spot, settle=spot.quote, kind="perpetual")


def _inverse(spot: Instrument) -> Instrument:
    contract = attrs.evolve(
        spot,
        settle=spot.base,
        contract_size="1",
        size_decimals=0,
        typical_size=_CONTRACT_USD,
        kind="perpetual",
    )
    if spot.base == _INVERSE_FUTURE:
        return attrs.evolve(contract, symbol=f"{spot.symbol}Z31", kind="future", expiry_ns=_EXPIRY_NS)
    return contract


class BybitContracts(BybitBase):
    """What the two have in common."""

    messages_per_fill: ClassVar[float] = 1.05
    ack: ClassVar[str] = ""
    greets_first: ClassVar[bool] = True
    always_names_request: ClassVar[bool] = True

    def no_such_topic(self, topic: str) -> str:
        """Return what is said of a topic that does not exist."""
        return f"error:handler not found,topic:{topic}"

    def trade_id(self, symbol: str, fill: Fill) -> int:
        """Return the first bytes of a trade's UUID."""
        return int.from_bytes(messages.contract_uuid(symbol, fill).bytes[:_ID_BYTES], "big")

    def trade_name(self, symbol: str, fill: Fill) -> str:
        """Return a trade's UUID."""
        return str(messages.contract_uuid(symbol, fill))

    def trades(self, symbol: str, fills: list[Fill], sequence: int) -> bytes:
        """Return a ``publicTrade``."""
        return messages.contract_trades(symbol, fills, sequence)

    def listed(self, instrument: Instrument) -> dict[str, Any]:
        """Return an entry of the listing."""
        return messages.contract_listed(instrument, self.category)

    def greet(self, client: BybitClient, topics: list[str]) -> None:
        """Send the snapshots of tickers."""
        for topic in topics:
            kind, _, symbol = topic.rpartition(".")
            cascade = self.newest(symbol)
            if kind == "tickers" and cascade is not None and client.hears(topic):
                self._tell(cascade, self.clock(), client)

    def quote(self, cascade: Cascade) -> None:
        """Send the changed tickers."""
        self._tell(cascade, self.clock())

    def every_second(self) -> None:
        """Send marks and indices, which change all the time."""
        for symbol in self.symbols():
            cascade = self.newest(symbol)
            if cascade is not None:
                self._tell(cascade, self.clock())

    def _tell(self, cascade: Cascade, now_ns: int, client: BybitClient | None = None) -> None:
        quote = cascade.quote
        now = Told(cascade.last.price, quote.bid, quote.ask)

        def spell(before: Told, after: Told, ts_ns: int) -> bytes:
            return messages.contract_ticker(cascade, before, after, ts_ns)

        topic = f"tickers.{cascade.instrument.symbol}"
        self.say(topic, now_ns, lambda _: now, spell, [client] if client else None)


class BybitLinearVenue(BybitContracts):
    """A simulated Bybit linear."""

    name: ClassVar[str] = "bybit_linear"
    category: ClassVar[str] = "linear"
    instruments: ClassVar[tuple[Instrument, ...]] = tuple(map(_linear, listing("USDT", "")))

    @classmethod
    def instrument_of(cls, symbol: str) -> Instrument:
        """Return a perpetual in USDT or USDC."""
        base = symbol.removesuffix("PERP")
        guessed = guess_instrument(symbol if base == symbol else f"{base}USDC")
        return attrs.evolve(guessed, symbol=symbol, kind="perpetual", settle=guessed.quote)


class BybitInverseVenue(BybitContracts):
    """A simulated Bybit inverse."""

    name: ClassVar[str] = "bybit_inverse"
    category: ClassVar[str] = "inverse"
    instruments: ClassVar[tuple[Instrument, ...]] = tuple(map(_inverse, listing("USD", "")))

    @classmethod
    def instrument_of(cls, symbol: str) -> Instrument:
        """Return a perpetual that settles in its base."""
        guessed = guess_instrument(symbol)
        return attrs.evolve(
            guessed, size_decimals=0, kind="perpetual", settle=guessed.base, contract_size="1"
        )
