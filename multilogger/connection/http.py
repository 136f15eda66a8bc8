"""The HTTP client that asks for listings and past trades, within what the exchange allows."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Final, cast
from urllib.parse import urlsplit

import attrs
import httpx

from multilogger.connection.budget import Budget, Budgets
from multilogger.errors import RateLimited, RestError
from multilogger.exchanges.base import Exchange
from multilogger.stats import ExchangeStats

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""Binance's exchangeInfo, the largest listing known, is about 15 MB."""

_TIMEOUTS: Final = httpx.Timeout(30.0, connect=10.0)
"""Of each connect, read and write, in seconds."""
_BODY_SHOWN: Final = 200


def make_tls_context() -> ssl.SSLContext:
    """Return a TLS context that verifies peers; WebSockets and HTTP trust the same authorities."""
    return httpx.create_ssl_context()


@attrs.frozen
class Answer:
    """What a server answered."""

    url: str
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    def failure(self) -> str:
        """Return a status other than 200 in words."""
        shown = " ".join(self.body[:_BODY_SHOWN].decode(errors="replace").split())
        return f"GET {self.url}: HTTP status {self.status}: {shown}"


class HttpClient:
    """GET requests, without regard to anybody's limits.

    Args:
        client: of httpx.
        max_body_bytes: a longer body is an error.
    """

    def __init__(self, client: httpx.AsyncClient, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._client = client
        self._max_body_bytes = max_body_bytes

    async def fetch(self, url: str, params: Mapping[str, str] | None = None) -> Answer:
        """Return whatever the server answers.

        Raises:
            RestError: no answer, or too long a body; the message names the URL and what came.
        """
        try:
            async with self._client.stream("GET", url, params=params) as response:
                body = await self._read(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            words = str(error) or type(error).__name__
            raise RestError(f"GET {url}: {words}") from error
        return Answer(str(response.url), response.status_code, dict(response.headers), body)

    async def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        weight: float = 1.0,  # noqa: ARG002 - for who asks once
    ) -> bytes:
        """Return the body of a 200 answer; an :class:`~multilogger.exchanges.base.HttpGet` for who asks once.

        Raises:
            RestError: no answer, another status, or too long a body; the message names the URL and what came.
        """
        answer = await self.fetch(url, params)
        if answer.status != httpx.codes.OK:
            raise RestError(answer.failure())
        return answer.body

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        # It is a generator, to be closed where the reading stops; httpx promises less in its annotation.
        chunks = cast("AsyncGenerator[bytes]", response.aiter_bytes())
        async with aclosing(chunks) as parts:
            async for part in parts:
                body += part
                if len(body) > self._max_body_bytes:
                    raise RestError(f"GET {response.url}: the body is over {self._max_body_bytes} bytes")
        return bytes(body)


class RestClient:
    """GET requests to one exchange; :meth:`get` is a :class:`~multilogger.exchanges.base.HttpGet`.

    Args:
        http: makes them.
        budget: of the exchange's REST host.
        used: reads from the headers how much the exchange says is used; see :meth:`Exchange.rest_used`.
    """

    def __init__(
        self,
        http: HttpClient,
        budget: Budget,
        used: Callable[[Mapping[str, str]], float | None] = lambda _: None,
    ) -> None:
        self._http = http
        self._budget = budget
        self._used = used

    @classmethod
    def of(cls, exchange: Exchange, http: HttpClient, budgets: Budgets, stats: ExchangeStats) -> RestClient:
        """Return the client of an exchange.

        Args:
            exchange: may be one without services: this client is one of them.
            http: shared by all exchanges.
            budgets: of the process.
            stats: of the exchange.
        """
        host = urlsplit(exchange.config.rest_endpoint).hostname or ""
        return cls(http, budgets.of(exchange.id, exchange.limits, host, stats), exchange.rest_used)

    async def get(self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0) -> bytes:
        """Return the body of a 200 answer, after waiting for the exchange's allowance.

        Raises:
            RateLimited: the exchange wants no requests for a while; further ones wait for so long.
            RestError: no answer, another status, or too long a body; the message names the URL and what came.
        """
        await self._budget.rest(weight)
        answer = await self._http.fetch(url, params)
        used = self._used(answer.headers)
        if used is not None:
            self._budget.requests.note_used(used)
        if answer.status == httpx.codes.OK:
            self._budget.requests.accepted()
            return answer.body
        secs = self._budget.requests.heed(answer.status, answer.headers)
        if secs is None:
            raise RestError(answer.failure())
        raise RateLimited(f"{answer.failure()}; no requests for {secs:g} s", secs)


@asynccontextmanager
async def open_http_client(transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[HttpClient]:
    """Open a client that verifies TLS, follows redirects and gives up after half a minute of silence.

    Args:
        transport: instead of the network; the seam for tests.
    """
    headers = {"User-Agent": "multilogger", "Accept": "application/json"}
    async with httpx.AsyncClient(
        timeout=_TIMEOUTS, follow_redirects=True, headers=headers, transport=transport
    ) as client:
        yield HttpClient(client)
