"""Stops at any call, and what they may leave: nothing that was promised is lost, doubled or changed."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from durability_images import Image, Recording, check_image, images, record
from durability_recycling import check_recycling
from durability_scratch import scratch
from durability_volume import Adversary
from durability_workloads import FAILING, WORKLOADS, Workload

_PROGRESS_SECS = 5.0


def _in_turn(recordings: list[Recording], seed: int) -> Iterator[tuple[Recording, Image]]:
    """Return images of all workloads in turn."""
    sources = [(recording, images(recording, seed)) for recording in recordings]
    for recording, source in itertools.cycle(sources):
        yield recording, next(source)


def test_images(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """From every image that a power cut or a kill may leave, a start goes on as promised."""
    count = request.config.getoption("--images")
    tried: Counter[str] = Counter()
    stops: dict[str, set[int]] = {}
    failures: list[str] = []
    told = time.monotonic()
    with scratch(tmp_path) as directory:
        recordings = [record(workload, directory / workload.name) for workload in WORKLOADS]
        source = _in_turn(recordings, request.config.getoption("--image-seed"))
        for number, (recording, image) in enumerate(itertools.islice(source, count), 1):
            tried[image.workload] += 1
            stops.setdefault(image.workload, set()).add(image.calls)
            wrong = check_image(recording, image, directory / str(number))
            if wrong:
                failures.append("\n  ".join([f"image {image}", *wrong[:5]]))
                print(failures[-1])
            if time.monotonic() - told > _PROGRESS_SECS:
                told = time.monotonic()
                print(f"{number} of {count} images, {len(failures)} of them bad", flush=True)
    for recording in recordings:
        name, calls = recording.workload.name, len(recording.calls)
        print(f"{name:14} {tried[name]:6} images, {len(stops.get(name, ())):4} of {calls:4} calls")
    print(f"{'all':14} {sum(tried.values()):6} images, {len(failures)} bad")
    assert not failures, "\n".join(failures[:10])


@pytest.mark.parametrize("workload", [it for it in WORKLOADS if it not in FAILING], ids=lambda it: it.name)
def test_segments_are_freed_late(workload: Workload, tmp_path: Path) -> None:
    """A segment is only used again when a durable checkpoint covers all its frames (I6)."""
    with scratch(tmp_path) as directory:
        recording = record(workload, directory / workload.name)
    assert not list(check_recycling(recording, Adversary(random.Random(0), 0.0)))


def test_recordings_repeat(tmp_path: Path) -> None:
    """Recording a workload twice gives the same calls, so an image can be tried again by its name."""
    with scratch(tmp_path) as directory:
        one, other = (record(WORKLOADS[0], directory / name) for name in ("one", "other"))
    assert one.calls == other.calls
