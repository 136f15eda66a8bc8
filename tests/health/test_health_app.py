"""The health server, through the test client and over a real socket."""

from __future__ import annotations

import json
import re
import socket

import pytest
import trio
from health_samples import SECOND, START, make_config, make_stats
from quart_trio import QuartTrio

from multilogger.config import HealthConfig
from multilogger.errors import StartupError
from multilogger.health.app import make_app, serve_health
from multilogger.health.rates import RateMeter
from multilogger.stats import Stats

NOW = START + 3600 * SECOND
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def app_of(stats: Stats) -> QuartTrio:
    """Return the application of two exchanges."""
    return make_app(stats, make_config("alpha", "beta"), lambda: NOW, RateMeter(stats, lambda: NOW))


async def fetch(path: str, host: str, port: int) -> bytes:
    """Return all that the server sends for a path before it closes."""
    async with await trio.open_tcp_stream(host, port) as client:
        await client.send_all(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return b"".join([chunk async for chunk in client])


@pytest.mark.parametrize(
    ("stats", "code", "status"),
    [
        (make_stats(NOW, alpha=1, beta=1), 200, "healthy"),
        (make_stats(NOW, alpha=1), 200, "degraded"),
        (make_stats(START, alpha=1, beta=1), 503, "unhealthy"),
    ],
)
async def test_health_answers_with_its_status(stats: Stats, code: int, status: str) -> None:
    """Healthy and degraded are 200, unhealthy is 503; the body is JSON in each case, and not to be stored."""
    answer = await app_of(stats).test_client().get("/health")
    assert answer.status_code == code
    assert answer.headers["Cache-Control"] == "no-store"
    body = json.loads(await answer.get_data())
    assert (body["status"], next(iter(body)), list(body["exchanges"])) == (
        status,
        "status",
        ["alpha", "beta"],
    )


async def test_metrics_are_text() -> None:
    """The metrics are Prometheus text, those of the process among them."""
    answer = await app_of(make_stats(NOW, alpha=1)).test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    text = await answer.get_data(as_text=True)
    assert 'multilogger_messages_total{exchange="alpha"} 0.0' in text
    assert "process_resident_memory_bytes" in text


async def test_the_page_is_self_contained_and_safe() -> None:
    """The page shows the status without JavaScript, loads nothing, and takes texts of exchanges as texts."""
    stats = make_stats(NOW, alpha=1)
    stats.exchange("beta").detail = "</script><script>alert(1)</script>"
    answer = await app_of(stats).test_client().get("/")
    page = await answer.get_data(as_text=True)
    assert 'class="status degraded"' in page
    assert "alert(1)</script>" not in page
    assert "<script>alert" not in page
    assert not re.search(r"""(src|href)\s*=\s*["'](https?:)?//|@import|url\(""", page)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    (embedded,) = re.findall(r'<script id="report" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert json.loads(embedded)["exchanges"]["beta"]["detail"] == stats.exchanges["beta"].detail


async def test_other_paths_and_methods_are_refused() -> None:
    """There is nothing else to ask for, and nothing to change."""
    client = app_of(make_stats(NOW)).test_client()
    assert (await client.get("/etc")).status_code == 404
    assert (await client.post("/health")).status_code == 405
    assert (await client.head("/health")).status_code == 503


async def test_a_real_server(nursery: trio.Nursery) -> None:
    """The server answers at the address it gives, with rates, and follows what happens."""
    stats, config = make_stats(NOW, alpha=1, beta=1), make_config("alpha", "beta")
    bound = await nursery.start(serve_health, stats, config, lambda: NOW)
    assert b'"status":"healthy","reasons":[]' in await fetch("/health", *bound)
    stats.exchanges["alpha"].links["alpha-0"].last_data_ns -= 11 * SECOND
    assert b'"status":"degraded","reasons":["alpha: ' in await fetch("/health", *bound)
    assert b"multilogger_build_info" in await fetch("/metrics", *bound)
    assert b"<!doctype html>" in await fetch("/", *bound)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("sent", [b"", GET[:10], GET], ids=["silent", "half a request", "kept alive"])
async def test_stops_at_once_whatever_clients_do(sent: bytes) -> None:
    """Open connections don't hold up the stop."""
    async with trio.open_nursery() as nursery:
        bound = await nursery.start(serve_health, make_stats(NOW), make_config(), lambda: NOW)
        async with await trio.open_tcp_stream(*bound) as client:
            await client.send_all(sent)
            if sent == GET:
                assert await client.receive_some()
            else:
                await trio.sleep(0.05)
            began = trio.current_time()
            nursery.cancel_scope.cancel()
    assert trio.current_time() - began < 1.0


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks on and on without reading can't hold up the stop, though sends are shielded."""
    monkeypatch.setattr("multilogger.health.app.STALLED_CLIENT_MS", 100)
    stats = make_stats(NOW)
    stats.exchange("alpha").detail = "x" * 1_000_000
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(serve_health, stats, make_config("alpha"), lambda: NOW)
            client.connect(bound)
            client.sendall(GET * 10)
            await trio.sleep(0.1)
            began = trio.current_time()
            nursery.cancel_scope.cancel()
    assert trio.current_time() - began < 2.0


async def test_a_port_in_use_is_one_clear_line(nursery: trio.Nursery) -> None:
    """A port that another program has is told with what to do, before anything is served."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = make_config(health=HealthConfig(host="127.0.0.1", port=port))
        with pytest.raises(StartupError, match=f"^port {port} on 127.0.0.1 is in use: set health.port"):
            await nursery.start(serve_health, Stats(started_ns=NOW), config, lambda: NOW)


async def test_a_host_that_is_none_is_one_clear_line(nursery: trio.Nursery) -> None:
    """An address of another machine can't be listened on, and the line says which key to set."""
    config = make_config(health=HealthConfig(host="192.0.2.1", port=0))
    with pytest.raises(StartupError, match=r"can't be listened on: .*: set health\.host$"):
        await nursery.start(serve_health, Stats(started_ns=NOW), config, lambda: NOW)
