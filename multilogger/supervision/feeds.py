"""All exchanges, as long as recording may go on; a pause ends their connections, and is noted as a gap."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

import trio

from multilogger.stats import ExchangeState, Stats
from multilogger.storage.notes import CoverageNote, Note, closed, gap_note, offline_note
from multilogger.supervision.gate import Gate
from multilogger.supervision.restart import keep_alive

Lives = Mapping[str, Callable[[], Awaitable[None]]]
"""What runs each exchange once, by its name."""
AddNotes = Callable[[list[Note]], None]
"""Has notes journalled with the next commit; must not block."""


async def run_exchanges(
    lives: Lives, stats: Stats, gate: Gate, add_notes: AddNotes, clock: Callable[[], int]
) -> NoReturn:
    """Run all exchanges while the gate is open, again after each pause; ends by cancellation alone.

    A pause is an orderly end of all connections: each hands over its last rows. What the exchanges' lives
    share between their connections, such as the last trade ids, outlives it: so ids that were missed count as
    gaps afterwards.

    Args:
        lives: the enabled exchanges.
        stats: shows which state they are in.
        gate: says when to pause.
        add_notes: takes the coverage notes of the pauses.
        clock: nanoseconds since the epoch, on the scale of event times.
    """
    names = list(lives)
    while True:
        async with trio.open_nursery() as feeds:
            if not gate.reason:
                for name, life in lives.items():
                    feeds.start_soon(keep_alive, life, stats.exchange(name))
            await gate.wait_closed()
            start_ns = clock()
            feeds.cancel_scope.cancel()
        with _noted_as_gap(names, gate.cause, start_ns, add_notes, clock):
            await _show_until_open(names, stats, gate)


def note_offline(
    names: Iterable[str],
    stopped_ns: int,
    started_ns: int,
    add_notes: AddNotes,
    open_gaps: Iterable[CoverageNote] = (),
) -> None:
    """Note that nothing was recorded between two runs, and close what the last one left open.

    Args:
        names: the enabled exchanges.
        stopped_ns: when the last run is known to have recorded, nanoseconds since the epoch; 0 if none has.
        started_ns: when this one begins to.
        add_notes: takes the notes.
        open_gaps: gaps that the last run began: they end with it, for what follows is a gap of its own.
    """
    if stopped_ns:
        ended = [closed(gap, stopped_ns) for gap in open_gaps]
        add_notes([*ended, *(offline_note(name, stopped_ns, started_ns) for name in names)])


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
