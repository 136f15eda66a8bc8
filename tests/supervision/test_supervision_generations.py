"""New settings prove themselves before the old ones go, and the old ones come back."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock

from multilogger.config import SupervisionConfig
from multilogger.errors import StartupError
from multilogger.supervision.generations import Succession

POLICY = SupervisionConfig(probation_secs=60)


@attrs.define(eq=False)
class Recorder:
    """A generation that streams after some time, for some time."""

    settings: str
    streams_after: float = 1.0
    streams_until: float = float("inf")
    fails_after: float | None = None
    began: float | None = None
    ended: float | None = None

    async def run(self) -> None:
        """Record until cancelled."""
        self.began = trio.current_time()
        try:
            if self.fails_after is not None:
                await trio.sleep(self.fails_after)
                raise StartupError("900 symbols do not fit")
            await trio.sleep_forever()
        finally:
            self.ended = trio.current_time()

    def retire(self) -> None:
        """Let go; what matters here is the end."""

    def is_streaming(self) -> bool:
        """Whether it streams now."""
        if self.began is None or self.ended is not None:
            return False
        age = trio.current_time() - self.began
        return self.streams_after <= age < self.streams_until


@attrs.define(eq=False)
class Rig:
    """A succession of recorders, one for each settings asked for."""

    recorders: list[Recorder]
    made: list[Recorder] = attrs.field(factory=list)
    refused: list[str] = attrs.field(factory=list)

    def succession(self) -> Succession[str]:
        """Return it, beginning with the first recorder."""

        def make(settings: str) -> Recorder:
            recorder = self.recorders.pop(0)
            assert recorder.settings == settings
            self.made.append(recorder)
            return recorder

        return Succession("binance", self.recorders[0].settings, make, POLICY, self.refused.append)


async def lived(rig: Rig, secs: float, *changes: tuple[float, str]) -> Succession[str]:
    """Let a succession live for so long, with changes at their times; return it."""
    succession = rig.succession()
    start = trio.current_time()
    with trio.move_on_after(secs):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(succession.life)
            for at, settings in changes:
                await trio.sleep_until(start + at)
                succession.change(settings)
    return succession


async def test_new_settings_take_over_once_they_stream(autojump_clock: MockClock) -> None:
    """The old generation goes only after the new one streams, and no sooner."""
    rig = Rig([Recorder("old"), Recorder("new", streams_after=7)])
    succession = await lived(rig, 200, (10, "new"))
    old, new = rig.made
    assert old.ended is not None
    assert new.began is not None
    assert 7 <= old.ended - new.began < 8
    assert succession.settings == "new"
    assert rig.refused == [""]


async def test_settings_that_never_stream_are_refused(autojump_clock: MockClock) -> None:
    """The old generation has gone on all the time."""
    rig = Rig([Recorder("old"), Recorder("bad", streams_after=1000)])
    succession = await lived(rig, 200, (10, "bad"))
    old, bad = rig.made
    assert old.ended == pytest.approx(autojump_clock.current_time(), abs=1)
    assert bad.began is not None
    assert bad.ended == pytest.approx(bad.began + POLICY.probation_secs, abs=1)
    assert succession.settings == "old"
    assert rig.refused == [
        "binance: new settings refused: it did not stream; the earlier ones were kept",
    ]


async def test_settings_that_can_not_run_are_refused_at_once(autojump_clock: MockClock) -> None:
    """A generation that fails on trial says why, and costs the old one nothing."""
    rig = Rig([Recorder("old"), Recorder("bad", streams_after=9, fails_after=2)])
    succession = await lived(rig, 30, (10, "bad"))
    assert "900 symbols do not fit; the earlier ones were kept" in rig.refused[0]
    assert succession.settings == "old"
    assert rig.made[0].ended == pytest.approx(autojump_clock.current_time(), abs=1)


async def test_settings_that_fall_silent_on_probation_are_taken_back(autojump_clock: MockClock) -> None:
    """The settings before come back, in a generation of their own."""
    rig = Rig([Recorder("old"), Recorder("bad", streams_until=15), Recorder("old")])
    succession = await lived(rig, 300, (10, "bad"))
    assert rig.refused == [
        "binance: new settings refused: it stopped streaming; the earlier ones are restored"
    ]
    assert succession.settings == "old"
    _, bad, restored = rig.made
    assert bad.ended is not None
    assert restored.began is not None
    assert restored.began <= bad.ended + 1
    assert restored.is_streaming() is False
    assert restored.ended == pytest.approx(autojump_clock.current_time(), abs=1)


async def test_a_short_reconnect_on_probation_is_no_reason(autojump_clock: MockClock) -> None:
    """Connections come and go; only a lasting silence counts."""

    class Blinking(Recorder):
        def is_streaming(self) -> bool:
            return super().is_streaming() and trio.current_time() % 10 > 3

    rig = Rig([Recorder("old"), Blinking("new")])
    succession = await lived(rig, 300, (10, "new"))
    assert succession.settings == "new"
    assert rig.refused == [""]


async def test_unchanged_settings_change_nothing(autojump_clock: MockClock) -> None:
    """Nothing is connected anew for the same settings."""
    rig = Rig([Recorder("old")])
    await lived(rig, 30, (10, "old"))
    assert len(rig.made) == 1
    assert rig.refused == []


async def test_the_last_of_several_changes_counts(autojump_clock: MockClock) -> None:
    """What was asked for during a trial is tried after it; what was overtaken never is."""
    rig = Rig([Recorder("a"), Recorder("b"), Recorder("d")])
    succession = await lived(rig, 300, (10, "b"), (15, "c"), (20, "d"))
    assert [it.settings for it in rig.made] == ["a", "b", "d"]
    assert succession.settings == "d"


async def test_a_generation_that_took_over_answers_for_itself(autojump_clock: MockClock) -> None:
    """After probation its failure ends the life, which then begins with its settings."""
    rig = Rig([Recorder("old"), Recorder("new", fails_after=100)])
    succession = rig.succession()
    with pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(succession.life)
            await trio.sleep(10)
            succession.change("new")
    assert succession.settings == "new"
    assert autojump_clock.current_time() == pytest.approx(110, abs=1)
