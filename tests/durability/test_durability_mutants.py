"""The images find every mechanism that is switched off: they would find a bug there, too."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from durability_images import check_image, images, record
from durability_mutants import MUTANTS
from durability_scratch import scratch
from durability_workloads import workload_named

_MOST = 150
"""Images."""


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, tmp_path: Path) -> None:
    """A store without the mechanism violates an invariant within a few images."""
    mutant = MUTANTS[name]
    with scratch(tmp_path) as directory, mutant.patch():
        recording = record(workload_named(mutant.workload), directory / "recording")
        source = images(recording, 1, mutant.near, mutant.within)
        for number, image in enumerate(itertools.islice(source, _MOST), 1):
            found = check_image(recording, image, directory / str(number))
            if any(line.startswith(mutant.finds) for line in found):
                print(f"{name}: image {number}: {found[0]}")
                return
    pytest.fail(f"not found in {_MOST} images")
