from __future__ import annotations

import itertools
from collections.abc import Mapping

import httpx
import pytest
import trio
from trio.testing import MockClock

from multilogger.connection.budget import BAN_SECS, MOST_ASKED_SECS, Budget, Budgets, retry_after_secs
from multilogger.connection.http import HttpClient, RestClient, open_http_client
from multilogger.errors import RateLimited, RestError
from multilogger.exchanges.base import Allowance, HttpGet, Limits
from multilogger.exchanges.binance.spot import Binance, BinanceConfig
from multilogger.stats import ExchangeStats

URL = "https://api.test/x"


def serve(*answers: httpx.Response | Exception) -> httpx.MockTransport:
    """Return a transport that gives these answers in turn."""
    turn = itertools.chain(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        given = next(turn)
        if isinstance(given, Exception):
            raise given
        given.headers["x-asked"] = str(request.url)
        return given

    return httpx.MockTransport(answer)


def refusal(status: int, **headers: str) -> httpx.Response:
    """Return an answer that asks for a pause."""
    return httpx.Response(
        status, content=b"slow down", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def test_http_get() -> None:
    """The body of a 200 answer comes as bytes, redirects followed."""
    moved = httpx.Response(302, headers={"location": "https://api.test/there"})
    async with open_http_client(serve(moved, httpx.Response(200, content=b"[]"))) as http:
        assert await http.get("https://api.test/products", {"a": "1"}) == b"[]"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            httpx.Response(503, content=b"down \n for\tmaintenance"),
            r"https://api.test/x\?a=1: HTTP status 503: down for main",
        ),
        (httpx.Response(403, content=b"firewall"), "HTTP status 403: firewall"),
        (httpx.Response(451, content=b"not in your region"), "HTTP status 451: not in your region"),
        (httpx.ConnectError("no route to host"), "https://api.test/x: no route to host"),
        (httpx.ReadTimeout(""), "https://api.test/x: ReadTimeout"),
        (httpx.Response(200, content=bytes(1001)), "the body is over 1000 bytes"),
    ],
)
async def test_http_failures(answer: httpx.Response | Exception, why: str) -> None:
    """Whatever fails is a RestError that names the URL and what came, and holds nobody back."""
    async with httpx.AsyncClient(transport=serve(answer, answer)) as client:
        http = HttpClient(client, max_body_bytes=1000)
        budget = Budget(Limits(), ExchangeStats("words"))
        for get in (http.get, RestClient(http, budget).get):
            with pytest.raises(RestError, match=f"GET .*{why}") as raised:
                await get(URL, {"a": "1"})
            assert type(raised.value) is RestError
        assert budget.requests.held_secs() == 0


async def test_http_with_an_impossible_url() -> None:
    """A URL that is none is no crash."""
    async with open_http_client() as http:
        with pytest.raises(RestError):
            await http.get("nonsense://\x00")


async def test_requests_wait_for_the_allowance(autojump_clock: MockClock) -> None:
    """Requests weigh what the caller says, and wait before they are made, not after a refusal."""
    budget = Budget(Limits(rest=(Allowance(50, 60.0),)), ExchangeStats("words"))
    async with open_http_client(serve(*[httpx.Response(200)] * 4)) as http:
        get: HttpGet = RestClient(http, budget).get
        times = []
        for weight in (25, 25, 1, 25):
            await get(URL, weight=weight)
            times.append(trio.current_time())
    assert times == pytest.approx([0, 0, 60, 60])


@pytest.mark.parametrize(
    ("answer", "secs"),
    [
        (refusal(429, retry_after="7"), 7),
        (refusal(418, retry_after="7"), BAN_SECS),
        (refusal(418, retry_after="300"), 300),
        (refusal(418), BAN_SECS),
        (refusal(403, retry_after="600"), 600),
        (refusal(503, retry_after="20"), 20),
    ],
    ids=str,
)
async def test_refusals_hold_back_all_requests(
    answer: httpx.Response, secs: float, autojump_clock: MockClock
) -> None:
    """An exchange that asks for a pause gets it: the caller is told, and whoever comes next waits."""
    stats = ExchangeStats("words")
    budget = Budget(Limits(rest=(Allowance(100, 1.0),)), stats)
    async with open_http_client(serve(answer, httpx.Response(200, content=b"[]"))) as http:
        client = RestClient(http, budget)
        with pytest.raises(
            RateLimited, match=rf"x: HTTP status \d+: slow down; no requests for {secs:g} s"
        ) as it:
            await client.get(URL)
        assert it.value.retry_after_secs == secs
        assert stats.budgets["rest/1s"].held_back_secs == pytest.approx(secs)
        assert await client.get(URL) == b"[]"
    assert trio.current_time() == pytest.approx(secs)


async def test_pauses_that_nobody_asked_for_grow(autojump_clock: MockClock) -> None:
    """Without Retry-After pauses double from refusal to refusal, up to a minute, until an answer comes."""
    budget = Budget(Limits(rest=(Allowance(100, 1.0),)), ExchangeStats("words"))
    answers = [refusal(429)] * 8 + [httpx.Response(200)] + [refusal(429, retry_after="0")]
    async with open_http_client(serve(*answers)) as http:
        client = RestClient(http, budget)
        pauses = []
        for answer in answers:
            if answer.status_code == 200:
                await client.get(URL)
            else:
                with pytest.raises(RateLimited) as raised:
                    await client.get(URL)
                pauses.append(raised.value.retry_after_secs)
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 1])


async def test_refusals_of_requests_under_way_are_one(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Ten requests that are refused together are one refusal: the pause does not double ten times."""
    budget = Budget(Limits(rest=(Allowance(100, 1.0),)), ExchangeStats("words"))
    pauses: list[float] = []

    async def slow(request: httpx.Request) -> httpx.Response:
        await trio.sleep(0.2)
        return refusal(429)

    async with open_http_client(httpx.MockTransport(slow)) as http:
        client = RestClient(http, budget)

        async def ask() -> None:
            try:
                await client.get(URL)
            except RateLimited as failure:
                pauses.append(failure.retry_after_secs)

        async with trio.open_nursery() as asking:
            for _ in range(10):
                asking.start_soon(ask)
    assert pauses == pytest.approx([1] * 10)
    assert budget.requests.held_secs() == pytest.approx(1)


@pytest.mark.parametrize(
    ("headers", "secs"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": " 30 "}, 30),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "9" * 400}, MOST_ASKED_SECS),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:27:00 GMT"}, 60),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:27:00 -0000"}, None),
        ({"retry-after": "Wed, 41 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:27:00 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], secs: float | None) -> None:
    """Seconds and dates are understood; nonsense is no pause, and no pause lasts for ever."""
    assert retry_after_secs(headers) == secs


async def test_the_header_corrects_our_count(autojump_clock: MockClock) -> None:
    """What others behind the same address used, by Binance's own count, is left alone."""
    settings = BinanceConfig(rest_endpoint="https://API.test/base", ws_endpoint="wss://stream.test")
    stats = ExchangeStats("binance")
    told = [httpx.Response(200, headers={"X-MBX-USED-WEIGHT-1M": used}) for used in ("10", "4790", "25")]
    async with open_http_client(serve(*told)) as http:
        client = RestClient.of(Binance(settings), http, Budgets(), stats)
        used, times = [], []
        for _ in told:
            await client.get(URL, weight=20)
            used.append(stats.budgets["rest/60s"].used)
            times.append(trio.current_time())
    assert times == pytest.approx([0, 0, 60])
    assert used == [20, 4790, 25]


@pytest.mark.parametrize("used", ["", "-3", "nan", "1e3", "many", "٣"])
def test_a_header_that_says_nothing(used: str) -> None:
    """A count that is no number is none."""
    headers: Mapping[str, str] = {"x-mbx-used-weight-1m": used}
    assert Binance(BinanceConfig()).rest_used(headers) is None
    assert Binance(BinanceConfig()).rest_used({}) is None


async def test_a_cancelled_request_waits_no_more(autojump_clock: MockClock) -> None:
    """A deadline of the caller ends the wait for the allowance, and nothing is asked or used up."""
    stats = ExchangeStats("words")
    budget = Budget(Limits(rest=(Allowance(1, 60.0),)), stats)
    async with open_http_client(serve(httpx.Response(200))) as http:
        client = RestClient(http, budget)
        await client.get(URL)
        with trio.move_on_after(5) as scope:
            await client.get(URL)
    assert scope.cancelled_caught
    assert (stats.budgets["rest/60s"].total, stats.budgets["rest/60s"].waiting) == (1, 0)
