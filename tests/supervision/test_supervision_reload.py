"""A reload changes what it can, refuses what is wrong, and says what needs a restart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.config import Config, LoggerConfig, SupervisionConfig
from multilogger.errors import ConfigError
from multilogger.exchanges.coinbase.exchange import CoinbaseConfig
from multilogger.stats import Stats
from multilogger.supervision.generations import Succession
from multilogger.supervision.reload import Loaded, Reloader, note_trial
from multilogger.supervision.roster import Roster, Settings

POLICY = SupervisionConfig(probation_secs=10)


@attrs.define(eq=False)
class Recorder:
    """A generation that notes when it begins and ends."""

    name: str
    settings: Settings
    events: list[str]
    running: bool = False

    async def run(self) -> None:
        """Record until cancelled."""
        self.running = True
        self.events.append(f"{self.name}+{self.settings.config.max_connections}")
        try:
            await trio.sleep_forever()
        finally:
            self.events.append(f"{self.name}-{self.settings.config.max_connections}")

    def retire(self) -> None:
        """Let go; what matters here is the end."""

    def is_streaming(self) -> bool:
        """Whether it streams: with 13 connections it never does."""
        return self.running and self.settings.config.max_connections != 13


@attrs.define(eq=False)
class Rig:
    """A roster of recorders, and what reloads it."""

    events: list[str] = attrs.field(factory=list)
    stats: Stats = attrs.field(factory=lambda: Stats(started_ns=0))
    left: list[str] = attrs.field(factory=list)
    answer: Callable[[], Loaded] = lambda: loaded(a=1, b=1)
    reloader: Reloader = attrs.field(init=False)
    roster: Roster = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        first = loaded(a=1, b=1)
        self.roster = Roster(first.exchanges, self.make, self.stats, POLICY, self.left.append)
        self.reloader = Reloader(self.load, first, self.roster, self.stats)

    def load(self) -> Loaded:
        """Read the configuration as it is now."""
        return self.answer()

    def make(self, name: str, settings: Settings) -> Succession[Settings]:
        """Return an exchange's succession."""
        return Succession(
            name,
            settings,
            lambda it: Recorder(name, it, self.events),
            POLICY,
            partial(note_trial, self.stats),
        )


def loaded(flush_interval_secs: float = 5.0, **connections: int) -> Loaded:
    """Return a configuration of exchanges with so many connections each."""
    exchanges = {
        name: Settings(CoinbaseConfig(max_connections=count), ()) for name, count in connections.items()
    }
    config = Config(
        logger=LoggerConfig(data_path=Path("/data"), flush_interval_secs=flush_interval_secs),
        exchanges={name: settings.config for name, settings in exchanges.items()},
    )
    return Loaded(config, exchanges)


async def reloaded(rig: Rig, *answers: Callable[[], Loaded]) -> None:
    """Run, and reload every 30 s."""
    with trio.move_on_after(30 * (len(answers) + 1)):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.roster.run)
            for answer in answers:
                await trio.sleep(30)
                rig.answer = answer
                rig.reloader.reload()
                rig.events.append("|")
            await trio.sleep(29)
            rig.events.append("end")


async def test_an_exchange_alone_changes(autojump_clock: MockClock) -> None:
    """What stays as it was is not touched."""
    rig = Rig()
    await reloaded(rig, lambda: loaded(a=1, b=2))
    assert sorted(rig.events[:2]) == ["a+1", "b+1"]
    assert rig.events[2:6] == ["|", "b+2", "b-1", "end"]
    assert (rig.stats.reloads, rig.stats.reload_problem) == (1, "")


async def test_exchanges_come_and_go(autojump_clock: MockClock) -> None:
    """One that is no longer wanted ends alone, and is forgotten; a new one begins; one may come back."""
    rig = Rig()
    await reloaded(rig, lambda: loaded(a=1, c=1), lambda: loaded(a=1, b=3))
    changes = [event for event in rig.events[2:] if event[0] in "bc"]
    assert sorted(changes[:2]) == ["b-1", "c+1"]
    assert sorted(changes[2:4]) == ["b+3", "c-1"]
    assert rig.left == ["b", "c"]
    assert set(rig.stats.exchanges) == {"a", "b"}


async def test_a_faulty_configuration_changes_nothing(autojump_clock: MockClock) -> None:
    """The faults are told, and all goes on."""

    def refuse() -> Loaded:
        raise ConfigError(["logger.toml: exchanges.a.max_connections: expected a whole number"])

    rig = Rig()
    with capture_logs() as logs:
        await reloaded(rig, refuse)
    assert rig.events[2:4] == ["|", "end"]
    assert rig.stats.reloads == 0
    assert "nothing was changed: logger.toml: exchanges.a.max_connections" in rig.stats.reload_problem
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["reload refused"]


async def test_settings_that_do_not_work_are_told(autojump_clock: MockClock) -> None:
    """The exchange keeps its old settings; a later good reload clears the problem."""
    rig = Rig()
    await reloaded(rig, lambda: loaded(a=13, b=1))
    assert rig.stats.reload_problem.startswith("a: new settings refused: it did not stream; the earlier ones")
    assert rig.events[2:6] == ["|", "a+13", "a-13", "end"]
    again = Rig()
    await reloaded(again, lambda: loaded(a=13, b=1), lambda: loaded(a=2, b=1))
    assert again.stats.reload_problem == ""


@pytest.mark.parametrize(("flush", "warned"), [(5.0, []), (7.0, [["logger"]])])
async def test_what_needs_a_restart_is_said(
    flush: float, warned: list[list[str]], autojump_clock: MockClock
) -> None:
    """Sections of the running program are not changed silently."""
    rig = Rig()
    with capture_logs() as logs:
        await reloaded(rig, lambda: loaded(flush, a=1, b=1))
    assert [entry["sections"] for entry in logs if "sections" in entry] == warned
    assert rig.events[2:4] == ["|", "end"]
