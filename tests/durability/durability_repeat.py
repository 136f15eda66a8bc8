"""Try images again by the names that a failing test printed.

``.venv/bin/python tests/durability/durability_repeat.py seal:207:0:1:3823702572``
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from durability_images import check_image, parse_image, record
from durability_scratch import scratch
from durability_workloads import workload_named


def main(names: list[str]) -> int:
    """Try each image; return 1 if anything is wrong."""
    bad = 0
    with tempfile.TemporaryDirectory() as otherwise, scratch(Path(otherwise)) as directory:
        for name in names:
            image = parse_image(name)
            recording = record(workload_named(image.workload), directory / "recording")
            last = recording.calls[image.calls - 1]
            print(f"after {image.calls} of {len(recording.calls)} calls: {last!r:.200}")
            wrong = check_image(recording, image, directory / "image")
            print("\n".join(["", *wrong] if wrong else [f"{image}: nothing is wrong"]))
            bad += bool(wrong)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
