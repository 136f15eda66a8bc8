"""``symbols`` without a network: saved answers, an archive's history, and what is suggested of them."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from multilogger.cli.main import main
from multilogger.records import ExchangeId
from multilogger.storage.layout import Paths
from multilogger.symbols.changes import apply_changes, changes_between
from multilogger.symbols.history import encode_listing
from multilogger.symbols.instruments import QuoteType, SymbolInfo
from multilogger.symbols.mappings import read_mappings

Capsys = pytest.CaptureFixture[str]
DAY_NS = 86_400 * 10**9
LISTED_NS, CHANGED_NS = 20_000 * DAY_NS, 20_010 * DAY_NS
"""4 and 14 October 2024."""
BTC = SymbolInfo(
    exchange=ExchangeId.COINBASE,
    symbol="BTC-USD",
    normalized="BTC-USD",
    base="BTC",
    quote="USD",
    quote_type=QuoteType.FIAT,
    tick_size=0.01,
    status="online",
)
OLD = attrs.evolve(BTC, symbol="OLD-USD", normalized="OLD-USD", base="OLD")
TETHER = attrs.evolve(BTC, exchange=ExchangeId.BINANCE, symbol="BTCUSDT", normalized="BTC-USDT", quote="USDT")
LISTINGS = {
    "coinbase": {LISTED_NS: [BTC, OLD], CHANGED_NS: [attrs.evolve(BTC, tick_size=0.5)]},
    "binance": {CHANGED_NS: [TETHER]},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An archive with instrument histories, of which one begins later."""
    for exchange, listings in LISTINGS.items():
        path = Paths(tmp_path).instrument_history(exchange)
        path.parent.mkdir(parents=True, exist_ok=True)
        state: dict[str, SymbolInfo] = {}
        with path.open("wb") as file:
            for at_ns, listing in listings.items():
                changes = changes_between(state, listing, at_ns=at_ns, after_ns=0)
                file.write(encode_listing(changes, len(listing)))
                apply_changes(state, changes)
    return tmp_path


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Saved answers of two exchanges."""
    products = [
        {
            "id": f"{base}-USD",
            "base_currency": base,
            "quote_currency": "USD",
            "quote_increment": "0.01",
            "base_increment": "0.1",
            "status": "online",
        }
        for base in ("ETH", "BTC")
    ]
    pairs: list[dict[str, object]] = [
        {"symbol": f"{base}USDT", "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT", "filters": []}
        for base in ("ETH", "BTC", "ZZZ")
    ]
    for name, body in (
        ("coinbase/products.json", products),
        ("binance/exchangeInfo.json", {"symbols": pairs}),
    ):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(json.dumps(body))
    return tmp_path


def rows(out: str) -> list[list[str]]:
    """Return the words of the table's lines, without its heading."""
    lines = [line.split() for line in out.splitlines()]
    return [words for words in lines if words and words[0] in LISTINGS]


def test_the_last_listing_of_an_archive(data: Path, capsys: Capsys) -> None:
    """Without a time, what was listed when it was last looked at; with what is the same elsewhere."""
    assert main(["symbols", "--data", str(data)]) == 0
    found = capsys.readouterr()
    assert [words[:3] for words in rows(found.out)] == [
        ["binance", "BTCUSDT", "BTC-USDT"],
        ["coinbase", "BTC-USD", "BTC-USD"],
    ]
    assert "0.5" in found.out
    assert "coinbase:BTC-USD" in found.out
    assert (found.err, found.out.splitlines()[-1]) == ("", "2 symbols")


def test_a_time(data: Path, capsys: Capsys) -> None:
    """What was listed then; of an exchange that was not recorded yet, nothing is known, and that is told."""
    assert main(["symbols", "--data", str(data), "--at", "2024-10-13"]) == 1
    found = capsys.readouterr()
    assert [words[1] for words in rows(found.out)] == ["BTC-USD", "OLD-USD"]
    assert found.err.startswith("multilogger: binance: no listing: nothing is known in ")
    assert found.err.endswith("of what binance listed before 2024-10-14T00:00:00.000000000Z\n")
    assert main(["symbols", "coinbase", "--data", str(data), "--at", "2024-10-14", "--query", "BTC-USD"]) == 0
    assert [words[1] for words in rows(capsys.readouterr().out)] == ["BTC-USD"]


def test_the_configured_data_path(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    """With a time alone it is the configured archive's."""
    monkeypatch.setenv("MULTILOGGER__LOGGER__DATA_PATH", str(data))
    assert main(["symbols", "--at", "2024-10-14"]) == 0
    assert len(rows(capsys.readouterr().out)) == 2
    monkeypatch.delenv("MULTILOGGER__LOGGER__DATA_PATH")
    assert main(["symbols", "--at", "2024-10-14"]) == 2
    assert "logger.data_path" in capsys.readouterr().err


def test_what_an_archive_does_not_have(data: Path, tmp_path: Path, capsys: Capsys) -> None:
    """No archive, no history, no such exchange: each in its words."""
    for arguments, words in (
        (["--data", str(tmp_path / "none")], "there is no such directory"),
        (["--data", str(Paths(data).own)], "no instrument history of any exchange"),
        (["kraken", "--data", str(data)], "no instrument history of 'kraken'"),
    ):
        assert main(["symbols", *arguments]) == 1
        assert words in capsys.readouterr().err


def test_unreadable_lines_are_told(data: Path, capsys: Capsys) -> None:
    """They are named; the rest is printed."""
    path = Paths(data).instrument_history("coinbase")
    path.write_bytes(path.read_bytes().replace(b'"symbol":"OLD-USD"', b'"symbol":?', 1))
    assert main(["symbols", "--data", str(data), "--at", "2024-10-14"]) == 0
    found = capsys.readouterr()
    assert "coinbase: lines of its history can't be read: line 2: " in found.err
    assert len(rows(found.out)) == 2


def test_saved_answers(answers: Path, capsys: Capsys) -> None:
    """They are read as the exchange's own, with the configured exchanges or without."""
    assert main(["symbols", "--listings", str(answers)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "5 symbols"
    assert main(["symbols", "coinbase", "--listings", str(answers), "--query", "BTCUSDT"]) == 0
    assert [words[1] for words in rows(capsys.readouterr().out)] == ["BTC-USD"]


def test_saved_answers_that_are_not_there(answers: Path, capsys: Capsys) -> None:
    """A missing file is named; so is a directory that is of no exchange."""
    (answers / "coinbase/products.json").unlink()
    assert main(["symbols", "--listings", str(answers)]) == 1
    found = capsys.readouterr()
    assert (
        found.err == f"multilogger: coinbase: no listing: no saved answer {answers}/coinbase/products.json\n"
    )
    assert found.out.splitlines()[-1] == "3 symbols"
    assert main(["symbols", "kraken", "--listings", str(answers)]) == 2
    assert "has no directory kraken" in capsys.readouterr().err
    (answers / "mtgox").mkdir()
    assert main(["symbols", "--listings", str(answers)]) == 2
    assert "unknown exchange 'mtgox'" in capsys.readouterr().err
    assert main(["symbols", "--listings", str(answers / "none")]) == 2
    assert "can't be read: No such file" in capsys.readouterr().err


def test_suggestions(answers: Path, tmp_path: Path, capsys: Capsys) -> None:
    """What is printed is a mapping file that can be used at once."""
    assert main(["symbols", "--suggest", "--listings", str(answers)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "# Suggested by the listings of binance, coinbase; to be reviewed.\nsymbol_mappings:\n"
    )
    path = tmp_path / "own.yaml"
    path.write_text(out)
    read = read_mappings(path)
    assert [(entry.normalized, entry.exchanges) for entry in read.entries] == [
        ("BTC-USD", {"coinbase": "BTC-USD", "binance": "BTCUSDT"}),
        ("ETH-USD", {"coinbase": "ETH-USD", "binance": "ETHUSDT"}),
    ]
    assert read.groups[0].primary == "USD"
    assert main(["symbols", "--suggest", "--assets", "1", "--listings", str(answers)]) == 0
    assert "ETH" not in capsys.readouterr().out


def test_suggestions_of_an_archive(data: Path, capsys: Capsys) -> None:
    """They may be made of what was listed once."""
    assert main(["symbols", "--suggest", "--data", str(data), "--at", "2024-10-14"]) == 0
    assert '{coinbase: "BTC-USD", binance: "BTCUSDT"}' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "2024-10-14", "--listings", "x"], "--listings is of now"),
        (["--data", "x", "--listings", "x"], "--listings is of now"),
        (["--suggest", "--query", "BTC-USD"], "--query chooses what is printed"),
    ],
)
def test_arguments_that_do_not_go_together(arguments: list[str], words: str, capsys: Capsys) -> None:
    """They are told apart before anything is asked."""
    assert main(["symbols", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--at", "yesterday"], ["--assets", "0"], ["--assets", "ten"]])
def test_arguments_that_mean_nothing(arguments: list[str], capsys: Capsys) -> None:
    """A time and a number are expected."""
    with pytest.raises(SystemExit, match="2"):
        main(["symbols", *arguments])
    assert "expected" in capsys.readouterr().err
