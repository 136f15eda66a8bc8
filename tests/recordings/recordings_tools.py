"""What recordings imply, and what is on disk."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from multilogger.archive.reader import Rows, open_archive

ROOT = Path(__file__).parents[2]
RECORDINGS = Path(os.environ.get("MULTILOGGER_RECORDINGS", ROOT.parent / "shared" / "recordings"))

Row = tuple[Any, ...]
Tables = dict[tuple[str, str], list[Row]]
"""Rows by symbol and table: id, ns, price, size, side, maker, taker of TRADES; ns or None, price, volume,
side, bid, ask of MD."""

FAMILIES = sorted(path.stem for path in Path(__file__).parent.glob("expect_*.py"))
"""The modules that tell what an exchange's messages imply."""


def sessions() -> dict[str, tuple[str, str, list[str]]]:
    """Return the recorded sessions that are compared: family, exchange and options of each."""
    return {
        name: (family, *which)
        for family in FAMILIES
        for name, which in import_module(family).SESSIONS.items()
    }


def skipped() -> dict[str, str]:
    """Return the recorded sessions that no adapter speaks the dialect of, and why."""
    return {name: why for family in FAMILIES for name, why in import_module(family).SKIPPED.items()}


def nanoseconds(text: str) -> int:
    """An ISO time as nanoseconds since the epoch."""
    head, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(head).replace(tzinfo=UTC).timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0"))


def uuid_bytes(text: str) -> bytes:
    """The 16 bytes of a UUID."""
    return bytes.fromhex(text.replace("-", ""))


def decoded(text: str) -> Any:
    """A message; one that is no JSON as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def expected_tables(name: str) -> Tables:
    """Return the rows that a recording implies."""
    expectation = import_module(sessions()[name][0]).Expectation()
    for line in (RECORDINGS / name).read_text().splitlines():
        # Receive times as they are spelled: nine decimals don't fit a float.
        frame = json.loads(line, parse_float=str)
        expectation.add(decoded(frame["text"]), None if frame["recv"] is None else str(frame["recv"]))
    tables: Tables = {key: rows for key, rows in expectation.tables.items() if rows}
    return tables


def stored_trades(rows: Rows) -> list[Row]:
    """The rows of a TRADES table, with f4 columns checked against the exact ones."""
    columns = rows.columns
    np.testing.assert_array_equal(columns["trade_price"], columns["price_f64"].astype("<f4"))
    np.testing.assert_array_equal(columns["trade_size"], columns["size_f64"].astype("<f4"))
    orders = [[value.tobytes() for value in columns[f"{who}_order_id"]] for who in ("maker", "taker")]
    names = ("price_f64", "size_f64", "trade_side")
    values = [
        columns["trade_id"].tolist(),
        rows.time_ns.tolist(),
        *(columns[name].tolist() for name in names),
    ]
    return list(zip(*values, *orders, strict=True))


def stored_md(rows: Rows) -> list[Row]:
    """The rows of an MD table, with f4 columns checked against the exact ones."""
    columns = rows.columns
    assert (np.diff(rows.time_ns) >= 0).all()
    values = [rows.time_ns.tolist()]
    for name in ("price", "volume", "best_bid", "best_ask"):
        exact = columns[f"{name}_f64"]
        np.testing.assert_array_equal(columns[name], exact.astype("<f4"))
        values.append(exact.tolist())
    values.insert(3, columns["side"].tolist())
    return list(zip(*values, strict=True))


def check(data: Path, exchange: str, expected: Tables) -> None:
    """Compare every table on disk, late rows included, with the expectation, row by row and in order.

    To a running logger the recorded days are long over, so that it takes all their rows for late ones.
    """
    archive = open_archive(data)
    if not expected:
        assert exchange not in archive.exchanges()
        print("no rows, as is right")
        return
    symbols = archive.symbols(exchange)
    assert {(symbol, table) for symbol in symbols for table in archive.tables(exchange, symbol)} == set(
        expected
    )
    for (symbol, table), rows in expected.items():
        stored = archive.read(exchange, symbol, table)
        if table == "TRADES":
            assert sorted(stored_trades(stored)) == sorted(rows)
        elif rows[0][0] is None:
            assert [(None, *row[1:]) for row in stored_md(stored)] == rows
        else:
            assert stored_md(stored) == rows
        print(f"{symbol}/{table}: {len(rows)} rows, equal")
