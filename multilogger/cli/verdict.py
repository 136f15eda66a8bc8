"""The end of a demo: what the exchanges sent, by their ledgers, against what NumPy finds in the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs
from rich.markup import escape

from multilogger.archive.report import VerifyReport
from multilogger.simulator.compare import TableComparison, compare
from multilogger.simulator.watch import FileWatch

_NANOS: Final = 1_000_000_000
_SAMPLES: Final = 5
"""Problems that are told in words, of each kind."""


@attrs.frozen
class Verdict:
    """One table of one exchange."""

    exchange: str
    result: TableComparison
    lost_in_kills: int
    """Of ``result.missing``, what earlier runs were sending when they were killed."""
    may_miss: bool = False
    """Whether rows that were sent may be missing: those that nobody can be asked for afterwards."""

    @property
    def good(self) -> bool:
        """Whether everything sent by this run that may not be missing, and nothing else, is on disk."""
        return self.result.ok(missing_ok=True) and (self.may_miss or not self.lost)

    @property
    def lost(self) -> int:
        """Rows that this run sent and that are not on disk."""
        return self.result.missing - self.lost_in_kills


@attrs.frozen
class ExchangeVerdict:
    """All tables of one exchange."""

    exchange: str
    tables: list[Verdict]
    due: frozenset[date] = frozenset()
    """Days that should be sealed if there are rows of them."""

    @property
    def good(self) -> bool:
        """Whether all of them are, and the days that should be are sealed."""
        return all(table.good for table in self.tables) and not self.overdue

    @property
    def lost_before(self) -> int:
        """Rows that earlier runs sent and that are not on disk."""
        return sum(table.lost_in_kills for table in self.tables)

    @property
    def sealed(self) -> set[date]:
        """Days that are sealed, of any table."""
        return set().union(*(table.result.sealed for table in self.tables))

    @property
    def overdue(self) -> set[date]:
        """Days that should be sealed and are not, or not for all symbols and tables."""
        return {day for table in self.tables for day in self.due & table.result.unsealed}


def judge(
    ledger: Path,
    data: Path,
    exchange: str,
    due: frozenset[date] = frozenset(),
    may_miss: frozenset[str] = frozenset(),
) -> ExchangeVerdict:
    """Compare the files with this run's ledger and those of earlier runs in the same data path.

    Args:
        ledger: this run's ledger directory; those of earlier runs lie beside it.
        data: the data path.
        exchange: whose tables to compare.
        due: days that should be sealed if there are rows of them.
        may_miss: tables of which rows that were sent may be missing.
    """
    runs = sorted(ledger.parent.iterdir())
    earlier = compare(runs[:-1], data, exchange) if len(runs) > 1 else None
    tables = [
        Verdict(exchange, result, earlier.tables[name].missing if earlier else 0, name in may_miss)
        for name, result in compare(runs, data, exchange).tables.items()
    ]
    return ExchangeVerdict(exchange, tables, due)


def days_over(start_ns: int, end_ns: int) -> frozenset[date]:
    """Return the UTC days that began to be recorded at ``start_ns`` or later, and were over at ``end_ns``."""
    first, end = (datetime.fromtimestamp(time // _NANOS, UTC).date() for time in (start_ns, end_ns))
    return frozenset(first + timedelta(days=number) for number in range((end - first).days))


def verdict_lines(verdicts: Sequence[ExchangeVerdict]) -> Iterator[str]:
    """Give a line a table, in rich's markup, and some of the differences where there are any.

    Then a line an exchange, if there are sealed days or late rows, or should be.
    """
    for verdict in (part for whole in verdicts for part in whole.tables):
        yield from _table_lines(verdict)
    for whole in verdicts:
        if whole.sealed or whole.due or _sum(whole, "sent_late") or _sum(whole, "late"):
            yield _days_line(whole)


def _table_lines(verdict: Verdict) -> Iterator[str]:
    result = verdict.result
    sent = result.sent - verdict.lost_in_kills
    equal = "=" if result.on_disk == sent else "≠"
    yield (
        f"{mark(verdict.good)} {verdict.exchange:<15}{result.table:<7} {sent:>9,} rows sent {equal} "
        f"{result.on_disk:>9,} rows on disk: {verdict.lost} missing, "
        f"{result.extra} extra, {result.duplicates} duplicates, {result.skew} skew, "
        f"{result.time_decreasing} out of order"
    )
    if not verdict.good:
        yield from (f"     {escape(sample)}" for sample in result.samples)


def _days_line(verdict: ExchangeVerdict) -> str:
    unclean, overdue = _sum(verdict, "unclean"), sorted(verdict.overdue)
    days = len(verdict.sealed)
    sealed = f"{days} {'day' if days == 1 else 'days'} sealed"
    if unclean:
        sealed += f", {unclean} tables of them in disorder or with duplicates"
    elif days:
        sealed += ", sorted, without duplicates"
    line = (
        f"{mark(not unclean and not overdue)} {verdict.exchange:<15}{sealed}; "
        f"{_sum(verdict, 'sent_late'):,} rows sent late, {_sum(verdict, 'late'):,} waiting for the next seal"
    )
    return f"{line}; over, but not sealed: {', '.join(map(str, overdue))}" if overdue else line


def _sum(verdict: ExchangeVerdict, name: str) -> int:
    return sum(getattr(table.result, name) for table in verdict.tables)


def watch_lines(watch: FileWatch) -> Iterator[str]:
    """Give a line of what was seen of the live files meanwhile, and some of the faults."""
    if watch.found:
        yield f"{mark(good=False)} live files, looked at {watch.looks:,} times: {watch.found:,} faults"
        yield from (f"     {escape(fault)}" for fault in watch.faults[:_SAMPLES])
    else:
        times = f"live files, looked at {watch.looks:,} times"
        yield f"{mark(good=True)} {times}: time never decreased, and no row changed or went away"


def verify_lines(report: VerifyReport) -> Iterator[str]:
    """Give a line of what checking every file against the rules found, and some of the problems."""
    counts, problems = report.counts, len(report.problems)
    looked_at = f"verify: {counts.files:,} column files, {counts.rows + counts.late_rows:,} rows"
    found = f"{problems:,} {'problem' if problems == 1 else 'problems'}" if problems else "no problem"
    yield f"{mark(report.ok)} {looked_at}: {found}"
    yield from (f"     {escape(str(problem))}" for problem in report.problems[:_SAMPLES])


def fault_in_words(verdicts: Sequence[ExchangeVerdict], *, whole: bool, obedient: bool) -> str:
    """Return what is wrong with a demo as a whole; empty if nothing is.

    Args:
        verdicts: of all exchanges.
        whole: whether the files keep the rules of the format.
        obedient: whether the logger kept the exchanges' rules, and knows what it lost.
    """
    if not all(verdict.good for verdict in verdicts):
        return "The files do not hold what was sent."
    if not whole:
        return "The files hold what was sent, but are not as they should be."
    if not obedient:
        return (
            "The files hold what was sent, but the logger broke rules, or does not know of all that it lost."
        )
    return ""


def summary(verdicts: Sequence[ExchangeVerdict]) -> str:
    """Return what a demo without faults comes to."""
    lost_before = sum(verdict.lost_before for verdict in verdicts)
    lost = Counter[str]()
    for table in (table for verdict in verdicts for table in verdict.tables):
        lost[table.result.table] += table.lost
    if lost.total():
        tickers, trades = _number(lost["MD"], "ticker"), _number(lost["TRADES"], "trade")
        if not lost["TRADES"]:
            lie = "lies" if lost["MD"] == 1 else "lie"
            return f"All trades are on disk, once and whole; {tickers} {lie} in gaps."
        known = f"{trades} that nobody can be asked for and {tickers} lie in gaps"
        return f"{known}; all else is on disk, once and whole."
    if not lost_before:
        return "All that was sent is on disk, once and whole."
    rows = "1 row of earlier runs is" if lost_before == 1 else f"{lost_before:,} rows of earlier runs are"
    return f"All that this run sent is on disk, once and whole; {rows} not."


def _number(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


def mark(good: bool) -> str:
    """Return what a line begins with."""
    return "[green]ok  [/green]" if good else "[red]FAIL[/red]"
