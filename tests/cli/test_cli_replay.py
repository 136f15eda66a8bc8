"""``multilogger replay``: recorded frames into column files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from multilogger.cli.main import main
from multilogger.exchanges.catalog import BUILT_IN

Capsys = pytest.CaptureFixture[str]


def match(trade_id: int, kind: str = "match") -> dict[str, Any]:
    """Return a match as Coinbase Exchange sends it."""
    return {
        "type": kind,
        "trade_id": trade_id,
        "maker_order_id": "11111111-2222-4333-8444-555555555555",
        "taker_order_id": "66666666-7777-4888-9999-aaaaaaaaaaaa",
        "side": "sell",
        "size": "0.25",
        "price": f"{64000 + trade_id}.5",
        "product_id": "BTC-USD",
        "sequence": trade_id * 7,
        "time": f"2025-01-25T10:30:{trade_id:02d}.123456Z",
    }


def write_recording(path: Path, messages: list[dict[str, Any]]) -> Path:
    """Write frames as a recording; compressed if its name says so."""
    lines = [
        json.dumps({"recv": 1737801000.5, "conn": None, "text": json.dumps(message)}) for message in messages
    ]
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(zstandard.compress(content) if path.suffix == ".zst" else content)
    return path


def replay(data: Path, *files: Path, options: tuple[str, ...] = ()) -> int:
    """Replay files of Coinbase Exchange."""
    return main(["replay", *map(str, files), "--exchange", "coinbase", "--data", str(data), *options])


def stored_ids(data: Path) -> list[int]:
    """Return the ids on disk."""
    return [
        int(number)
        for file in sorted(data.glob("coinbase/BTC-USD/TRADES/trade_id.*.bin"))
        for number in np.fromfile(file, "<u8")
    ]


def counts(out: str) -> dict[str, str]:
    """Return what the report counted."""
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    return {cell[0]: cell[1] for cell in cells}


def test_replay(tmp_path: Path, capsys: Capsys) -> None:
    """Plain and compressed files are recorded in order; what is odd in them is counted."""
    first = write_recording(
        tmp_path / "a.jsonl",
        [match(1, "last_match"), match(2), {**match(3), "price": "-1"}, {"type": "weather"}, match(4)],
    )
    second = write_recording(tmp_path / "b.jsonl.zst", [match(5), match(6)])
    assert replay(tmp_path / "data", first, second) == 0
    assert stored_ids(tmp_path / "data") == [1, 2, 4, 5, 6]
    found = counts(capsys.readouterr().out)
    assert found["TRADES rows"] == "5"
    assert found["trade ids missing"] == "1"
    assert found["refused: bad price"] == "1"
    assert found["ignored: weather"] == "1"


def test_replay_twice(tmp_path: Path, capsys: Capsys) -> None:
    """What is on disk already is not recorded again, however often a file is replayed."""
    file = write_recording(tmp_path / "a.jsonl", [match(number) for number in range(1, 6)])
    for _ in range(3):
        assert replay(tmp_path / "data", file) == 0
    assert stored_ids(tmp_path / "data") == [1, 2, 3, 4, 5]
    assert "duplicates dropped │     5" in capsys.readouterr().out


def test_bad_file(tmp_path: Path, capsys: Capsys) -> None:
    """A line that is no frame ends the replay with file and line; nothing of that file is recorded."""
    good = write_recording(tmp_path / "good.jsonl", [match(1), match(2)])
    bad = write_recording(tmp_path / "bad.jsonl", [match(3)])
    bad.write_text(bad.read_text() + "no frame\n")
    assert replay(tmp_path / "data", good, bad) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"multilogger: {bad}, line 2: not a recorded frame")
    assert stored_ids(tmp_path / "data") == [1, 2]


def test_absent_files(tmp_path: Path, capsys: Capsys) -> None:
    """Files that can't be read are all named before anything is recorded."""
    good = write_recording(tmp_path / "good.jsonl", [match(1)])
    assert replay(tmp_path / "data", good, tmp_path / "x.jsonl", tmp_path) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"multilogger: {tmp_path / 'x.jsonl'}: can't be read: No such file or directory",
        f"multilogger: {tmp_path}: can't be read: Is a directory",
    ]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("ticker_volume=weekly", '--set ticker_volume: expected one of "last", "24h", got "weekly"'),
        ("colour=red", "--set colour: unknown setting"),
        ("ticker_volume", "--set ticker_volume: expected KEY=VALUE"),
    ],
)
def test_bad_setting(setting: str, words: str, tmp_path: Path, capsys: Capsys) -> None:
    """A fault in ``--set`` is named as it was written, not as the variable it became."""
    file = write_recording(tmp_path / "a.jsonl", [match(1)])
    assert replay(tmp_path / "data", file, options=("--set", setting)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert "MULTILOGGER__" not in line


def test_unknown_exchange(tmp_path: Path, capsys: Capsys) -> None:
    """An exchange that does not exist is refused by its name."""
    file = write_recording(tmp_path / "a.jsonl", [match(1)])
    assert main(["replay", str(file), "--exchange", "mtgox", "--data", str(tmp_path / "data")]) == 2
    expected = f"multilogger: unknown exchange 'mtgox': known are {', '.join(sorted(BUILT_IN))}\n"
    assert capsys.readouterr().err == expected
