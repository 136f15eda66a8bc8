"""Third-party exchanges: the one of the documentation, installed, found and used; and broken ones."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import attrs
import pytest
import trio
from test_exchanges_listing import no_connection

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.config import load_config
from multilogger.errors import FrameError, StartupError
from multilogger.exchanges import catalog
from multilogger.exchanges.base import (
    Adapter,
    Confirmed,
    Exchange,
    Rejected,
    Services,
    TradeHistory,
    TradeIds,
)
from multilogger.records import ExchangeId, Flag, Side
from multilogger.stats import ExchangeStats
from multilogger.tables import TRADES

DOC = Path(__file__).parents[2] / "docs" / "adding-an-exchange.md"
FRAME = b'{"market":"BTC/USD","id":17,"at":1795341600123,"px":"64000.10","qty":"0.5","taker":"sell"}'

Install = Callable[..., None]


def documented(language: str, containing: str) -> str:
    """Return the code block of the documentation that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if containing in block]
    return str(block)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Give a function that installs a module with an entry point, as a package manager would."""
    modules: list[str] = []

    def put(module: str, source: str, entry: str) -> None:
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{catalog.GROUP}]\n{entry}\n")
        modules.append(module)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield put
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def tiny(install: Install) -> Exchange:
    """The documentation's exchange, found by its entry point."""
    entry = documented("toml", "[project.entry-points").splitlines()[1].replace('"', "")
    install("tiny_exchange", documented("python", "class Tiny("), entry)
    kind = catalog.exchange_types()["tiny"]
    return kind(kind.config_type())  # type: ignore[call-arg] # its configuration has defaults for all keys


def fed(exchange: Exchange) -> tuple[Adapter, ExchangeStats, RowBuffer]:
    """Return an adapter of the exchange with a subscription, its counters and its rows."""
    stats = ExchangeStats(exchange.id)
    adapter = exchange.create_adapter(SymbolTable(exchange.id), stats)
    assert adapter.subscribe(["BTC/USD"]) == ['{"watch":["BTC/USD"]}']
    return adapter, stats, RowBuffer()


def test_plugin_is_found_beside_the_built_in_exchanges(tiny: Exchange) -> None:
    """The catalog has the plugin under its name, and the built-in exchanges as ever."""
    types = catalog.exchange_types()
    assert types["tiny"] is type(tiny)
    assert catalog.BUILT_IN.items() <= types.items()
    assert tiny.id == "tiny"


def test_plugin_packs_rows(tiny: Exchange) -> None:
    """The plugin's adapter packs its trades, answers for its subscriptions and refuses the rest."""
    adapter, stats, rows = fed(tiny)
    frames = [b'{"watching":["BTC/USD"]}', FRAME, b'{"unknown":["X/Y"]}', b"{", FRAME.replace(b"0.5", b"nan")]
    events = adapter.receive(frames, 1, rows)
    assert list(events) == [Confirmed(("BTC/USD",)), Rejected(("X/Y",), "unknown")]
    (row,) = rows.take()[TRADES.number]
    names = ("symbol", "trade_id", "time_ns", "recv_ns", "price", "size", "side")
    assert [row[name] for name in names] == [0, 17, 1_795_341_600_123_000_000, 1, 64000.1, 0.5, Side.SELL]
    assert stats.refused == {"malformed json": 1, "absurd value": 1}


def test_plugin_ignores_what_it_did_not_ask_for(tiny: Exchange) -> None:
    """Trades of other symbols, or of one that was left, and unknown frames are counted."""
    adapter, stats, rows = fed(tiny)
    assert adapter.unsubscribe(["BTC/USD"]) == ['{"unwatch":["BTC/USD"]}']
    assert list(adapter.receive([FRAME, b'{"hello":1}'], 1, rows)) == []
    assert stats.ignored == {"unsubscribed symbol": 1, "unknown frame": 1}
    assert len(rows) == 0


def test_plugin_gives_records(tiny: Exchange) -> None:
    """The plugin's public parsers give unified records."""
    (trade,) = tiny.parse_trade_data(FRAME, 5)
    assert (trade.exchange, trade.symbol, trade.recv_ns) == (ExchangeId("tiny"), "BTC/USD", 5)
    assert tiny.parse_trade_data(b'{"watching":[]}') == []
    assert tiny.parse_market_data(FRAME) == []
    with pytest.raises(FrameError, match="bad side or id"):
        tiny.parse_trade_data(FRAME.replace(b"sell", b"none"))


async def test_plugin_lists_its_symbols(tiny: Exchange) -> None:
    """The plugin fetches its listing by the services that the program lends."""

    async def http_get(url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0) -> bytes:
        await trio.lowlevel.checkpoint()
        assert weight == 1
        assert (url, params) == ("https://api.tiny.example/markets", None)
        return b'[{"name":"BTC/USD","open":true},{"name":5},{"name":"OLD/USDT","open":false}]'

    btc, old = await type(tiny)(tiny.config, Services(http_get, no_connection)).fetch_symbols()
    assert (btc.normalized, btc.active, old.quote, old.active) == ("BTC-USD", True, "USDT", False)
    assert tiny.venue_symbol(tiny.normalize_symbol("BTC/USD")) == "BTC/USD"


async def test_plugin_gives_past_trades(tiny: Exchange) -> None:
    """The plugin's history gives trades of a span, and the newest ones, as records."""
    asked = []

    async def http_get(url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0) -> bytes:
        await trio.lowlevel.checkpoint()
        asked.append((url, params, weight))
        return b"[%s,%s,{}]" % tuple(FRAME.replace(b":17,", b":%d," % it) for it in (16, 15))

    exchange = type(tiny)(tiny.config, Services(http_get, no_connection))
    (trade,) = await exchange.fetch_trades("BTC/USD", 16, 16)
    assert attrs.evolve(trade, flags=Flag.LIVE, trade_id=17) == tiny.parse_trade_data(FRAME)[0]
    assert trade.flags == Flag.BACKFILLED
    assert [it.trade_id for it in await exchange.fetch_newest("BTC/USD")] == [15, 16]
    url = "https://api.tiny.example/fills"
    assert asked == [(url, {"market": "BTC/USD", "below": "17"}, 1), (url, {"market": "BTC/USD"}, 1)]
    assert (exchange.history, exchange.trade_ids) == (TradeHistory(page=500), TradeIds.CONTIGUOUS)


def test_plugin_is_configured(tiny: Exchange, tmp_path: Path) -> None:
    """The plugin's section is read as its own configuration class."""
    file = tmp_path / "logger.toml"
    section = documented("toml", "[exchanges.tiny]")
    file.write_text(f'[logger]\ndata_path = "data"\n{section}', encoding="utf-8")
    types = {name: kind.config_type for name, kind in catalog.exchange_types().items()}
    config = load_config(file, {}, types)
    assert isinstance(config.exchanges["tiny"], type(tiny.config))
    assert config.exchanges["tiny"].symbols == ("BTC-USD",)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("Other = 1", "AttributeError: module 'broken_exchange' has no attribute 'Broken'"),
        ("def:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("class Broken: pass", "is no subclass of multilogger.exchanges.base.Exchange"),
        ("Broken = 7", "is no subclass of multilogger.exchanges.base.Exchange"),
        (
            "from multilogger.exchanges.base import Exchange\nclass Broken(Exchange): pass",
            "calls itself '': entry point and id must be the same",
        ),
        (
            "from multilogger.exchanges.coinbase.exchange import Coinbase as Broken",
            "calls itself 'coinbase': entry point and id must be the same",
        ),
    ],
)
def test_plugin_that_is_broken(install: Install, source: str, words: str) -> None:
    """A broken plugin is a StartupError that names it and says what is wrong."""
    install("broken_exchange", source, "broken = broken_exchange:Broken")
    with pytest.raises(StartupError) as raised:
        catalog.exchange_types()
    assert str(raised.value).startswith("exchange plugin 'broken' (broken_exchange:Broken) ")
    assert words in str(raised.value)


def test_plugin_can_not_take_a_built_in_name(install: Install) -> None:
    """An entry of a built-in exchange's name is not even imported."""
    install("thief_exchange", "raise RuntimeError('imported')", "binance = thief_exchange:Binance")
    assert catalog.exchange_types()["binance"] is catalog.BUILT_IN["binance"]


def test_plugin_entries_of_the_package_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-in exchanges are there even where the installation's metadata do not tell of them."""

    def none(*, group: str) -> tuple[EntryPoint, ...]:
        assert group == catalog.GROUP
        return ()

    monkeypatch.setattr(catalog, "entry_points", none)
    assert catalog.exchange_types() == catalog.BUILT_IN
