"""Pages of the documentation: what they show as code, and the package that one of them walks through."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "adding-an-exchange.md"
SHARED: Final = ROOT / "docs" / "exchanges.md"
"""Has the reasons and kinds that all exchanges have in common."""
_FILE: Final = re.compile(
    r"^`(?P<path>[\w.-]+(?:/[\w.-]+)*)`:\n\n(?P<fence>`{3,})\w*\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
"""A line with nothing but a file's name, and below it the file."""


def documented_files() -> dict[str, str]:
    """Return all files of the page by path, in order."""
    return {found["path"]: found["text"] for found in _FILE.finditer(PAGE.read_text(encoding="utf-8"))}


def write_documented(directory: Path) -> None:
    """Write the page's files below a directory."""
    for path, text in documented_files().items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@cache
def documented_package() -> Path:
    """Return a directory with the page's files; it is there as long as this process."""
    directory = Path(tempfile.mkdtemp(prefix="multilogger-documented-"))
    atexit.register(shutil.rmtree, directory)
    write_documented(directory)
    return directory


def code_in(*pages: Path) -> set[str]:
    """Return what pages show as code, and the parts of it: ``a`` and ``b`` of ``a.b``."""
    shown = {code for page in pages for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))}
    return shown | {part for code in shown for part in re.split(r"[^\w:]+", code)}
