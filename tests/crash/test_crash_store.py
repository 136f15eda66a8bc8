"""kill -9 of stores at any moment: nothing acknowledged is lost or doubled, nothing that was seen changes.

``pytest tests/crash -s --store-kills 300 --kill-seed 7`` kills as often as asked, and prints what was hit.
The processes' timing takes part too, so a seed does not repeat a run exactly.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import numpy as np
import pytest
from crash_fork import DAY_ROWS, FAILED_STATUS, KEPT_DAYS, MARKET, SEAL_SECS, Kind
from crash_rows import DAY_NANOS, NANOS
from crash_runs import Nursery, stopped
from crash_tree import Place, Seen, Tree, check_kept, check_once

from multilogger.archive.verify import verify_archive
from multilogger.tables import Array

NEEDED_BYTES = 1024**3
VERIFY_EVERY = 25
OWN_PROCESS_EVERY = 4
"""One logger of so many has a process of its own write its columns."""
PATIENCE_SECS = 1.5
"""A moment that does not come within this is not waited for."""
SOON_SECS = 0.003
SHORT_SECS = 0.03
LONG_SECS = 0.4
AIMS = (
    *[Kind.RECOVERING] * 6,
    *[Kind.SEALING] * 5,
    *[Kind.SAVING] * 3,
    *[Kind.RETAINING] * 3,
    *[Kind.APPLYING] * 2,
    *[Kind.OFFERED] * 2,
    *[None] * 4,
)
"""What to strike at; None for no matter what."""
REQUIRED = (Kind.RECOVERING, Kind.SEALING, Kind.SAVING, Kind.RETAINING, Kind.APPLYING)


@attrs.define(eq=False)
class Battle:
    """All runs on one data path, and what was promised by them."""

    data: Path
    forks: Nursery
    chance: random.Random
    serial: int = 1
    """The next row that was never sent."""
    acknowledged: Array = attrs.field(factory=lambda: np.zeros(0, np.bool_))
    """By serial."""
    before: dict[Place, Seen] = attrs.field(factory=dict)
    """What readers saw last."""
    hits: Counter[Kind] = attrs.field(factory=Counter)
    """In what the applying side was when it was killed."""
    committing: int = 0
    """Kills during a commit."""
    own_processes: int = 0
    applier_kills: int = 0
    verified: int = 0
    tree: Tree = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tree = Tree(self.data, MARKET)

    @property
    def first_day(self) -> int:
        """Days before may have been removed."""
        return MARKET.now_ns(self.serial) // DAY_NANOS - KEPT_DAYS

    def start(self, *, in_process: bool, close: bool = False, serial: int = 0) -> None:
        """Start a logger."""
        self.serial = max(self.serial, serial)
        self.forks.start(
            seed=self.chance.randrange(2**32), serial=self.serial, in_process=in_process, close=close
        )

    def kill_once(self, number: int) -> None:
        """Start a logger, let it live for a while, and kill it."""
        aim = self.chance.choice(AIMS)
        in_process = number % OWN_PROCESS_EVERY != 0
        self.own_processes += not in_process
        to_seal = aim in (Kind.SEALING, Kind.RETAINING) or self.chance.random() < 0.2
        self.start(in_process=in_process, serial=shortly_before_sealing(self.serial, self.chance) * to_seal)
        if aim is Kind.RECOVERING:
            self.forks.wait_for(Kind.RECOVERING)
            self.forks.follow(self.chance.uniform(0, SHORT_SECS))
        else:
            self.live(aim)
        if not in_process and aim is None and self.forks.run and self.forks.run.applier:
            self.kill_applier()
        else:
            self.kill()

    def live(self, aim: Kind | None) -> None:
        """Check what the start made of the files; then let the logger go on, until a moment to kill it at."""
        assert self.forks.wait_for(Kind.OPENED), "the store does not open"
        self.forks.wait_for_appliers()
        self.check_start()
        self.forks.let_go()
        if aim is None:
            self.forks.follow(self.chance.uniform(0, LONG_SECS))
            return
        self.forks.follow(max(0.0, self.chance.uniform(-LONG_SECS, LONG_SECS)))
        # Days are removed once a day only.
        for _ in range(1 if aim is Kind.RETAINING else self.chance.randint(1, 3)):
            self.forks.wait_for_next(aim, PATIENCE_SECS)
        self.forks.follow(self.chance.uniform(0, SOON_SECS))

    def kill(self) -> None:
        """Kill the logger, and look at what it leaves."""
        self.forks.kill()
        run = self.forks.run
        assert run is not None
        assert run.killed, f"the logger ended by itself, with status {run.exit_status}"
        self.hits[run.phase] += 1
        self.committing += run.offered > run.acknowledged
        self.take_over()
        # What the logger's applier still does would come between, and the next start is to meet it sometimes.
        if not run.applier or self.chance.random() < 0.5:
            self.forks.wait_for_applier()
            self.look()

    def kill_applier(self) -> None:
        """Kill the process that writes the columns alone: its logger must say so and end."""
        run = self.forks.run
        assert run is not None
        os.kill(run.applier, signal.SIGKILL)
        self.forks.wait_for_end()
        assert Kind.REFUSED in run.seen, "the store did not notice"
        assert run.exit_status == FAILED_STATUS
        self.applier_kills += 1
        self.take_over()
        self.look()

    def take_over(self) -> None:
        """Note what the logger had sent, and what of it was acknowledged."""
        run = self.forks.run
        assert run is not None
        first, self.serial = run.command.serial, max(self.serial, run.offered + 1)
        grown = np.zeros(self.serial, np.bool_)
        grown[: len(self.acknowledged)] = self.acknowledged
        grown[first : run.acknowledged + 1] = True
        self.acknowledged = grown

    def look(self) -> None:
        """Look at the tree as readers do."""
        now = self.tree.read()
        check_kept(self.before, now, self.first_day)
        self.before = now

    def check_start(self) -> None:
        """Check what a start has made of what a kill left."""
        now = self.tree.read(even=True)
        check_kept(self.before, now, self.first_day)
        check_once(now, self.acknowledged, self.first_day, MARKET)
        self.before = now

    def verify(self) -> None:
        """Start and stop in order; then all that can be told without knowing the rows must be right, too."""
        self.start(in_process=True, close=True)
        self.forks.wait_for_end()
        assert self.forks.run is not None
        assert self.forks.run.exit_status == 0
        self.check_start()
        report = verify_archive(self.data)
        assert report.ok, "\n".join(map(str, report.problems))
        assert report.counts.rows + report.counts.late_rows == sum(len(it.all) for it in self.before.values())
        self.verified += 1

    def summary(self, seed: int) -> str:
        """Return what was done, and found."""
        kills = sum(self.hits.values())
        phases = ", ".join(f"{kind.name.lower()} {self.hits[kind]}" for kind in sorted(self.hits))
        generations = Counter(seen.generation for seen in self.before.values())
        return (
            f"{kills + self.applier_kills} kills, seed {seed}: "
            f"{self.own_processes} of loggers with another process for the columns, "
            f"{self.applier_kills} of that process alone\n"
            f"struck in: {phases}; {self.committing} of them in a commit\n"
            f"{int(self.acknowledged.sum())} rows acknowledged, 0 lost, 0 doubled; "
            f"{self.serial // DAY_ROWS} days, on disk by generation {dict(sorted(generations.items()))}; "
            f"{self.verified} times verified, 0 problems"
        )


def shortly_before_sealing(serial: int, chance: random.Random) -> int:
    """Return a serial from which a day is soon to be sealed."""
    day = MARKET.now_ns(serial) // DAY_NANOS
    moment = (day + 1) * DAY_NANOS + int(SEAL_SECS * NANOS)
    return max(serial, MARKET.serial_at(moment) - chance.randint(20, 500))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return an empty directory in memory, where there is one.

    Kills are none of the disk's business; beside its syncs there would be little else that they strike.
    """
    memory = Path("/dev/shm")  # noqa: S108 - the directory in it is our own
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < NEEDED_BYTES:
        yield tmp_path
        return
    with TemporaryDirectory(prefix="crash-", dir=memory) as directory:
        yield Path(directory)


def test_kills(place: Path, pytestconfig: pytest.Config) -> None:
    """Whatever moment a kill strikes: what was acknowledged is there once, and what was seen stays."""
    kills, seed = pytestconfig.getoption("store_kills"), pytestconfig.getoption("kill_seed")
    with Nursery(place) as nursery:
        battle = Battle(place, nursery, random.Random(seed))
        for number in range(kills):
            battle.kill_once(number)
            if number % VERIFY_EVERY == VERIFY_EVERY - 1:
                battle.verify()
        battle.verify()
    print(battle.summary(seed))
    if kills >= 100:
        missed = [kind.name for kind in REQUIRED if not battle.hits[kind]]
        assert not missed, f"never struck in {missed}"
        assert battle.committing
        assert battle.applier_kills


def test_start_waits_for_the_last_applier(place: Path) -> None:
    """A start waits while the process still lives that wrote a killed logger's columns, and then goes on."""
    with Nursery(place) as nursery:
        battle = Battle(place, nursery, random.Random(1))
        battle.start(in_process=False)
        battle.live(Kind.ACKNOWLEDGED)
        assert nursery.run is not None
        applier = nursery.run.applier
        with stopped(applier):
            nursery.kill()
            battle.take_over()
            battle.start(in_process=True)
            # This one does not take the time to start another process, if nothing makes it wait.
            assert nursery.wait_for(Kind.RECOVERING)
            assert not nursery.wait_for(Kind.OPENED, 1.0), "two processes write at the same time"
            assert nursery.run.status is None, "the start gave up"
        battle.live(Kind.ACKNOWLEDGED)
        assert applier not in nursery.appliers
        battle.kill()
        battle.verify()


def test_killed_applier(place: Path) -> None:
    """If the process that writes the columns is killed, its logger refuses to go on, and nothing is lost."""
    with Nursery(place) as nursery:
        battle = Battle(place, nursery, random.Random(2))
        for aim in (Kind.ACKNOWLEDGED, Kind.SEALING):
            battle.start(in_process=False, serial=shortly_before_sealing(battle.serial, battle.chance))
            battle.live(aim)
            battle.kill_applier()
        battle.verify()
    assert battle.acknowledged.any()
