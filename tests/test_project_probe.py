from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from multilogger.health import probe


@contextmanager
def answering(status: int, asked: list[str]) -> Iterator[int]:
    """Serve ``status`` to every GET on a free port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1), (404, 1)])
def test_probe_exit_status(status: int, expected: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Only a 200 of /health is a healthy container, and the line says what came."""
    asked: list[str] = []
    with answering(status, asked) as port:
        assert probe.main({probe.PORT_VARIABLE: str(port)}) == expected
    assert asked == ["/health"]
    assert str(status) in capsys.readouterr().out


def test_probe_ignores_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for the way to the exchanges does not stand before the loopback."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with answering(200, []) as port:
        assert probe.main({probe.PORT_VARIABLE: str(port)}) == 0


@pytest.mark.parametrize("port", ["1", "none", "99999999"])
def test_probe_without_logger(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No answer, or no port that could answer, is one line and status 1, not a traceback."""
    assert probe.main({probe.PORT_VARIABLE: port}) == 1
    assert capsys.readouterr().out.count("\n") == 1


def test_probe_default_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable the documented default is asked."""
    urls: list[str] = []

    def remember(url: str) -> tuple[bool, str]:
        urls.append(url)
        return True, url

    monkeypatch.setattr(probe, "probe", remember)
    assert probe.main({}) == 0
    assert urls == ["http://127.0.0.1:8080/health"]
