"""The end of a demo: what the exchanges sent, by their ledgers, against what NumPy finds in the files."""

from __future__ import annotations

from pathlib import Path

import attrs
from rich.table import Table

from multilogger.simulator.compare import TableComparison, compare


@attrs.frozen
class Verdict:
    """One table of one exchange."""

    exchange: str
    result: TableComparison
    lost_in_kills: int
    """Of ``result.missing``, what earlier runs were sending when they were killed."""

    @property
    def good(self) -> bool:
        """Whether everything sent by this run, and nothing else, is on disk."""
        return self.result.ok(missing_ok=True) and self.result.missing == self.lost_in_kills


@attrs.frozen
class ExchangeVerdict:
    """All tables of one exchange."""

    tables: list[Verdict]

    @property
    def good(self) -> bool:
        """Whether all of them are."""
        return all(table.good for table in self.tables)


def judge(ledger: Path, data: Path, exchange: str) -> ExchangeVerdict:
    """Compare the files with this run's ledger and those of earlier runs in the same data path.

    Args:
        ledger: this run's ledger directory; those of earlier runs lie beside it.
        data: the data path.
        exchange: whose tables to compare.
    """
    runs = sorted(ledger.parent.iterdir())
    earlier = compare(runs[:-1], data, exchange) if len(runs) > 1 else None
    tables = [
        Verdict(exchange, result, earlier.tables[name].missing if earlier else 0)
        for name, result in compare(runs, data, exchange).tables.items()
    ]
    return ExchangeVerdict(tables)


def verdict_table(verdicts: list[ExchangeVerdict], data: Path) -> Table:
    """Return what is to be printed."""
    table = Table(title=f"sent and stored, in {data}", title_justify="left")
    table.add_column("exchange")
    table.add_column("table")
    for heading in ("sent", "on disk", "missing", "extra", "duplicates", "skew", "out of order"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for verdict in (part for whole in verdicts for part in whole.tables):
        result = verdict.result
        missing = result.missing - verdict.lost_in_kills
        counts = [result.sent - verdict.lost_in_kills, result.on_disk, missing, result.extra]
        counts += [result.duplicates, result.skew, result.time_decreasing]
        mark = "[green]sent = stored" if verdict.good else "[red]DIFFERENT"
        table.add_row(verdict.exchange, result.table, *(f"{count:,}" for count in counts), mark)
    if not all(verdict.good for verdict in verdicts):
        samples = [s for whole in verdicts for part in whole.tables for s in part.result.samples]
        table.caption = "\n".join(samples[:10])
    return table
