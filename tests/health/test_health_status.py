"""What /health says of which counters."""

from __future__ import annotations

import attrs
import pytest
from health_samples import SECOND, START, make_config, make_stats

from multilogger.health.judgement import Status
from multilogger.health.status import HealthReport, build_status
from multilogger.stats import ExchangeState, LinkState, Stats

NOW = START + 3600 * SECOND


def judge(stats: Stats, now_ns: int = NOW, names: tuple[str, ...] = ("alpha", "beta")) -> HealthReport:
    """Judge with stale_secs at its default, 10."""
    return build_status(stats, make_config(*names), now_ns, {})


def test_the_documented_shape() -> None:
    """The published fields stand where they are documented, in their published spelling."""
    stats = make_stats(START + 45 * SECOND, alpha=2)
    report = build_status(stats, make_config("alpha"), START + 46 * SECOND, {"alpha": 1250.04})
    shown = report.to_json()
    assert (shown["status"], shown["reasons"]) == ("healthy", [])
    assert shown["exchanges"]["alpha"] == {
        "status": "healthy",
        "state": "running",
        "detail": "",
        "connected": True,
        "connections": {"up": 2, "total": 2},
        "symbols": 500,
        "messages": 0,
        "messages_per_second": 1250.0,
        "last_message": "2025-01-25T10:30:45Z",
        "last_message_age_secs": 1.0,
        "reconnects": 0,
        "renewals": 0,
        "restarts": 0,
        "resubscribes": 0,
        "looks": 0,
        "moves": 0,
        "duplicates": 0,
        "gaps": 0,
        "backfill": {"missing": 0, "backfilled": 0, "given_up": 0, "problem": ""},
        "refused": {},
        "set_aside": {},
        "deaf": {},
        "suspect": {},
        "broken_rows": 0,
        "breakers": {},
        "budgets": {},
    }
    assert shown["writer"]["status"] == "healthy"
    assert (shown["started"], shown["uptime_secs"]) == ("2025-01-25T10:30:00Z", 46.0)
    assert shown["reload"] == {"count": 0, "problem": ""}


@pytest.mark.parametrize("age_secs", [0, 9.9, 10])
def test_fresh_data_on_all_connections_is_healthy(age_secs: float) -> None:
    """Data no older than stale_secs on each streaming connection is all it takes."""
    report = judge(make_stats(NOW - int(age_secs * SECOND), alpha=2, beta=1))
    assert (report.status, report.reasons) == (Status.HEALTHY, ())


def test_connected_but_silent_is_not_healthy() -> None:
    """A connection that stands but brings nothing degrades, and is named."""
    stats = make_stats(NOW, alpha=2, beta=1)
    stats.exchanges["alpha"].links["alpha-1"].last_data_ns = NOW - 11 * SECOND
    report = judge(stats)
    assert report.status is Status.DEGRADED
    assert report.reasons == ("alpha: alpha-1 has brought no data for 11 s",)
    alpha = report.exchanges["alpha"]
    assert (alpha.status, alpha.connected, alpha.connections_up) == (Status.DEGRADED, True, 2)
    assert report.exchanges["beta"].status is Status.HEALTHY


def test_a_connection_without_any_data_is_not_healthy() -> None:
    """Streaming alone proves nothing."""
    stats = make_stats(NOW, alpha=1, beta=1)
    stats.exchanges["alpha"].links["alpha-0"].last_data_ns = 0
    report = judge(stats)
    assert report.reasons == ("alpha: alpha-0 has brought no data yet",)
    assert report.exchanges["alpha"].last_message_age_secs is None
    assert report.to_json()["exchanges"]["alpha"]["last_message"] is None


@pytest.mark.parametrize("state", [state for state in LinkState if state is not LinkState.STREAMING])
def test_a_connection_that_does_not_stream_is_not_healthy(state: LinkState) -> None:
    """A connection in any other state degrades at once, with its last error."""
    stats = make_stats(NOW, alpha=1, beta=1)
    link = stats.exchanges["alpha"].links["alpha-0"]
    link.state, link.last_error = state, "closed by peer: 1006"
    report = judge(stats)
    assert report.status is Status.DEGRADED
    assert report.reasons == (f"alpha: alpha-0 is {state.value} (closed by peer: 1006)",)
    assert report.exchanges["alpha"].connected is False


def test_many_problems_are_told_in_short() -> None:
    """Of many connections that are down the first ones are named."""
    stats = make_stats(NOW, alpha=9, beta=1)
    for link in stats.exchanges["alpha"].links.values():
        link.state = LinkState.WAITING
    detail = judge(stats).exchanges["alpha"].detail
    assert detail.count("is waiting") == 3
    assert detail.endswith("; and 6 more")


def test_an_exchange_that_is_down_says_why() -> None:
    """The words of the supervisor are passed on."""
    stats = make_stats(NOW, beta=1)
    alpha = stats.exchange("alpha")
    alpha.state, alpha.detail = ExchangeState.DOWN, "restarted 5 times in 60 s"
    report = judge(stats)
    assert report.status is Status.DEGRADED
    assert report.exchanges["alpha"].status is Status.UNHEALTHY
    assert report.reasons == ("alpha: restarted 5 times in 60 s",)


def test_one_dead_exchange_is_no_reason_for_a_restart() -> None:
    """While one exchange delivers, the process is degraded at worst, however long the other is gone."""
    stats = make_stats(NOW, alpha=1, beta=1)
    stats.exchanges["alpha"].links["alpha-0"].last_data_ns = START
    assert judge(stats).status is Status.DEGRADED


@pytest.mark.parametrize(("secs", "status"), [(30, Status.DEGRADED), (31, Status.UNHEALTHY)])
def test_no_data_at_all_is_unhealthy(secs: int, status: Status) -> None:
    """Half a minute without data from any exchange is the end of health."""
    assert judge(make_stats(NOW - secs * SECOND, alpha=1, beta=1)).status is status


@pytest.mark.parametrize(
    ("secs", "status"), [(0, Status.DEGRADED), (30, Status.DEGRADED), (31, Status.UNHEALTHY)]
)
def test_the_start_has_half_a_minute(secs: int, status: Status) -> None:
    """Exchanges that are still starting are not unhealthy at first."""
    report = judge(Stats(started_ns=START), START + secs * SECOND)
    assert report.status is status
    assert report.exchanges["alpha"].detail == "starting"
    assert (report.exchanges["alpha"].status is Status.UNHEALTHY) == (secs > 30)


def test_dropped_connections_leave_their_last_message() -> None:
    """An exchange between two pools is degraded, not at once unhealthy."""
    stats = make_stats(NOW - SECOND, alpha=1)
    stats.exchanges["alpha"].drop_link("alpha-0")
    report = judge(stats, names=("alpha",))
    assert report.status is Status.DEGRADED
    assert report.exchanges["alpha"].detail == "no connections"
    assert report.exchanges["alpha"].last_message_age_secs == 1.0


def test_disabled_exchanges_are_not_judged() -> None:
    """Only what is to run can fail to; with nothing enabled that is told."""
    config = make_config("alpha", "beta")
    off = {name: attrs.evolve(exchange, enabled=False) for name, exchange in config.exchanges.items()}
    report = build_status(Stats(started_ns=START), attrs.evolve(config, exchanges=off), START, {})
    assert (report.status, report.exchanges) == (Status.DEGRADED, {})
    assert report.reasons == ("no exchange is enabled",)


@pytest.mark.parametrize(
    ("age_secs", "status"),
    [(None, Status.HEALTHY), (1.2, Status.HEALTHY), (1.3, Status.DEGRADED), (5.1, Status.UNHEALTHY)],
)
def test_a_writer_behind_is_not_healthy(age_secs: float | None, status: Status) -> None:
    """Rows that wait longer than promised degrade, and make unhealthy after five seconds."""
    stats = make_stats(NOW, alpha=1, beta=1)
    stats.writer.oldest_pending_ns = NOW - int(age_secs * SECOND) if age_secs else 0
    report = judge(stats)
    assert report.status is report.writer.status is status
    assert (report.reasons == ()) == (status is Status.HEALTHY)


def test_a_clock_set_back_hides_no_silence() -> None:
    """Data from an hour ahead is not fresh."""
    report = judge(make_stats(NOW + 3600 * SECOND, alpha=1, beta=1))
    assert report.exchanges["alpha"].status is Status.UNHEALTHY
    assert report.uptime_secs == 3600.0
