"""The end of a demo: what the exchanges sent, by their ledgers, against what NumPy finds in the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

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

    @property
    def lost_before(self) -> int:
        """Rows that earlier runs sent and that are not on disk."""
        return sum(table.lost_in_kills for table in self.tables)


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


def verdict_lines(verdicts: list[ExchangeVerdict]) -> Iterator[str]:
    """Give a line a table, in rich's markup, and some of the differences where there are any."""
    for verdict in (part for whole in verdicts for part in whole.tables):
        result = verdict.result
        mark = "[green]ok  [/green]" if verdict.good else "[red]FAIL[/red]"
        sent = result.sent - verdict.lost_in_kills
        equal = "=" if result.on_disk == sent else "≠"
        yield (
            f"{mark} {verdict.exchange:<9}{result.table:<7} {sent:>9,} rows sent {equal} "
            f"{result.on_disk:>9,} rows on disk: {result.missing - verdict.lost_in_kills} missing, "
            f"{result.extra} extra, {result.duplicates} duplicates, {result.skew} skew, "
            f"{result.time_decreasing} out of order"
        )
        if not verdict.good:
            yield from (f"     {sample}" for sample in result.samples)
