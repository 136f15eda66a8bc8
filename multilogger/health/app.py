"""The health server: ``/health`` for machines, ``/metrics`` for Prometheus, ``/`` for people."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final, NoReturn

import structlog
import trio
from hypercorn.config import Config as ServerConfig
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
from quart import Response, jsonify, make_response, render_template, request
from quart.json.provider import DefaultJSONProvider
from quart.typing import ResponseReturnValue
from quart_trio import QuartTrio

from multilogger.config import Config, HealthConfig
from multilogger.errors import StartupError
from multilogger.health.judgement import Status
from multilogger.health.metrics import make_registry, render
from multilogger.health.rates import RateMeter
from multilogger.health.status import HealthReport, build_status
from multilogger.stats import Stats

log = structlog.get_logger(__name__)

STOP_SECS: Final = 0.2
"""Answers under way at a stop may take this long; they are short."""
STALLED_CLIENT_MS: Final = 3000
"""A client that takes nothing of its answer for this long is cut off."""
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}


def make_app(stats: Stats, config: Config, clock: Callable[[], int], meter: RateMeter) -> QuartTrio:
    """Return the application.

    Args:
        stats: the counters it tells of.
        config: which exchanges are to run, and when data is stale.
        clock: nanoseconds since the epoch.
        meter: somebody has to run it.
    """
    app = QuartTrio(__name__, static_folder=None)
    app.json = _in_order(app)
    registry = make_registry(stats, config, clock)

    def report() -> HealthReport:
        return build_status(stats, config, clock(), meter.rates())

    @app.get("/health")
    async def health() -> ResponseReturnValue:
        now = report()
        return await _answer(jsonify(now.to_json()), _status_code(now))

    @app.get("/metrics")
    async def metrics() -> ResponseReturnValue:
        text, content_type = render(registry, request.headers.get("Accept", ""))
        return await _answer(Response(text, content_type=content_type), HTTPStatus.OK)

    @app.get("/")
    async def page() -> ResponseReturnValue:
        return await _answer(await render_template("page.html", report=report().to_json()), HTTPStatus.OK)

    return app


async def _answer(body: Response | str, status: HTTPStatus) -> ResponseReturnValue:
    response = await make_response(body, status)
    response.headers.update(_HEADERS)
    return response


def _in_order(app: QuartTrio) -> DefaultJSONProvider:
    """Return a JSON provider that keeps the order of keys, for people who read ``/health``."""
    provider = DefaultJSONProvider(app)
    provider.sort_keys = False
    return provider


def _status_code(report: HealthReport) -> HTTPStatus:
    unhealthy = report.status is Status.UNHEALTHY
    return HTTPStatus.SERVICE_UNAVAILABLE if unhealthy else HTTPStatus.OK


async def serve_health(
    stats: Stats,
    config: Config,
    clock: Callable[[], int],
    *,
    task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Serve the health application and keep its rates, until cancelled.

    Args:
        stats: the counters it tells of.
        config: its ``health`` section says where to listen.
        clock: nanoseconds since the epoch.
        task_status: is given the host and port listened on, once requests are answered.

    Raises:
        StartupError: the port can't be had.
    """
    listeners = await _listen(config.health)
    host, port = listeners[0].socket.getsockname()[:2]
    server = _server_config(listeners)
    meter = RateMeter(stats, clock)
    app = make_app(stats, config, clock, meter)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.run)
        # Signals are the program's business: the server stops when its nursery is cancelled.
        serving = partial(
            serve, _answering_whole(app), server, shutdown_trigger=trio.sleep_forever, mode="asgi"
        )
        await nursery.start(serving)
        log.info("health server listens", host=host, port=port)
        task_status.started((host, port))
    raise AssertionError("the health server ended by itself")


def _answering_whole(app: QuartTrio) -> ASGIFramework:
    """Let the server end each answer before the application is told that the client is gone.

    At the end of an answer with ``Connection: close`` Hypercorn closes the socket within the application's
    last send, after it has told the application of the disconnect. Quart-Trio cancels its request on that,
    and so the close: the client would wait for the end of the stream for good.
    """

    async def answer(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def send_whole(message: ASGISendEvent) -> None:
            # A stalled client can't hold this up for long: see _listen.
            with trio.CancelScope(shield=True):
                await send(message)

        # The lifespan has no client, and its sends never wait for one.
        await app(scope, receive, send_whole if scope["type"] == "http" else send)

    return answer


async def _listen(health: HealthConfig) -> list[trio.SocketListener]:
    try:
        listeners = await trio.open_tcp_listeners(health.port, host=health.host)
    except OSError as error:
        raise StartupError(_why_not(error, health)) from error
    for listener in listeners:
        # Hypercorn shields its sends from cancellation: without this a client that asks but does not read
        # could hold up the stop for good. Connections inherit it from their listener (Linux, tcp(7)).
        listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_CLIENT_MS)
    return listeners


def _why_not(error: OSError, health: HealthConfig) -> str:
    where = f"port {health.port} on {health.host}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use: set health.port to another, or health.enabled = false"
    if error.errno == errno.EACCES:
        return f"{where} needs privileges: set health.port to 1024 or more"
    return f"{where} can't be listened on: {error.strerror or error}: set health.host"


def _server_config(listeners: list[trio.SocketListener]) -> ServerConfig:
    server = ServerConfig()
    # Hypercorn takes the sockets over; bound by Trio, a port in use is known before anything is started.
    server.bind = [f"fd://{listener.socket.detach()}" for listener in listeners]
    server.accesslog = None
    server.errorlog = logging.getLogger("hypercorn.error")
    server.graceful_timeout = STOP_SECS
    server.include_server_header = False
    return server
