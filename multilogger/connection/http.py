"""The HTTP client that fetches listings."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Final, cast

import httpx

from multilogger.errors import ListingError

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""Binance's exchangeInfo, the largest listing known, is about 15 MB."""

_TIMEOUTS: Final = httpx.Timeout(30.0, connect=10.0)
"""Of each connect, read and write, in seconds."""
_BODY_SHOWN: Final = 200


def make_tls_context() -> ssl.SSLContext:
    """Return a TLS context that verifies peers; WebSockets and HTTP trust the same authorities."""
    return httpx.create_ssl_context()


class HttpClient:
    """GET requests; :meth:`get` is a :class:`~multilogger.exchanges.base.HttpGet`.

    Args:
        client: of httpx.
        max_body_bytes: a longer body is an error.
    """

    def __init__(self, client: httpx.AsyncClient, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._client = client
        self._max_body_bytes = max_body_bytes

    async def get(self, url: str, params: Mapping[str, str] | None = None) -> bytes:
        """Return the body of a 200 answer.

        Raises:
            ListingError: no answer, another status, or too long a body; the message names the URL and
                what came.
        """
        try:
            async with self._client.stream("GET", url, params=params) as response:
                body = await self._read(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            words = str(error) or type(error).__name__
            raise ListingError(f"GET {url}: {words}") from error
        if response.status_code != httpx.codes.OK:
            shown = " ".join(body[:_BODY_SHOWN].decode(errors="replace").split())
            raise ListingError(f"GET {response.url}: HTTP status {response.status_code}: {shown}")
        return body

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        # It is a generator, to be closed where the reading stops; httpx promises less in its annotation.
        chunks = cast("AsyncGenerator[bytes]", response.aiter_bytes())
        async with aclosing(chunks) as parts:
            async for part in parts:
                body += part
                if len(body) > self._max_body_bytes:
                    raise ListingError(f"GET {response.url}: the body is over {self._max_body_bytes} bytes")
        return bytes(body)


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
