"""WebSocket endpoints of Binance's markets: combined streams alone are read."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from multilogger.config import Expect, url

_URL: Final = url("ws", "wss")
COMBINED: Final = Expect(
    f"{_URL.expected}, and no path but /stream",  # raw streams, under /ws, do not name what they carry
    lambda text: _URL.holds(text) and urlsplit(text).path.strip("/") in ("", "stream"),
)
"""What a configured endpoint has to be."""


def has_path(endpoint: str) -> bool:
    """Return whether a configured endpoint has a path of its own."""
    return bool(urlsplit(endpoint).path.strip("/"))


def combined_url(endpoint: str, path: str) -> str:
    """Return the URL of combined streams: ``path`` at the endpoint, unless that has a path of its own."""
    return endpoint if has_path(endpoint) else urlsplit(endpoint)._replace(path=path).geturl()
