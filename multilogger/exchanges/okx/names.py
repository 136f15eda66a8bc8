"""OKX's instruments: how they are listed, and how they are called here.

https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments. Names tell all that there is to know::

    BTC-USDT                    spot
    BTC-USDT-SWAP               perpetual, settled in USDT                  BTC-USDT-PERP
    BTC-USD-SWAP                perpetual, inverse: settled in BTC          BTC-USD-PERP
    BTC-USD_UM-SWAP             perpetual, settled in US dollars            BTC-USD:USD-PERP
    BTC-USD-261225              future, until 2026-12-25 08:00 UTC          BTC-USD-20261225
    BTC-USD-261225-50000-C      option to buy at 50,000 USD                 BTC-USD-20261225-50000-C
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import attrs
import msgspec

from multilogger.exchanges.fields import sane_time
from multilogger.exchanges.okx.messages import NS_PER_MS
from multilogger.records import ExchangeId
from multilogger.symbols.instruments import AssetClass, OptionKind, QuoteType, SymbolInfo
from multilogger.symbols.naming import contract_name, pair_name
from multilogger.symbols.quotes import quote_type
from multilogger.tables import NANOS_PER_SECOND

KINDS: Final = {
    "SPOT": AssetClass.SPOT,
    "SWAP": AssetClass.PERPETUAL,
    "FUTURES": AssetClass.FUTURES,
    "OPTION": AssetClass.OPTION,
}
"""By ``instType``."""
_MARGINED: Final = "_UM"
"""Behind the quote: settled in the quote, although the quote is fiat money."""
_EXPIRY_HOUR: Final = 8
"""UTC, of every future and option."""
_OPTIONS: Final = {"C": OptionKind.CALL, "P": OptionKind.PUT}
_VENUE: Final = re.compile(
    r"(?P<base>[^-]+)-(?P<quote>[^-]+)"
    r"(?:-(?:(?P<swap>SWAP)|(?P<day>\d{6})(?:-(?P<strike>[\d.]+)-(?P<option>[CP]))?))?"
)
_NORMALIZED: Final = re.compile(
    r"(?P<base>[^-]+)-(?P<quote>[^-:]+)(?P<settle>:[^-]+)?"
    r"-(?:(?P<perp>PERP)|20(?P<day>\d{6})(?P<option>-[\d.]+-[CP])?)"
)


class Listed(msgspec.Struct, rename="camel"):
    """An entry of ``GET /api/v5/public/instruments``; numbers are text, and empty where there are none."""

    inst_id: str
    inst_type: str
    state: str
    base_ccy: str = ""
    quote_ccy: str = ""
    settle_ccy: str = ""
    ct_val: str = ""
    ct_mult: str = ""
    ct_val_ccy: str = ""
    list_time: str = ""
    exp_time: str = ""
    tick_sz: str = ""
    min_sz: str = ""


@attrs.frozen(kw_only=True)
class Contract:
    """What the name of an instrument tells."""

    base: str
    quote: str
    kind: AssetClass
    settle: str = ""
    expiry_ns: int | None = None
    strike: str = ""
    option: OptionKind | None = None

    @property
    def normalized(self) -> str:
        """What the instrument is called here."""
        if self.kind is AssetClass.SPOT:
            return pair_name(self.base, self.quote)
        return contract_name(
            self.base,
            self.quote,
            self.kind,
            settle=self.settle,
            expiry_ns=self.expiry_ns,
            strike=self.strike,
            option=self.option,
        )


def read_name(symbol: str) -> Contract | None:
    """Return what the name of an instrument tells; None if it has another form."""
    found = _VENUE.fullmatch(symbol)
    if found is None:
        return None
    base, (quote, margined, _) = found["base"], found["quote"].partition(_MARGINED)
    if not (found["swap"] or found["day"]):
        return Contract(base=base, quote=found["quote"], kind=AssetClass.SPOT)
    inverse = quote_type(quote) is QuoteType.FIAT and not margined
    try:
        expiry_ns = _expiry_ns(found["day"]) if found["day"] else None
    except ValueError:  # no such day
        return None
    kind = AssetClass.OPTION if found["strike"] else AssetClass.FUTURES
    return Contract(
        base=base,
        quote=quote,
        kind=AssetClass.PERPETUAL if found["swap"] else kind,
        settle=base if inverse else quote,
        expiry_ns=expiry_ns,
        strike=found["strike"] or "",
        option=_OPTIONS.get(found["option"]),
    )


def venue_name(normalized: str) -> str:
    """Return what an instrument is called at OKX; a name of another form is its own."""
    found = _NORMALIZED.fullmatch(normalized)
    if found is None:
        return normalized
    margined = _MARGINED if found["settle"] else ""
    last = "SWAP" if found["perp"] else f"{found['day']}{found['option'] or ''}"
    return f"{found['base']}-{found['quote']}{margined}-{last}"


def read_entry(entry: object) -> SymbolInfo:
    """Return an instrument of a listing.

    What an instrument that is not traded yet leaves empty is taken from its name.

    Raises:
        ValueError: it has no name of a known form, or a number is none.
        msgspec.ValidationError: a field is missing, or of another type.
    """
    listed = msgspec.convert(entry, Listed)
    named = read_name(listed.inst_id)
    if named is None or named.kind is not KINDS.get(listed.inst_type):
        raise ValueError(f"no name of {listed.inst_type}: {listed.inst_id}")
    contract = _with_entry(named, listed)
    size = _number(listed.ct_val)
    return SymbolInfo(
        exchange=ExchangeId.OKX,
        symbol=listed.inst_id,
        normalized=contract.normalized,
        base=contract.base,
        quote=contract.quote,
        quote_type=quote_type(contract.quote),
        asset_class=contract.kind,
        active=listed.state == "live",
        status=listed.state,
        tick_size=_float(listed.tick_sz),
        min_size=_float(listed.min_sz),
        settle=contract.settle,
        contract_size=None if size is None else float(size * (_number(listed.ct_mult) or 1)),
        contract_unit=listed.ct_val_ccy if size is not None else "",
        expiry_ns=contract.expiry_ns,
        strike=_float(contract.strike),
        option=contract.option,
        listed_ns=_time_ns(listed.list_time),
    )


def distinct(listed: list[SymbolInfo]) -> list[SymbolInfo]:
    """Return a listing in which no two instruments have the same name.

    Of several, the one that is traded keeps it; each of the others is called what OKX calls it.
    """
    owners: dict[str, SymbolInfo] = {}
    for info in listed:
        owner = owners.setdefault(info.normalized, info)
        if info.active and not owner.active:
            owners[info.normalized] = info
    return [
        info if owners[info.normalized] is info else attrs.evolve(info, normalized=info.symbol)
        for info in listed
    ]


def _with_entry(named: Contract, listed: Listed) -> Contract:
    if named.kind is AssetClass.SPOT:
        return attrs.evolve(named, base=listed.base_ccy or named.base, quote=listed.quote_ccy or named.quote)
    # A perpetual may have the time at which it will be delisted.
    expiry_ns = None if named.expiry_ns is None else _time_ns(listed.exp_time) or named.expiry_ns
    return attrs.evolve(named, settle=listed.settle_ccy or named.settle, expiry_ns=expiry_ns)


def _expiry_ns(day: str) -> int:
    at = datetime.strptime(day, "%y%m%d").replace(hour=_EXPIRY_HOUR, tzinfo=UTC)
    return int(at.timestamp()) * NANOS_PER_SECOND


def _time_ns(text: str) -> int | None:
    """Return the nanoseconds of a time in milliseconds, None of an empty one."""
    if not text:
        return None
    time_ns = int(text) * NS_PER_MS
    if not sane_time(time_ns):
        raise ValueError(f"{text} is no time of now")
    return time_ns


def _number(text: str) -> Decimal | None:
    """Return the number that a text is, None of an empty one."""
    if not text:
        return None
    try:
        number = Decimal(text)
    except ArithmeticError as error:
        raise ValueError(f"{text!r} is no number") from error
    if not number.is_finite():
        raise ValueError(f"{text!r} is no number")
    return number


def _float(text: str) -> float | None:
    number = _number(text)
    return None if number is None else float(number)
