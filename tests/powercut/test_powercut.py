"""Power cuts: what was acknowledged is there, whatever the disk did with what was not flushed.

``pytest tests/powercut --power-cuts 100`` cuts as often as asked, ``-s`` shows each; the seed chooses moments
and survivors. The processes' timing takes part too, so a seed does not repeat a run exactly.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from powercut_kernel import missing

RIG = Path(__file__).with_name("powercut_rig.py")
CONTROL_CUTS = 30
"""The control loses rows in about one cut of three, and ends with the first loss."""


@attrs.frozen
class Outcome:
    """How a run of the rig ended."""

    status: int
    totals: dict[str, Any]
    output: str


@pytest.fixture
def cuts(pytestconfig: pytest.Config) -> int:
    """Return how many cuts to make; skips where that can't be done."""
    wanted = pytestconfig.getoption("power_cuts")
    if not wanted:
        pytest.skip("--power-cuts 0")
    if reason := missing():
        pytest.skip(reason)
    return int(wanted)


def run_rig(directory: Path, *arguments: str, cuts: int) -> Outcome:
    """Run the rig in a process of its own."""
    command = [sys.executable, str(RIG), "--directory", str(directory), "--cuts", str(cuts), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 10 * cuts, check=False)
    output = done.stdout + done.stderr
    print(output)
    assert done.stdout.endswith("}\n"), output
    return Outcome(done.returncode, json.loads(done.stdout.splitlines()[-1]), output)


def left_behind(directory: Path) -> list[str]:
    """Return what the rig should have taken away: its loop devices and mounts."""
    backings = Path("/sys/block").glob("loop*/loop/backing_file")
    loops = [str(file) for file in backings if str(directory) in file.read_text(encoding="utf-8")]
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return loops + [line for line in mounts if str(directory) in line]


def test_power_cuts(tmp_path: Path, pytestconfig: pytest.Config, cuts: int) -> None:
    """No acknowledged row is lost or doubled by a power cut, and columns keep together."""
    seed = pytestconfig.getoption("power_cut_seed")
    outcome = run_rig(tmp_path, "--seed", str(seed), cuts=cuts)
    assert outcome.status == 0, outcome.output
    assert outcome.totals["cuts"] == cuts
    assert [outcome.totals[name] for name in ("lost", "doubled", "alien", "bad_series")] == [0, 0, 0, 0]
    assert left_behind(tmp_path) == []


def test_rig_notices_a_missing_sync(tmp_path: Path, pytestconfig: pytest.Config, cuts: int) -> None:
    """A journal that does not sync loses rows on this disk: the cuts are real."""
    seed = pytestconfig.getoption("power_cut_seed")
    control = ("--without", "sync_data", "--until-lost", "--seed", str(seed))
    outcome = run_rig(tmp_path, *control, cuts=CONTROL_CUTS)
    assert outcome.totals["lost"] > 0, outcome.output
    assert left_behind(tmp_path) == []
