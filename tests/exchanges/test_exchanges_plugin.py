"""Third-party exchanges: the one of the documentation, installed, found and used; and broken ones.

What its adapter makes of frames is the contract suite's business.
"""

from __future__ import annotations

import configparser
import importlib
import json
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from exchanges_tools import documented_files

from multilogger.archive.reader import open_archive
from multilogger.cli.main import main
from multilogger.config import load_config
from multilogger.errors import StartupError
from multilogger.exchanges import catalog
from multilogger.exchanges.base import Exchange
from multilogger.symbols.mapper import SymbolMapper
from multilogger.symbols.mappings import read_mappings

PACKAGE = "multilogger_bitstamp"
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Give a function that installs files with entry points, as a package manager would."""
    known = set(sys.modules)
    documented = [name for name in known if name.partition(".")[0] == PACKAGE]
    for name in documented:
        monkeypatch.delitem(sys.modules, name)

    def put(package: str, files: Mapping[str, str], groups: Mapping[str, Mapping[str, str]]) -> None:
        for path, text in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        entries = configparser.ConfigParser()
        entries.read_dict(groups)
        with (info / "entry_points.txt").open("w", encoding="utf-8") as out:
            entries.write(out)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield put
    for name in set(sys.modules) - known | set(documented):
        file = str(getattr(sys.modules.get(name), "__file__", ""))
        if name in documented or file.startswith(str(tmp_path)):
            sys.modules.pop(name, None)


@pytest.fixture
def bitstamp(install: Install) -> type[Exchange]:
    """The documentation's exchange, found by its entry point."""
    files = documented_files()
    groups = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    install(PACKAGE, files, groups)
    return catalog.exchange_types()["bitstamp"]


def test_plugin_is_found_beside_the_built_in_exchanges(bitstamp: type[Exchange]) -> None:
    """The catalog has the plugin under its name, and the built-in exchanges as ever."""
    types = catalog.exchange_types()
    assert types["bitstamp"] is bitstamp
    assert bitstamp.__module__ == f"{PACKAGE}.exchange"
    assert catalog.BUILT_IN.items() <= types.items()
    assert (bitstamp.id, bitstamp.name) == ("bitstamp", "Bitstamp")


def test_plugin_is_configured(bitstamp: type[Exchange], tmp_path: Path) -> None:
    """The plugin's section is read as its own configuration class."""
    file = tmp_path / "logger.toml"
    file.write_text('[logger]\ndata_path = "data"\n[exchanges.bitstamp]\nsymbols = ["BTC-USD"]\n', "utf-8")
    types = {name: kind.config_type for name, kind in catalog.exchange_types().items()}
    config = load_config(file, {}, types).exchanges["bitstamp"]
    assert isinstance(config, bitstamp.config_type)
    assert (config.symbols, config.ws_endpoint) == (("BTC-USD",), "wss://ws.bitstamp.net")


def test_plugin_replays_frames(bitstamp: type[Exchange], tmp_path: Path) -> None:
    """The program's commands take the plugin as they take a built-in exchange."""
    lines = documented_files()["tests/data/bitstamp_frames.jsonl"].splitlines()
    frames = [json.dumps(json.loads(line)["frame"]) for line in lines]
    recording = tmp_path / "frames.jsonl"
    texts = (json.dumps({"recv": 1795341601.0, "text": frame}) + "\n" for frame in frames)
    recording.write_text("".join(texts), encoding="utf-8")
    data = tmp_path / "data"
    assert main(["replay", str(recording), "--exchange", "bitstamp", "--data", str(data)]) == 0
    rows = open_archive(data).read("bitstamp", "btcusd", "TRADES").to_structured()
    assert rows["trade_id"].tolist() == [500_001, 500_002]
    assert rows["trade_side"].tolist() == [1, 0]


def test_plugin_has_mapping_rows(bitstamp: type[Exchange], tmp_path: Path) -> None:
    """The plugin's rows of a mapping file name its symbols."""
    mapper = SymbolMapper(read_mappings(tmp_path / "mappings" / "symbol_mappings.yaml"))
    assert mapper.normalize("bitstamp", "btcusd") == "BTC-USD"
    assert mapper.to_exchange("ETH-USD", "bitstamp") == "ethusd"


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
    entry = {catalog.GROUP: {"broken": "broken_exchange:Broken"}}
    install("broken_exchange", {"broken_exchange.py": source}, entry)
    with pytest.raises(StartupError) as raised:
        catalog.exchange_types()
    assert str(raised.value).startswith("exchange plugin 'broken' (broken_exchange:Broken) ")
    assert words in str(raised.value)


def test_plugin_can_not_take_a_built_in_name(install: Install) -> None:
    """An entry of a built-in exchange's name is not even imported."""
    entry = {catalog.GROUP: {"binance": "thief_exchange:Binance"}}
    install("thief_exchange", {"thief_exchange.py": "raise RuntimeError('imported')"}, entry)
    assert catalog.exchange_types()["binance"] is catalog.BUILT_IN["binance"]


def test_plugin_entries_of_the_package_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built-in exchanges are there even where the installation's metadata do not tell of them."""

    def none(*, group: str) -> tuple[EntryPoint, ...]:
        assert group == catalog.GROUP
        return ()

    monkeypatch.setattr(catalog, "entry_points", none)
    assert catalog.exchange_types() == catalog.BUILT_IN
