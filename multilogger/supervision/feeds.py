"""All exchanges, as long as recording may go on; a pause ends their connections, and is noted as a gap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn, Protocol

import trio

from multilogger.notes import ANY, OFFLINE, CoverageNote, CoverageState, Note, closed, gap_note
from multilogger.quality.recorded import SLACK_NS
from multilogger.stats import ExchangeState, Stats
from multilogger.supervision.gate import Gate
from multilogger.tables import MD

AddNotes = Callable[[list[Note]], None]
"""Has notes journalled with the next commit; must not block."""


class Exchanges(Protocol):
    """What is run: :class:`multilogger.supervision.roster.Roster`."""

    @property
    def names(self) -> Sequence[str]:
        """Of the exchanges that are to run now."""
        ...

    async def run(self) -> NoReturn:
        """Run them; ends by cancellation."""
        ...


class Ledger(Protocol):
    """What keeps an exchange's coverage: :class:`multilogger.quality.coverage.CoverageBook`."""

    def pause(self, cause: str, at_ns: int) -> None:
        """Take note that all connections have ended, to be opened again later."""
        ...


async def run_exchanges(
    exchanges: Exchanges,
    ledgers: Callable[[], Iterable[Ledger]],
    stats: Stats,
    gate: Gate,
    add_notes: AddNotes,
    clock: Callable[[], int],
) -> NoReturn:
    """Run all exchanges while the gate is open, again after each pause; ends by cancellation alone.

    A pause is an orderly end of all connections: each hands over its last rows. What the exchanges' lives
    share between their connections, such as the last trade ids, outlives it: so ids that were missed are
    known afterwards.

    Args:
        exchanges: the enabled exchanges.
        ledgers: returns those of the exchanges that have run.
        stats: shows which state they are in.
        gate: says when to pause.
        add_notes: takes the coverage notes of the pauses.
        clock: nanoseconds since the epoch, on the scale of event times.
    """
    while True:
        async with trio.open_nursery() as feeds:
            if not gate.reason:
                feeds.start_soon(exchanges.run)
            await gate.wait_closed()
            start_ns, cause = clock(), gate.cause
            feeds.cancel_scope.cancel()
        for ledger in ledgers():
            ledger.pause(cause, start_ns)
        with _noted_as_gap(exchanges.names, cause, start_ns, add_notes, clock):
            await _show_until_open(exchanges.names, stats, gate)


def endings(
    stopped_ns: int, open_coverage: Iterable[CoverageNote], newest_ns: Mapping[str, int]
) -> dict[str, int]:
    """Return when the last run ended for exchanges that it left by a crash, nanoseconds since the epoch.

    Their connections may have been dead for longer, and nobody lived to notice. What is certain is that they
    brought data up to the newest row.

    Args:
        stopped_ns: when the last run is known to have recorded anything.
        open_coverage: the intervals that are open, among them those of a crash.
        newest_ns: event time of the newest row on disk by exchange.
    """
    crashed = {note.exchange for note in open_coverage if note.end_ns is None and not _is_offline(note)}
    return {name: min(stopped_ns, newest_ns.get(name, stopped_ns)) for name in crashed}


def note_offline(
    names: Iterable[str],
    stopped_ns: int,
    started_ns: int,
    add_notes: AddNotes,
    open_coverage: Sequence[CoverageNote] = (),
    ended_ns: Mapping[str, int] | None = None,
    heard_ns: Mapping[tuple[str, str], int] | None = None,
) -> None:
    """Note that nothing was recorded between two runs, and end what the last one left open.

    A run that ended in order has left a gap open: nothing was recorded until now. After a crash the last rows
    before its end may be missing, too. Of exchanges that are no longer enabled the gap goes on.

    Args:
        names: the enabled exchanges.
        stopped_ns: when the last run is known to have recorded, nanoseconds since the epoch; 0 if none has.
        started_ns: when this one begins to.
        add_notes: takes the notes.
        open_coverage: the intervals that are open, with what was said over them since, in that order.
        ended_ns: when it ended for exchanges that it left by a crash; ``stopped_ns`` for others.
        heard_ns: event time of the newest row on disk by exchange and symbol. One of several connections may
            have been dead before a crash: tickers of a symbol were certainly recorded up to there only.
    """
    if not stopped_ns:
        return
    offline = {note.exchange: note for note in open_coverage if _is_offline(note)}
    crashed = endings(stopped_ns, open_coverage, ended_ns or {})
    notes: list[Note] = []
    for note in open_coverage:
        if not _is_offline(note):
            # A gap goes on while anything was recorded, what was live no longer than it was heard of.
            live = note.state is CoverageState.LIVE
            at_ns = crashed.get(note.exchange, stopped_ns) - SLACK_NS if live else stopped_ns
            notes.append(closed(note, at_ns) if note.end_ns is None else note)
            if live and note.end_ns is None and note.table == MD.name:
                since_ns = (heard_ns or {}).get((note.exchange, note.symbol), at_ns + SLACK_NS) - SLACK_NS
                notes += _unheard(note, max(since_ns, note.start_ns), at_ns)
    enabled = set(names)
    for name in sorted(enabled.union(crashed)):
        since_ns = crashed[name] - SLACK_NS if name in crashed else stopped_ns
        gap = offline.get(name) or gap_note(name, OFFLINE, since_ns, None)
        notes.append(closed(gap, started_ns) if name in enabled else gap)
    add_notes(notes)


def _unheard(live: CoverageNote, start_ns: int, end_ns: int) -> list[Note]:
    """Return that a table may not have been recorded any more before a crash."""
    if start_ns >= end_ns:
        return []
    return [
        CoverageNote(live.exchange, live.symbol, live.table, CoverageState.GAP, OFFLINE, start_ns, end_ns)
    ]


def _is_offline(note: CoverageNote) -> bool:
    """Return whether it is an exchange's open gap since the end of a run."""
    return (note.symbol, note.cause, note.end_ns) == (ANY, OFFLINE, None)


async def _show_until_open(names: Sequence[str], stats: Stats, gate: Gate) -> None:
    while gate.reason:
        for name in names:
            exchange = stats.exchange(name)
            exchange.state, exchange.detail = ExchangeState.PAUSED, f"paused: {gate.reason}"
        await gate.wait_changed()


@contextmanager
def _noted_as_gap(
    names: Sequence[str], cause: str, start_ns: int, add_notes: AddNotes, clock: Callable[[], int]
) -> Iterator[None]:
    """Note at once that there is a gap, and at the block's end how long it was: a crash may come between."""
    gaps = [gap_note(name, cause, start_ns, None) for name in names]
    add_notes([*gaps])
    try:
        yield
    finally:
        # A stop ends the pause, too: what follows until the next start is a gap of its own.
        end_ns = clock()
        add_notes([closed(gap, end_ns) for gap in gaps])
