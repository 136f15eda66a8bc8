"""The logger with one mechanism switched off at a time: the checks have to find each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, NoReturn

import attrs
import trio
from chaos_clock import replaced
from chaos_scenario import EXCHANGES, Scenario

from multilogger.connection.session import Session
from multilogger.connection.watch import Watch
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.sequence import TradeSequence
from multilogger.simulator.chaos import Strike
from multilogger.simulator.faults import Cut, Duplicate, Refuse
from multilogger.simulator.feed_faults import HalfOpen, StallSymbol
from multilogger.simulator.site import Fault
from multilogger.supervision import life
from multilogger.tables import Array

_SECS: Final = 900.0
_Patch = Callable[[], AbstractContextManager[None]]


@attrs.frozen(eq=False)
class Mutant:
    """What is switched off, and where that must be found."""

    name: str
    scenario: Scenario
    finds: str
    """The invariant that does not hold: how a line that says so begins."""
    patch: _Patch


def _struck(*faults: tuple[float, Fault], **changes: Any) -> Scenario:
    """Return a quarter of an hour in which both exchanges are struck."""
    strikes = [Strike(at, type(fault).__name__, fault, _SECS) for at, fault in faults]
    return Scenario(seed=11, secs=_SECS, strikes=dict.fromkeys(EXCHANGES, strikes), **changes)


def _replace(owner: Any, **values: Any) -> _Patch:
    return lambda: replaced(owner, **values)


def _both(*patches: _Patch) -> _Patch:
    @contextmanager
    def patched() -> Iterator[None]:
        with ExitStack() as stack:
            for patch in patches:
                stack.enter_context(patch())
            yield

    return patched


def _nothing(*_args: object, **_named: object) -> None:
    """Do nothing."""


async def _rest(*_args: object, **_named: object) -> NoReturn:
    """Do nothing for ever."""
    await trio.sleep_forever()
    raise AssertionError


_fresh = TradeSequence.fresh


def _take_all(sequence: TradeSequence, trades: Array) -> Array:
    _fresh(sequence, trades)
    return trades


def _end(_session: Session, why: Exception) -> NoReturn:
    raise why


_UNWATCHED: Final = _replace(Watch, run=_rest)
_BROKEN: Final = ((200.0, Refuse(60.0)), (200.0, Cut()))
MUTANTS: Final[Mapping[str, Mutant]] = {
    it.name: it
    for it in (
        Mutant(
            "dedup",
            _struck((100.0, Duplicate(300.0, share=0.5, delays=(0.0, 30.0)))),
            "duplicates",
            _replace(TradeSequence, fresh=_take_all),
        ),
        Mutant("gap-detection", _struck(*_BROKEN), "missing trades", _replace(TradeSequence, _skip=_nothing)),
        Mutant("backfill", _struck(*_BROKEN), "missing trades", _replace(life, run_backfill=_rest)),
        Mutant(
            "make-before-break",
            Scenario(seed=11, secs=_SECS, struck=(), lifetime_secs=300.0),
            "cross-talk",
            _replace(Session, _replace_or_end=_end),
        ),
        Mutant(
            "silence-watchdog",
            _struck((200.0, HalfOpen())),
            "missing trades",
            _both(_UNWATCHED, _replace(Session, _watch_silence=_rest)),
        ),
        Mutant("symbol-watchdog", _struck((200.0, StallSymbol(9e9, "", 4))), "missing trades", _UNWATCHED),
        Mutant(
            "coverage-of-losses",
            _struck(*_BROKEN, without_history=EXCHANGES),
            "unknown loss",
            _replace(CoverageBook, lost=_nothing),
        ),
    )
}
