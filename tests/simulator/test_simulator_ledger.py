from __future__ import annotations

from pathlib import Path

import pytest

from multilogger.simulator.ledger import Ledger, TickerEntry, TradeEntry, read_ledgers

MAKER, TAKER = bytes(range(16)), bytes(range(16, 32))


def trade(trade_id: int = 1, symbol: str = "BTC-USD") -> TradeEntry:
    """Return a trade."""
    return TradeEntry(
        symbol=symbol, time_ns=12345, trade_id=trade_id, price="64000.10", size="0.5",
        maker=MAKER, taker=TAKER, bought=True,
    )  # fmt: skip


def ticker(sequence: int = 1) -> TickerEntry:
    """Return a ticker."""
    return TickerEntry(
        symbol="BTC-USD", time_ns=12345, sequence=sequence, price="1.1", volume="2.2",
        best_bid="1.0", best_ask="1.2", bought=False,
    )  # fmt: skip


@pytest.mark.parametrize("on_disk", [True, False])
def test_rows_come_back(tmp_path: Path, on_disk: bool) -> None:
    """What is entered is read back value by value, from files and from memory."""
    ledger = Ledger("coinbase", tmp_path if on_disk else None)
    ledger.trade(trade())
    ledger.ticker(ticker())
    [row] = ledger.rows("TRADES")
    assert row.tolist() == (b"BTC-USD", 12345, 1, 64000.10, 0.5, MAKER, TAKER, 1)
    [row] = ledger.rows("MD")
    assert row.tolist() == (b"BTC-USD", 12345, 1, 1.1, 2.2, 1.0, 1.2, 0)
    assert ledger.counts == {"TRADES": 1, "MD": 1}
    ledger.close()


def test_a_commit_is_in_the_file_at_once(tmp_path: Path) -> None:
    """Committed rows are with the operating system, so a killed process leaves them."""
    ledger = Ledger("binance", tmp_path)
    ledger.trade(trade())
    assert len(read_ledgers([tmp_path], "binance", "TRADES")) == 0
    ledger.commit()
    assert len(read_ledgers([tmp_path], "binance", "TRADES")) == 1
    ledger.close()


def test_a_later_run_appends_behind_whole_rows(tmp_path: Path) -> None:
    """A row torn by a kill is dropped, and the next run's rows are not shifted by it."""
    ledger = Ledger("coinbase", tmp_path)
    ledger.trade(trade(1))
    ledger.close()
    with (tmp_path / "coinbase.TRADES.ledger").open("ab") as file:
        file.write(b"torn")
    assert read_ledgers([tmp_path], "coinbase", "TRADES")["trade_id"].tolist() == [1]
    again = Ledger("coinbase", tmp_path)
    again.trade(trade(2))
    assert again.rows("TRADES")["trade_id"].tolist() == [1, 2]
    again.close()


def test_several_directories_are_read_in_order(tmp_path: Path) -> None:
    """Ledgers of several runs in several places make one; a place without one is empty."""
    for number in (1, 2):
        ledger = Ledger("coinbase", tmp_path / str(number))
        ledger.trade(trade(number))
        ledger.close()
    places = [tmp_path / "2", tmp_path / "none", tmp_path / "1"]
    assert read_ledgers(places, "coinbase", "TRADES")["trade_id"].tolist() == [2, 1]


def test_an_overlong_symbol_is_refused() -> None:
    """A symbol that does not fit is an error, not a cut name."""
    with pytest.raises(ValueError, match="longer than"):
        Ledger("coinbase").trade(trade(symbol="X" * 33))
