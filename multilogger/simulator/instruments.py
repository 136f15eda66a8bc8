"""What the simulated exchanges list: ten real-looking instruments each, and one that is off-line."""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen(kw_only=True)
class Instrument:
    """One listed instrument of a simulated exchange."""

    symbol: str
    """The venue symbol, upper-case where the exchange's is."""
    base: str
    quote: str
    price: str
    """Where the random walk starts; its decimals are those of every price."""
    tick: int = 1
    """Smallest price step, in units of the last decimal of ``price``."""
    size_decimals: int = 6
    typical_size: float = 0.5
    """Median trade size in base currency."""
    weight: float = 1.0
    """Share of all trades, relative to the other instruments."""
    online: bool = True
    """Off-line instruments are listed, but never trade."""
    kind: str = "spot"
    """Or ``perpetual``, ``future``, ``option``."""
    settle: str = ""
    """What a derivative is settled in."""
    contract_size: str = ""
    """What one contract stands for, where sizes are in contracts."""
    expiry_ns: int | None = None
    """Of a future or option, nanoseconds since the epoch."""
    decimals: int = attrs.field(init=False)
    """Decimals of every price."""

    @decimals.default
    def _decimals_of_price(self) -> int:
        return len(self.price.partition(".")[2])

    @property
    def start(self) -> int:
        """``price`` in units of its last decimal."""
        return int(self.price.replace(".", ""))

    def price_text(self, units: int) -> str:
        """Spell a price given in units of the last decimal."""
        return spell(units, self.decimals)


def spell(units: int, decimals: int) -> str:
    """Return ``units`` of the last decimal as decimal text, without going through floating point."""
    if not decimals:
        return str(units)
    digits = f"{units:0{decimals + 1}d}"
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


_QUOTES: Final = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "DAI", "BTC", "ETH", "BNB"),
    *("EUR", "GBP", "TRY", "BRL", "AUD", "JPY", "RUB", "UAH", "NGN", "USD"),
)
"""Quote assets to look for at the end of a symbol without a separator; first match wins."""

# base, start price, tick, size decimals, typical size, share of the trades
_COINS: Final = (
    ("BTC", "64000.00", 1, 8, 0.02, 5.0),
    ("ETH", "3100.00", 1, 8, 0.3, 4.0),
    ("SOL", "150.20", 1, 6, 5.0, 2.0),
    ("XRP", "0.6103", 1, 6, 400.0, 1.5),
    ("DOGE", "0.14260", 1, 1, 2000.0, 1.0),
    ("ADA", "0.4511", 1, 6, 500.0, 1.0),
    ("AVAX", "27.35", 1, 6, 10.0, 0.7),
    ("LINK", "14.125", 5, 4, 20.0, 0.7),
    ("LTC", "71.50", 1, 8, 3.0, 0.5),
    ("SHIB", "0.00001785", 1, 0, 9_000_000.0, 0.4),
)


def listing(quote: str, separator: str) -> tuple[Instrument, ...]:
    """Return the demo's instruments in an exchange's spelling, such as ``BTC-USD`` or ``BTCUSDT``."""
    traded = tuple(
        Instrument(
            symbol=f"{base}{separator}{quote}",
            base=base,
            quote=quote,
            price=price,
            tick=tick,
            size_decimals=decimals,
            typical_size=size,
            weight=weight,
        )
        for base, price, tick, decimals, size, weight in _COINS
    )
    offline = Instrument(
        symbol=f"XYO{separator}{quote}",
        base="XYO",
        quote=quote,
        price="0.00712",
        size_decimals=1,
        online=False,
    )
    return (*traded, offline)


def guess_instrument(symbol: str) -> Instrument:
    """Return an instrument whose base and quote are what the venue symbol looks like."""
    base, separator, quote = symbol.partition("-" if "-" in symbol else "/")
    if not separator:
        quote = next((it for it in _QUOTES if symbol.endswith(it) and symbol != it), "")
        base = symbol.removesuffix(quote) if quote else symbol
    return Instrument(symbol=symbol, base=base, quote=quote, price="1.00000000", size_decimals=8)
